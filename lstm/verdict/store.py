"""Stores the judgements by item of all networks and rivals of a sweep in one file, and each rival's fit in another.

A file is a zip archive of numpy arrays (`numpy.load` can open it) and one JSON document that describes them. It is
sealed like a checkpoint: `sha256:<hex>` is the archive's comment. It is written whole or not at all. Equal content
gives equal bytes. Loading runs no code: the seal is checked first, and arrays of objects are refused.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import numpy as np

from lstm.judging.corpus import WIDTHS, rule
from lstm.judging.items import PARTS, Blocks, Items
from lstm.ownership import ForeignCheckpoint
from lstm.records.epoch import Judged
from lstm.records.errors import Finding, NewerForm, check_form, fault
from lstm.records.objective import POINTS, Direction
from lstm.rivals.rival import Fitted
from lstm.storage import files
from lstm.verdict import archive

FORMAT = 2  # format 1 had no direction of the metric
NAME = "judged.npz"
PLAIN = ("study", "data", "metric", "direction", "mean", "searched", "no_base")
NEAR = 1e-5  # allowed relative difference of a mean and its items: a network's loss may be a sum in float32
MEND = "`sweep rivals NAME` judges and fits again what is missing or damaged, to the same numbers"
Role = Literal["network", "front", "base", "rival"]
PREFIXES: Mapping[Judged, str] = {"validation": "val/", "test": "test/"}  # prefixes of metrics in MLflow and the study
T = TypeVar("T", bound="Judgements | Kept")


class BrokenJudgements(Exception):
    """The error for a file of judgements or of a rival's fit that is truncated, altered or not of this program."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The results of one network or rival, or the reason why there are none."""

    name: str  # "trial 3", or a rival's name with its choice: "ridge on 104 changes"
    role: Role  # the best trial's network, another network of the front, the base, or a rival
    items: Mapping[Judged, Items] = field(default_factory=dict)
    # By part and metric, as the task computes them.
    figures: Mapping[Judged, Mapping[str, float]] = field(default_factory=dict)
    trial: int | None = None  # of a network
    rival: str = ""  # the rival's stable name, used in names in MLflow and of files
    second: float | None = None  # the second objective's figure, if there is one
    why: str = ""  # why it failed, diverged or was left out
    note: str = ""  # what people should know about a rival's fit, such as a sample or a limit
    fitted: str = ""  # the SHA-256 of the file with the rival's fit; "" in files of earlier versions


@dataclass(frozen=True, slots=True)
class Judgements:
    """Everything that a sweep's verdict is computed from, so that it is the same at any time."""

    study: str  # the id of the study; "" if there is none
    data: str  # the digest of the data
    metric: str  # the metric that the sweep optimizes, without its part
    blocks: Blocks
    entries: tuple[Entry, ...]  # rivals in the order in which the task lists them
    direction: Direction = "minimize"  # the metric's direction
    mean: str = "loss"  # if the metric is not a mean over items: the nearest metric that is
    searched: bool = True  # False: a single training is compared with the rivals
    no_base: str = ""  # why a search has no base
    second: tuple[str, ...] = ()  # the second objective's metric and direction, if there is one
    points: float = POINTS  # of the metric (`Metric.points`)
    nearest: tuple[str, float] | tuple[()] = ()  # the direction and the points of `mean` if the metric's are others


@dataclass(frozen=True, slots=True)
class Kept:
    """A rival's fit with the sweep that it belongs to."""

    study: str  # the id of the study
    data: str  # the digest of the data
    fitted: Fitted


def write(address: str, judged: Judgements) -> None:
    """Write the judgements durably, in place of an existing file.

    Raises:
        OSError: the store can't be written to; an existing file is unchanged.
        ValueError: the items of an entry are not valid.
    """
    files.put(address, NAME, dumps(judged))


def read(address: str, studies: Sequence[str] = (), data: str = "") -> Judgements | None:
    """Read the judgements of a sweep; None if there is no file.

    Args:
        address: The address of the sweep's folder.
        studies: The ids of the study and of the studies that it was copied from (`ownership.studies_of`); () accepts
            any study.
        data: The digest of the sweep's data; "" accepts any data.

    Raises:
        BrokenJudgements: the file is damaged.
        ForeignCheckpoint: the file is another study's, or was judged on other data.
        NewerForm: a newer version wrote the file.
        OSError: the store can't be read.
    """
    found = _read(address, NAME, loads)
    return None if found is None else _own(f"{address}/{NAME}", found, studies, data)


