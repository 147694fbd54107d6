"""Reads a CSV or Parquet file into a regular table: sorted, one row per step, gaps as NaN."""

import csv
import difflib
import hashlib
import itertools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from lstm.config import DataConfig
from lstm.records import BadInput

NULLS = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "-", "?"]
LARGEST = 1e300  # beyond it sums of float64 overflow


@dataclass(frozen=True, slots=True)
class Table:
    """A regular time series in its original units."""

    times: pd.DatetimeIndex | pd.RangeIndex | pd.Index  # (time,)
    values: np.ndarray  # (time, column) float64, NaN where nothing was measured
    columns: tuple[str, ...]
    step: str  # a pandas offset ("7D", "MS"), "" where rows are only in order
    fingerprint: str  # SHA-256 of the file's bytes
    notes: tuple[str, ...]  # what was found and done, for people


def read(config: DataConfig, folder: Path) -> Table:
    """Reads the columns that the configuration names.

    Raises:
        BadInput: the file, a column, a time or a value is not what it should be.
    """
    path = folder / config.path
    names = header(path)
    wanted = [*([config.time] if config.time else []), *config.columns]
    _check_columns(path, names, wanted)
    arrow = _read_arrow(path, config.columns, config.time)
    values = np.column_stack([_numbers(path, arrow, name) for name in config.columns])
    if len(values) == 0:
        raise BadInput(f"{path}: has a header but no rows")
    _check_finite(path, values, config.columns)
    notes: list[str] = []
    index: pd.Index
    step = ""
    if config.time is None:
        index = pd.RangeIndex(len(values))
    else:
        times = times_of(path, arrow.column(config.time), config.time)
        index, values, step = _regular(path, times, values, config, notes)
    if holes := int(np.isnan(values).any(axis=1).sum()):
        notes.append(f"{holes} of {len(values)} steps have missing values (data.missing: {config.missing})")
    return Table(index, values, tuple(config.columns), step, fingerprint(path), tuple(notes))


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def header(path: Path) -> list[str]:
    """The names of the file's columns.

    Raises:
        BadInput: there is no such file, or it is neither CSV nor Parquet.
    """
    try:
        _check_file(path)
        if _is_parquet(path):
            return list(pa.parquet.read_schema(path).names)
        with path.open("rb") as file:
            text = file.readline(1 << 20).decode("utf-8-sig")
        if text.strip() and "\0" not in text:
            return [name.strip() for name in next(csv.reader([text.rstrip("\r\n")], delimiter=_delimiter(text)))]
    except PermissionError:
        raise BadInput(f"{path}: may not be read; check its permissions") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}:1: is not UTF-8; save the file as UTF-8 CSV") from None
    except csv.Error as error:
        ends = "; save it with the line ends of Unix or Windows" if "\r" in text.rstrip("\r\n") else ""
        raise BadInput(f"{path}:1: can't be read as CSV: {_first_line(error)}{ends}") from None
    except (pa.ArrowException, OSError) as error:
        kind = "Parquet" if _is_parquet(path) else "CSV"
        raise BadInput(f"{path}: can't be read as {kind}: {_first_line(error)}") from None
    if not text.strip():
        raise BadInput(f"{path}:1: is empty; the first line of a CSV names its columns")
    raise BadInput(f"{path}:1: holds NUL bytes; it is not a CSV (a Parquet file ends in .parquet)")


def times_of(path: Path, column: pa.ChunkedArray, name: str) -> pd.Index:
    """The time column as times in UTC, or as whole numbers where it counts steps.

    Raises:
        BadInput: a time is missing or can't be read.
    """
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise BadInput(f"{path}:{_line(path, row)}: column {name!r} has no time there; every row needs one")
    if pa.types.is_integer(column.type):
        try:
            numbers: pd.Index = pd.Index(column.cast(pa.int64()).to_numpy())
        except pa.ArrowInvalid as error:
            raise BadInput(f"{path}: time column {name!r} can't be read: {_first_line(error)}") from None
        return numbers
    if pa.types.is_floating(column.type):
        raise BadInput(f"{path}: time column {name!r} holds fractions; use ISO 8601 times or whole numbers")
    raw = pd.Series(column.to_pandas())
    try:
        times = _parsed(raw)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: time column {name!r} can't be read: {_first_line(error)}") from None
    if times.isna().any():
        row = int(np.flatnonzero(times.isna().to_numpy())[0])
        raise BadInput(
            f"{path}:{_line(path, row)}: column {name!r}: {str(raw.iloc[row])[:40]!r} is not a time; "
            "write times as in 2016-07-01 or 2016-07-01 13:00:00"
        )
    naive: pd.DatetimeIndex = pd.DatetimeIndex(times.dt.tz_localize(None))
    return naive


