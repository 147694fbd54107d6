"""Is the network worth it: the best trial, the base and the task's rivals, judged item by item, and what is kept of it.

What was judged lies in the sweep's folder, beside it what each rival has fitted. All that is there and right is taken
as it is, so a driver that was killed, or came too early, is made up for by the next one, to the same numbers.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.home import Home
from experiments.planning import Plan, kept_in
from lstm.messages.message import Say, note
from lstm.ownership import studies_of
from lstm.records.epoch import Judged
from lstm.records.errors import BadInput
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint
    from lstm.rivals.rival import Fitted
    from lstm.verdict.store import Entry, Judgements
    from lstm.verdict.verdict import Verdict

JUDGED_IN = "judged_in"  # the fact: the home in which the sweep was judged last
NEAR = 1e-3  # between a trial's figure and that of its items: it may have been trained on another device
DELIVERY_S = 60.0  # what MLflow may take
Loader = Callable[[Trial], "Checkpoint | None"]


def judge(plan: Plan, swept: Sweep, load: Loader, say: Say, budget_s: float) -> "Verdict":
    """Judges what was not judged yet, writes it, and says what it comes to; under the sweep's lease.

    Args:
        plan: The sweep's; its data are those that the trials were trained on.
        swept: The sweep as its study knows it.
        load: Gives a trial's checkpoint with its weights; None, or BadInput, where it has none.
        say: Gets what is under way, and what is amiss.
        budget_s: Seconds of a core for the rivals of the extra packages together.

    Raises:
        BadInput: what is in the folder is another study's, of other data, or a newer version's.
        OSError: the folder can't be read or written to.
    """
    from lstm.storage import files
    from lstm.tasks import registry as tasks
    from lstm.verdict import store, verdict

    folder, studies, data = str(plan.home.sweep(swept.name)), studies_of(swept.facts), plan.series.fingerprint
    metric = tasks.record_in(swept).metric(swept.metric.removeprefix("val/"))
    try:
        before = store.read(folder, studies, data)
    except store.BrokenJudgements as error:
        say(note("judgements-damaged", why=str(error)))
        before = None
    known = before.entries if before else ()
    networks = list(_networks(plan, swept, load, known))
    rivals = list(_rivals(plan, folder, studies, known, say, budget_s))
    searched = plan.order.search is not None
    found = store.Judgements(
        study=studies[0],
        data=data,
        metric=metric.name,
        direction=metric.direction,
        mean=metric.nearest,
        blocks=tasks.of(plan.order.base).blocks(plan.series, plan.order.base),
        entries=(*networks, *rivals),
        searched=searched,
        no_base=verdict.NO_BASE if searched and swept.base is None else "",
        second=tuple(swept.second or ()),
    )
    if files.get(folder, store.NAME) != store.dumps(found):
        store.write(folder, found)
    return verdict.verdict(found)


def current(home: Home, swept: Sweep) -> "tuple[Verdict | None, str]":
    """The verdict on the sweep as it is now; None, and a sentence on how to come by one, where there is none."""
    from lstm.verdict import verdict

    judged, note = _read(home, swept)
    return (verdict.verdict(judged), "") if judged else (None, note)


def is_here(home: Home, swept: Sweep) -> bool:
    """Whether it was in this home that the sweep was judged last: another may hold what an earlier run has judged."""
    said = str(swept.facts.get(JUDGED_IN, ""))
    places = [str(home.folder), *home.former_places()]
    return any(said == kept_in(Home(Path(place))) for place in places)


def about_base(swept: Sweep, found: "Verdict | None") -> str:
    """What the search has gained on the spec's own settings, in a sentence: by the verdict, else by figures alone."""
    from lstm.verdict import sentences, verdict

    if found is None:
        judged = swept.facts.get("judged") or {}
        is_judged = swept.best is not None and judged.get("trial") == swept.best.number
        searched = any(path.startswith("search.") for path in swept.facts.get("comparable", {}))
        found = verdict.of_figures(swept, swept.base, judged.get("metrics", {}) if is_judged else {}, searched=searched)
    return sentences.base(found)


def stale(home: Home, swept: Sweep) -> str:
    """In a sentence that what was judged is not of the sweep as it is now; "" where it is, or nothing can be read."""
    from lstm.verdict import store

    folder = str(home.sweep(swept.name))
    try:
        judged = store.read(folder, studies_of(swept.facts), str(swept.facts.get("data_fingerprint") or ""))
    except (store.BrokenJudgements, BadInput, OSError):  # told by who checks the file
        return ""
    if judged is None:
        return ""
    place, metric = f"{folder}/{store.NAME}", swept.metric.removeprefix("val/")
    if judged.metric != metric:
        return f"{place}: is by {judged.metric}, the sweep by {metric}"
    return "" if _is_of(judged, swept) else f"{place}: is not of the best trial and the base of this sweep"


