"""Zones of times: the wall clock or the instant, the name of a zone after a time, and a forecast in the file's zone."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lstm.config.shared.table import ZONE_WORDS, TableData, is_zone
from lstm.data.tables import reader
from lstm.data.tables.content import Form
from lstm.records.errors import refused

# An offset from UTC after a time of day.
OFFSET = r"[:T]\d+(?:[.,]\d+)?(?:\s?[AaPp][Mm])?\s?(?:UTC|GMT)?(?P<offset>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
ALMOST_A_DAY = pd.Timedelta(hours=22)  # shortest distance of two local midnights, with room for a change of the clock
NAMED = re.compile(
    r"(.*\d(?:\s?[AaPp][Mm]\b)?)(\s*[\[(]?)((?:[A-Za-z]+/[A-Za-z_/]+[A-Za-z](?:[+-]\d+)?)|[A-Z]{2,5}|Z)([\])]?)"
)
NO_NAMES = {"AM", "PM", "Z", "UTC", "GMT"}  # read with the time itself
SUMMERS: Sequence[tuple[str, str]] = (  # the names of one place in winter and in summer
    *(("CET", "CEST"), ("MEZ", "MESZ"), ("WET", "WEST"), ("EET", "EEST"), ("GMT", "BST"), ("EST", "EDT")),
    *(("CST", "CDT"), ("MST", "MDT"), ("PST", "PDT"), ("AKST", "AKDT"), ("AEST", "AEDT"), ("NZST", "NZDT")),
)
PLACES = {"CET": "Europe/Paris", "MEZ": "Europe/Berlin", "WET": "Europe/Lisbon", "EET": "Europe/Athens"}
PLACES |= {"EST": "America/New_York", "CST": "America/Chicago", "MST": "America/Denver", "PST": "America/Los_Angeles"}
PLACES |= {"BST": "Europe/London", "AEST": "Australia/Sydney", "NZST": "Pacific/Auckland", "IST": "Asia/Kolkata"}
PLACES |= {"AKST": "America/Anchorage"}
UTC = (datetime.UTC, datetime.timezone(datetime.timedelta(0)), *map(ZoneInfo, ("UTC", "Etc/UTC", "GMT")))
PLACES |= {summer: PLACES[winter] for winter, summer in SUMMERS if winter in PLACES and summer not in PLACES}


@dataclass(frozen=True, slots=True)
class Times:
    """The times of the rows, and how they are written."""

    index: pd.Index  # (row,) times without a zone, or whole numbers that count steps
    zone: str | None = None  # the zone or the offsets that the file's times are written in
    wall: bool = False  # the times are the zone's wall clock; else, with a zone, they are in UTC
    formats: tuple[str | None, ...] = ()  # the format of each column; None: ISO 8601, or a type of its own
    otherwise: tuple[str, ...] = field(default=())  # what earlier versions read otherwise: codes of notes
    place: str | None = None  # the zone that is named after each time, as in 2020-01-01 00:00 America/New_York


def is_turned(path: Path, column: pa.ChunkedArray) -> bool:
    """Return whether a CSV's times had offsets, and may be days: pyarrow has turned them into UTC."""
    if reader.has_types(path) or not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return False
    some = np.sort(column.slice(0, 1000).drop_null().cast(pa.int64()).to_numpy()).view(
        f"datetime64[{column.type.unit}]"
    )
    return len(some) < 2 or bool(np.median(np.diff(some)) >= ALMOST_A_DAY.to_timedelta64())


def of_texts(text: pd.Series) -> str | None:
    """Return the offsets after times of day, in order and divided by commas; None if there is none."""
    return of_column(pa.chunked_array([pa.array(text, pa.string())]))


def of_column(column: pa.ChunkedArray) -> str | None:
    """Return the offsets after times of day in a column of texts, as `of_texts` does."""
    found = pc.struct_field(pc.extract_regex(column, OFFSET), "offset").drop_null().unique()
    return ", ".join(sorted({each.replace("z", "Z").replace("Z", "UTC") for each in found.to_pylist()})) or None


# --- Wall clocks and instants -------------------------------------------------------------------------------


