"""Messages about a table or text that can't be read as the spec says."""

from lstm.messages.entry import Entry

FILES = {
    "no-such-file": Entry("does not exist", "check the path{near:?, did you mean *?}", {"near": "load.csv"}),
    "not-a-file": Entry("is not a file", "give the path of {wanted}", {"wanted": "a CSV or Parquet file"}),
    "name-not-utf-8": Entry("has bytes in its name, or in the name of a folder, that are not UTF-8", "rename it"),
    "no-permission-to-read": Entry("can't be read: permission denied", "change the permissions of the file"),
    "not-utf-8": Entry("is not UTF-8", "save the file as UTF-8"),
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
        "give each line as many fields as the header; put a field that contains the delimiter in quotes",
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
        "write numbers as in 3.14, and leave the cell empty if a number is missing",
        {"column": "load", "value": "1,5"},
    ),
    "number-too-large": Entry(
        "column {column!q}: {value:g} is infinite or too large",
        "leave the cell empty if the number is missing",
        {"column": "load", "value": 1e308},
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
    "day-or-month-first": Entry(
        "time column {column!q}: {value!q} could be a day and month or a month and day",
        "write times as in 2016-07-01",
        {"column": "day", "value": "01/02/2016"},
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

ENTRIES: dict[str, Entry] = {**FILES, **COLUMNS, **TIMES}