def write_fitted(address: str, fitted: Fitted, study: str, data: str) -> None:
    """Write a rival's fit durably, in place of an existing file.

    Raises:
        OSError: the store can't be written to; an existing file is unchanged.
    """
    files.put(address, fitted_name(fitted.name), _kept_bytes(Kept(study, data, fitted)))


def fitted_digest(address: str, rival: str) -> str:
    """Return the SHA-256 of the file with a rival's fit; "" if there is no file.

    Raises:
        OSError: the store can't be read.
    """
    content = files.get(address, fitted_name(rival))
    return "" if content is None else hashlib.sha256(content).hexdigest()


def read_fitted(address: str, rival: str, studies: Sequence[str] = (), data: str = "") -> Fitted | None:
    """Read a rival's fit by the rival's stable name; None if there is no file. Raises what `read` raises."""
    name = fitted_name(rival)
    found = _read(address, name, _kept_of)
    return None if found is None else _own(f"{address}/{name}", found, studies, data).fitted


def fitted_name(rival: str) -> str:
    """Return the name of the file with a rival's fit."""
    return f"rival-{quote(rival, safe=' ')}.npz"


def check(
    address: str,
    studies: Sequence[str] = (),
    data: str = "",
    told: Mapping[str, Mapping[str, float]] | None = None,
    *,
    whole: bool = False,
) -> Iterator[Finding]:
    """Yield what is wrong with the files of a sweep.

    Found are damaged files, files of another study, figures that are not the means of their items, and entries that
    were judged on different items.

    Args:
        address: The address of the sweep's folder.
        studies: As for `read`.
        data: As for `read`.
        told: Figures that other stores have, by an entry's name and `val/METRIC` or `test/METRIC`.
        whole: Whether all files must exist, because no process is still writing them.

    Raises:
        NewerForm: a newer version wrote a file.
        OSError: the store can't be read.
    """
    kept = sorted(name for name in files.names(address) if name.startswith("rival-") and name.endswith(".npz"))
    judged, faults = _sound_file(address, NAME, loads, studies, data)
    yield from faults
    if isinstance(judged, Judgements):
        yield from _differing(f"{address}/{NAME}", judged, told or {})
    elif kept and whole and not faults:
        what = f"{address}/{NAME}: is not there, and what rivals have fitted is: {', '.join(kept)}"
        yield Finding(None, "checkpoint", what, MEND)
    digests: dict[str, str] = {}
    for name in kept:
        found, faults = _sound_file(address, name, _kept_of, studies, data)
        if isinstance(found, Kept) and name != fitted_name(found.fitted.name):
            faults.append(
                Finding(None, "checkpoint", f"{address}/{name}: is what {found.fitted.name} has fitted", MEND)
            )
        elif isinstance(found, Kept):
            digests[name] = fitted_digest(address, found.fitted.name)
        yield from faults
    for entry in judged.entries if isinstance(judged, Judgements) and whole else ():
        yield from _fitted_otherwise(address, entry, digests, kept)


def _sound_file(
    address: str, name: str, reader: Callable[[bytes], T], studies: Sequence[str], data: str
) -> tuple[T | None, list[Finding]]:
    """Return a file's content if it is valid and this sweep's own, else its faults; None and [] if there is no file."""
    try:
        found = _read(address, name, reader)
        return found if found is None else _own(f"{address}/{name}", found, studies, data), []
    except BrokenJudgements as error:
        return None, [Finding(None, "checkpoint", str(error), MEND)]
    except ForeignCheckpoint as error:
        return None, [Finding(None, "checkpoint", f"{e.place}: {e.text}", e.mend) for e in error.faults]