def _parsed(raw: pd.Series) -> pd.Series:
    """Times in UTC, NaT for what is none: ISO 8601, else the one format that the first value shows.

    Raises:
        ValueError: days and months could be told apart in two ways.
    """
    text = raw.astype(str) if raw.dtype == object or isinstance(raw.dtype, pd.StringDtype) else None
    if text is not None:
        raw = raw.where(text.str.contains(r"\d"))  # pandas takes "now" for a time
    times = pd.to_datetime(raw, errors="coerce", utc=True, format="ISO8601")
    if text is not None and times.isna().any():
        times = _in_one_format(raw, otherwise=times)
    return times.where(times.dt.year.between(1, 9999))


def _in_one_format(raw: pd.Series, *, otherwise: pd.Series) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Could not infer format")  # each value would be guessed alone
        try:
            orders = [pd.to_datetime(raw, errors="coerce", utc=True, dayfirst=first) for first in (False, True)]
        except UserWarning:
            return otherwise
    whole = [times for times in orders if not times.isna().any()]
    if len(whole) == 2 and not whole[0].equals(whole[1]):
        raise ValueError(
            f"{str(raw.iloc[0])[:40]!r} could be a day and month or a month and day; write times as in 2016-07-01"
        )
    return whole[0] if whole else otherwise


def infer_step(times: pd.Index) -> str | None:
    """The time between two rows as a pandas offset, or None where the times are irregular; times are sorted."""
    if len(times) < 2:
        return None
    gaps = pd.Series(times[1:] - times[:-1])
    usual = gaps.mode().iloc[0]
    if not isinstance(times, pd.DatetimeIndex):
        return str(int(usual)) if bool((gaps > 0).all()) and bool(((gaps % usual) == 0).all()) else None
    if not times.is_unique:
        return None
    return _months(times) or (_offset(usual) if bool(((gaps % usual) == pd.Timedelta(0)).all()) else None)


def _months(times: pd.DatetimeIndex) -> str | None:
    """The step of times that all lie at a month's start, or all at a month's end."""
    distances = np.diff(times.year.to_numpy() * 12 + times.month.to_numpy())
    usual = int(pd.Series(distances).mode().iloc[0])
    if usual < 1 or (distances % usual).any() or (times - times.normalize()).nunique() > 1:
        return None
    at = {"S": times.day == 1, "E": times.is_month_end}
    side = next((side for side, there in at.items() if bool(there.all())), None)
    if side is None:
        return None
    # pandas' quarters and years start in January; others are told in months.
    whole = (times.month[0] - (side == "S")) % usual == 0
    unit = {1: "M", 3: "Q", 12: "Y"}.get(usual) if whole else None
    return f"{unit}{side}" if unit else f"{usual}M{side}"


def _offset(gap: pd.Timedelta) -> str:
    for unit in ("D", "h", "min", "s", "ms", "us"):
        one = pd.Timedelta(1, unit)
        if gap % one == pd.Timedelta(0):
            return f"{gap // one}{unit}"
    return f"{gap.as_unit('ns').value}ns"


