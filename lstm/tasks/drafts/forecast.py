"""Draft of a first spec for a time series: look-back, horizon and search, from the season and the length."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from lstm.config.forecast import ForecastData, Split
from lstm.config.shared.backtest import SeriesBacktest
from lstm.data import forecast as forecast_data
from lstm.data.profile import roles
from lstm.data.profile.files import GivenFile
from lstm.data.profile.profile import Profile, profile
from lstm.data.profile.seasons import Season
from lstm.data.tables import regular
from lstm.messages.entry import quoted
from lstm.records.errors import BadInput
from lstm.tasks.drafts.draft import (
    Draft,
    Line,
    Lines,
    Recognition,
    Remark,
    Value,
    Word,
    choices,
    fewer_batches,
    integers,
    left_out,
    numbers,
)
from lstm.tasks.drafts.words import gaps, in_seasons, season_text, shown, step_text

NEEDS = "needs a table (CSV or Parquet) with a column of numbers and one row per time step"
LONGEST_LOOKBACK = 200  # steps; the time of an epoch grows with it
LONGEST_HORIZON = 96
MANY_ROWS = 40_000  # with more rows, the validation and the test part have JUDGED_ROWS each
JUDGED_ROWS = 5_000
MOST_COVARIATES = 12
ENOUGH_TO_TRAIN, ENOUGH_TO_JUDGE = 30, 10  # windows
WINDOWS = 4  # of a backtest: with fewer, no difference can be called sure
TOP, SEEDS = 3, 2  # settings and seeds of confirm: eight whole trainings, with the base


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that are chosen for a series, in steps."""

    basis: Season | None  # the season in which look-back and horizon are measured
    unit: int  # the difference between look-backs in the search
    lookback: int
    longest: int  # the longest look-back in the search
    horizon: int
    part: float | int  # size of the validation and of the test part, as a share or in rows
    train_rows: int
    windows: int = 0  # windows of a backtest; 0: the series is too short for one
    fresh: bool = False  # whether as many windows again are set aside for confirm

    @property
    def batch_size(self) -> int:
        """Windows in a batch."""
        return 64 if self.train_rows >= 1000 else 32 if self.train_rows >= 300 else 16

    @property
    def batches(self) -> int:
        """Batches in a pass over the training windows, at the longest look-back."""
        return math.ceil(max(self.train_rows - self.longest, 1) / self.batch_size)

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches in an epoch if a pass would take seconds; None if an epoch is a pass."""
        return fewer_batches(self.batches, self.longest)

    @property
    def max_epochs(self) -> int:
        """Most epochs of a trial, enough for some hundred batches of a small series, too."""
        return min(max(600 // (self.steps_per_epoch or self.batches), 20), 60)

    @property
    def units(self) -> int:
        """Units of the base's layer."""
        return 32 if self.train_rows >= 500 else 16


def recognise(files: Sequence[GivenFile]) -> Recognition:
    """Return whether a table can be one series: it has numbers, and its rows are not several sequences."""
    if len(files) != 1 or files[0].form.kind != "table":
        return Recognition(False, NEEDS)
    [file] = files
    if not any(column.kind == "number" for column in file.columns):
        return Recognition(False, f"{NEEDS}: {roles.no_number(file.path, file.raw, [], {})}")
    dated = next((c.name for c in file.columns if c.kind == "time"), None)
    if not (ways := file.groupings):
        return Recognition(True, f"a table with times in {quoted(dated)}" if dated else "a table of numbers")
    apart = f"{ways[0].count:,} sequences, told apart by {quoted(ways[0].id)}"
    if time := next(iter(ways[0].times), None) or roles.counts_through(file.raw, file.columns):
        return Recognition(True, f"its rows have times in {quoted(time)}; but they may be {apart}")
    return Recognition(False, f"needs one series in the order of its rows or times; the rows are {apart}")


def draft(file: GivenFile) -> Draft:
    """Draft the spec for a table that is one series.

    Raises:
        BadInput: the table has no series or several, or is too small for a window to train on and one to judge.
    """
    found = profile(file.path, file, file.target)
    chosen = choose(found, file.horizon)
    where, each = ("the windows", " of each") if chosen.windows else ("the validation part", "")
    return Draft(
        data=tuple(_data(found, chosen)),
        model=tuple(_model(found, chosen)),
        training=tuple(_training(chosen)),
        metric=Line("metric", "val/loss", f"mean squared error on {where}, at the best epoch{each}"),
        direction="minimize",
        first=_first_settings(chosen),
        first_why="tried before the search draws any: the base above, and another way to follow a changing level",
        space=_space(chosen),
        found=summarise(found),
        facts=asdict(found) | {"path": str(found.path)},
        confirm=_confirm() if chosen.fresh else None,
    )


