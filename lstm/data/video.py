"""The data of the task `video`: sequences of frames, of a file or generated, as items of a look-back and a horizon.

Frames stay as they are in the file, which is mapped into memory. A batch is scaled when it is gathered.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm.config.video import SequenceShares, VideoData
from lstm.data.dataset import Before, Facts, Part, Whole
from lstm.data.frames import arrays, digits
from lstm.messages.message import Note, note
from lstm.records.errors import refused

BLOCK = 2**24  # numbers that are checked at once
BRIGHTEST = 255.0  # of whole numbers of 8 bits
MOST_CHANNELS = 64
COLOURS = 4  # most channels of a picture
NARROW = 1e6  # ends of a range up to which float32 keeps a pixel's place in it
SWAPPED = 0.8  # neighbours in the first axis that differ by less than this share of those in the second
COMPARED = 32  # pairs of frames


@dataclass(frozen=True, slots=True)
class VideoFacts(Facts):
    """The facts about frames that a network needs to read others."""

    height: int
    width: int
    channels: int
    low: float  # the values of a pixel that become 0 and 1
    high: float


@dataclass(frozen=True, slots=True)
class Frames:
    """Sequences of frames. All trials share the array and never write to it.

    A sequence of n frames has n // (lookback + horizon) items, one after another. Item i is of sequence i //
    `per_sequence`.
    """

    values: np.ndarray  # (sequence, time, height, width, channel), as in the file
    parts: Mapping[Part, np.ndarray]  # the numbers of the items of each part, sorted
    lookback: int
    horizon: int
    low: float
    high: float
    fingerprint: str
    notes: tuple[Note, ...] = ()
    doubts: tuple[Note, ...] = ()  # what is likely wrong in the file
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read, as digests and counts

    @property
    def facts(self) -> VideoFacts:
        """Facts about the frames that a network needs."""
        height, width, channels = self.values.shape[2:]
        return VideoFacts(self.fingerprint, height, width, channels, self.low, self.high)

    @property
    def nbytes(self) -> int:
        """Size of the frames in bytes."""
        return self.values.nbytes

    @property
    def steps(self) -> int:
        """Frames of an item."""
        return self.lookback + self.horizon

    @property
    def per_sequence(self) -> int:
        """Items of a sequence."""
        return int(self.values.shape[1]) // self.steps

    @property
    def pixels(self) -> int:
        """Numbers of a frame."""
        return int(np.prod(self.values.shape[2:]))

    def items(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gather look-backs and horizons, scaled to 0 … 1: (item, time, channel, height, width) float32 each."""
        sequences, places = np.divmod(chosen, self.per_sequence)
        times = places[:, None] * self.steps + np.arange(self.steps)
        found = scaled(self.values[sequences[:, None], times], self.low, self.high)
        return found[:, : self.lookback], found[:, self.lookback :]


