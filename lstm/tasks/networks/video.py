"""Networks of the task `video`, which read frames and forecast the next ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.trial import TrialConfig
from lstm.config.video import METRICS, VideoData, VideoModel, VideoTraining, step_name
from lstm.data import video as video_data
from lstm.data.frames import digits
from lstm.data.video import Frames, VideoFacts
from lstm.diagnostics.subject import Subject
from lstm.judging.items import Judgement
from lstm.judging.video import by_item, judged, means
from lstm.nn.frame_forecasters import Flat, FrameForecaster, numbers_of_state
from lstm.nn.frame_forecasters import build as build_forecaster
from lstm.nn.gates import trace
from lstm.nn.networks import noisy
from lstm.records.epoch import Judged
from lstm.records.figures import Curve, ForecastFrames, Strip
from lstm.rivals.video import best

Batch = tuple[np.ndarray, np.ndarray]  # look-backs and horizons, (item, time, channel, height, width) float32
AT_ONCE = 2**24  # numbers of a layer's states while judging, but at least one item
MOST_ITEMS = 128  # judged at once
BEGUN_ON = 256  # items whose mean brightness the head begins with
PROBED = 16  # items
SHOWN = 3  # test items in a report
STRIPS = 4  # forecasts in the strip of a prediction
COPIES = 6  # of a batch's frames in memory: as they are, of the patches, of the forecast, its loss and its gradient


def build(config: TrialConfig, facts: VideoFacts) -> FrameForecaster:
    """Build the network."""
    assert isinstance(config.model, VideoModel)
    section, frame = config.data_as(VideoData), (facts.channels, facts.height, facts.width)
    return build_forecaster(config.model, frame, section.lookback, section.horizon, config.code)


def losses(network: nn.Module, past: Tensor, ahead: Tensor, config: TrialConfig) -> tuple[Tensor, Tensor]:
    """Return forecasts, and the loss of each item: the mean over its pixels of squared error or cross-entropy."""
    assert isinstance(network, FrameForecaster)
    assert isinstance(config.training, VideoTraining)
    logits = network.logits(past).float()
    if config.training.loss == "cross_entropy":
        each = nn.functional.binary_cross_entropy_with_logits(logits, ahead, reduction="none")
    else:
        each = nn.functional.mse_loss(network.output(logits), ahead, reduction="none")
    return network.output(logits), each.flatten(1).mean(dim=1)


class Feed:
    """The batches, loss and metrics for the trainer."""

    def __init__(self, data: Frames, config: TrialConfig, device: str) -> None:
        self._data, self._config, self._device = data, config, device
        self.items, self.step_numbers = len(data.parts["train"]), COPIES * data.pixels
        judged_at_once = min(at_once(data, config), max(self.judged("validation"), self.judged("test")))
        self.judged_steps = data.steps * judged_at_once

    def order(self, generator: np.random.Generator) -> Callable[[int], Batch]:
        """Return a function that gives the batch at a place in a pass: shuffled items."""
        order, size = generator.permutation(self._data.parts["train"]), self._config.training.batch_size
        return lambda place: self._data.items(order[place * size :][:size])

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Return the mean loss of a batch, and the number of items."""
        past, ahead = (torch.from_numpy(each).to(self._device) for each in batch)
        return losses(network, noisy(past, self._config.training.input_noise), ahead, self._config)[1].mean(), len(past)

    @torch.no_grad()
    def measure(self, network: nn.Module, batch: Batch) -> tuple[dict[str, float], int]:
        """Return the metrics of `evaluate` over a batch, and the number of items."""
        past, ahead = (torch.from_numpy(each).to(self._device) for each in batch)
        made, found = losses(network, past, ahead, self._config)
        return means(by_item([(made.cpu().numpy(), batch[1], found.cpu().numpy())])), len(past)

    def judged(self, part: Judged) -> int:
        """Return the number of items that a part is judged on."""
        return len(self._data.parts[part])

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """Return the loss, and MSE, MAE and SSIM as a mean and by step ahead."""
        chosen = self._data.parts[part][:some]
        return means(by_item(forecasts(network, self._data, self._config, chosen, self._device)))


