"""The first spec for a file of data: what is chosen, what its lines say, and why."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.spec import yaml_document as yaml_file
from lstm.config.forecast import ForecastData, Split
from lstm.data import forecast as forecast_data
from lstm.data.profile.profile import Profile
from lstm.data.profile.seasons import Season
from lstm.data.tables import regular
from lstm.records.errors import BadInput

LONGEST_LOOKBACK = 200  # steps; an epoch's time goes with it
LONGEST_HORIZON = 96
LSTM_STEPS = 10_000  # look-back times batches in an epoch: about a second on one core, at 64 units
MANY_ROWS = 40_000  # above, the parts that judge have JUDGED_ROWS each
JUDGED_ROWS = 5_000
MOST_COVARIATES = 12
ENOUGH_TO_TRAIN, ENOUGH_TO_JUDGE = 30, 10  # windows
STEP_WORDS = {"1s": "a second", "1min": "a minute", "1h": "an hour", "1D": "a day", "7D": "a week"}
STEP_WORDS |= {"B": "a working day", "MS": "a month", "ME": "a month", "QS": "a quarter", "QE": "a quarter"}
STEP_WORDS |= {"YS": "a year", "YE": "a year"}
UNITS = {"D": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "ms", "us": "µs", "ns": "ns"}
UNITS |= {"MS": "months", "ME": "months"}
_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)(?:[A-Za-z0-9_./ -]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is chosen for the data, in steps."""

    basis: Season | None  # the season that look-back and horizon are measured in
    unit: int  # look-backs differ by it
    lookback: int
    longest: int
    horizon: int
    part: float | int  # validation, and test, as a share or in rows
    train_rows: int

    @property
    def batch_size(self) -> int:
        """Windows in a batch."""
        return 64 if self.train_rows >= 1000 else 32 if self.train_rows >= 300 else 16

    @property
    def batches(self) -> int:
        """So many are a pass over the training windows, at the longest look-back."""
        return math.ceil(max(self.train_rows - self.longest, 1) / self.batch_size)

    @property
    def steps_per_epoch(self) -> int | None:
        """Fewer batches than a pass, where a pass would take seconds."""
        most = max(25, LSTM_STEPS // self.longest // 5 * 5)
        return most if self.batches > 1.5 * most else None

    @property
    def max_epochs(self) -> int:
        """So many that a small series sees some hundred batches too."""
        return min(max(600 // (self.steps_per_epoch or self.batches), 20), 60)


def choose(found: Profile) -> Draft:
    """The longest draft that leaves enough windows in each part, or at least some.

    Raises:
        BadInput: no draft leaves any.
    """
    first = _first(found)
    source = regular.read(_data_config(found, first), found.path.parent)
    some: Draft | None = None
    refusal: BadInput | None = None
    for draft in _shorter(first):
        config = _data_config(found, draft)
        try:
            series = forecast_data.prepare(source, config.model_copy(update={"lookback": draft.longest}), draft.longest)
        except BadInput as error:
            refusal = error
            continue
        windows = count_windows(series, config)
        if windows["train"] >= ENOUGH_TO_TRAIN and min(windows.values()) >= ENOUGH_TO_JUDGE:
            return draft
        some = some or draft
    if some:
        return some
    assert refusal is not None
    raise BadInput(*(f"{found.path}: {message.removeprefix(f'{found.path.name}: ')}" for message in refusal.messages))


def count_windows(series: forecast_data.Series, config: ForecastData) -> dict[str, int]:
    """The windows of each part."""
    judged = {"validation": series.origins("validation", config), "test": series.origins("test", config)}
    return {"train": len(series.train_origins(config)), **{part: len(origins) for part, origins in judged.items()}}


def compose(found: Profile, draft: Draft, *, name: str, path: str, schema: str) -> str:
    """The spec's text, each choice with its reason; `path` is the data's from the spec's folder."""
    lines = [
        (f"# yaml-language-server: $schema={schema}", ""),
        (f"# Written by `sweep new` from {_shown(found.path.name)}; every choice in it is yours to change.", ""),
        (f"name: {_scalar(name)}", ""),
        ("task: forecast", ""),
        *_data_lines(found, draft, path),
        *_training_lines(found, draft),
        *_search_lines(found, draft),
        ("resources: {cpus_per_trial: 1, gpus_per_trial: auto, max_concurrent: auto}", ""),
    ]
    return "".join(f"{line:<40}  # {why}\n" if why else f"{line}\n" for line, why in lines)


def summarise(found: Profile) -> dict[str, str]:
    """What was found, for the screen."""
    lines = {"rows": f"{found.rows:,} in {found.path}"}
    if found.time:
        lines["time"] = f"{found.time}: {found.first} to {found.last}, {_step_text(found)}"
    else:
        lines["time"] = "no column holds times; rows are taken in their order"
    lines["target"] = f"{found.target} ({found.target_why})"
    past, ahead = _covariates(found)
    if past or ahead:
        lines["inputs"] = ", ".join([*past, *(f"{c} (known ahead)" for c in ahead)])
    if found.left_out:
        lines["left out"] = "; ".join(f"{c} ({why})" for c, why in found.left_out.items())
    lines["gaps"] = _gaps(found) if found.has_gaps else "none"
    places = [c.first_missing for c in found.columns if found.missing_values.get(c.name, 0) > 0 and c.first_missing]
    if places:
        lines["gaps"] += f", the first at {places[0]}"
    lines["season"] = _season_text(found)
    lines["trend"] = f"a straight line explains {found.trend:.0%} of the target's variance"
    return lines | ({"notes": "; ".join(found.notes)} if found.notes else {})


# --- The choices ------------------------------------------------------------------------------------------


def _first(found: Profile) -> Draft:
    judged = JUDGED_ROWS if found.steps > MANY_ROWS else round(0.15 * found.steps)
    train_rows = found.steps - 2 * judged
    fitting = [s for s in found.seasons if 2 <= s.steps <= LONGEST_LOOKBACK]
    basis = found.season if found.season in fitting else min(fitting, key=lambda s: s.steps, default=None)
    length = basis.steps if basis else 12
    # A day of hours, a week of days or a year of months as a whole; of all others half.
    horizon = length if length <= 31 and basis and basis.name != "cycle" else length // 2
    horizon = max(min(horizon, LONGEST_HORIZON, judged // 3), 1)
    unit = length if length <= 12 else length // 2
    bound = max(min(LONGEST_LOOKBACK, (train_rows - horizon) // 3), 1)
    unit = max(min(unit, bound // 2), 1)
    longest = max(min(bound, 4 * length) // unit, 1) * unit
    lookback = min(max(2 * length // unit, 1) * unit, longest)
    part = judged if found.steps > MANY_ROWS else 0.15
    return Draft(basis, unit, lookback, longest, horizon, part, train_rows)


def _shorter(draft: Draft) -> Iterator[Draft]:
    """A draft, and shorter ones for data whose gaps leave no room for it."""
    yield draft
    while draft.horizon > 1 or draft.longest > 1:
        unit = max(draft.unit // 2, 1)
        longest = max(draft.longest // 2 // unit, 1) * unit
        lookback = min(max(draft.lookback // 2 // unit, 1) * unit, longest)
        horizon = max(draft.horizon // 2, 1)
        draft = replace(draft, unit=unit, longest=longest, lookback=lookback, horizon=horizon)
        yield draft


def _data_config(found: Profile, draft: Draft) -> ForecastData:
    past, ahead = _covariates(found)
    return ForecastData(
        path=found.path.name,
        time=found.time,
        target=found.target,
        past_covariates=past,
        future_covariates=ahead,
        calendar=list(found.calendar),
        lookback=draft.lookback,
        horizon=draft.horizon,
        split=Split(validation=draft.part, test=draft.part),
        step=found.step if found.step_given else None,
        missing="interpolate" if found.has_gaps else "refuse",
        season=found.season.steps if found.season else 1,
    )


def _covariates(found: Profile) -> tuple[list[str], list[str]]:
    kept = found.covariates[:MOST_COVARIATES]
    return [c for c in kept if c not in found.known_ahead], [c for c in kept if c in found.known_ahead]


# --- The text ---------------------------------------------------------------------------------------------


def _data_lines(found: Profile, draft: Draft, path: str) -> Iterator[tuple[str, str]]:
    past, ahead = _covariates(found)
    yield "data:", ""
    span = f"{found.rows:,} rows, {found.first} to {found.last}" if found.time else f"{found.rows:,} rows"
    yield f"  path: {_scalar(path)}", f"{span}; the path starts where this file lies"
    if found.time:
        yield f"  time: {_scalar(found.time)}", _step_text(found)
    else:
        yield "  # time: COLUMN", "no column holds times; rows are taken in their order"
    yield f"  target: {_scalar(found.target)}", f"{found.target_why}; change it if you forecast another"
    if past:
        yield f"  past_covariates: {_flow(past)}", "known up to now; move what is known ahead to future_covariates"
    if ahead:
        yield (
            f"  future_covariates: {_flow(ahead)}",
            "known ahead, by their names: the forecast needs their values then",
        )
    if rest := found.covariates[MOST_COVARIATES:]:
        yield f"  # {len(rest)} more columns of numbers were left out, to start small", ""
    for column, why in list(found.left_out.items())[:MOST_COVARIATES]:
        yield f"  # left out: {_shown(column)}, {why}", ""
    if found.calendar:
        names = {"hour_of_day": "day", "day_of_week": "week"}
        seasons = [next(s for s in found.seasons if s.name == names.get(f, "year")) for f in found.calendar]
        strengths = ", ".join(f"{s.name} {s.strength:.2f}" for s in seasons)
        yield f"  calendar: [{', '.join(found.calendar)}]", f"the target repeats with it (autocorrelation: {strengths})"
    yield (
        f"  lookback: {draft.lookback}",
        f"steps that the model sees{_in_seasons(draft, draft.lookback)}; searched below",
    )
    yield f"  horizon: {draft.horizon}", f"steps that it forecasts{_in_seasons(draft, draft.horizon)}"
    part = f"{{validation: {draft.part}, test: {draft.part}}}"
    why = f"{draft.part:,} rows each: enough to compare on" if isinstance(draft.part, int) else "shares of the rows"
    yield f"  split: {part}", f"{why}; by time, oldest first"
    if found.step_given:
        why = "working days: no weekends in the file" if found.step == "B" else "times are irregular: rows are averaged"
        yield f"  step: {found.step}", why
    if found.has_gaps:
        yield "  missing: interpolate", f"{_gaps(found)}; filled-in values are never trained towards or judged on"
    yield f"  season: {found.season.steps if found.season else 1}", _season_text(found)


def _training_lines(found: Profile, draft: Draft) -> Iterator[tuple[str, str]]:
    units = 32 if draft.train_rows >= 500 else 16
    yield "model:", ""
    yield "  cell: lstm", ""
    yield f"  hidden_size: {units}", "searched below"
    yield "  num_layers: 1", "searched below"
    rising = f"a straight line explains {found.trend:.0%} of the target" if found.trend >= 0.3 else "searched below"
    yield "  residual: last", f"forecast the change since the last value: {rising}"
    yield "training:", ""
    yield f"  max_epochs: {draft.max_epochs}", "most trials end earlier"
    yield f"  batch_size: {draft.batch_size}", f"{draft.batches} batches are a pass over the training windows"
    if draft.steps_per_epoch:
        why = f"batches in an epoch: a whole pass ({draft.batches}) would be long between two decisions"
        yield f"  steps_per_epoch: {draft.steps_per_epoch}", why
    yield "  learning_rate: 3e-3", "searched below"
    yield f"  patience: {max(draft.max_epochs // 4, 5)}", "end a trial that gets no better for so many epochs"
    yield "  seed: 1", ""


def _search_lines(found: Profile, draft: Draft) -> Iterator[tuple[str, str]]:
    units = 32 if draft.train_rows >= 500 else 16
    yield "search:", ""
    yield "  metric: val/loss", "mean squared error on the validation part, of the best epoch"
    yield "  direction: minimize", ""
    yield "  n_trials: 24", "in total: raise it and run again, and the sweep goes on"
    yield "  stop: {max_hours: 1, max_failures: 5}", ""
    yield "  sampler: {type: tpe, seed: 1, n_startup_trials: 8}", ""
    first = max(draft.max_epochs // 6, 2)
    yield (
        f"  pruner: {{type: successive_halving, min_resource: {first}, reduction_factor: 3}}",
        f"at epochs {first}, {3 * first}, … only the best third goes on",
    )
    searched = draft.longest > draft.unit
    same = f"{f'data.lookback: {draft.lookback}, ' if searched else ''}model.hidden_size: {units}, model.num_layers: 1"
    yield "  first:", "tried before anything is drawn: the base above, and another way to follow a changing level"
    yield f"    - {{{same}, model.residual: last, model.normalization: none, training.learning_rate: 3e-3}}", ""
    yield f"    - {{{same}, model.residual: none, model.normalization: window, training.learning_rate: 3e-3}}", ""
    yield "  space:", ""
    if searched:
        ends = f"low: {draft.unit}, high: {draft.longest}, step: {draft.unit}"
        yield (
            f"    data.lookback: {{type: int, {ends}}}",
            f"up to {_in_seasons(draft, draft.longest).lstrip(', ') or f'{draft.longest} steps'}",
        )
    yield f"    model.hidden_size: {{type: int, low: {units // 2}, high: {2 * units}, log: true}}", ""
    yield "    model.num_layers: {type: int, low: 1, high: 2}", "a second one takes about as long as the first"
    yield "    model.residual: {type: categorical, choices: [none, last, linear]}", "linear: from a ridge regression on"
    yield "    model.normalization: {type: categorical, choices: [none, window]}", ""
    yield "    training.learning_rate: {type: float, low: 5e-4, high: 2e-2, log: true}", ""


def _in_seasons(draft: Draft, steps: int) -> str:
    if not draft.basis or 2 * steps < draft.basis.steps:
        return ""
    count = steps / draft.basis.steps
    halves = {0.5: "half a", 1: "one", 2: "two", 3: "three", 4: "four"}
    word = halves.get(count, f"{count:.1f}")
    return f", {word} {draft.basis.name}{'s' if count > 1 else ''}"


def _season_text(found: Profile) -> str:
    if found.season:
        season = found.season
        return f"{season.steps} steps are a {season.name}: the strongest season found ({season.strength:.2f})"
    looked = ", ".join(f"{s.name} {s.strength:.2f}" for s in found.seasons)
    return f"no season shows{f' ({looked})' if looked else ''}: judged against repeating the last value"


def _step_text(found: Profile) -> str:
    if found.step in STEP_WORDS:
        return f"a row is {STEP_WORDS[found.step]}"
    if found.step.isdigit():
        return f"whole numbers, {found.step} apart"
    count, unit = re.findall(r"\d+|\D+", found.step)
    return f"rows are {count} {UNITS[unit]} apart"


def _gaps(found: Profile) -> str:
    told = []
    if found.missing_steps:
        told.append(f"{found.missing_steps:,} of {found.steps:,} steps are missing (first {found.first_missing_step})")
    told += [f"{count:,} values of {_shown(c)} are missing" for c, count in found.missing_values.items() if count > 0]
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more columns" if len(told) > 3 else "")


def _flow(names: list[str]) -> str:
    return f"[{', '.join(_scalar(name) for name in names)}]"


def _scalar(text: str) -> str:
    """A text as YAML, in quotes where it would be read as something else."""
    text = text.replace("${", "$${")  # the environment is not meant
    if _PLAIN.fullmatch(text) and isinstance(yaml_file.typed(text), str):
        return text
    return json.dumps(text, ensure_ascii=False)


def _shown(text: str) -> str:
    """A name within a comment: on one line."""
    return yaml_file.shown(text)