def in_mlflow(home: Home, swept: Sweep) -> tuple[dict[str, float], str]:
    """What MLflow's run of the sweep holds of that: rivals' figures on the test part, and the verdict in words."""
    from lstm.verdict import sentences, verdict

    judged, _ = _read(home, swept)
    if judged is None:
        return {}, ""
    rivals = [entry for entry in judged.entries if entry.rival and "test" in entry.figures]
    figures = {f"rival/{each.rival}/{name}": value for each in rivals for name, value in each.figures["test"].items()}
    return figures, "\n\n".join(sentences.lines(verdict.verdict(judged)))


def deliver(home: Home, tracking_uri: str, swept: Sweep, say: Say) -> str:
    """Sends that to MLflow, where it has the whole sweep; else a driver does so at the end. Says what did not work."""
    from dashboards.config import TrackingConfig
    from dashboards.tracking.recorder import Recorder

    if swept.facts.get("recorded") != home.store_mark(tracking_uri):
        return ""
    study, *before = studies_of(swept.facts)
    tracking, artifacts = TrackingConfig(checkpoints="none"), home.artifacts_of(tracking_uri)
    recorder = Recorder(
        tracking_uri, artifacts, tracking, swept.name, study=study, notice=say, studies_before=tuple(before)
    )
    recorder.finish(None, {}, None, *in_mlflow(home, swept))
    if recorder.close(DELIVERY_S) or recorder.refused:
        return f"MLflow did not take the verdict; `sweep rebuild {swept.name}{home.flag}` delivers it"
    return ""


def _read(home: Home, swept: Sweep) -> "tuple[Judgements | None, str]":
    """What was judged, where it is of the sweep as it is now; else None, and a sentence."""
    from lstm.verdict import store

    folder, data = str(home.sweep(swept.name)), str(swept.facts.get("data_fingerprint") or "")
    again = f"`sweep rivals {swept.name}{home.flag}` tells whether a network is needed"
    try:
        judged = store.read(folder, studies_of(swept.facts), data)
    except store.BrokenJudgements as error:
        return None, f"{error}; {again}"
    except (BadInput, OSError) as error:
        return None, f"without a verdict: {error}"
    return (judged, "") if judged and _is_of(judged, swept) else (None, again)


def document(found: "Verdict") -> dict[str, Any]:
    """A verdict as plain data, with what it says."""
    from lstm.verdict import sentences, verdict

    return {**verdict.as_row(found), "lines": list(sentences.lines(found))}


def told(swept: Sweep) -> dict[str, dict[str, float]]:
    """What the study was told of the test part, by the names that networks have among what was judged."""
    judged, best, base = swept.facts.get("judged") or {}, swept.best, swept.base
    metrics = judged.get("metrics") or {}
    if best is None or judged.get("trial") != best.number:
        return {}
    found = {_name(best): {name: value for name, value in metrics.items() if name.startswith("test/")}}
    if base is not None and judged.get("base") == base.number:
        own = {name.removeprefix("base/"): value for name, value in metrics.items() if name.startswith("base/test/")}
        found["base"] = own
    return found


def _is_of(judged: "Judgements", swept: Sweep) -> bool:
    """Whether it is the best trial and the base of now that were judged."""
    first = next((entry for entry in judged.entries if entry.role == "network"), None)
    base = next((entry for entry in judged.entries if entry.role == "base"), None)
    if (first and first.trial) != (swept.best and swept.best.number):
        return False
    if (base and base.trial) != (swept.base and swept.base.number):
        return False
    pairs = ((first, swept.best), (base, swept.base))
    return all(entry is None or trial is None or _agrees(entry, trial, swept) for entry, trial in pairs)


def _agrees(entry: "Entry", trial: Trial, swept: Sweep) -> bool:
    """Whether what was judged is this trial as it is now: its end, its figure, and what the study was told of it."""
    if not entry.items:  # it had no figures: is it so still?
        return trial.state != "COMPLETE" or trial.value is None or bool(entry.why)
    figures = {f"{prefix}{n}": v for part, prefix in _prefixes().items() for n, v in entry.figures[part].items()}
    wanted = {**told(swept).get(entry.name, {}), swept.metric: trial.value}
    return all(_near(figures[name], value) for name, value in wanted.items() if name in figures)


def _near(one: float, other: float | None) -> bool:
    return other is not None and (math.isclose(one, other, rel_tol=NEAR) or (math.isnan(one) and math.isnan(other)))


def _prefixes() -> Mapping[Judged, str]:
    from lstm.verdict.store import PREFIXES

    return PREFIXES


def _name(trial: Trial) -> str:
    return f"trial {trial.number}"