def _regular(
    path: Path, times: pd.Index, values: np.ndarray, config: DataConfig, notes: list[str]
) -> tuple[pd.Index, np.ndarray, str]:
    if not times.is_monotonic_increasing:
        order = np.argsort(times.to_numpy(), kind="stable")
        times, values = times[order], values[order]
        notes.append("rows were not in the order of time and have been sorted")
    if times.has_duplicates and not config.step:
        first = times[times.duplicated()][0]
        raise BadInput(
            f"{path}: time {first} stands there {int((times == first).sum())} times; keep one row per time "
            "(a file that holds several series needs one file each), or give data.step to average rows"
        )
    if isinstance(times, pd.DatetimeIndex):
        return _regular_times(path, times, values, config, notes)
    if config.calendar or config.step:
        field = "calendar" if config.calendar else "step"
        raise BadInput(f"{path}: data.{field} needs times, but column {config.time!r} holds whole numbers")
    step = infer_step(times) or ("1" if len(times) < 2 else None)
    if step is None:
        raise BadInput(f"{path}: the numbers in time column {config.time!r} are irregular; use one row per step")
    _check_size(path, (int(times[-1]) - int(times[0])) / int(step), len(times), step)
    grid = pd.RangeIndex(int(times[0]), int(times[-1]) + 1, int(step))
    return _on_grid(path, grid, times, values, config, notes, step)


def _regular_times(
    path: Path, times: pd.DatetimeIndex, values: np.ndarray, config: DataConfig, notes: list[str]
) -> tuple[pd.Index, np.ndarray, str]:
    step = config.step or infer_step(times)
    if step is None:
        raise BadInput(
            f"{path}: the times are irregular (between {(times[1:] - times[:-1]).min()} and "
            f"{(times[1:] - times[:-1]).max()} apart); give data.step (such as 1h) to average rows into steps"
            if len(times) > 1
            else f"{path}: has one row; a time series needs more"
        )
    try:
        offset = pd.tseries.frequencies.to_offset(step)
    except ValueError:
        offset = None
    try:
        if offset is None or times[0] + offset <= times[0]:
            raise BadInput(f"data.step: {step!r} is not a step; write it as in 15min, 1h, 1D, 7D or MS")
        width = (times[0] + offset + offset) - (times[0] + offset)
        _check_size(path, (times[-1] - times[0]) / width, len(times), step)
        grid = pd.date_range(times[0], times[-1], freq=offset)
        averaged = None
        if not times.isin(grid).all() or times.has_duplicates:
            averaged = pd.DataFrame(values, index=times).resample(offset).mean()
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{path}: steps of {step} can't be laid over its times: {_first_line(error)}") from None
    if averaged is not None:
        notes.append(f"{len(times)} rows were averaged into {len(averaged)} steps of {step}")
        times, values, grid = pd.DatetimeIndex(averaged.index), averaged.to_numpy(), pd.DatetimeIndex(averaged.index)
    return _on_grid(path, grid, times, values, config, notes, step)


def _check_size(path: Path, steps: float, rows: int, step: str) -> None:
    """Refuses a step that would make so many rows that memory may not hold them."""
    if steps >= max(1_000_000, 50 * rows):
        raise BadInput(
            f"{path}: steps of {step} would make {steps + 1:,.0f} rows of {rows:,}; mend the times, or check data.step"
        )


def _on_grid(
    path: Path,
    grid: pd.Index,
    times: pd.Index,
    values: np.ndarray,
    config: DataConfig,
    notes: list[str],
    step: str,
) -> tuple[pd.Index, np.ndarray, str]:
    absent = len(grid) - len(times)
    if absent:
        first = grid[~grid.isin(times)][0]
        if config.missing == "refuse":
            raise BadInput(
                f"{path}: {absent} of {len(grid)} steps of {step} are missing, first {first}; say what to do with "
                "data.missing: interpolate, forward_fill or skip"
            )
        notes.append(f"{absent} of {len(grid)} steps of {step} are missing, first {first}")
        full = np.full((len(grid), values.shape[1]), np.nan)
        full[grid.get_indexer(times)] = values
        values = full
    return grid, values, step


def _check_columns(path: Path, names: list[str], wanted: Sequence[str]) -> None:
    if repeated := sorted({n for n in names if names.count(n) > 1} & set(wanted)):
        raise BadInput(f"{path}:1: column {repeated[0]!r} stands in the header twice; name columns differently")
    faults = []
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            faults.append(f"{path}: has no column {name!r}{hint} (columns: {shown})")
    if faults:
        raise BadInput(*faults)