def scaled(frames: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return frames (…, height, width, channel) as (…, channel, height, width) float32, `low` as 0 and `high` as 1."""
    # In float64 where float32 would round the values before the lowest one is taken off.
    is_narrow = frames.dtype.itemsize <= 2 or (frames.dtype == np.float32 and max(abs(low), abs(high)) <= NARROW)
    exact = np.float32 if is_narrow else np.float64
    found: Any = np.moveaxis(frames, -1, -3).astype(exact)
    found -= exact(low)
    found /= exact(high - low)
    made: np.ndarray = found.astype(np.float32, copy=False)
    return made


def load(section: VideoData, path: Path | None) -> Frames:
    """Generate the frames, or open those of a file, check them, and share out the sequences.

    Raises:
        BadInput: the file is wrong, its sequences are too short, or too few for three parts.
    """
    if section.digits is not None:
        return _generated(section)
    assert path is not None
    assert section.split is not None
    opened = arrays.open_array(path, section.array)
    values = shaped(path, opened.values)
    count, time = len(values), int(values.shape[1])
    sums = array("Q")
    low, high, digests = _checked(path, values, section, sums=sums)
    _check_length(path, time, section)
    per = time // section.steps
    parts = _drawn(path, count, section.split)
    known = {part: (chosen[:, None] * per + np.arange(per)).ravel() for part, chosen in parts.items()}
    reading = _reading(values, low, high, digests[-1])
    told = hashlib.sha256(repr(sorted(reading.items())).encode()).hexdigest()
    notes = [*_notes(opened, time, section, (low, high))]
    doubts = (*_doubts(values), *_repeated(np.array(sums), parts))
    return Frames(values, known, section.lookback, section.horizon, low, high, told, tuple(notes), doubts, reading)


def load_all(section: VideoData, path: Path, before: Before) -> Whole:
    """Open a file with all its sequences as the training part. It may have newer ones than the sweep has seen.

    Raises:
        BadInput: the file is wrong, or its old sequences are others or are not known.
    """
    opened = arrays.open_array(path, section.array)
    values = shaped(path, opened.values)
    old = int(before.reading.get("sequences", 0))
    if not old:
        raise refused("old-rows-unknown", "data", at=path)
    if len(values) < old:
        raise refused("old-rows-changed", "data", at=path, count=old, unit="sequences")
    low, high, digests = _checked(path, values, section, old)
    _check_length(path, int(values.shape[1]), section)
    if _reading(values[:old], low, high, digests[0]) != dict(before.reading):
        raise refused("old-rows-changed", "data", at=path, count=old, unit="sequences")
    per, none = int(values.shape[1]) // section.steps, np.zeros(0, dtype=np.int64)
    parts: dict[Part, np.ndarray] = {"train": np.arange(len(values) * per), "validation": none, "test": none}
    reading = _reading(values, low, high, digests[-1])
    told = hashlib.sha256(f"all {sorted(reading.items())!r}".encode()).hexdigest()
    data = Frames(values, parts, section.lookback, section.horizon, low, high, told, reading=reading)
    return Whole(data, "sequences", len(values), len(values) - old)


def read(section: VideoData, path: Path, facts: VideoFacts) -> tuple[np.ndarray, bool]:
    """Return the frames of a file to predict from, as in the file, and whether the file has no axis of channels.

    Frames are (sequence, time, height, width, channel).

    Raises:
        BadInput: the file is wrong, or its frames are not like those that the network was trained on.
    """
    arrays.check(path)
    given = arrays.open_array(path, section.array if arrays.kind(path) == "npz" else None).values
    values = shaped(path, given)
    sides, wanted = values.shape[2:], (facts.height, facts.width, facts.channels)
    if sides != wanted:
        raise refused("frames-of-another-shape", at=path, shape=list(sides), wanted=list(wanted))
    if values.shape[1] < section.lookback:
        raise refused("too-few-frames-to-look-back", at=path, frames=values.shape[1], lookback=section.lookback)
    least, most, _ = _check_values(path, values, facts.low, facts.high, is_given=True)
    _check_unit(path, values, (least, most), (facts.low, facts.high))
    return values, given.ndim == 4


def shaped(path: Path, values: np.ndarray) -> np.ndarray:
    """Return an array as (sequence, time, height, width, channel), without a copy.

    Raises:
        BadInput: the array has another number of axes, an empty one, channels that are not last, or no numbers.
    """
    if values.dtype.kind not in "buif":
        raise refused("frames-without-numbers", at=path, type=str(values.dtype))
    if values.ndim not in (4, 5):
        raise refused("frames-of-other-axes", at=path, shape=list(values.shape))
    if 0 in values.shape:
        raise refused("frames-empty", at=path, shape=list(values.shape))
    found = values if values.ndim == 5 else values[..., None]
    if found.shape[2] <= COLOURS < found.shape[4]:
        raise refused("channels-not-last", at=path, shape=list(values.shape))
    if found.shape[4] > MOST_CHANNELS:
        raise refused("too-many-channels", at=path, count=found.shape[4], limit=MOST_CHANNELS)
    return found


def ends_of(path: Path, values: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest value of frames.

    Raises:
        BadInput: a value is not finite, or all are alike.
    """
    least, most, _ = _check_values(path, values, -np.inf, np.inf, is_given=False)
    if least == most:
        raise refused("frames-all-alike", at=path, value=least)
    return least, most


def _generated(section: VideoData) -> Frames:
    assert section.digits is not None
    made = digits.generate(section.digits, section.steps)
    borders = np.cumsum([0, *(len(each) for each in made.values())])
    parts: dict[Part, np.ndarray] = {part: np.arange(*borders[n : n + 2]) for n, part in enumerate(made)}
    values = np.concatenate(list(made.values()))
    # Defaults are left out, so that a field that is added later does not change the fingerprint.
    told = section.model_dump_json(exclude_defaults=True)
    known = hashlib.sha256(f"{digits.VERSION} {told}".encode()).hexdigest()
    return Frames(values, parts, section.lookback, section.horizon, 0.0, BRIGHTEST, known)


def _reading(values: np.ndarray, low: float, high: float, digest: str) -> dict[str, Any]:
    named = zip(("sequences", "frames", "height", "width", "channels"), values.shape, strict=True)
    return {**dict(named), "low": low, "high": high, "values": digest}


def _check_length(path: Path, time: int, section: VideoData) -> None:
    if time < section.steps:
        named = {"frames": time, "lookback": section.lookback, "horizon": section.horizon, "wanted": section.steps}
        raise refused("sequences-too-short", "data.lookback", file=str(path), **named)


def _checked(
    path: Path, values: np.ndarray, section: VideoData, old: int = 0, sums: "array[int] | None" = None
) -> tuple[float, float, list[str]]:
    """Check all values, and return the ends of the range, and digests: of the first `old` sequences, and of all.

    `sums` get a checksum of each sequence.

    Raises:
        BadInput: a value is not finite or out of range, all are alike, or the range can't be known.
    """
    is_byte = values.dtype == np.uint8
    low, high = section.range or ((0.0, BRIGHTEST) if is_byte else (0.0, 1.0))
    least, most, digests = _check_values(
        path, values, low, high, is_given=section.range is not None, old=old, sums=sums
    )
    if least == most:
        raise refused("frames-all-alike", at=path, value=least)
    if is_byte and section.range is None and most <= 1:
        raise refused("range-of-bytes-unclear", "data.range", file=str(path))
    _check_unit(path, values, (least, most), (low, high))
    return low, high, digests


def _check_unit(path: Path, values: np.ndarray, found: tuple[float, float], ends: tuple[float, float]) -> None:
    """Refuse real numbers from 0 to 1 where the range is that of bytes: they would all be nearly black."""
    is_byte_range = ends[0] == 0 and ends[1] >= BRIGHTEST
    if values.dtype.kind == "f" and is_byte_range and found[0] >= 0 and 0 < found[1] <= 1:
        raise refused("frames-in-another-unit", "data.range", file=str(path), most=found[1], high=ends[1])


def _check_values(
    path: Path,
    values: np.ndarray,
    low: float,
    high: float,
    *,
    is_given: bool,
    old: int = 0,
    sums: "array[int] | None" = None,
) -> tuple[float, float, list[str]]:
    """Check block by block that all values are finite and in range; return the extremes and the digests."""
    digest, digests = hashlib.sha256(str(values.dtype).encode()), list[str]()
    least, most = np.inf, -np.inf
    size = max(BLOCK // max(int(np.prod(values.shape[1:])), 1), 1)
    starts = sorted({*range(0, len(values), size), old} - {len(values)})
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        block = np.ascontiguousarray(values[start:stop])
        if old and start == old:
            digests.append(digest.copy().hexdigest())
        digest.update(block.data)
        if sums is not None:
            sums.extend(int.from_bytes(hashlib.blake2b(each, digest_size=8).digest()) for each in block)
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            raise refused("frame-not-a-number", at=path, **_place(~np.isfinite(block), start))
        ends = float(block.min()), float(block.max())
        if ends[0] < low or ends[1] > high:
            outside = (block < low) | (block > high)
            value = float(block[np.unravel_index(int(outside.argmax()), block.shape)])
            named = {
                "value": value,
                "low": low,
                "high": high,
                "given": is_given or None,
                "default": not is_given or None,
            }
            raise refused("pixel-out-of-range", "data.range", file=str(path), **named, **_place(outside, start))
        least, most = min(least, ends[0]), max(most, ends[1])
    digests += [digest.hexdigest()] * (2 if old == len(values) else 1)
    return least, most, digests


def _place(wrong: np.ndarray, start: int) -> dict[str, Any]:
    """Return where the first wrong value is."""
    sequence, time, row, column, _ = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return {"sequence": start + int(sequence), "frame": int(time), "row": int(row), "column": int(column)}


def _drawn(path: Path, count: int, split: SequenceShares) -> dict[Part, np.ndarray]:
    """Share out the sequences at random; all items of a sequence are in one part."""
    sizes = [round(split.validation * count), round(split.test * count)]
    if min(*sizes, count - sum(sizes)) < 1:
        raise refused("too-few-sequences", "data.split", file=str(path), count=count)
    order = np.random.default_rng(split.seed).permutation(count)
    validation, test, train = np.split(order, np.cumsum(sizes))
    return {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}


def _notes(opened: arrays.Opened, time: int, section: VideoData, ends: tuple[float, float]) -> Iterator[Note]:
    if not opened.is_mapped:
        yield note("frames-held-in-memory", "data.path", size=opened.values.nbytes)
    if left := time % section.steps:
        yield note("frames-left-out", "data.lookback", left=left, frames=time, steps=section.steps)
    if section.range is None:
        yield note("range-taken", "data.range", low=ends[0], high=ends[1], type=str(opened.values.dtype))


def _repeated(sums: np.ndarray, parts: Mapping[Part, np.ndarray]) -> Iterator[Note]:
    """Yield a note for each judged part with sequences that are trained on; `sums` has a checksum of each sequence."""
    names: tuple[Part, ...] = ("validation", "test")
    for name in names:
        seen = np.isin(sums[parts[name]], sums[parts["train"]])
        if seen.any():
            yield note("sequences-trained-on", "data.path", part=name, count=int(seen.sum()), total=len(seen))


def _doubts(values: np.ndarray) -> Iterator[Note]:
    """Yield a note if the first axis seems to be the time: then frames beside each other in it are more alike."""
    count, time = values.shape[:2]
    if min(count, time) < 2:
        return
    chosen = np.random.default_rng(0)
    rows, columns = chosen.integers(0, count - 1, COMPARED), chosen.integers(0, time - 1, COMPARED)
    here = values[rows, columns].astype(np.float64)
    by_time = np.abs(values[rows, columns + 1] - here).mean()
    by_sequence = np.abs(values[rows + 1, columns] - here).mean()
    if by_sequence < SWAPPED * by_time:
        yield note("time-may-come-first", "data.path", shape=list(values.shape))
