"""Messages about tables and texts that can't be read as the spec says."""

from lstm.messages.entry import Entry

FILES = {
    "no-such-file": Entry("does not exist{near:?, did you mean *?}", "check the path", {"near": "load.csv"}),
    "not-a-file": Entry("is not a file", "give the path of {wanted}", {"wanted": "a CSV or Parquet file"}),
    "name-not-utf8": Entry("has bytes in its name, or in the name of a folder, that are not UTF-8", "rename it"),
    "no-permission-to-read": Entry("can't be read: permission denied", "change the permissions of the file"),
    "not-utf8": Entry("is not UTF-8", "save the file as UTF-8, or name its encoding, as in data.encoding: cp1252"),
    "not-in-encoding": Entry(
        "is not in the encoding {encoding}",
        "give the right data.encoding, or save the file as UTF-8",
        {"encoding": "cp1252"},
    ),
    "not-unpacked": Entry(
        "can't be unpacked as {kind}: {why}",
        "unpack the file and give what is in it",
        {"kind": "gzip", "why": "CRC error"},
    ),
    "too-large-unpacked": Entry(
        "has more than {limit:,} bytes when it is unpacked", "unpack the file and give what is in it", {"limit": 2**30}
    ),
    "several-files-packed": Entry(
        "has {count} files in it, but one table is read", "unpack it and give one of the files", {"count": 3}
    ),
    "spreadsheet-instead-of-table": Entry(
        "is a spreadsheet, which is not read", "save the sheet as CSV (UTF-8), and give that file"
    ),
    "records-instead-of-table": Entry(
        "is {kind}, which is not read as a table",
        "save it as CSV or Parquet, as with pandas: read_json(…).to_csv(…, index=False)",
        {"kind": "JSON"},
    ),
    "table-unreadable": Entry(
        "can't be read as {kind}: {why}",
        "check that the file is whole and is {kind}, or save it again",
        {"kind": "Parquet", "why": "Parquet magic bytes not found in footer"},
    ),
    "old-line-ends": Entry(
        "can't be read as CSV: {why}",
        "save the file with the line ends of Unix or Windows",
        {"why": "new-line character seen in unquoted field"},
    ),
    "empty-table": Entry("is empty", "give a CSV whose first line names its columns"),
    "nul-bytes-in-table": Entry(
        "has NUL bytes, so it is not a CSV", "save the table as CSV in UTF-8, or give a Parquet file a name in .parquet"
    ),
    "no-rows": Entry("has a header but no rows", "add rows below the header"),
    "first-line-too-long": Entry(
        "is longer than {limit:,} bytes", "give a CSV whose first line names its columns", {"limit": 1_048_576}
    ),
    "line-too-long": Entry(
        "has a line of a megabyte or more", "close the quote that is open in that line, or shorten the line"
    ),
    "line-break-in-quotes": Entry(
        "has text in quotes that goes over several lines", "close the quote, or remove the line breaks from the text"
    ),
    "too-many-or-few-fields": Entry(
        "has {found} fields, but the header has {wanted}",
        "give each line as many fields as the header, and put a field that contains the delimiter in quotes",
        {"found": 3, "wanted": 2},
    ),
    "too-many-values": Entry(
        "has {rows:,} rows of {columns:,} columns to read, but at most {limit:,} values are read",
        "give fewer rows or columns",
        {"rows": 60_000_000, "columns": 2, "limit": 100_000_000},
    ),
}

COLUMNS = {
    "column-occurs-twice": Entry(
        "column {column!q} occurs twice in the header", "give the columns different names", {"column": "load"}
    ),
    "column-not-in-file": Entry(
        "has no column {column!q}{near:?, did you mean *?} (columns: {columns!q}{further:? and * more})",
        "name a column of the file",
        {"column": "laod", "near": "load", "columns": ["day", "load"], "further": None},
    ),
    "column-without-numbers": Entry(
        "column {column!q} has the type {type}, but must have numbers",
        "save the column as numbers, or name another column",
        {"column": "load", "type": "string"},
    ),
    "not-a-number": Entry(
        "column {column!q}: {value!q} is not a number",
        "{line:?say how numbers are written by *, or }write numbers as in 3.14, and leave the cell empty if a number "
        "is missing (or name the word in data.missing_values)",
        {"column": "load", "value": "1,5", "line": "data.decimal: ','"},
    ),
    "values-too-large": Entry(
        "the values of column {column!q} are too large beside those of the training part (or, with data.scaling: "
        "none, for float32)",
        "rescale the column",
        {"column": "load"},
    ),
    "values-too-large-to-average": Entry(
        "the values of column {column!q} are too large to be averaged", "rescale the column", {"column": "load"}
    ),
    "number-too-large": Entry(
        "column {column!q}: {value} is infinite or too large",
        "leave the cell empty if the number is missing",
        {"column": "load", "value": "1e+308"},
    ),
}

