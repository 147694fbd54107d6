"""Messages about tables and texts that can't be read as the spec says."""

from lstm.messages.entry import Entry

FILES = {
    "no-such-file": Entry("does not exist{near:?, did you mean *?}", "check the path", {"near": "load.csv"}),
    "no-such-object": Entry(
        "the bucket has no such object{near:?, did you mean *?}", "check the address", {"near": "load.csv"}
    ),
    "object-is-folder": Entry("is a folder of the bucket", "write the address of an object in it"),
    "no-such-bucket": Entry(
        "{store} has no bucket {bucket!q}",
        "check the name{variable:? and *, which names a store that is not Amazon's}",
        {"store": "http://store:8333", "bucket": "sales", "variable": "AWS_ENDPOINT_URL"},
    ),
    "store-denies": Entry(
        "{store} refuses: {why}{none:? (*)}",
        "give a key that has the right, by {key}, or a role of the host",
        {
            **{"store": "Amazon S3", "why": "ACCESS_DENIED", "none": "AWS_ACCESS_KEY_ID is not set here"},
            "key": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        },
    ),
    "store-unreachable": Entry(
        "{store} does not answer: {why}",
        "check the network{variable:?, and * with its http:// or https://}",
        {"store": "http://store:8333", "why": "could not connect to server", "variable": "AWS_ENDPOINT_URL"},
    ),
    "object-unread": Entry(
        "{store} did not do it: {why}", "try again", {"store": "Amazon S3", "why": "INTERNAL_FAILURE"}
    ),
    "object-changed": Entry("was replaced while it was read", "run the command again when it is whole"),
    "no-room-for-object": Entry(
        "has {size:,} bytes, and {folder} has room for {free:,}",
        "free some, or set TMPDIR to a folder with room",
        {"size": 8_000_000_000, "free": 2_000_000_000, "folder": "/tmp"},
    ),
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
    "rows-may-be-newest-first": Entry(
        "column {column!q} falls from row to row as times do, and no column has times, so the newest row may be first",
        "if it is, sort the rows, or write times as in 2016-07-01; if the oldest is first, leave this column out of "
        "the file",
        {"column": "serial"},
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
    "zone-name-of-two-meanings": Entry(
        "time column {column!q} of {file}: the names {names!q} after times, as in {value!q}, may be the clock of a "
        "place, which changes, or one offset through the year",
        "say which: data.time_format: '{one}' with data.time_zone: {place}, or data.time_format: '{other}' for the "
        "offset",
        {
            "column": "time",
            "file": "load.csv",
            "names": ["EST"],
            "value": "2020-01-01 00:00 EST",
            "one": "%Y-%m-%d %H:%M EST",
            "other": "%Y-%m-%d %H:%M %Z",
            "place": "America/New_York",
        },
    ),
    "zone-name-not-known": Entry(
        "time column {column!q} of {file}: the names {names!q} after times, as in {value!q}, say no zone for certain",
        "if there is one name, say the place that is meant, as in data.time_format: '{one}' with data.time_zone: "
        "{place}; else write offsets, as in 2020-01-01 00:00+01:00",
        {
            "column": "time",
            "file": "load.csv",
            "names": ["IST"],
            "value": "2020-01-01 00:00 IST",
            "one": "%Y-%m-%d %H:%M IST",
            "place": "Asia/Kolkata",
        },
    ),
    "periods-of-a-changed-clock": Entry(
        "column {column!q} has {count} periods on {day} and not {usual}, as where the clock of a place changes",
        "write the spec by hand, with {format} for this column in data.time_format, and the place, as in "
        "data.time_zone: Europe/London",
        {"column": "period", "count": 50, "day": "2020-10-25", "usual": 48, "format": "periods_30min"},
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
    "times-irregular-by-a-clock": Entry(
        "the times in {column!q} are irregular in UTC, and at one hour of the day in {places!q}",
        "name the place, as in data.time_zone: {place}",
        {"column": "day", "places": ["Europe/Berlin (00:00)"], "place": "Europe/Berlin"},
    ),
    "times-in-utc-without-z": Entry(
        "the times in {column!q} have no offset, and are at one hour of the day in {places!q} if they are in UTC",
        "if they are, write Z after each time, and name the place, as in data.time_zone: {place}",
        {"column": "day", "places": ["Europe/Berlin (00:00)"], "place": "Europe/Berlin"},
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
    "row-left-out": Entry(
        "{line!q} of {file} is left out by data.{field}, but is a row of the table",
        "write the lines beside the table that the training file has there, too, or give the spec another {field}",
        {"line": "2021-03-03,12.5", "file": "new.csv", "field": "skip_last"},
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
        "{windows} windows of {length:,} {unit}{aside:? (* of them set aside)} are {wanted:,} {unit}, but the "
        "validation part has {rows:,}",
        "enlarge data.split.validation, or give fewer or shorter windows{aside:?, or leave fresh out}",
        {"windows": 4, "length": 24, "wanted": 96, "rows": 80, "unit": "steps", "aside": None},
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

TABLES: dict[str, Entry] = {**FILES, **COLUMNS, **TIMES, **SERIES}