def _read_arrow(path: Path, columns: Sequence[str], time: str | None) -> pa.Table:
    wanted = [*columns, *([time] if time else [])]
    try:
        if _is_parquet(path):
            return pa.parquet.read_table(path, columns=wanted, partitioning=None)
        return _read_csv(path, wanted, dict.fromkeys(columns, pa.float64()))
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: {_explain(error)}") from None


def _read_csv(path: Path, wanted: list[str], types: dict[str, pa.DataType]) -> pa.Table:
    names = header(path)
    with path.open("rb") as file:
        line = file.readline(1 << 20)
    if not line.endswith(b"\n"):
        raise BadInput(f"{path}: has a header but no rows")
    # In a file of one column an empty line is a missing value.
    parse = pa.csv.ParseOptions(delimiter=_delimiter(line.decode("utf-8-sig")), ignore_empty_lines=len(names) > 1)

    def convert(column_types: dict[str, pa.DataType], *, threads: bool) -> pa.Table:
        return pa.csv.read_csv(
            path,
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=threads),
            parse_options=parse,
            convert_options=pa.csv.ConvertOptions(
                include_columns=wanted,
                column_types=column_types,
                null_values=NULLS,
                strings_can_be_null=True,
            ),
        )

    try:
        return convert(types, threads=True)
    except pa.ArrowInvalid:
        # A column whose kind was guessed from the first block only is read as text. If that fails too, the
        # error tells the row: it is known where one thread reads alone.
        texts = {name: pa.string() for name in wanted if name not in types}
        try:
            return convert(types | texts, threads=False)
        except pa.ArrowInvalid as error:
            raise BadInput(_located(path, names, error)) from None


def _located(path: Path, names: Sequence[str], error: pa.ArrowInvalid) -> str:
    """What pyarrow found wrong with a CSV, with its line; pyarrow counts rows from 1, the header included."""
    text = " ".join(str(error).split())
    row = re.search(r"Row #(\d+): ", text)
    where = f"{path}:{_line(path, int(row[1]) - 2)}" if row else f"{path}"
    if value := re.search(r"CSV column #(\d+): .*conversion error to double: invalid value '(.*)'", text):
        return (
            f"{where}: column {names[int(value[1])]!r}: {value[2][:40]!r} is not a number; numbers are written as in "
            "3.14, a missing one is left empty"
        )
    if lengths := re.search(r"Expected (\d+) columns, got (\d+)", text):
        return f"{where}: has {lengths[2]} fields, the header has {lengths[1]}"
    return f"{where}: can't be read as CSV: {text[:200]}"


def _numbers(path: Path, table: pa.Table, name: str) -> np.ndarray:
    column = table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
        raise BadInput(f"{path}: column {name!r} holds {column.type}, must hold numbers")
    numbers: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _check_finite(path: Path, values: np.ndarray, columns: Sequence[str]) -> None:
    if len(bad := np.argwhere(np.abs(values) > LARGEST)):
        row, column = bad[0]
        value = f"{values[row, column]:g}"
        raise BadInput(
            f"{path}:{_line(path, int(row))}: column {columns[column]!r}: {value} is infinite or too large; leave it "
            "empty if missing"
        )


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in {".parquet", ".pq"}


def _line(path: Path, row: int) -> int:
    """The line of a CSV's data row, of a Parquet file its row from 1."""
    if _is_parquet(path):
        return row + 1
    if len(header(path)) == 1:
        return row + 2
    with path.open("rb") as file:  # empty lines are no rows
        filled = (number for number, line in enumerate(file, 1) if line.strip(b"\r\n"))
        return next(itertools.islice(filled, row + 1, None), row + 2)


def _check_file(path: Path) -> None:
    if not path.exists():
        near = difflib.get_close_matches(path.name, _siblings(path), n=1)
        raise BadInput(f"{path}: no such file" + (f", did you mean {near[0]}?" if near else ""))
    if not path.is_file():
        raise BadInput(f"{path}: is not a file; data.path names a CSV or Parquet file")


def _delimiter(text: str) -> str:
    text = re.sub(r'"[^"]*"', "", text)
    return max(",;\t|", key=lambda mark: (text.count(mark), mark == ","))


def _siblings(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _explain(error: BaseException) -> str:
    return f"can't be read: {_first_line(error)}"