TIMES = {
    "time-missing": Entry("column {column!q} has no time in this row", "give each row a time", {"column": "day"}),
    "not-a-time": Entry(
        "column {column!q}: {value!q} is not a time",
        "write times as in 2016-07-01 or 2016-07-01 13:00:00",
        {"column": "day", "value": "2016-02-30"},
    ),
    "times-with-fractions": Entry(
        "time column {column!q} has fractions", "use ISO 8601 times or whole numbers", {"column": "day"}
    ),
    "times-of-several-formats": Entry(
        "time column {column!q}: {value!q} can be read in several ways: {formats!q}",
        "say which one is meant by data.time_format: '{one}' or data.time_format: '{other}'",
        {
            "column": "day",
            "value": "01/02/2016",
            "formats": ["%d/%m/%Y", "%m/%d/%Y"],
            "one": "%d/%m/%Y",
            "other": "%m/%d/%Y",
        },
    ),
    "not-in-time-format": Entry(
        "column {column!q}: {value!q} is not written as {format!q}",
        "correct the value, or give another data.time_format",
        {"column": "day", "value": "2016-13-01", "format": "%Y-%m-%d"},
    ),
    "no-time-format": Entry(
        "column {column!q}: {value!q} looks like a time, but no format is known for it",
        "write the times in another way, or say how they are written, as in data.time_format: '%d.%m.%Y %H:%M'",
        {"column": "day", "value": "2021-03-01 00:00 CET"},
    ),
    "time-without-date": Entry(
        "the columns {columns!q} have no date", "name a column with a date in data.time, too", {"columns": ["hour"]}
    ),
    "numbers-may-be-times": Entry(
        "the whole numbers in column {column!q} of {file} may be times",
        "say so by data.time_format: '{format}', or leave out data.time to take the rows in their order",
        {"column": "date", "file": "load.csv", "format": "%Y%m%d"},
    ),
    "times-not-of-zone": Entry(
        "the times of {file} are not local times of {zone}: {why}",
        "correct the times or the zone, or leave out data.time_zone and give data.step to average an hour that occurs "
        "twice",
        {"zone": "Europe/Berlin", "file": "load.csv", "why": "2016-03-27 02:30:00 is a nonexistent time"},
    ),
    "no-open-hours-for-step": Entry(
        "open hours need a step of whole seconds that divides a day, but the step is {step}",
        "leave out the field, or give another data.step",
        {"step": "MS"},
    ),
    "rows-outside-open-hours": Entry(
        "{count:,} rows are outside of these hours, first {first}",
        "add the hours of these rows, or leave the rows out of the file",
        {"count": 3, "first": "2016-01-02 20:00:00"},
    ),
    "times-unreadable": Entry(
        "time column {column!q} can't be read: {why}",
        "write times as in 2016-07-01 or 2016-07-01 13:00:00, or as whole numbers",
        {"column": "day", "why": "'utf-8' codec can't decode byte 0xe9"},
    ),
    "time-occurs-repeatedly": Entry(
        "time {time} occurs {count} times in column {column!q}",
        "keep one row per time (a file with several series must become one file per series), or give data.step to "
        "average rows",
        {"column": "day", "time": "2016-10-30 02:00:00", "count": 2},
    ),
    "times-irregular": Entry(
        "the times are irregular: between {shortest} and {longest} apart",
        "give data.step (such as 1h) to average rows into steps",
        {"shortest": "0 days 00:01:00", "longest": "0 days 03:53:59"},
    ),
    "numbers-irregular": Entry(
        "the numbers in time column {column!q} are irregular", "use one row per step", {"column": "day"}
    ),
    "numbers-are-no-times": Entry(
        "needs times, but column {column!q} of {file} has whole numbers",
        "remove the field, or name a column with times in data.time",
        {"column": "day", "file": "load.csv"},
    ),
    "only-one-row": Entry("has one row, but a time series needs more", "give more rows"),
    "not-a-step": Entry("{step!q} is not a step", "write it as in 15min, 1h, 1D, 7D or MS", {"step": "soon"}),
    "no-step-ends": Entry(
        "no step of {step} ends within the times of {file}, from {first} to {last}",
        "give a shorter step",
        {"step": "100YE", "file": "load.csv", "first": "2016-01-01 00:00:00", "last": "2016-01-12 00:00:00"},
    ),
    "steps-do-not-fit": Entry(
        "steps of {step} do not fit the times: {why}",
        "correct the times, or give another data.step",
        {"step": "1h", "why": "Out of bounds nanosecond timestamp"},
    ),
    "steps-make-too-many-rows": Entry(
        "steps of {step} would make {steps:,} rows of {rows:,}",
        "correct the times, or give another data.step",
        {"step": "1s", "steps": 251_919_158_401, "rows": 3},
    ),
    "steps-missing": Entry(
        "{count} of {steps} steps of {step} are missing, first {first}",
        "say what to do with data.missing: interpolate, forward_fill or skip",
        {"count": 2, "steps": 5, "step": "1D", "first": "2016-01-03 00:00:00"},
    ),
}