def dumps(judged: Judgements) -> bytes:
    """Return judgements as the bytes of a file.

    Raises:
        ValueError: the items of an entry are not valid.
    """
    shelf = _Shelf()
    entries = []
    for entry in judged.entries:
        row = {name: getattr(entry, name) for name in ("name", "role", "trial", "rival", "second", "why", "note")}
        row |= {"fitted": entry.fitted} if entry.fitted else {}
        row["figures"] = {part: dict(figures) for part, figures in entry.figures.items()}
        row["items"] = {part: shelf.items(entry.items[part]) for part in PARTS if part in entry.items}
        entries.append(row)
    plain = {name: getattr(judged, name) for name in PLAIN}
    further = {"second": [*judged.second], "points": judged.points, "nearest": [*judged.nearest]}
    plain |= {name: value for name, value in further.items() if value not in ([], POINTS)}
    return archive.pack({"format": FORMAT, **plain, "blocks": asdict(judged.blocks), "entries": entries}, shelf.arrays)


@lru_cache(maxsize=1)  # the end of a sweep reads them for the report, for MLflow and for the screen
def loads(content: bytes) -> Judgements:
    """Return the judgements in the bytes of a file; no code in the file is ever run.

    Raises:
        BrokenJudgements: the bytes are not a whole, unaltered file of this program.
        NewerForm: a newer version wrote the file.
    """
    return _opened(content, _judgements)


