"""The task `video`: forecast the next frames of a sequence of frames."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.trial import TrialConfig
from lstm.config.video import METRICS, FramesFile, VideoData, VideoModel, step_name
from lstm.data.dataset import Before, Part, Whole
from lstm.messages.message import Note
from lstm.records.epoch import Judged
from lstm.records.errors import Fault, fault, refused
from lstm.records.figures import Curve, ForecastFrames, Strip
from lstm.records.objective import Metric
from lstm.tasks.base import Feed, Task
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    from torch import nn

    from lstm.data.profile.files import GivenFile
    from lstm.data.video import Frames, VideoFacts
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Blocks, Judgement
    from lstm.rivals.rival import Rival


class Video(Task["Frames", "VideoFacts"]):
    """The task of forecasting frames from the frames before them."""

    section = VideoData
    location = FramesFile
    metrics = (
        Metric("loss", about="mean squared error of a pixel, or its cross-entropy in nats, as training.loss says"),
        Metric("mse", about="mean squared error of a pixel, whose values range from 0 to 1"),
        Metric("mae", about="mean absolute error of a pixel, whose values range from 0 to 1"),
        Metric("ssim", "maximize", about="structural similarity of frames, at most 1"),
    )
    counted = "items"
    judged_item = "item"
    predicted = "sequences"
    wishes = ("horizon",)
    prediction = "Forecast frames"
    output = " --output frames.npy"
    fitted = ("model.cell", "model.patch")
    ending = ".npy"
    baseline = "last frame"
    baseline_note = "The last frame is repeated at every step."

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """Recognise an array of frames."""
        from lstm.tasks.drafts import video

        return video.recognise(files)

    def draft(self, files: "Sequence[GivenFile]") -> Draft:
        """Draft look-back, horizon, patches and a search by the size of the frames."""
        from lstm.tasks.drafts import video

        return video.draft(files[0])

    # --- Data and metrics

    def metrics_of(self, section: VideoData) -> tuple[Metric, ...]:
        """Return the metrics, each but the loss also by step ahead."""
        by_step = (
            each._replace(name=step_name(each.name, step), about=f"{each.about}, {step} ahead")
            for each in self.metrics
            if each.name in METRICS
            for step in range(1, section.horizon + 1)
        )
        return (*self.metrics, *by_step)

    def load(self, config: TrialConfig, location: FramesFile, reach: int) -> "Frames":
        """Generate the frames, or open those of the file."""
        from lstm.data import video

        path = None if location.path is None else Path(location.path)
        return video.load(config.data_as(VideoData), path)

    def load_all(
        self, config: TrialConfig, location: FramesFile, reach: int, before: Before, until: str | None
    ) -> Whole:
        """Open all sequences of the file."""
        from lstm.data import video

        if location.path is None:
            raise refused("refit-of-generated-data")
        if until is not None:
            raise refused("flag-of-another-task", at=f"--until {until}", task=config.task)
        return video.load_all(config.data_as(VideoData), Path(location.path), before)

    @property
    def facts_kind(self) -> "type[VideoFacts]":
        """The class with the frames' size and range, which are needed to read others in the same way."""
        from lstm.data.video import VideoFacts

        return VideoFacts

    def facts(self, data: "Frames") -> "VideoFacts":
        """Return the frames' size and range."""
        return data.facts

    def doubts(self, data: "Frames") -> tuple[Note, ...]:
        """Return what is likely wrong in the file."""
        return data.doubts

    def describe(self, data: "Frames", config: TrialConfig) -> dict[str, Any]:
        """Describe the frames and the number of items of each part."""
        section = config.data_as(VideoData)
        count, time, height, width, channels = data.values.shape
        frames = f"{time:,} frames of {height} x {width}" + (f" x {channels} channels" if channels > 1 else "")
        digits = section.digits
        made = f"{digits.number} moving digits, generated from seed {digits.seed}: " if digits else ""
        about = {
            "text": f"{made}{count:,} sequences of {frames}",
            "sequences": count,
            "frames": time,
            "height": height,
            "width": width,
            "channels": channels,
            "range": [data.low, data.high],
            "items_per_sequence": data.per_sequence,
            "notes": list(data.notes),
            "fingerprint": data.fingerprint,
        }
        return {"data": about, "windows": self.part_sizes(data, config)}

    def part_sizes(self, data: "Frames", config: TrialConfig) -> dict[Part, int]:
        """Return the items of each part."""
        return {part: len(chosen) for part, chosen in data.parts.items()}

    def column_types(self, section: VideoData) -> Mapping[str, str]:
        """Return one column: frames are no table."""
        return {"frame": "double"}

    def unfit(self, config: TrialConfig, data: "Frames") -> Iterator[Fault]:
        """Yield the fault of patches that do not divide the frames."""
        assert isinstance(config.model, VideoModel)
        patch, facts = config.model.patch, data.facts
        if config.model.is_convolutional and patch and (facts.height % patch or facts.width % patch):
            yield fault("patch-does-not-fit", "model.patch", patch=patch, height=facts.height, width=facts.width)

    def network(self, config: TrialConfig, facts: "VideoFacts") -> "nn.Module":
        """Build an encoding and a forecasting half, convolutional or fully connected."""
        from lstm.tasks.networks import video

        return video.build(config, facts)

    def span(self, config: TrialConfig, facts: "VideoFacts") -> int:
        """Return the frames of an item: each half is unrolled over its own."""
        return config.data_as(VideoData).steps

    def repeats(self, config: TrialConfig, facts: "VideoFacts") -> Mapping[str, int]:
        """Return the steps of each half."""
        section = config.data_as(VideoData)
        return {"cell": section.lookback, "forecaster": section.horizon}

    def state_numbers(self, config: TrialConfig, facts: "VideoFacts") -> int:
        """Return the numbers of one layer's hidden state, which has places if the cell is convolutional."""
        from lstm.nn.frame_forecasters import numbers_of_state

        assert isinstance(config.model, VideoModel)
        return numbers_of_state(config.model, (facts.channels, facts.height, facts.width))

    def start(self, network: "nn.Module", data: "Frames", config: TrialConfig) -> None:
        """Let the forecasts begin with the training part's mean brightness."""
        from lstm.tasks.networks import video

        video.start(network, data)

    def feed(self, data: "Frames", config: TrialConfig, device: str) -> Feed:
        """Return batches of items, their loss and the metrics."""
        from lstm.tasks.networks import video

        return video.Feed(data, config, device)

    def judge(self, network: "nn.Module", data: "Frames", config: TrialConfig, part: Judged, name: str) -> "Judgement":
        """Judge the network item by item."""
        from lstm.tasks.networks import video

        return video.judge(network, data, config, part, name)

    def blocks(self, data: "Frames", config: TrialConfig) -> "Blocks":
        """Return blocks of one sequence each, because its items are similar."""
        from lstm.judging.items import Blocks

        return Blocks(data.per_sequence)

    def baseline_metrics(self, data: "Frames", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Return the metrics of the last frame."""
        from lstm.rivals import video

        return video.baseline(data, config, part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Return the last frame, a black and the mean frame, the last motion, and a map of each pixel."""
        from lstm.rivals import video

        return video.RIVALS

    def examples(self, network: "nn.Module", data: "Frames", config: TrialConfig) -> "list[Strip | Curve]":
        """Return strips of test items, and the errors by step ahead."""
        from lstm.tasks.networks import video

        return video.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Frames", config: TrialConfig) -> "Subject":
        """Return the network for probes: look-backs of the validation part, with whole forecasts as answers."""
        from lstm.tasks.networks import video

        return video.subject(network, data, config)

    def needs_input(self, section: VideoData) -> bool:
        """Return False: the spec's own sequences can be continued, or the generated test sequences."""
        return False

    def predict(
        self,
        network: "nn.Module",
        config: TrialConfig,
        facts: "VideoFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> ForecastFrames:
        """Forecast the frames after the last ones of each sequence in a file."""
        return self.predict_together([network], config, facts, path, folder, **options)

    def predict_together(
        self,
        networks: "Sequence[nn.Module]",
        config: TrialConfig,
        facts: "VideoFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> ForecastFrames:
        """Forecast by the mean of the networks' frames."""
        from lstm.tasks.networks import video

        return video.predict(networks, config, facts, path, folder)
