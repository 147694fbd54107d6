"""What was judged by item, of all networks and rivals of a sweep, in one file; beside it what each rival has fitted.

A file is a zip archive of numpy arrays (`numpy.load` opens it as it is) and one JSON document that says what they are,
sealed as a checkpoint is: `sha256:<hex>` as the archive's comment. It is written whole or not at all. The same content
makes the same bytes. Loading runs no code: a seal that does not match comes first, and arrays of objects are refused.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import numpy as np

from lstm.judging.items import PARTS, Blocks, Items
from lstm.ownership import ForeignCheckpoint
from lstm.records.epoch import Judged
from lstm.records.errors import Finding, NewerForm, check_form, fault
from lstm.records.objective import Direction
from lstm.rivals.rival import Fitted
from lstm.storage import files
from lstm.verdict import archive

FORMAT = 2  # 1 did not say which way its metric is better
NAME = "judged.npz"
NEAR = 1e-5  # between a mean and its items: a network's loss may have been added up in float32
MEND = "`sweep rivals NAME` judges and fits again what is missing or damaged, to the same numbers"
Role = Literal["network", "front", "base", "rival"]
PREFIXES: Mapping[Judged, str] = {"validation": "val/", "test": "test/"}  # of metrics, elsewhere in the house
T = TypeVar("T", bound="Judgements | Kept")


class BrokenJudgements(Exception):
    """A file of judgements, or of what a rival has fitted, that is truncated, altered or not ours; it was not read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one network or rival did, or why it did nothing."""

    name: str  # "trial 3", or a rival's with what it chose: "ridge on 104 changes"
    role: Role  # the best trial's network; another of the front's; the base's; a rival
    items: Mapping[Judged, Items] = field(default_factory=dict)
    # By part and metric, as the task has them.
    figures: Mapping[Judged, Mapping[str, float]] = field(default_factory=dict)
    trial: int | None = None  # of a network
    rival: str = ""  # its stable name: a part of names in MLflow and of files
    second: float | None = None  # the second objective's figure, where there is one
    why: str = ""  # it failed, diverged, or was left out: why
    note: str = ""  # what people should know of a rival's fit: a sample, a limit
    fitted: str = ""  # the SHA-256 of the file of what a rival has fitted; earlier versions did not say it


@dataclass(frozen=True, slots=True)
class Judgements:
    """What a sweep's verdict is made of: the whole of it, so that it comes out the same at any time."""

    study: str  # the id of the study, "" where there is none
    data: str  # the digest of the data
    metric: str  # what is searched for, without its part
    blocks: Blocks
    entries: tuple[Entry, ...]  # rivals in the order in which the task names them
    direction: Direction = "minimize"  # which way the metric is better
    mean: str = "loss"  # where it is no mean over items: the nearest metric that is one
    searched: bool = True  # else one training is held against the rivals
    no_base: str = ""  # why there is no base, where a search has none
    second: tuple[str, ...] = ()  # the other objective's metric and direction, where there are two


@dataclass(frozen=True, slots=True)
class Kept:
    """What a rival has fitted, and whose it is."""

    study: str
    data: str
    fitted: Fitted


def write(address: str, judged: Judgements) -> None:
    """Writes what was judged in the place of what was written before, durably.

    Raises:
        OSError: the store can't be written to; the file before is still there.
    """
    files.put(address, NAME, dumps(judged))


def read(address: str, studies: Sequence[str] = (), data: str = "") -> Judgements | None:
    """What was judged, None where nothing was written.

    Args:
        address: Of the sweep's folder.
        studies: The ids of the study and of those that it was copied from (`ownership.studies_of`); () asks for none.
        data: The digest of the sweep's data; "" asks for none.

    Raises:
        BrokenJudgements: the file is damaged.
        ForeignCheckpoint: it is another study's, or was judged on other data.
        NewerForm: a newer version wrote it.
        OSError: the store can't be read.
    """
    found = _read(address, NAME, loads)
    return None if found is None else _own(f"{address}/{NAME}", found, studies, data)


def write_fitted(address: str, fitted: Fitted, study: str, data: str) -> None:
    """Writes what a rival has fitted, durably. Raises what `write` raises."""
    files.put(address, fitted_name(fitted.name), _kept_bytes(Kept(study, data, fitted)))


def fitted_digest(address: str, rival: str) -> str:
    """The SHA-256 of the file of what a rival has fitted, "" where there is none; an OSError where it can't be read."""
    content = files.get(address, fitted_name(rival))
    return "" if content is None else hashlib.sha256(content).hexdigest()


def read_fitted(address: str, rival: str, studies: Sequence[str] = (), data: str = "") -> Fitted | None:
    """What a rival has fitted, by its stable name; None where nothing was written. Raises what `read` raises."""
    name = fitted_name(rival)
    found = _read(address, name, _kept_of)
    return None if found is None else _own(f"{address}/{name}", found, studies, data).fitted


def fitted_name(rival: str) -> str:
    """The name of a rival's file."""
    return f"rival-{quote(rival, safe=' ')}.npz"


