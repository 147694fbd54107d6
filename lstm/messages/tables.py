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
        "has {rows:,} rows of the {columns:,} columns that the spec names, but at most {limit:,} values are read",
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

ENTRIES: dict[str, Entry] = {**FILES, **COLUMNS}
