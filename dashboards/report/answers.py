"""What a comparison answers without a look at its figures: sentences from the trials alone."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dashboards.report import markup
from dashboards.report.axes import short_names
from dashboards.report.columns import Importances
from dashboards.report.comparison import Comparison, TrialRow
from lstm.records.objective import Direction, is_better
from lstm.records.sweep import WEIGHED_FROM, WEIGHED_WELL_FROM, Sweep
from lstm.records.trial import Trial, counted, epochs_named
from lstm.verdict import company_sentences, sentences
from lstm.verdict.company import concluded
from lstm.verdict.verdict import Verdict

_SHOWN = 5  # settings that a sentence about importance names
Verdicts = Mapping[str, tuple[Verdict | None, str]]  # by sweep: the verdict; if there is none, how to get one


@dataclass(frozen=True, slots=True)
class Answer:
    """A question about a comparison, and sentences that answer it."""

    question: str
    lines: tuple[str, ...]


def answers(
    found: Comparison, sweeps: Sequence[Sweep], importances: Importances, verdicts: Verdicts
) -> tuple[Answer, ...]:
    """Return what is asked of each comparison, in the order in which people ask; the best sweep comes first."""
    by_name = {sweep.name: sweep for sweep in sweeps}
    ranked = [by_name[row.sweep] for row in found.sweeps]
    asked = [Answer("Which trial is the best?", _best(found, ranked))]
    if len(sweeps) > 1:
        asked.append(Answer("Which sweep is the best?", _sweeps(ranked)))
    asked += [
        Answer("Which setting matters?", _each(ranked, lambda sweep: _matters(sweep, importances.get(sweep.name, {})))),
        Answer("Where did pruning cut?", _each(ranked, _pruned)),
        Answer("Did the curves converge?", _each(ranked, _converged)),
        Answer("What did it cost?", _each(ranked, _cost)),
        Answer("Is the network worth it?", _each(ranked, lambda sweep: _worth(sweep, *verdicts[sweep.name]))),
    ]
    return tuple(asked)


def gap(value: float, than: float, direction: Direction) -> str:
    """Return how much better or worse a value is than another, in the metric and as a share of the other."""
    apart = abs(value - than)
    if not apart:
        return "as good as"
    word = "better" if is_better(value, than, direction) else "worse"
    if not than or (value > 0) != (than > 0):
        return f"{apart:.4g} {word} than"
    return f"{100 * apart / abs(than):.1f} % ({apart:.3g}) {word} than"


def _each(sweeps: Sequence[Sweep], told: Callable[[Sweep], str]) -> tuple[str, ...]:
    """Return a sentence for each sweep, under its name if there are several."""
    return tuple(f"{sweep.name}: {told(sweep)}" if len(sweeps) > 1 else capital(told(sweep)) for sweep in sweeps)


def capital(text: str) -> str:
    """Return a text that begins as a sentence does."""
    return text[:1].upper() + text[1:]


def _named(row: TrialRow | Trial, sweep: str, several: bool) -> str:
    number = row.trial if isinstance(row, TrialRow) else row.number
    return f"trial {number} of {sweep}" if several else f"trial {number}"


def _best(found: Comparison, ranked: Sequence[Sweep]) -> tuple[str, ...]:
    places = {row.rank: row for row in found.trials if row.rank is not None}
    if not places:
        return ("No trial has completed yet.",)
    several, first = len(ranked) > 1, places[1]
    sweep = next(sweep for sweep in ranked if sweep.name == first.sweep)
    (best,) = (trial for trial in sweep.trials if trial.number == first.trial)
    over = f", the mean over {sweep.windows.count} windows" if sweep.windows.count > 1 else ""
    lines = [
        f"{capital(_named(first, sweep.name, several))}: {sweep.metric} {best.value:.5g}{over}, "
        f"at {epochs_named(best.best_epoch, best.best_epochs)}."
    ]
    beside: list[str] = []
    if (second := places.get(2)) and second.value is not None and best.value is not None:
        other = _named(second, second.sweep, several)
        beside.append(f"{gap(best.value, second.value, sweep.direction)} the next, {other}")
    if (base := sweep.base) and base.number != best.number and base.value is not None and best.value is not None:
        beside.append(f"{gap(best.value, base.value, sweep.direction)} the base, the spec's own settings")
    lines += [f"It is {'; '.join(beside)}."] if beside else []
    labels = short_names(best.settings)
    told = ", ".join(f"{labels[name]} {markup.cell(value)}" for name, value in best.settings.items())
    lines += [f"Its settings: {told}."] if told else []
    if len(sweep.front) > 1 and sweep.second:
        lines.append(f"It is one of {len(sweep.front)} trials on the Pareto front with {sweep.second.metric}.")
    return tuple(lines)


def _sweeps(ranked: Sequence[Sweep]) -> tuple[str, ...]:
    first, *others = ranked
    if first.best is None or first.best.value is None:
        return ("No trial has completed yet.",)
    lines = []
    for other in others:
        if other.best is None or other.best.value is None:
            lines.append(f"{other.name}: no trial has completed yet.")
            continue
        wins = superior(_values(first), _values(other), first.direction)
        lines.append(
            f"The best of {first.name} is {gap(first.best.value, other.best.value, first.direction)} that of "
            f"{other.name}. Of two completed trials, one of each, that of {first.name} is better in {100 * wins:.0f} %."
        )
    lines.append("These are values on validation data. The test part and other seeds tell whether it was luck.")
    return tuple(lines)


def superior(values: Sequence[float], others: Sequence[float], direction: Direction) -> float:
    """Return the share of pairs in which a value is better than one of the others; a tie is half a pair.

    This is the Mann-Whitney U statistic over the number of pairs; both sequences must have a value.
    """
    ordered = sorted(others)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in values) / 2
    share = below / (len(values) * len(ordered))
    return share if direction == "maximize" else 1 - share


def _values(sweep: Sweep) -> list[float]:
    return [trial.value for trial in sweep.leaders(len(sweep.trials)) if trial.value is not None]


def weighed_on(sweep: Sweep) -> str:
    """Return on what a sweep's importances were computed."""
    few = ", a rough estimate" if sweep.completed < WEIGHED_WELL_FROM else ""
    return f"PED-ANOVA on {counted(sweep.completed, 'completed trial')}{few}"