def choose(found: Profile, horizon: int | None = None) -> Choice:
    """Return the longest choice that leaves enough windows in each part, else the longest that leaves any.

    A `horizon` that is given is kept.

    Raises:
        BadInput: no choice leaves a window in each part.
    """
    first = _first(found)
    if horizon:
        first = replace(first, horizon=horizon)
    source = regular.read(_data_config(found, first), found.path)
    some: Choice | None = None
    refusal: BadInput | None = None
    for chosen in _shorter(first, keeps_horizon=bool(horizon)):
        config, reach = _data_config(found, chosen), chosen.longest
        try:
            series = forecast_data.prepare(source, config.model_copy(update={"lookback": reach}), reach)
        except BadInput as error:
            refusal = error
            continue
        windows = count_windows(series, config)
        if windows["train"] >= ENOUGH_TO_TRAIN and min(windows.values()) >= ENOUGH_TO_JUDGE:
            return _backtested(found, source, chosen)
        some = some or chosen
    if some:
        return some
    assert refusal is not None
    raise refusal.at(found.path)


def _backtested(found: Profile, source: regular.Table, chosen: Choice) -> Choice:
    """Return a choice with a backtest if each window has room for two horizons and for `ENOUGH_TO_JUDGE` forecasts.

    If there is room for as many windows again, these are set aside for confirm.
    """
    judged = chosen.part if isinstance(chosen.part, int) else round(chosen.part * found.steps)
    for fresh in (True, False):
        if judged // (WINDOWS * (1 + fresh)) < max(2 * chosen.horizon, chosen.horizon + ENOUGH_TO_JUDGE):
            continue
        made = replace(chosen, windows=WINDOWS, fresh=fresh)
        config, reach = _data_config(found, made), made.longest
        try:
            forecast_data.prepare(source, config.model_copy(update={"lookback": reach}), reach)
        except BadInput:  # gaps leave nothing to judge in one of them
            continue
        return made
    return chosen


def _confirm() -> Line:
    """Return the line of the search that confirms its best settings, with what that costs."""
    trainings = (TOP + 1) * SEEDS
    why = f"then the best and the base from other seeds: at most {trainings} whole trainings more, on windows set aside"
    value: dict[str, Value] = {"top": TOP, "seeds": SEEDS}
    return Line("confirm", value, why)


def count_windows(series: forecast_data.Series, config: ForecastData) -> dict[str, int]:
    """Count the windows of each part."""
    judged = {"validation": series.origins("validation", config), "test": series.origins("test", config)}
    return {"train": len(series.train_origins(config)), **{part: len(origins) for part, origins in judged.items()}}


def summarise(found: Profile) -> dict[str, str]:
    """Return what was found in a file, for the screen."""
    lines = {"rows": f"{found.rows:,} in {found.path}"}
    if found.time:
        name = found.time if isinstance(found.time, str) else " + ".join(found.time)
        lines["time"] = f"{name}: {found.first} to {found.last}, {step_text(found)}"
    else:
        lines["time"] = "no column has times; rows are taken in their order"
    lines["target"] = f"{found.target} ({found.target_why})"
    past, ahead = _covariates(found)
    if past or ahead:
        lines["inputs"] = ", ".join([*past, *(f"{c} (known ahead)" for c in ahead)])
    if found.left_out:
        lines["left out"] = "; ".join(f"{c} ({why})" for c, why in found.left_out.items())
    lines["gaps"] = gaps(found) if found.has_gaps else "none"
    places = [c.first_missing for c in found.columns if found.missing_values.get(c.name, 0) > 0 and c.first_missing]
    if places:
        lines["gaps"] += f", the first at {places[0]}"
    lines["season"] = season_text(found)
    lines["trend"] = f"a straight line explains {found.trend:.0%} of the target's variance"
    if found.reading:
        lines["read as"] = "; ".join(
            f"{name}: {value!r}" if name == "delimiter" else f"{name}: {value}" for name, value in found.reading.items()
        )
    told = (*found.notes, *found.sentinels)
    return lines | ({"notes": "; ".join(map(str, told))} if told else {})