def at_once(data: Frames, config: TrialConfig) -> int:
    """Return how many items are judged at once."""
    assert isinstance(config.model, VideoModel)
    _, _, height, width, channels = data.values.shape
    numbers = max(numbers_of_state(config.model, (channels, height, width)), data.pixels)
    return max(1, min(MOST_ITEMS, AT_ONCE // (data.steps * numbers)))


@torch.no_grad()
def forecasts(
    network: nn.Module, data: Frames, config: TrialConfig, chosen: np.ndarray, device: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield forecasts, truth and losses of items, in blocks."""
    network.eval()
    size = at_once(data, config)
    for start in range(0, len(chosen), size):
        past, ahead = data.items(chosen[start : start + size])
        given, wanted = torch.from_numpy(past).to(device), torch.from_numpy(ahead).to(device)
        made, found = losses(network, given, wanted, config)
        yield made.cpu().numpy(), ahead, found.cpu().numpy()


def start(network: nn.Module, data: Frames) -> None:
    """Let the forecasts begin with the training part's mean brightness."""
    assert isinstance(network, FrameForecaster)
    _, ahead = data.items(data.parts["train"][:BEGUN_ON])
    network.begin_at(float(ahead.mean()))


def judge(network: nn.Module, data: Frames, config: TrialConfig, part: Judged, name: str) -> Judgement:
    """Judge a network on a part item by item, under a name."""
    chosen = data.parts[part]
    return judged(name, part, chosen, forecasts(network, data, config, chosen, "cpu"))


@torch.no_grad()
def examples(network: nn.Module, data: Frames, config: TrialConfig) -> list[Strip | Curve]:
    """Return strips of test items, beside the rival that is best on validation, and the errors by step ahead."""
    chosen = data.parts["test"]
    shown = chosen[np.linspace(0, len(chosen) - 1, min(SHOWN, len(chosen))).round().astype(int)]
    past, ahead = data.items(shown)
    title, rival, rival_metrics = best(data, config)
    made, others = network(torch.from_numpy(past)).numpy(), rival(past)
    strips = [
        strip(
            f"Test item {number + 1:,}",
            "The frames that the network saw, those that came, its forecast, and that of the rival that is best on "
            "validation.",
            {"past": past[row], "truth": ahead[row], "forecast": made[row], title: others[row]},
        )
        for row, number in enumerate(shown.tolist())
    ]
    ours = means(by_item(forecasts(network, data, config, chosen, "cpu")))
    steps = range(1, data.horizon + 1)
    labels = {"mse": "mean squared error", "mae": "mean absolute error", "ssim": "structural similarity"}
    curves = [
        Curve(
            title=f"{labels[metric].capitalize()} by step ahead",
            note=f"On the test part, {len(chosen):,} items. {'Higher' if metric == 'ssim' else 'Lower'} is better.",
            x_label="steps ahead",
            y_label=labels[metric],
            x=tuple(map(float, steps)),
            series={
                who: tuple(found[step_name(metric, step)] for step in steps)
                for who, found in (("network", ours), (title, rival_metrics))
            },
        )
        for metric in METRICS
    ]
    return [*strips, *curves]


def strip(title: str, note: str, rows: dict[str, np.ndarray]) -> Strip:
    """Return frames, by row (time, channel, height, width) between 0 and 1, as a strip to look at.

    Frames of two channels, or of more than three, are shown by the mean of their channels.
    """
    _, channels, height, width = next(iter(rows.values())).shape
    shown = channels if channels in (1, 3) else 1
    found = {}
    for name, frames in rows.items():
        seen = frames if channels == shown else frames.mean(axis=1, keepdims=True)
        pixels = (np.clip(np.nan_to_num(seen), 0, 1) * 255).round().astype(np.uint8)
        found[name] = tuple(frame.tobytes() for frame in np.moveaxis(pixels, 1, -1))
    return Strip(title, note, found, height, width, shown)


def subject(network: nn.Module, data: Frames, config: TrialConfig) -> Subject:
    """Return the network for probes: look-backs of the validation part as columns of pixels, with whole forecasts."""
    assert isinstance(network, FrameForecaster)
    chosen = data.parts["validation"]
    past, ahead = data.items(chosen[np.linspace(0, len(chosen) - 1, min(PROBED, len(chosen))).round().astype(int)])
    frame, wanted = past.shape[2:], torch.from_numpy(ahead)
    names = [f"row {row} column {column}" for row in range(frame[1]) for column in range(frame[2])]
    names = [f"{name} channel {channel}" if frame[0] > 1 else name for channel in range(frame[0]) for name in names]

    def framed(inputs: Tensor) -> Tensor:
        return inputs.reshape(*inputs.shape[:2], *frame)

    def inside(inputs: Tensor) -> Mapping[str, Tensor]:
        return trace(network.cell, inputs) if isinstance(network, Flat) else {}

    return Subject(
        respond=lambda inputs: network(framed(inputs)).flatten(1),
        loss=lambda inputs: nn.functional.mse_loss(network(framed(inputs)), wanted).item(),
        windows=torch.from_numpy(past).flatten(2),
        columns=tuple(names),
        outputs=tuple(f"{name} +{step}" for step in range(1, data.horizon + 1) for name in names),
        trace=inside,
        unit=float(past.std()) or 1.0,
    )


@torch.no_grad()
def predict(
    networks: Sequence[nn.Module], config: TrialConfig, facts: VideoFacts, path: str | None, folder: Path
) -> ForecastFrames:
    """Forecast the frames after the last ones of each sequence in a file, by the mean of the networks' forecasts.

    Without a file, frames after the look-backs of the generated test sequences are forecast.

    Raises:
        BadInput: the file is wrong, or its frames are not like those that the network was trained on.
    """
    section = config.data_as(VideoData)
    truth: np.ndarray | None = None
    flat = False
    if path is None:
        assert section.digits is not None
        values = digits.generate(section.digits, section.steps)["test"]
        values, truth = values[:, : section.lookback], values[:, section.lookback :]
    else:
        values, flat = video_data.read(section, folder / path, facts)
    made, size = list[np.ndarray](), max(1, AT_ONCE // (section.steps * int(np.prod(values.shape[2:]))))
    for first in range(0, len(values), min(size, MOST_ITEMS)):
        block = values[first : first + min(size, MOST_ITEMS), -section.lookback :]
        past = torch.from_numpy(video_data.scaled(block, facts.low, facts.high))
        made.append(torch.stack([network(past) for network in networks]).mean(dim=0).numpy())
    found = np.concatenate(made)
    shown = _strip_of(found, values[:STRIPS, -section.lookback :], truth, facts)
    frames = np.moveaxis(found, 2, -1) * np.float32(facts.high - facts.low) + np.float32(facts.low)
    return ForecastFrames(frames[..., 0] if flat or (path is None and facts.channels == 1) else frames, shown)


def _strip_of(found: np.ndarray, past: np.ndarray, truth: np.ndarray | None, facts: VideoFacts) -> Strip:
    rows: dict[str, np.ndarray] = {}
    for number, seen in enumerate(video_data.scaled(past, facts.low, facts.high)):
        of = f" {number + 1}" if len(past) > 1 else ""
        rows[f"past{of}"] = seen
        if truth is not None:
            rows[f"truth{of}"] = video_data.scaled(truth[number], facts.low, facts.high)
        rows[f"forecast{of}"] = found[number]
    note = f"The first {len(past):,} of {len(found):,} sequences: the frames that the network saw, and its forecast."
    return strip("Forecast frames", note, rows)