def not_weighed(sweep: Sweep) -> str:
    """Return why a sweep's importances are not known."""
    if not any(trial.settings for trial in sweep.counted):
        return "no setting was searched"
    if sweep.completed < WEIGHED_FROM:
        return f"too few completed trials to say: {sweep.completed}, and PED-ANOVA needs {WEIGHED_FROM}"
    return "not known, since importances need completed trials whose values differ"


def left_out(sweep: Sweep, shares: Mapping[str, float]) -> str:
    """Return which settings have no importance while others have one, since they did not vary; "" if all varied."""
    names = dict.fromkeys(name for trial in sweep.counted for name in trial.settings)
    labels, done = short_names(names), [trial for trial in sweep.counted if trial.state == "COMPLETE"]
    lacking = list[str]()
    for name in names if shares else ():
        found = [trial.settings[name] for trial in done if name in trial.settings]
        if name not in shares and len(set(found)) < 2:
            always = f", always {found[0]}" if len(found) > 1 else ""
            of = counted(len(found), "completed trial") if found else "no completed trial"
            lacking.append(f"{labels[name]} (searched in {of}{always})")
    return f"without an importance, which needs two values: {', '.join(lacking)}" if lacking else ""


def _matters(sweep: Sweep, shares: Mapping[str, float]) -> str:
    if not shares:
        return f"{not_weighed(sweep)}."
    labels = short_names(shares)
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    told = ", ".join(f"{labels[name]} {100 * share:.0f} %" for name, share in ordered[:_SHOWN] if share >= 0.005)
    lacking = f" {capital(others)}." if (others := left_out(sweep, shares)) else ""
    return f"by importance {told} ({weighed_on(sweep)}).{lacking}"


def _pruned(sweep: Sweep) -> str:
    cut = [trial for trial in sweep.counted if trial.state == "PRUNED" and not trial.diverged]
    if not cut:
        return "no trial was stopped early."
    lasts = [len(trial.curve) for trial in cut]
    ended = sum(trial.ended for trial in sweep.counted)
    spent = sum(lasts) / max(1, sum(len(trial.curve) for trial in sweep.counted))
    span = f" ({min(lasts)} to {max(lasts)})" if min(lasts) < max(lasts) else ""
    was = "was" if len(cut) == 1 else "were"
    return (
        f"{len(cut):,} of {counted(ended, 'trial')} {was} stopped early, after {median(lasts):g} epochs at the "
        f"median{span}; they had {100 * spent:.0f} % of all epochs{_of_window(sweep)}."
    )


def _converged(sweep: Sweep) -> str:
    done = [trial for trial in sweep.leaders(len(sweep.trials)) if trial.curve]
    if not done:
        return "no trial has completed yet."
    last = [trial for trial in done if trial.best_epoch >= trial.curve[-1][0]]
    diverged = sum(trial.diverged for trial in sweep.counted)
    best = done[0]
    told = f"{len(done) - len(last):,} of {counted(len(done), 'completed trial')} did: they were best before their last"
    told += f" epoch{_of_window(sweep)}. The best was best at epoch {best.best_epoch} of {best.curve[-1][0]}"
    told += ", its last: more epochs may make it better." if best in last else "."
    return told + (f" {counted(diverged, 'trial')} diverged." if diverged else "")


def _cost(sweep: Sweep) -> str:
    trials = sweep.counted
    epochs, seconds = sum(len(trial.curve) for trial in trials), sum(trial.duration_s or 0.0 for trial in trials)
    told = f"{epochs:,} epochs{_of_window(sweep)} in {markup.duration(seconds)} of trial time, "
    told += f"over {counted(sum(trial.ended for trial in trials), 'ended trial')}"
    beside = [trial for trial in sweep.trials if not trial.counts]
    if beside:
        more = markup.duration(sum(trial.duration_s or 0.0 for trial in beside))
        told += f"; {more} more for {counted(len(beside), 'trial')} beside the search"
    return f"{told}."


def _worth(sweep: Sweep, verdict: Verdict | None, how: str) -> str:
    told = [] if (company := concluded(sweep)) is None else [company_sentences.sentence(company)]
    told.append(sentences.sentence(verdict) if verdict else how)
    return ". ".join(capital(each.rstrip(".")) for each in told if each) + "."


def _of_window(sweep: Sweep) -> str:
    return " of window 1" if sweep.windows.count > 1 else ""