def by_wall_clock(instants: pd.DatetimeIndex, walls: pd.DatetimeIndex, zone: str) -> Times:
    """Return the wall clock of times if their steps follow the calendar, else their instants in UTC.

    Steps of a day or more follow the calendar of the place if they are at its midnight, or at one time of day there
    and not in UTC.
    """
    if instants.equals(walls):
        return Times(instants, zone, wall=is_calendar(walls))
    walls = at_midnight(instants, walls)
    if is_calendar(walls) and (bool((walls == walls.normalize()).all()) or not is_calendar(instants)):
        return Times(walls, zone, wall=True, otherwise=("times-by-wall-clock",))
    return Times(instants, zone)


def is_calendar(walls: pd.DatetimeIndex) -> bool:
    """Return whether all times have the same time of day and no two are on one day."""
    if len(walls) < 2 or bool((walls[:1000] - walls[:1000].normalize() != walls[0] - walls[0].normalize()).any()):
        return False
    return bool((walls - walls.normalize() == walls[0] - walls[0].normalize()).all()) and walls.is_unique


def is_utc(zone: str | None) -> bool:
    """Return whether times were written in UTC."""
    return zone in ("UTC", "+00:00", "+0000")


def walls_of(instants: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Return the clock of a place at times in UTC."""
    return instants.tz_localize("UTC").tz_convert(zone).tz_localize(None)


def at_midnight(instants: pd.DatetimeIndex, walls: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return days that begin at 01:00, since the clock jumps there at midnight, at the midnight that is not there.

    So it is in São Paulo, Beirut, Cairo and Asunción. Such a row is later after midnight by as much as its offset is
    larger than that of the row before. If another row is not at midnight, the wall clock is returned as it is.
    """
    days = walls.normalize()
    if len(walls) < 2 or (walls[:1000] != days[:1000]).mean() > 0.5:
        return walls
    order = np.argsort(instants.to_numpy(), kind="stable")
    late, offset = ((each.asi8[order]) for each in ((walls - days).as_unit("us"), (walls - instants).as_unit("us")))
    jumped = (late > 0) & (np.diff(offset, prepend=offset[0] - late[0]) == late)
    return days if jumped.any() and bool(jumped[late > 0].all()) else walls


def in_zone(path: Path, found: Times, section: TableData) -> Times:
    """Return times by the zone that the spec names, else by the zone that is named after each time.

    Raises:
        BadInput: a local time does not exist in the zone, or occurs twice and can't be told apart.
    """
    zone = section.time_zone or found.place
    if zone is None or not isinstance(found.index, pd.DatetimeIndex):
        return found
    kept = (found.formats, found.otherwise, found.place)
    if found.zone is not None and not found.wall:
        turned = by_wall_clock(found.index, walls_of(found.index, zone), zone)
        return Times(turned.index, zone, turned.wall, found.formats, turned.otherwise, found.place)
    if is_utc(found.zone):  # and one time of day, which may be the midnight of the place
        days = at_midnight(found.index, walls_of(found.index, zone))
        if is_calendar(days) and bool((days == days.normalize()).all()):
            return Times(days, zone, True, found.formats, ("times-by-wall-clock",), found.place)
    if found.wall or is_calendar(found.index):
        return Times(found.index, zone, True, *kept)
    order = np.argsort(found.index.to_numpy(), kind="stable")
    try:
        local = found.index[order].tz_localize(zone, ambiguous="infer")
    except (ValueError, KeyError) as error:
        raise refused(
            "times-not-of-zone", "data.time_zone", zone=zone, file=str(path), why=reader.first_line(error)
        ) from None
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    instants = local.tz_convert("UTC").tz_localize(None)[back]
    walls = at_midnight(instants, found.index)  # a day may begin at 01:00
    return Times(walls, zone, True, *kept) if is_calendar(walls) else Times(instants, zone, False, *kept)


# --- Names of zones after a time ----------------------------------------------------------------------------


def without_names(texts: pd.Series) -> pd.Series | None:
    """Return texts without the name of a zone after each time; None if they have none."""
    found = _named(texts)
    return None if found is None else found[0]


def _named(texts: pd.Series) -> tuple[pd.Series, pd.Series, pd.Series] | None:
    """Return texts without the names of zones at their ends, the names, and all of these ends; None without names."""
    if not len(texts) or ":" not in str(texts.iloc[0]) or NAMED.fullmatch(str(texts.iloc[0]).strip()) is None:
        return None  # after a date alone a zone says nothing
    parts = texts.astype(str).str.strip().str.extract(f"^{NAMED.pattern}$")
    names = parts[2]
    if names.isna().any() or bool(names.isin([*NO_NAMES]).all()) or bool(names.isin(["AM", "PM"]).any()):
        return None
    return parts[0], names, parts[1] + names + parts[3]


def offsets_for_names(texts: pd.Series) -> pd.Series:
    """Return texts with an offset in place of a zone's name at the end, as the format %Z reads them."""
    given = texts
    for name, offset in ZONE_WORDS.items():
        given = given.str.replace(rf"(?<![A-Za-z]){name}$", offset, regex=True)
    return given


def is_name(word: str) -> bool:
    """Return whether a word is the name of a zone, or an offset."""
    known = word in ZONE_WORDS or word in PLACES or ("/" in word and is_zone(word))
    return known or bool(re.fullmatch(r"(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?", word))


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a zone after each time."""

    place: str | None  # the zone; None: the names are offsets
    end: str  # what follows each time, as a format has it


def named(path: Path, name: str, texts: pd.Series, form: str | None) -> Named | None:
    """Return what the names of zones after times mean; None without names. `form` fits the texts without them.

    A name with a place (America/New_York) is that zone. The two names of a place in winter and summer (EST, EDT) are
    offsets. One of them alone may be the clock of the place, or one offset through the year.

    Raises:
        BadInput: the names do not say one zone.
    """
    if (found := _named(texts)) is None:
        return None
    _, names, ends = found
    blank = " " * str(ends.iloc[0]).startswith(" ")
    kinds = sorted(names.unique())
    if len(kinds) == 1 and "/" in kinds[0] and is_zone(kinds[0]) and ends.nunique() == 1:
        return Named(kinds[0], str(ends.iloc[0]))
    summer = next((pair for pair in SUMMERS if set(pair) == {*kinds}), None)
    plain = bool((ends.str.strip() == names).all())
    if plain and (summer or {*kinds} <= {"UTC", "GMT", "UT", "Z"}):
        return Named(None, f"{blank}%Z")
    told = {"column": name, "value": str(texts.iloc[0]).strip(), "names": kinds[:3], "file": str(path)}
    place = PLACES.get(kinds[0], "Europe/Berlin")
    written = f"{form or '%Y-%m-%d %H:%M'}{ends.iloc[0]}"
    fixed = f"{form or '%Y-%m-%d %H:%M'}{blank}%Z"
    if len(kinds) == 1 and kinds[0] in ZONE_WORDS and plain:
        raise refused("zone-name-of-two-meanings", at=path, **told, place=place, one=written, other=fixed)
    raise refused("zone-name-not-known", at=path, **told, place=place, one=written)


# --- Forecasts ----------------------------------------------------------------------------------------------


def of_file(path: Path, section: TableData, form: Form, zone: str | None) -> datetime.tzinfo:
    """Return the zone in which the times that follow a file are written, if its times were turned into UTC.

    That is `data.time_zone`, the file's zone, or the one offset that all its times have; else UTC. `zone` is what the
    reader told. It knows nothing of the offsets of a CSV in ISO 8601, so they are looked for here.
    """
    if zone == "UTC" and not section.time_zone and len(section.time_columns) == 1 and not reader.has_types(path):
        [time] = section.time_columns
        zone = of_column(reader.read(path, [time], texts=[time], form=form).column(time))
    return _as_zone(section.time_zone or zone or "UTC")


def _as_zone(name: str) -> datetime.tzinfo:
    if found := re.fullmatch(r"([+-])(\d\d):?(\d\d)?", name):
        width = datetime.timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return datetime.timezone(-width if found[1] == "-" else width)
    return ZoneInfo(name) if is_zone(name) else datetime.UTC


def written(instants: pd.DatetimeIndex, zone: datetime.tzinfo) -> tuple[str, ...]:
    """Return instants in UTC as texts of a zone, each with its offset: 2022-03-27T03:00:00+02:00, or Z for UTC."""
    exact: Literal["seconds", "microseconds"] = (
        "seconds" if bool((instants == instants.floor("s")).all()) else "microseconds"
    )
    local = instants.tz_localize("UTC").tz_convert(zone)
    texts = (each.isoformat(timespec=exact) for each in local)
    return tuple(f"{text[:-6]}Z" if zone in UTC and text.endswith("+00:00") else text for text in texts)