SERIES = {
    "values-missing": Entry(
        "{count} steps have missing values, the first in column {column!q} at {first}",
        "say what to do with data.missing: interpolate, forward_fill or skip",
        {"count": 2, "column": "load", "first": "2016-01-03 00:00:00"},
    ),
    "column-empty": Entry(
        "column {column!q} has no value at all, but a time series needs values",
        "fill in the column, or name another one",
        {"column": "load"},
    ),
    "target-constant": Entry(
        "column {column!q} is constant ({value:g}) over the training part, so there is nothing to learn",
        "name another target, or give another data.split",
        {"column": "load", "value": 5},
    ),
    "split-leaves-no-training": Entry(
        "validation and test ask for {wanted:,} rows, but {file} has {rows:,}",
        "leave some rows for training",
        {"wanted": 120, "rows": 100, "file": "load.csv"},
    ),
    "split-beyond-file": Entry(
        "asks for {wanted:,} rows, but {file} has {rows:,}",
        "ask for fewer rows",
        {"wanted": 110, "rows": 100, "file": "load.csv"},
    ),
    "split-out-of-order": Entry(
        "train, validation and test must follow each other, but they would be rows {train:,} to {validation:,} to "
        "{test:,} to {end:,}",
        "give the parts in this order, each with at least one row",
        {"train": 0, "validation": 90, "test": 70, "end": 100},
    ),
    "split-needs-times": Entry(
        "{value!q} is a time, but the rows have no times", "use shares or row counts", {"value": "2020-02-01"}
    ),
    "split-not-a-time": Entry("{value!q} is not a time", "write the time as in 1996-01-01", {"value": "soon"}),
    "split-outside-data": Entry(
        "{value!q} is outside the data, which go from {first} to {last}",
        "give a time between these",
        {"value": "2030-01-01", "first": "2020-01-01 00:00:00", "last": "2020-04-09 00:00:00"},
    ),
    "no-window-to-train-on": Entry(
        "the {part} part has {rows:,} rows (of {all:,}), in which no window of lookback + horizon = {steps} "
        "fits{missing:? without a gap}",
        "use more data, another split, or a shorter lookback or horizon",
        {"part": "train", "rows": 60, "all": 100, "steps": 93, "missing": None},
    ),
    "windows-do-not-fit": Entry(
        "{windows} windows of {length:,} steps{aside:? (* of them set aside)} are {wanted:,} steps, but the validation "
        "part has {rows:,}",
        "enlarge data.split.validation, or give fewer or shorter windows{aside:?, or leave fresh out}",
        {"windows": 4, "length": 24, "wanted": 96, "rows": 80, "aside": None},
    ),
    "windows-too-short": Entry(
        "{windows} windows{aside:? (* of them set aside)} that share out the {rows:,} steps of the validation part "
        "have {shortest:,} steps, but data.horizon is {horizon:,}",
        "enlarge data.split.validation, or give at most {most} windows{aside:?, or leave fresh out}",
        {"windows": 4, "rows": 80, "shortest": 20, "horizon": 24, "most": 3, "aside": None},
    ),
    "no-forecast-in-window": Entry(
        "window {number}, {first} to {last}, has no forecast to judge: no horizon = {horizon} without a gap fits, "
        "after lookback = {lookback} steps of history",
        "give fewer or longer windows, another data.missing, or a shorter lookback or horizon",
        {"number": 2, "first": "2024-01-01", "last": "2024-01-24", "horizon": 24, "lookback": 48},
    ),
    "no-window-to-judge": Entry(
        "the {part} part has {rows:,} rows (of {all:,}), in which no window of horizon = {horizon}, after lookback = "
        "{lookback} steps of history, fits{missing:? without a gap}",
        "use more data, another split, or a shorter lookback or horizon",
        {"part": "test", "rows": 10, "all": 100, "horizon": 11, "lookback": 5, "missing": "skip"},
    ),
}

APART = "write each series into a file of its own, or give each series a column of its own"

