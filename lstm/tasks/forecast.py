"""The task `forecast`: predict the next steps of a time series."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.forecast import ForecastData, SeriesFile
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Part, Warm, Whole
from lstm.messages.message import Note
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import Forecast as Example
from lstm.records.objective import Metric
from lstm.tasks.base import Feed, Task
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    from torch import nn

    from lstm.data.forecast import Series, SeriesFacts
    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Blocks, Judgement
    from lstm.rivals.rival import Fitted, Rival


class Forecast(Task["Series", "SeriesFacts"]):
    """The task of forecasting columns of a table over a horizon, from a look-back on these and other columns."""

    section = ForecastData
    location = SeriesFile
    metrics = (
        Metric("loss", about="mean squared error of scaled values"),
        Metric("mae", about="mean absolute error of scaled values"),
        Metric("mase", about="mean absolute error relative to the seasonal naive's on the training part"),
        Metric("mae_original", unit="the target's", about="mean absolute error"),
        Metric("rmse_original", unit="the target's", about="root mean squared error"),
    )
    counted = "windows"
    judged_item = "forecast"
    wishes = ("target", "horizon")
    prediction = "Forecast future steps"
    output = " --output forecast.csv"
    baseline = "seasonal naive"
    baseline_note = "The seasonal naive repeats the values of one season ago."

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """Recognise a table that has a column of numbers and one series in its rows."""
        from lstm.tasks.drafts import forecast

        return forecast.recognise(files)

    def draft(self, files: "Sequence[GivenFile]") -> Draft:
        """Draft look-back, horizon and search by the season and the length of the series."""
        from lstm.tasks.drafts import forecast

        return forecast.draft(files[0])

    # --- Data and metrics

    def metrics_of(self, section: ForecastData) -> tuple[Metric, ...]:
        """Return the metrics. With several targets, metrics in original units are one per target."""
        *scaled, mae, rmse = self.metrics
        if len(section.targets) == 1:
            return self.metrics
        return (
            *scaled,
            *(each._replace(name=f"{each.name}/{name}") for each in (mae, rmse) for name in section.targets),
        )

    def load(self, config: TrialConfig, location: SeriesFile, reach: int) -> "Series":
        """Read the series, and check that it has room for the longest look-back."""
        from lstm.data import forecast

        section = config.data_as(ForecastData)
        series = forecast.load(section, Path(location.path), reach)
        if config.loss_on == "measured":
            longest = section.model_copy(update={"lookback": series.reach})
            if not len(series.train_origins(longest, measured=True)):
                raise refused("no-target-measured", "data", lookback=series.reach)
        return series

    def load_all(
        self, config: TrialConfig, location: SeriesFile, reach: int, before: Before, until: str | None
    ) -> Whole:
        """Read all rows of the series, with the trial's penalties for a linear highway."""
        from lstm.data import whole

        return whole.load(config.data_as(ForecastData), Path(location.path), reach, before, until, _penalties(config))

    def load_warm(
        self,
        config: TrialConfig,
        location: SeriesFile,
        reach: int,
        before: Before,
        until: str | None,
        facts: "SeriesFacts",
        window: int,
    ) -> Warm:
        """Read all rows of the series, and windows of those that are newer than the sweep."""
        from lstm.data import whole

        given = (config.data_as(ForecastData), Path(location.path), reach, before, until, _penalties(config))
        return whole.load_warm(*given, facts, window)

    def judge_held(self, network: "nn.Module", data: "Series", config: TrialConfig, as_in: "Series") -> float:
        """Return the metric over the forecasts of the rows that are held back, in the scale of `as_in`."""
        from lstm.tasks.networks import forecast

        judged = forecast.judge(network, data, config, "validation", "", as_in=as_in)
        return float(judged.metrics[config.metric.removeprefix("val/")])

    @property
    def facts_kind(self) -> "type[SeriesFacts]":
        """The class with shape, scale and step, which are needed to read other data in the same way."""
        from lstm.data.forecast import SeriesFacts

        return SeriesFacts

    def facts(self, data: "Series") -> "SeriesFacts":
        """Return shape, scale and step."""
        return data.facts

    def doubts(self, data: "Series") -> tuple[Note, ...]:
        """Return what is likely wrong in the file."""
        return data.doubts

    def describe(self, data: "Series", config: TrialConfig) -> dict[str, Any]:
        """Describe the data and the number of windows of each part."""
        section = config.data_as(ForecastData)
        unit = "steps of" if data.step.isdigit() else "a row every"  # whole numbers count steps
        step = f", {unit} {data.step}" if data.step else ""
        first, last = _short(data.times[:1][0]), _short(data.times[-1:][0])
        return {
            "data": {
                "text": f"{len(data.values):,} rows{step}, {first} to {last}",
                "rows": len(data.values),
                "inputs": data.inputs,
                "targets": list(data.targets),
                "step": data.step,
                "season": data.season,
                "first": first,
                "last": last,
                "notes": list(data.notes),
                "fingerprint": data.fingerprint,
            },
            **({"backtest": _spans(data, section, config)} if data.windows else {}),
            "windows": {
                "train": len(data.train_origins(section, measured=config.loss_on == "measured")),
                "validation": sum(len(view.origins("validation", section)) for view in _views(data)),
                "test": len(data.origins("test", section)),
            },
        }

    def part_sizes(self, data: "Series", config: TrialConfig) -> Mapping[Part, int]:
        """Return the rows of each part; with a backtest, the training part ends where the first window begins."""
        return {part: stop - start for part, (start, stop) in data.bounds.items()}

    def part_unit(self, section: ForecastData) -> str:
        """Return rows."""
        return "rows"

    def column_types(self, section: ForecastData) -> Mapping[str, str]:
        """Return the types of the columns of times and values."""
        return dict.fromkeys(section.time_columns, "string") | dict.fromkeys(section.columns, "double")

    def at_window(self, data: "Series", number: int) -> "Series":
        """Return the series with the rows before the window as training part."""
        return data.at_window(number)

    def earlier_loss(self, data: "Series", config: TrialConfig, shortest: int) -> str:
        """Describe the filled-in values that count in the loss of a sweep that an earlier version began."""
        section = config.data_as(ForecastData).model_copy(update={"lookback": shortest})
        filled = data.filled_targets(section) if config.loss_on == "all" else 0
        return f"values that were filled in, {filled:,} in the training part" if filled else ""

    def network(self, config: TrialConfig, facts: "SeriesFacts") -> "nn.Module":
        """Build recurrent layers over the look-back, and a linear head."""
        from lstm.tasks.networks import forecast

        return forecast.build(config, facts)

    def span(self, config: TrialConfig, facts: "SeriesFacts") -> int:
        """Return the look-back."""
        return config.data_as(ForecastData).lookback

    def start(self, network: "nn.Module", data: "Series", config: TrialConfig) -> None:
        """Fit the linear highway, if there is one."""
        from lstm.nn import highway

        highway.start(network, data, config)

    def start_bytes(self, data: "Series", config: TrialConfig) -> int:
        """Return the bytes that the fit of the linear highway needs."""
        from lstm.nn import highway

        return highway.start_bytes(data, config)

    def feed(self, data: "Series", config: TrialConfig, device: str) -> Feed:
        """Return batches of windows, their loss and the metrics."""
        from lstm.tasks.networks import forecast

        return forecast.Feed(data, config, device)

    def judge(self, network: "nn.Module", data: "Series", config: TrialConfig, part: Judged, name: str) -> "Judgement":
        """Judge the network window by window."""
        from lstm.tasks.networks import forecast

        return forecast.judge(network, data, config, part, name)

    def blocks(self, data: "Series", config: TrialConfig) -> "Blocks":
        """Return blocks of a horizon and a season, because windows in them share steps or are in one season."""
        from lstm.judging.items import Blocks

        return Blocks.of_windows(config.data_as(ForecastData).horizon, data.season)

    def baseline_metrics(self, data: "Series", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Return the metrics of the seasonal naive forecast over the same windows."""
        from lstm.rivals.forecast import naive_metrics

        return naive_metrics(data, config.data_as(ForecastData), part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Return naive rules and ridge; then LightGBM and statsforecast's models (the extra `rivals`)."""
        from lstm.rivals import forecast, others

        return (*forecast.RIVALS, *others.RIVALS)

    def examples(self, network: "nn.Module", data: "Series", config: TrialConfig) -> list[Example]:
        """Return forecasts from origins that are spread over the test part."""
        from lstm.tasks.networks import forecast

        return forecast.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Series", config: TrialConfig) -> "Subject":
        """Return the network for probes: windows of the validation part, with whole forecasts as answers."""
        from lstm.tasks.networks import forecast

        return forecast.subject(network, data, config)

    def needs_input(self, section: ForecastData) -> bool:
        """Return whether the section has future covariates, which only a file can give."""
        return bool(section.future_covariates)

    def predict(
        self,
        network: "nn.Module",
        config: TrialConfig,
        facts: "SeriesFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> dict[str, list[Any]]:
        """Forecast the steps after the last known target of a file, as columns: time, then each target."""
        from lstm.tasks.networks import forecast

        return forecast.predict(network, config, facts, path, folder)

    def predict_together(
        self,
        networks: "Sequence[nn.Module]",
        config: TrialConfig,
        facts: "SeriesFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> dict[str, list[Any]]:
        """Forecast by the mean of the networks' forecasts."""
        from lstm.tasks.networks import forecast

        return forecast.predict(forecast.Together(networks), config, facts, path, folder)

    def predict_by_rival(
        self, fitted: "Fitted", config: TrialConfig, facts: "SeriesFacts", path: str, folder: Path
    ) -> dict[str, list[Any]]:
        """Forecast the steps after the last known target of a file by a fitted rival, as columns."""
        from lstm.rivals.rival import Forecasting
        from lstm.tasks.networks import forecast

        self.check_predicts(fitted.name)
        rival = self.rival(fitted.name)
        assert isinstance(rival, Forecasting)
        return forecast.predict_by_rival(rival, fitted, config, facts, path, folder)


def _penalties(config: TrialConfig) -> "Callable[[Series], tuple[float | None, ...]] | None":
    """Return what finds the penalties of a configuration's linear highway; None if it has none."""
    from lstm.nn import highway

    return partial(highway.penalties, trial=config) if config.model.residual == "linear" else None


def _views(data: "Series") -> "list[Series]":
    """Return the series as each window of the backtest has it; the series itself without one."""
    return [data.at_window(number) for number in range(1, len(data.windows) + 1)] or [data]


def _spans(data: "Series", section: ForecastData, config: TrialConfig) -> list[dict[str, Any]]:
    """Describe the windows of the backtest: their times, and how many forecasts are trained on and judged."""
    return [
        {
            "first": _short(data.times[start : start + 1][0]),
            "last": _short(data.times[stop - 1 : stop][0]),
            "train": len(view.train_origins(section, measured=config.loss_on == "measured")),
            "judged": len(view.origins("validation", section)),
        }
        for view, (start, stop) in zip(_views(data), data.windows, strict=True)
    ]


def _short(time: Any) -> str:
    return str(time)[:19].removesuffix("T00:00:00")
