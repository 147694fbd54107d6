"""How a table is read: the fields that the section `data` of each task with a table shares."""

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from lstm.config.section import Column, Data, Since
from lstm.records.errors import Fault, fault

ADDED = Since("2026-11-30")
Delimiter = Literal[",", ";", "\t", "|", " "]
DIRECTIVES = set("YymdbBaAHIMSfpzZGVujq")  # of a time format; %q is a quarter, 1 to 4; %Z one of ZONE_WORDS
UNIX = {"unix_s": "s", "unix_ms": "ms", "unix_us": "us", "unix_ns": "ns"}
EXCEL = "excel_days"  # days since the last but one of 1899, as a spreadsheet counts them
DAY_FRACTION = "day_fraction"  # a time of day as a part of it, as a spreadsheet keeps it: 0.75 is 18:00
HOUR_ENDING = "hour_ending"  # hours from 1 to 24, each named by its end
# Minutes of one; counted from 1 (or 0) at local midnight.
PERIODS = {"periods_1h": 60, "periods_30min": 30, "periods_15min": 15}
PERIODS |= {"periods_30min_from_0": 30, "periods_15min_from_0": 15}
# Names of offsets after a time. Where they stand without the name of the other half of the year, a spec says %Z.
ZONE_WORDS = {"UTC": "Z", "GMT": "Z", "UT": "Z", "Z": "Z", "WET": "Z", "WEST": "+01:00"}
ZONE_WORDS |= {"BST": "+01:00", "CET": "+01:00", "MEZ": "+01:00", "CEST": "+02:00", "MESZ": "+02:00", "EET": "+02:00"}
ZONE_WORDS |= {"EEST": "+03:00", "EST": "-05:00", "EDT": "-04:00", "CST": "-06:00", "CDT": "-05:00", "MST": "-07:00"}
ZONE_WORDS |= {"MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00", "AKST": "-09:00", "AKDT": "-08:00"}
ZONE_WORDS |= {"AEST": "+10:00", "AEDT": "+11:00", "NZST": "+12:00", "NZDT": "+13:00"}