DRAFTS = {
    "series-in-rows": Entry(
        "is a wide table: each row is a series, and its {count:,} columns from {first!q} to {last!q} are steps, but a "
        "series must be a column",
        "turn it, as with pandas: read_csv(…).set_index({id!q}).T, and give each series a column or a file of its own",
        {"rows": 60, "count": 999, "first": "V2", "last": "V1000", "id": "V1"},
    ),
    "point-for-thousands": Entry(
        "column {column!q}: {value!q} beside {other!q} can be read with a point for decimals and for thousands",
        "write the spec by hand, for thousands with data.thousands: '.' and data.decimal: ','",
        {"column": "load", "value": "1.012", "other": "987"},
    ),
    "steps-in-columns": Entry(
        "has {count} time steps of each row as columns, from {first!q} to {last!q}, but a series must be one column",
        "put them one under another, as with pandas: read_csv(…).set_index({index!q}).stack(), or write the spec by "
        "hand if each column is a series of its own",
        {"count": 12, "first": "Jan", "last": "Dec", "index": "year"},
    ),
    "decimal-or-thousands": Entry(
        "column {column!q}: {value!q} can be read with {sign!q} for decimals and for thousands",
        "write the spec by hand with data.decimal: '{sign}' or data.thousands: '{sign}'",
        {"column": "load", "value": "1,234", "sign": ","},
    ),
    "spec-instead-of-data": Entry(
        "is a spec, not data", "give a CSV or Parquet file (sweep plan {file} checks a spec)", {"file": "sweep.yaml"}
    ),
    "no-column-with-own-name": Entry("no column has a name of its own", "name the columns in the first line"),
    "numbers-instead-of-names": Entry(
        "has only numbers, so the file has no header",
        "name the columns in the first line, as in time,value, or write the spec by hand with data.header: false",
    ),
    "too-few-rows": Entry(
        "has {rows} rows, too few for a window to train on and one to judge",
        "give {least} rows or more, and better some hundreds",
        {"rows": 5, "least": 20},
    ),
    "no-column-to-forecast": Entry(
        "has no column to forecast: {column!q} is left out ({why})",
        "add a column of numbers that change",
        {"column": "load", "why": "always the same value"},
    ),
    "no-column-of-numbers": Entry(
        "has no column of numbers to forecast (columns: {columns!q}{further:? and * more})",
        "add a column of numbers",
        {"columns": ["day", "name"], "further": None},
    ),
    "texts-among-numbers": Entry(
        "column {column!q}: {value!q} is not a number ({count} values of the column are not)",
        "write numbers as in 3.14, and leave the cell empty if a number is missing",
        {"column": "load", "value": "1,5", "count": 300},
    ),
    "several-series-of-times": Entry(
        "has {series} series, one for each value of {columns!q}: time {time} occurs {count} times",
        APART,
        {"series": 2, "columns": ["shop"], "time": "2024-01-01", "count": 2},
    ),
    "several-series-of-numbers": Entry(
        "has {series} series, one for each value of {columns!q}: the numbers in column {column!q} repeat for each",
        APART,
        {"series": 10, "columns": ["code"], "column": "year"},
    ),
    "several-series-that-begin-anew": Entry(
        "has {series} series, one for each value of {columns!q}: the numbers in column {column!q} begin anew for each",
        APART + ", or give each an id and a label (the task classify tells such sequences apart)",
        {"series": 6, "columns": ["store", "item"], "column": "period"},
    ),
    "several-ids-or-labels": Entry(
        "can be read as labelled sequences in several ways, by these columns for id and label: {ways}",
        "remove the columns that are not meant, or write the spec by hand, as in task: classify, data: {{path: {file}, "
        "id: {id}, {time:?time: *, }columns: [{columns}], label: {label}, split: {{validation: 0.2, test: 0.2}}}}",
        {
            "ways": [["run", "kind"], ["run", "hand"]],
            "file": "runs.csv",
            "id": "run",
            "time": "step",
            "columns": ["x", "y"],
            "label": "kind",
        },
    ),
    "no-such-label": Entry(
        "column {column!q} is no label: a label has one value in all rows of a sequence (able: {labels!q})",
        "name one of these columns",
        {"column": "x", "labels": ["kind"]},
    ),
    "ids-or-labels-missing": Entry(
        "column {column!q} has no {role} in this row ({count:,} rows lack it), but the task classify, with id {id!q} "
        "and label {label!q}, needs one in each row",
        "write another word (an empty cell, NA, null and the like are missing)",
        {"column": "kind", "role": "label", "count": 12, "id": "run", "label": "kind"},
    ),
    "no-column-to-classify-by": Entry(
        "has no column of numbers that changes within the sequences of column {id!q}, by which their classes could be "
        "told (left out: {left_out})",
        "add a column of numbers that change from step to step",
        {"id": "run", "left_out": ["weight: one value in each sequence", "note: no numbers"]},
    ),
    "steps-in-another-order": Entry(
        "column {column!q} orders the steps of a sequence by its name, but the rows are in another order, and "
        "data.time takes no fractions",
        "sort the rows, or write whole numbers",
        {"column": "timestamp"},
    ),
}

TABLES: dict[str, Entry] = {**FILES, **COLUMNS, **TIMES, **SERIES, **DRAFTS}
