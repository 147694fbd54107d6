"""Draft of a first spec for an array of frames: look-back, horizon, patches, and a search by the size of the frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lstm.config.video import SequenceShares, VideoData
from lstm.data import video as video_data
from lstm.data.frames import arrays
from lstm.data.profile.files import GivenFile
from lstm.data.video import Frames
from lstm.records.errors import refused
from lstm.tasks.drafts.draft import Draft, Line, Recognition, Remark, Value, choices, fewer_batches, numbers

NEEDS = "needs one .npy or .npz file with frames (sequence, time, height, width[, channel])"
SHARE = 0.15  # of the validation part, and of the test part
LEAST = 20  # sequences: with fewer ones, the parts are too small to say anything
PLACES = 16  # most places in a row, after the frames are cut into patches
BATCH = 16
LONGEST = 10  # most frames to read, and to forecast


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that are chosen for frames."""

    lookback: int
    horizon: int
    patch: int
    channels: int
    units: int  # of the fully connected cell
    items: int  # in the training part
    steps_per_epoch: int | None


def recognise(files: Sequence[GivenFile]) -> Recognition:
    """Return whether a file is an array."""
    fits = len(files) == 1 and files[0].form.kind == "array"
    return Recognition(fits, files[0].form.what if fits else NEEDS)


def draft(file: GivenFile) -> Draft:
    """Draft the spec for an array of frames.

    Raises:
        BadInput: the file is damaged, its array has no frames, or there are too few sequences.
    """
    found = _opened(file)
    count, time, height, width, channels = found.values.shape
    chosen = choose(found)
    return Draft(
        data=tuple(_data(file, found, chosen)),
        model=(
            Line("cell", "convlstm", "searched below: whether a convolution over neighbouring pixels pays"),
            Line("num_layers", 1, "of each half: the one that reads, and the one that forecasts"),
            Line("channels", chosen.channels, "of a layer"),
            Line("kernel_size", 5, "searched below"),
            *_patch(chosen, height, width),
            Line("hidden_size", chosen.units, "units of a layer of cell lstm"),
        ),
        training=tuple(_training(chosen)),
        metric=Line("metric", "val/mse", "mean squared error of a pixel (0 to 1), at the best epoch"),
        direction="minimize",
        first=(
            {"model.cell": "convlstm", "model.kernel_size": 5, "training.learning_rate": 2e-3},
            {"model.cell": "lstm", "training.learning_rate": 1e-3},
        ),
        first_why="tried before the search draws any: the base above, and the fully connected cell",
        space=(
            choices("model.cell", ["convlstm", "lstm"], "lstm reads each frame as one flat list of pixels"),
            Line(
                "model.kernel_size",
                {"type": "categorical", "choices": [3, 5], "when": {"model.cell": "convlstm"}},
                "a larger kernel follows faster motion, and is slower",
            ),
            numbers("training.learning_rate", 5e-4, 5e-3),
        ),
        found={
            "frames": f"{count:,} sequences of {time:,} frames, {height} x {width} pixels, {channels} "
            f"channel{'s' * (channels > 1)}",
            "values": f"{found.values.dtype}, read as {found.low:g} to {found.high:g}",
            "items": f"{found.lookback} frames are read, {found.horizon} are forecast",
        },
        facts=_facts(file, found, chosen),
        why="the file has frames; the network forecasts the next ones",
    )


def _opened(file: GivenFile) -> Frames:
    """Open the frames, with a look-back and a horizon that fit them."""
    values = video_data.shaped(file.path, arrays.open_array(file.path).values)
    count, time = values.shape[:2]
    if count < LEAST:
        raise refused("too-few-sequences-to-draft", at=file.path, count=count, least=LEAST)
    if time < 2:
        raise refused("frames-single", at=file.path)
    horizon = file.horizon or min(max(time // 2, 1), LONGEST)
    lookback = min(max(time - horizon, 1), LONGEST)
    ends = range_of(*video_data.ends_of(file.path, values), str(values.dtype))
    split = SequenceShares(validation=SHARE, test=SHARE)
    return video_data.load(VideoData(lookback=lookback, horizon=horizon, split=split, range=[*ends]), file.path)


def range_of(least: float, most: float, kind: str) -> tuple[float, float]:
    """Return the range of pixels by the lowest and the highest value, and the type of the values."""
    if least >= 0 and most <= 1:
        return 0.0, 1.0
    if kind == "uint8" or (least >= 0 and most <= video_data.BRIGHTEST and most == int(most)):
        return 0.0, video_data.BRIGHTEST
    return least, most


def choose(found: Frames) -> Choice:
    """Choose the settings by the size of the frames."""
    _, _, height, width, channels = found.values.shape
    patch = next(
        (p for p in (1, 2, 4, 8, 16) if max(height, width) // p <= PLACES and not (height % p or width % p)),
        next((p for p in (16, 8, 4, 2) if not (height % p or width % p)), 1),
    )
    wide = 16 * min(patch, 4)
    items = len(found.parts["train"])
    batches = -(-items // BATCH)
    units = min(max(64, found.pixels // 4), 512)
    steps = fewer_batches(batches, found.steps * 20)
    return Choice(found.lookback, found.horizon, patch, wide * min(channels, 2), units, items, steps)


def _data(file: GivenFile, found: Frames, chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("path", file.path)
    yield Line("lookback", chosen.lookback, "frames that the network reads")
    yield Line("horizon", chosen.horizon, "frames to forecast")
    why = f"the values are {found.values.dtype}: these become 0 and 1; a value outside is an error"
    yield Line("range", [found.low, found.high], why)
    yield Line("split", {"validation": SHARE, "test": SHARE}, "at random, by sequence")


def _patch(chosen: Choice, height: int, width: int) -> tuple[Line, ...]:
    if chosen.patch == 1:
        return ()
    places = f"{height // chosen.patch} x {width // chosen.patch} places"
    return (Line("patch", chosen.patch, f"frames become {places}, which is several times faster"),)


def _training(chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("max_epochs", 20, "most trials end earlier")
    yield Line("batch_size", BATCH)
    if chosen.steps_per_epoch:
        why = f"batches in an epoch; a whole pass ({-(-chosen.items // BATCH):,}) would make pruning decisions rare"
        yield Line("steps_per_epoch", chosen.steps_per_epoch, why)
    yield Line("loss", "mse", "or cross_entropy, of a pixel; both may be searched by a metric such as val/mse")
    yield Line("learning_rate", 2e-3, "searched below")
    yield Line("schedule", "cosine", "from the learning rate down to 0 over max_epochs")
    yield Line("seed", 1)


def _facts(file: GivenFile, found: Frames, chosen: Choice) -> dict[str, Any]:
    count, time, height, width, channels = found.values.shape
    shape: dict[str, Value] = {"sequences": count, "frames": time, "height": height, "width": width}
    told = {"type": str(found.values.dtype), "range": [found.low, found.high], "lookback": chosen.lookback}
    return {"path": str(file.path), **shape, "channels": channels, **told, "horizon": chosen.horizon}