def _networks(plan: Plan, swept: Sweep, load: Loader, known: "tuple[Entry, ...]") -> "Iterator[Entry]":
    """The best trial, the others of the front, the base."""
    from lstm.verdict.store import Entry
    from lstm.verdict.verdict import why_no_figures

    best, base = swept.best, swept.base
    made: dict[int, Entry] = {}

    def entry(trial: Trial, **named: Any) -> Entry:
        if trial.number not in made:
            made[trial.number] = _network(plan, swept, trial, load, known)
        found = made[trial.number]
        items = {part: replace(each, name=named["name"]) for part, each in found.items.items()}
        return replace(found, items=items, second=trial.second if swept.second else None, **named)

    if best is not None:
        yield entry(best, name=_name(best), role="network")
    for trial in swept.front:
        if trial is not best and trial is not base:
            yield entry(trial, name=_name(trial), role="front")
    if base is None or plan.order.search is None:
        return
    if why := why_no_figures(base):
        yield Entry("base", "base", trial=base.number, why=why)
    else:
        yield entry(base, name="base", role="base")


def _network(plan: Plan, swept: Sweep, trial: Trial, load: Loader, known: "tuple[Entry, ...]") -> "Entry":
    """What a trial's best epoch does on both parts; taken as it is where it was judged before."""
    from lstm.judging.items import PARTS
    from lstm.tasks import registry as tasks
    from lstm.verdict.store import Entry

    for entry in known:
        if entry.trial == trial.number and entry.items.keys() == set(PARTS) and _agrees(entry, trial, swept):
            return entry
    try:
        found = load(trial)
    except BadInput as error:
        return Entry("", "network", trial=trial.number, why=str(error))
    if found is None or not found.state.best_weights:
        told: dict[Judged, dict[str, float]] = {}
        told |= {"validation": {swept.metric.removeprefix("val/"): trial.value}} if trial.value is not None else {}
        return Entry("", "network", {}, told, trial=trial.number, why="its weights were not kept, or are gone")
    judged = {part: tasks.judge_items(found, plan.series, part, _name(trial)) for part in PARTS}
    return Entry(
        "",
        "network",
        {part: each.items for part, each in judged.items()},
        {part: each.metrics for part, each in judged.items()},
        trial=trial.number,
    )


def _kept(folder: str, name: str, studies: tuple[str, ...], data: str, judged: str, say: Say) -> "Fitted | None":
    """What a rival has fitted, where it is what was judged, as far as that is known; None where that is to be done."""
    from lstm.verdict import store

    try:
        found = store.read_fitted(folder, name, studies, data)
        if found is not None and judged and store.fitted_digest(folder, name) != judged:
            raise store.BrokenJudgements(f"{folder}/{store.fitted_name(name)}: is not what was judged: it was altered")
        if found is not None and found.name != name:
            raise store.BrokenJudgements(f"{folder}/{store.fitted_name(name)}: is what {found.name} has fitted")
        return found
    except store.BrokenJudgements as error:
        say(note("fitted-rival-not-trusted", why=str(error)))
        return None


def _rivals(
    plan: Plan, folder: str, studies: tuple[str, ...], known: "tuple[Entry, ...]", say: Say, budget_s: float
) -> "Iterator[Entry]":
    """The task's rivals, in its order; what was fitted is written before the next one is."""
    from lstm.judging.items import PARTS
    from lstm.tasks import registry as tasks
    from lstm.verdict import fitting, store
    from lstm.verdict.store import Entry

    config, data = plan.order.base, plan.series
    rivals = {each.name: each for each in tasks.of(config).rivals()}
    names = list(rivals)
    judged = {entry.rival: entry for entry in known if entry.rival and entry.items.keys() == set(PARTS)}
    digests = {entry.rival: entry.fitted for entry in known}
    found = {name: _kept(folder, name, studies, data.fingerprint, digests.get(name, ""), say) for name in names}
    there = {name: fitted for name, fitted in found.items() if fitted is not None}
    missing = [name for name in names if name not in there]
    if wanted := [name for name in missing if not fitting.lacking(rivals[name])]:
        say(note("fitting-rivals", rivals=wanted))
    outcomes = fitting.run_some(missing, data, config, budget_s)
    for name in names:
        if name in there and name in judged:
            yield replace(judged[name], fitted=store.fitted_digest(folder, name))
            continue
        outcome = fitting.judge_again(there[name], data, config) if name in there else next(outcomes)
        if outcome.fitted is None:
            yield Entry(name, "rival", rival=name, why=outcome.why)
            continue
        if name not in there:
            store.write_fitted(folder, outcome.fitted, studies[0], data.fingerprint)
        title = outcome.fitted.title
        yield Entry(
            title,
            "rival",
            {part: replace(each.items, name=title) for part, each in outcome.judgements.items()},
            {part: each.metrics for part, each in outcome.judgements.items()},
            rival=name,
            note=outcome.fitted.note,
            fitted=store.fitted_digest(folder, name),
        )