def check(
    address: str,
    studies: Sequence[str] = (),
    data: str = "",
    told: Mapping[str, Mapping[str, float]] | None = None,
    *,
    whole: bool = False,
) -> Iterator[Finding]:
    """What is wrong with the files: damage, another's, means that are not their items', rivals judged on other items.

    Args:
        address: Of the sweep's folder.
        studies: As `read` takes them.
        data: Likewise.
        told: Figures that others were told, by an entry's name and `val/METRIC` or `test/METRIC`.
        whole: Whether nobody is to write any of them, so that none may lack beside another.

    Raises:
        NewerForm: a newer version wrote one.
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
    """A file's content where it is sound and this sweep's own, else what is wrong with it; neither where it is gone."""
    try:
        found = _read(address, name, reader)
        return found if found is None else _own(f"{address}/{name}", found, studies, data), []
    except BrokenJudgements as error:
        return None, [Finding(None, "checkpoint", str(error), MEND)]
    except ForeignCheckpoint as error:
        return None, [Finding(None, "checkpoint", f"{e.place}: {e.text}", e.mend) for e in error.faults]


def dumps(judged: Judgements) -> bytes:
    """What was judged as the bytes of a file; a ValueError where items can't be some."""
    shelf = _Shelf()
    entries = []
    for entry in judged.entries:
        row = {name: getattr(entry, name) for name in ("name", "role", "trial", "rival", "second", "why", "note")}
        row |= {"fitted": entry.fitted} if entry.fitted else {}
        row["figures"] = {part: dict(figures) for part, figures in entry.figures.items()}
        row["items"] = {part: shelf.items(entry.items[part]) for part in PARTS if part in entry.items}
        entries.append(row)
    names = ("study", "data", "metric", "direction", "mean", "searched", "no_base")
    plain = {name: getattr(judged, name) for name in names}
    plain |= {"second": list(judged.second)} if judged.second else {}
    return archive.pack({"format": FORMAT, **plain, "blocks": asdict(judged.blocks), "entries": entries}, shelf.arrays)


def loads(content: bytes) -> Judgements:
    """What was judged from the bytes of a file; no code in it is ever run.

    Raises:
        BrokenJudgements: the bytes are not a whole, unaltered file of ours.
        NewerForm: a newer version wrote it.
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
    second = tuple(map(str, row.pop("second", ())))
    if row["metric"] in ("accuracy", "f1"):  # earlier versions had no others that are better when higher
        row = {"direction": "maximize", "mean": "accuracy"} | row
    return Judgements(blocks=Blocks(**row.pop("blocks")), entries=entries, second=second, **row)


def _items(entry: Mapping[str, Any], part: Judged, row: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Items:
    places, weights = arrays[row["places"]], arrays[row["weights"]]
    errors = {metric: arrays[key] for metric, key in row["errors"].items()}
    if places.dtype != np.int64 or any(a.dtype != np.float64 for a in (weights, *errors.values())):
        raise ValueError("an array is of another type")
    return _sound(Items(part, str(entry["name"]), places, weights, errors))


def _sound(items: Items) -> Items:
    """The same items; a ValueError where they can't be items."""
    if any(array.shape != (len(items.places),) for array in (items.weights, *items.errors.values())):
        raise ValueError(f"{items.name}: not as many weights or errors as places")
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
    """Arrays under numbers, each kept once: rivals share their places, and rules that coincide their errors."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[bytes, str] = {}

    def items(self, items: Items) -> dict[str, Any]:
        """The numbers of an entry's arrays."""
        items = _sound(items)
        return {
            "places": self._put(items.places, "<i8"),
            "weights": self._put(items.weights, "<f8"),
            "errors": {metric: self._put(items.errors[metric], "<f8") for metric in sorted(items.errors)},
        }

    def _put(self, array: np.ndarray, kind: str) -> str:
        array = np.ascontiguousarray(array, dtype=kind)
        digest = hashlib.sha256(kind.encode() + array.tobytes()).digest()
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
    except Exception as error:  # what readers raise on foreign bytes is not one class
        first = (str(error).splitlines() or [""])[0][:120]
        raise BrokenJudgements(f"can't be read: {type(error).__name__}: {first}") from None


def _read(address: str, name: str, reader: Callable[[bytes], T]) -> T | None:
    """A file read; what is wrong with it is told with its place."""
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
    """Figures that are not the means of their items, or not what others were told; items that are other ones."""
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
    """Whether the file of a rival that was judged is gone, or is another than the one that was."""
    name = fitted_name(entry.rival)
    if entry.rival and entry.items and name not in kept:
        yield Finding(None, "checkpoint", f"{address}/{name}: is not there, and {entry.name} was judged", MEND)
    elif entry.fitted and digests.get(name, entry.fitted) != entry.fitted:
        what = f"{address}/{name}: is not what was judged as {entry.name}: it was altered"
        yield Finding(None, "checkpoint", what, MEND)


def _figures(entry: Entry, part: Judged, items: Items, told: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """Each metric whose mean over the items is another than was written or told: that mean, the other figure."""
    written = entry.figures.get(part, {})
    means = {**written, **{metric: items.mean(metric) for metric in items.errors}}
    elsewhere = [(name.removeprefix(PREFIXES[part]), told[name]) for name in told if name.startswith(PREFIXES[part])]
    for metric, figure in sorted([*written.items(), *elsewhere]):
        if metric in means and not _alike(figure, means[metric]):
            yield metric, means[metric], figure


def _same_items(one: Items, other: Items) -> bool:
    """Whether items and what was judged of them are the same where both were judged; a rival may not reach all."""
    if not np.array_equal(one.places, other.places):
        return False
    return bool(np.all((one.weights == other.weights) | (one.weights == 0) | (other.weights == 0)))


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=NEAR, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