class TableData(Data):
    """A section `data` whose file is a table. Each default is how tables were read before these fields existed."""

    encoding: Annotated[str | None, ADDED] = Field(
        None,
        min_length=1,
        description="Encoding of the text, such as cp1252 or utf-16-le. It is never guessed. Absent: UTF-8, or UTF-16 "
        "if the file begins with its byte order mark.",
    )
    delimiter: Annotated[Delimiter | None, ADDED] = Field(
        None,
        description="Character between two fields: a comma, a semicolon, a tab, a bar, or a blank for runs of blanks. "
        "Absent: the one of the first four that occurs most often in the line of names.",
    )
    comment: Annotated[str | None, ADDED] = Field(
        None, min_length=1, max_length=4, description="Lines that begin with this text are left out, such as #."
    )
    skip_rows: Annotated[int, ADDED] = Field(
        0, ge=0, le=10_000, description="Lines to leave out at the start of the file, above the names."
    )
    skip_last: Annotated[int, ADDED] = Field(
        0,
        ge=0,
        le=10_000,
        description="Lines to leave out at the end of the file, such as a total. Empty lines do not count.",
    )
    header: Annotated[bool | Annotated[list[Column], Field(min_length=1)], ADDED] = Field(
        True,
        description="Whether the first line has the names of the columns. false: the columns are named 1, 2, 3 …. A "
        "list: the names of the columns of a file without such a line.",
    )
    decimal: Annotated[Literal[".", ","], ADDED] = Field(
        ".", description="Decimal sign of the numbers: a point as in 3.14, or a comma as in 3,14."
    )
    thousands: Annotated[Literal[",", ".", " ", "'", "_"] | None, ADDED] = Field(
        None, description="Sign between groups of three digits, such as the comma in 1,002.64. Absent: there is none."
    )
    missing_values: Annotated[list[Annotated[str, Field(min_length=1)] | int | float], ADDED] = Field(
        default_factory=list,
        description="Further words or numbers that mean a missing value, such as M or -999. An empty cell, NA, n/a, "
        "NULL, NaN, #N/A and the like always do.",
    )
    time_format: Annotated[Column | Annotated[list[Column | None], Field(min_length=1)] | None, ADDED] = Field(
        None,
        description="How times are written, as in %d/%m/%Y %H:%M; %q is a quarter, %Z a name such as EST for one "
        "offset. Or unix_s, unix_ms, unix_us and unix_ns for numbers since 1970, excel_days for days as a spreadsheet "
        "counts them, day_fraction for parts of a day beside a date, hour_ending for hours from 1 to 24, periods_1h, "
        "periods_30min and periods_15min for parts of a day counted from 1 (with _from_0 after the last two: from 0). "
        "A list has one for each column of data.time. "
        "Absent or null: ISO 8601, or the one form that fits all values.",
    )
    time_zone: Annotated[str | None, ADDED] = Field(
        None,
        min_length=1,
        description="Zone of the times, such as Europe/Berlin. Times without an offset are of this zone; days and "
        "months begin at its midnight. Absent: times without an offset are taken as they are written.",
    )

    @property
    def time_columns(self) -> list[str]:
        """The columns that give the time together, in their order; empty if there is none."""
        time: str | list[str] | None = getattr(self, "time", None)
        return [time] if isinstance(time, str) else list(time or ())

    @property
    def time_name(self) -> str:
        """The name of the time in messages and in what is predicted; "" if there is no time."""
        return " ".join(self.time_columns)

    @property
    def time_formats(self) -> list[str | None]:
        """The format of each time column; None where it is to be found."""
        given = self.time_format
        if isinstance(given, list):
            return [*given]
        return [given] * min(len(self.time_columns), 1) + [None] * (len(self.time_columns) - 1)

    def read_as(self, found: Mapping[str, Any]) -> "TableData":
        """Return this section with what was found in the training file, for a file that is read like that one."""
        return self.model_copy(update={name: value for name, value in found.items() if name in type(self).model_fields})

    def table_faults(self) -> Iterator[Fault]:
        """Yield the faults of the fields that say how the table is read."""
        if self.encoding:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                yield fault("unknown-encoding", "data.encoding", encoding=self.encoding)
        if self.decimal == self.thousands:
            yield fault("decimal-is-thousands", "data.thousands", sign=self.decimal)
        if self.time_zone and not is_zone(self.time_zone):
            yield fault("unknown-zone", "data.time_zone", zone=self.time_zone)
        yield from self._time_faults()

    def _time_faults(self) -> Iterator[Fault]:
        if not self.time_columns:
            for name in ("time_format", "time_zone"):
                if getattr(self, name):
                    yield fault("no-time-column", f"data.{name}")
        elif isinstance(self.time_format, list) and len(self.time_format) != len(self.time_columns):
            formats, columns = len(self.time_format), len(self.time_columns)
            yield fault("formats-and-columns-differ", "data.time_format", formats=formats, columns=columns)
        elif isinstance(self.time_format, str) and len(self.time_columns) > 1:
            yield fault("formats-and-columns-differ", "data.time_format", formats=1, columns=len(self.time_columns))
        for each in filter(None, self.time_formats):
            if not is_format(each):
                yield fault("not-a-time-format", "data.time_format", format=each)


def is_format(text: str) -> bool:
    """Return whether a text is a time format."""
    if text in UNIX or text in PERIODS or text in (HOUR_ENDING, DAY_FRACTION, EXCEL):
        return True
    found = re.findall(r"%(.)", text.replace("%%", ""))
    return bool(found) and set(found) <= DIRECTIVES


def is_zone(name: str) -> bool:
    """Return whether a text is the name of a time zone."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # KeyError: ZoneInfoNotFoundError
        return False
    return True