# --- The choices ------------------------------------------------------------------------------------------


def _first(found: Profile) -> Choice:
    judged = JUDGED_ROWS if found.steps > MANY_ROWS else round(0.15 * found.steps)
    train_rows = found.steps - 2 * judged
    fitting = [s for s in found.seasons if 2 <= s.steps <= LONGEST_LOOKBACK]
    basis = found.season if found.season in fitting else min(fitting, key=lambda s: s.steps, default=None)
    length = basis.steps if basis else 12
    # The horizon is a whole season if it is a day of hours, a week of days or a year of months, else half of it.
    horizon = length if length <= 31 and basis and basis.name != "cycle" else length // 2
    horizon = max(min(horizon, LONGEST_HORIZON, judged // 3), 1)
    unit = length if length <= 12 else length // 2
    bound = max(min(LONGEST_LOOKBACK, (train_rows - horizon) // 3), 1)
    unit = max(min(unit, bound // 2), 1)
    longest = max(min(bound, 4 * length) // unit, 1) * unit
    lookback = min(max(2 * length // unit, 1) * unit, longest)
    part = judged if found.steps > MANY_ROWS else 0.15
    return Choice(basis, unit, lookback, longest, horizon, part, train_rows)


def _shorter(chosen: Choice, *, keeps_horizon: bool) -> Iterator[Choice]:
    """Yield a choice, then shorter ones for data with gaps that leave no room for it."""
    yield chosen
    while (chosen.horizon > 1 and not keeps_horizon) or chosen.longest > 1:
        unit = max(chosen.unit // 2, 1)
        longest = max(chosen.longest // 2 // unit, 1) * unit
        lookback = min(max(chosen.lookback // 2 // unit, 1) * unit, longest)
        horizon = chosen.horizon if keeps_horizon else max(chosen.horizon // 2, 1)
        chosen = replace(chosen, unit=unit, longest=longest, lookback=lookback, horizon=horizon)
        yield chosen


def _data_config(found: Profile, chosen: Choice) -> ForecastData:
    past, ahead = _covariates(found)
    return ForecastData(
        **found.reading,
        time=found.time,
        target=found.target,
        past_covariates=past,
        future_covariates=ahead,
        calendar=list(found.calendar),
        lookback=chosen.lookback,
        horizon=chosen.horizon,
        split=Split(validation=chosen.part, test=chosen.part),
        backtest=SeriesBacktest(windows=chosen.windows, fresh=chosen.fresh) if chosen.windows else None,
        step=found.step if found.step_given else None,
        missing="interpolate" if found.has_gaps else "refuse",
        season=found.season.steps if found.season else 1,
    )


def _covariates(found: Profile) -> tuple[list[str], list[str]]:
    kept = found.covariates[:MOST_COVARIATES]
    return [c for c in kept if c not in found.known_ahead], [c for c in kept if c in found.known_ahead]


# --- The lines --------------------------------------------------------------------------------------------


def _data(found: Profile, chosen: Choice) -> Iterator[Line | Remark]:
    span = f"{found.rows:,} rows, {found.first} to {found.last}" if found.time else f"{found.rows:,} rows"
    yield Line("path", found.path, span)
    yield from (_reading_line(found, name) for name in found.reading if name not in AFTER_TIME)
    if found.time:
        yield Line("time", _named(found.time), step_text(found))
    else:
        yield Remark("time: COLUMN", "no column holds times; rows are taken in their order")
    yield from (_reading_line(found, name) for name in AFTER_TIME if name in found.reading)
    yield from (Remark(str(each)) for each in (*found.notes, *found.sentinels))
    yield Line("target", found.target, f"{found.target_why}; change it to forecast another column")
    yield from _inputs(found)
    seen, ahead = in_seasons(chosen.basis, chosen.lookback), in_seasons(chosen.basis, chosen.horizon)
    yield Line("lookback", chosen.lookback, f"steps that the network reads{seen}; searched below")
    yield Line("horizon", chosen.horizon, f"steps that the network forecasts{ahead}")
    why = f"{chosen.part:,} rows each: enough to compare on" if isinstance(chosen.part, int) else "shares of the rows"
    yield Line("split", {"validation": chosen.part, "test": chosen.part}, f"{why}; by time, oldest first")
    if chosen.windows:
        why = "judged on windows of the validation part, each trained anew; without this line once: quicker, less sure"
        windows: dict[str, Value] = {"windows": chosen.windows}
        yield Line("backtest", windows | ({"fresh": True} if chosen.fresh else {}), why)
    if found.step_given:
        yield Line("step", Word(found.step), _given_step(found))
    if found.has_gaps:
        filled = "filled-in values are never targets of training or judging"
        yield Line("missing", "interpolate", f"{gaps(found)}; {filled}")
    yield Line("season", found.season.steps if found.season else 1, season_text(found))


AFTER_TIME = ("time_format", "time_zone", "open_hours")  # fields of the reading that come after the time


def _reading_line(found: Profile, name: str) -> Line:
    """Return the line of a field that says how the file is read."""
    value = found.reading[name]
    return Line(name, [*value] if isinstance(value, list | tuple) else value, found.reading_why.get(name, ""))


def _named(time: str | list[str]) -> Value:
    return time if isinstance(time, str) else [*time]


def _given_step(found: Profile) -> str:
    """Return why the spec gives the step."""
    codes = {each.code for each in found.notes}
    if found.step == "B":
        return "working days: no weekends in the file"
    if "clocks-change" in codes:
        return "local hours: one that occurs twice is averaged"
    if "rows-to-nearest-step" in codes:
        return "rows are some seconds off the even steps: each belongs to the nearest one"
    return "times are irregular: rows are averaged"


def _inputs(found: Profile) -> Iterator[Line | Remark]:
    past, ahead = _covariates(found)
    if past:
        why = "known up to now; move columns with known future values to future_covariates"
        yield Line("past_covariates", [*past], why)
    if ahead:
        why = "their names say that future values are known; a forecast needs these values"
        yield Line("future_covariates", [*ahead], why)
    if rest := found.covariates[MOST_COVARIATES:]:
        yield Remark(f"{len(rest)} more columns of numbers were left out, to start small")
    yield from left_out(found.left_out, shown)
    if found.calendar:
        names = {"hour_of_day": "day", "day_of_week": "week"}
        seasons = [next(s for s in found.seasons if s.name == names.get(f, "year")) for f in found.calendar]
        strengths = ", ".join(f"{s.name} {s.strength:.2f}" for s in seasons)
        yield Line("calendar", [*found.calendar], f"the target repeats with it (autocorrelation: {strengths})")


def _model(found: Profile, chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("cell", "lstm")
    yield Line("hidden_size", chosen.units, "searched below")
    yield Line("num_layers", 1, "searched below")
    rising = f"a straight line explains {found.trend:.0%} of the target" if found.trend >= 0.3 else "searched below"
    yield Line("residual", "last", f"forecast the change since the last value: {rising}")


def _training(chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("max_epochs", chosen.max_epochs, "most trials end earlier")
    yield Line("batch_size", chosen.batch_size, f"a pass over the training windows has {chosen.batches} batches")
    if chosen.steps_per_epoch:
        why = f"batches in an epoch; a whole pass ({chosen.batches}) would make pruning decisions rare"
        yield Line("steps_per_epoch", chosen.steps_per_epoch, why)
    yield Line("learning_rate", 3e-3, "searched below")
    yield Line("patience", max(chosen.max_epochs // 4, 5), "a trial ends after so many epochs without a better metric")
    yield Line("seed", 1)


def _first_settings(chosen: Choice) -> tuple[dict[str, Value], ...]:
    same: dict[str, Value] = {"data.lookback": chosen.lookback} if chosen.longest > chosen.unit else {}
    same |= {"model.hidden_size": chosen.units, "model.num_layers": 1}
    rate: dict[str, Value] = {"training.learning_rate": 3e-3}
    return (
        {**same, "model.residual": "last", "model.normalization": "none", **rate},
        {**same, "model.residual": "none", "model.normalization": "window", **rate},
    )


def _space(chosen: Choice) -> Lines:
    longest = in_seasons(chosen.basis, chosen.longest).lstrip(", ") or f"{chosen.longest} steps"
    lookback = integers("data.lookback", chosen.unit, chosen.longest, f"up to {longest}", step=chosen.unit)
    return (
        *([lookback] if chosen.longest > chosen.unit else []),
        integers("model.hidden_size", chosen.units // 2, 2 * chosen.units, log=True),
        integers("model.num_layers", 1, 2, "a second layer takes about as long as the first"),
        choices("model.residual", ["none", "last", "linear"], "linear: starts from a ridge regression"),
        choices("model.normalization", ["none", "window"]),
        numbers("training.learning_rate", 5e-4, 2e-2),
    )