def _judgements(row: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Judgements:
    entries = tuple(
        Entry(
            name=str(entry["name"]),
            role=entry["role"],
            items={part: _items(entry, part, items, arrays) for part, items in entry["items"].items()},
            figures={part: dict(figures) for part, figures in entry["figures"].items()},
            trial=entry["trial"],
            rival=str(entry["rival"]),
            second=entry["second"],
            why=str(entry["why"]),
            note=str(entry["note"]),
            fitted=str(entry.get("fitted", "")),
        )
        for entry in row.pop("entries")
    )
    second, nearest = tuple(map(str, row.pop("second", ()))), tuple(row.pop("nearest", ()))
    if row["metric"] in ("accuracy", "f1"):  # in earlier versions these were the only metrics to maximize
        row = {"direction": "maximize", "mean": "accuracy"} | row
    return Judgements(blocks=Blocks(**row.pop("blocks")), entries=entries, second=second, nearest=nearest, **row)


def _items(entry: Mapping[str, Any], part: Judged, row: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Items:
    places, weights = arrays[row["places"]], arrays[row["weights"]]
    errors, sums = ({m: arrays[key] for m, key in row.get(kind, {}).items()} for kind in ("errors", "sums"))
    if places.dtype != np.int64 or any(a.dtype != np.float64 for a in (weights, *errors.values(), *sums.values())):
        raise ValueError("an array is of another type")
    return _sound(Items(part, str(entry["name"]), places, weights, errors, sums))


def _sound(items: Items) -> Items:
    """Return items unchanged if they are valid.

    Raises:
        ValueError: the lengths of the arrays differ, places do not increase, or a weight is below 0.
    """
    if any(array.shape != items.places.shape for array in (items.weights, *items.errors.values())):
        raise ValueError(f"{items.name}: not as many weights or errors as places")
    if any(sums.shape != (*items.places.shape, WIDTHS[rule(metric)]) for metric, sums in items.sums.items()):
        raise ValueError(f"{items.name}: other sums than the metric is computed from")
    if np.any(np.diff(items.places) <= 0) or not np.all(items.weights >= 0):
        raise ValueError(f"{items.name}: the places don't rise, or a weight is below 0")
    return items


def _kept_bytes(kept: Kept) -> bytes:
    fitted = kept.fitted
    names = sorted(fitted.arrays)
    plain = {"name": fitted.name, "title": fitted.title, "settings": dict(fitted.settings), "note": fitted.note}
    content = {"format": FORMAT, "study": kept.study, "data": kept.data, "arrays": names, **plain}
    return archive.pack(content, {f"{number:04d}": fitted.arrays[name] for number, name in enumerate(names)})


def _kept_of(content: bytes) -> Kept:
    return _opened(content, _kept)


def _kept(row: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Kept:
    named = {name: arrays[f"{number:04d}"] for number, name in enumerate(row.pop("arrays"))}
    return Kept(row.pop("study"), row.pop("data"), Fitted(arrays=named, **row))


class _Shelf:
    """Arrays under numbers, each kept once: rivals share their places, and rules with equal results their errors."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[bytes, str] = {}

    def items(self, items: Items) -> dict[str, Any]:
        """Add the arrays of items and return their numbers."""
        items = _sound(items)
        return {
            "places": self._put(items.places, "<i8"),
            "weights": self._put(items.weights, "<f8"),
            "errors": {metric: self._put(items.errors[metric], "<f8") for metric in sorted(items.errors)},
            **({"sums": {m: self._put(items.sums[m], "<f8") for m in sorted(items.sums)}} if items.sums else {}),
        }

    def _put(self, array: np.ndarray, kind: str) -> str:
        array = np.ascontiguousarray(array, dtype=kind)
        digest = hashlib.sha256(f"{kind}{array.shape[1:]}".encode() + array.tobytes()).digest()
        key = self._known.setdefault(digest, f"{len(self._known):04d}")
        self.arrays[key] = array
        return key


def _opened(content: bytes, made: Callable[[dict[str, Any], Mapping[str, np.ndarray]], T]) -> T:
    if files.unsealed(content) is None:
        raise BrokenJudgements("is truncated, altered or not ours: its checksum does not match")
    try:
        row, arrays = archive.unpack(content)
        check_form("", row.pop("format"), FORMAT)
        return made(row, arrays)
    except NewerForm:
        raise
    except Exception as error:  # readers raise exceptions of many classes on foreign bytes
        first = (str(error).splitlines() or [""])[0][:120]
        raise BrokenJudgements(f"can't be read: {type(error).__name__}: {first}") from None


def _read(address: str, name: str, reader: Callable[[bytes], T]) -> T | None:
    """Read a file; errors name its address. None if there is no file."""
    content = files.get(address, name)
    if content is None:
        return None
    try:
        return reader(content)
    except BrokenJudgements as error:
        raise BrokenJudgements(f"{address}/{name}: {error}") from None
    except NewerForm as error:
        raise error.at(f"{address}/{name}") from None


def _own(place: str, found: T, studies: Sequence[str], data: str) -> T:
    if studies and found.study not in studies:
        raise ForeignCheckpoint(fault("judged-for-another-study", at=place, found=found.study, study=studies[0]))
    if data and found.data != data:
        raise ForeignCheckpoint(fault("judged-on-other-data", at=place, found=found.data[:12], data=data[:12]))
    return found


def _differing(place: str, judged: Judgements, told: Mapping[str, Mapping[str, float]]) -> Iterator[Finding]:
    """Yield figures that differ from the means of their items or from other stores, and entries on different items."""
    first: dict[Judged, Items] = {}
    for entry in judged.entries:
        for part, items in entry.items.items():
            for metric, found, wanted in _figures(entry, part, items, told.get(entry.name, {})):
                what = f"{place}: {entry.name} has {part}/{metric} {found:.6g} by its items, elsewhere {wanted:.6g}"
                yield Finding(entry.trial, "checkpoint", what, MEND)
            other = first.setdefault(part, items)
            if not _same_items(other, items):
                what = f"{place}: {entry.name} was judged on other items of the {part} part than {other.name}"
                yield Finding(entry.trial, "checkpoint", what, MEND)


def _fitted_otherwise(address: str, entry: Entry, digests: Mapping[str, str], kept: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding if the file of a judged rival does not exist or is not the file that was judged."""
    name = fitted_name(entry.rival)
    if entry.rival and entry.items and name not in kept:
        yield Finding(None, "checkpoint", f"{address}/{name}: is not there, and {entry.name} was judged", MEND)
    elif entry.fitted and digests.get(name, entry.fitted) != entry.fitted:
        what = f"{address}/{name}: is not what was judged as {entry.name}: it was altered"
        yield Finding(None, "checkpoint", what, MEND)


def _figures(entry: Entry, part: Judged, items: Items, told: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """Yield each metric with a mean over the items that differs from a figure: metric, mean, the other figure."""
    written = entry.figures.get(part, {})
    means = {**written, **{metric: items.mean(metric) for metric in items.metrics}}
    elsewhere = [(name.removeprefix(PREFIXES[part]), told[name]) for name in told if name.startswith(PREFIXES[part])]
    for metric, figure in sorted([*written.items(), *elsewhere]):
        if metric in means and not _alike(figure, means[metric]):
            yield metric, means[metric], figure


def _same_items(one: Items, other: Items) -> bool:
    """Return whether items have equal places, and equal weights if judged by both; a rival may not reach all items."""
    if not np.array_equal(one.places, other.places):
        return False
    return bool(np.all((one.weights == other.weights) | (one.weights == 0) | (other.weights == 0)))


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=NEAR, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
