"""The report: one HTML file that shows what a sweep found, readable without a server or a network."""

import base64
import html
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count

import plotly.graph_objects as go

from dashboards.report import answers, axes, figures, glossary, markup, strips
from dashboards.report.markup import cell
from lstm.records import looks
from lstm.records.figures import Beside, Example, Forecast, Passage, Picture, Strip
from lstm.records.objective import whole
from lstm.records.sweep import BASE, Sweep
from lstm.records.trial import Trial, counted
from lstm.tasks import registry as tasks
from lstm.verdict import company_sentences, sentences
from lstm.verdict.company import Company, concluded
from lstm.verdict.verdict import Verdict, of_figures

_TOP = 20
_HEADLINES = ("mae_original", "accuracy")  # metrics for the first sentence, if there is one of them
_FORECASTS = 12


def report(
    sweep: Sweep,
    importances: Mapping[str, float],
    examples: Sequence[Example],
    metrics: Mapping[str, float],
    pictures: Sequence[Picture] = (),
    verdict: Verdict | None = None,
) -> str:
    """Return the report as one HTML document; plotly.js (5 MB) is inside.

    Args:
        sweep: The sweep with its trials.
        importances: Each searched parameter's share of the importance; empty if it is unknown.
        examples: The best trial's output on test data: forecasts, pictures, or texts that it wrote.
        metrics: The best trial's metrics and the baseline's: `test/loss`, `baseline/loss`, ...; `probe/...` too, if its
            network was probed.
        pictures: Pictures of the best trial's probe.
        verdict: The comparison of the network with the base and the rivals, if it was judged.
    """
    company = concluded(sweep)
    numbers, base, sweep = count(1), sweep.base, replace(sweep, trials=sweep.counted)

    def draw(figure: go.Figure) -> str:
        return _embed(figure, f"figure-{next(numbers)}")

    worth = _worth(verdict, tasks.record_in(sweep).rivals, draw, looks.said(sweep)) if verdict else ""
    sections = [_head(sweep, metrics, base, verdict, company), _winner(company, draw), worth]
    sections += [_comparison(sweep, metrics), _front(sweep, draw, base)]
    if any(trial.curve for trial in sweep.trials):
        sections.append(markup.section("Learning curves", _curves_note(sweep), draw(figures.curves(sweep))))
    if any(trial.value is not None for trial in sweep.trials):
        of = "the mean over its windows" if sweep.windows.count > 1 else "that of its best epoch"
        note = f"Each trial's value, which is {of}, in the order in which the trials were suggested."
        sections.append(markup.section("How the search went", note, draw(figures.history(sweep))))
    lines = figures.parallel_coordinates(sweep)
    if lines is not None:
        note = "Each line is a completed trial. Drag along an axis to keep only the lines that cross that range."
        sections.append(markup.section("Settings and their results", note, draw(lines)))
    for name in figures.categorical(sweep):
        if (boxes := figures.choices(sweep, name)) is not None:
            note = "Completed trials. A box spans the middle half of their values; the line in the box is the median."
            sections.append(markup.section(f"Results of each {name}", note, draw(boxes)))
    if any(trial.settings for trial in sweep.counted):
        sections.append(_importances(sweep, importances, draw))
    sections += _examples(sweep, examples, draw)
    sections += [_probed(metrics, [_drawn(each, draw) for each in pictures]), _top(sweep), _spec(sweep)]
    return markup.page(sweep.name, "\n".join(sections))


def _importances(sweep: Sweep, shares: Mapping[str, float], draw: Callable[[go.Figure], str]) -> str:
    title = "Importance of the settings"
    if not shares:
        return markup.section(title, f"{answers.capital(answers.not_weighed(sweep))}.", "")
    note = f"How much each searched setting matters, by {answers.weighed_on(sweep)}."
    note += f" {answers.capital(lacking)}." if (lacking := answers.left_out(sweep, shares)) else ""
    return markup.section(title, note, draw(figures.importances(shares)))


def _examples(sweep: Sweep, examples: Sequence[Example], draw: Callable[[go.Figure], str]) -> list[str]:
    """Return the sections with the best trial's output on test data."""
    sections = [_passage(each) for each in examples if isinstance(each, Passage)]
    sections += [
        markup.section(each.title, each.note, markup.texts(each.heads, each.rows))
        for each in examples
        if isinstance(each, Beside)
    ]
    if pictured := [each for each in examples if not isinstance(each, Forecast | Passage | Beside)]:
        note = "The best trial's output on test data, which it has never seen."
        drawn = "".join(_strip(each) if isinstance(each, Strip) else _drawn(each, draw) for each in pictured)
        sections.append(markup.section("The best trial on test data", note, drawn))
    if forecasts := [each for each in examples if isinstance(each, Forecast)]:
        drawn = "".join(draw(figures.forecast(each)) for each in forecasts[:_FORECASTS])
        note = f"On test data that the best trial has never seen, with the {_baseline(sweep)} and the true values."
        sections.append(markup.section("Forecasts of the best trial", note, drawn))
    return sections


def probe_page(title: str, numbers: Mapping[str, float], pictures: Sequence[Picture]) -> str:
    """Return what a probe found as one HTML document, for any trial."""
    places = count(1)
    drawn = [_drawn(each, lambda figure: _embed(figure, f"figure-{next(places)}")) for each in pictures]
    body = _probed({f"probe/{name}": value for name, value in numbers.items()}, drawn)
    return markup.page(title, f"<h1>{html.escape(title)}</h1>{body}")


def _embed(figure: go.Figure, name: str) -> str:
    # In a script only "<" could end the script; JSON may write it as a code.
    value = figure.to_json().replace("<", "\\u003c")
    config = '{"responsive": true, "displaylogo": false}'
    return (
        f'<div class="figure" id="{name}"></div>'
        f"<script>{{const f = {value}; Plotly.newPlot('{name}', f.data, f.layout, {config});}}</script>\n"
    )


def _passage(shown: Passage) -> str:
    prompt, text = html.escape(shown.prompt), html.escape(shown.text)
    return markup.section(shown.title, shown.note, f'<pre class="text"><i>{prompt}</i><b>{text}</b></pre>')


def _strip(shown: Strip) -> str:
    title, note = html.escape(shown.title), html.escape(shown.note)
    source = base64.b64encode(strips.png(shown)).decode()
    rows = html.escape(f"{shown.title}: {', '.join(shown.rows)}")
    picture = f'<img class="strip" alt="{rows}" src="data:image/png;base64,{source}">'
    return f'<h3>{title}</h3><p class="note">{note}</p><div class="scroll">{picture}</div>'


def _head(
    sweep: Sweep, metrics: Mapping[str, float], base: Trial | None, verdict: Verdict | None, company: Company | None
) -> str:
    states: Counter[str] = Counter(trial.state for trial in sweep.trials)
    seconds = sum(trial.duration_s or 0.0 for trial in sweep.trials)
    made = len(sweep.trials)
    tiles = [(str(made), f"of {counted(max(sweep.n_trials, made), 'trial')}")]  # somebody may have lowered n_trials
    tiles += [(str(states[state]), word) for state, word in markup.WORDS.items() if states[state]]
    epochs = "epochs" if sweep.windows.count == 1 else "epochs in window 1"
    tiles += [
        (f"{sum(len(trial.curve) for trial in sweep.trials):,}", epochs),
        (markup.duration(seconds), "trial time"),
    ]
    drawn = "".join(f'<div class="tile"><b>{value}</b><span>{word}</span></div>' for value, word in tiles)
    name, found = html.escape(sweep.name), html.escape(_found(sweep, metrics, verdict))
    if base is not None and (told := sentences.base(verdict or of_figures(sweep, base, metrics))):
        told = html.escape(_whole(told), quote=False)
        found = f"{told} {found}" if " worse " in told else f"{found} {told}"
    if company is not None:
        found = f"{html.escape(_whole(company_sentences.sentence(company)), quote=False)} {found}"
    if sweep.exhausted and len(sweep.trials) < sweep.n_trials:
        found += f" The search ended before its number of trials: {sweep.exhausted}."
    return f'<h1>{name}</h1><p class="found">{found}</p><div class="tiles">{drawn}</div>'


def _whole(told: str) -> str:
    """Return a sentence with its capital letter and full stop."""
    return f"{told[0].upper()}{told[1:]}."


def _found(sweep: Sweep, metrics: Mapping[str, float], verdict: Verdict | None) -> str:
    """Return the result in sentences; on test data with the verdict if rivals were judged, else with the baseline."""
    best = sweep.best
    if best is None:
        return f"No trial has completed, so there is no best one yet ({sweep.direction} {sweep.metric})."
    labels = axes.short_names(best.settings)
    settings = ", ".join(f"{labels[name]} {cell(value)}" for name, value in best.settings.items())
    sentence = f"Trial {best.number} is the best: {sweep.metric} {cell(best.value)}"
    sentence += f" with {settings}." if settings else "."
    if len(sweep.front) > 1 and sweep.second:
        sentence += f" It is one of {len(sweep.front)} trials on the Pareto front with {sweep.second.metric}."
    pairs = _pairs(metrics)
    name = next((name for name in pairs if name.startswith(_HEADLINES)), next(iter(pairs), None))
    if name is None:
        return sentence
    ours, naive = pairs[name]
    sentence += f" On test data its {name} is {cell(ours)}"
    if verdict is not None:
        return f"{sentence}. Is the network worth it: {sentences.sentence(verdict)}."
    return f"{sentence}, {_against(ours, naive)} the {_baseline(sweep)} ({cell(naive)})."


def _baseline(sweep: Sweep) -> str:
    """Return the words for the baseline that the best trial is compared with."""
    return tasks.record_in(sweep).baseline if sweep.best else ""


def _against(ours: float, naive: float) -> str:
    if not (math.isfinite(ours) and math.isfinite(naive)) or naive <= 0:
        return "compared with"
    share = ours / naive - 1
    return f"{abs(share):.0%} {'below' if share < 0 else 'above'}"


def _pairs(metrics: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the metrics that both the best trial and the baseline have, by name: (test, baseline)."""
    tested = {name.removeprefix("test/"): v for name, v in metrics.items() if name.startswith("test/")}
    return {name: (v, metrics[f"baseline/{name}"]) for name, v in tested.items() if f"baseline/{name}" in metrics}


def _comparison(sweep: Sweep, metrics: Mapping[str, float]) -> str:
    pairs = _pairs(metrics)
    if not pairs:
        return ""
    rows = []
    for name in whole(tuple(pairs)):
        ours, naive = pairs[name]
        change = _against(ours, naive)
        base = [cell(metrics[f"{BASE}test/{name}"])] if f"{BASE}test/{name}" in metrics else []
        rows.append([name, cell(ours), *base, cell(naive), markup.NONE if change == "compared with" else change])
    record = tasks.record_in(sweep)
    higher = " and ".join(name for name in whole(tuple(pairs)) if record.metric(name).direction == "maximize")
    note = f"Lower is better{f', except for {higher}' if higher else ''}. "
    note += record.baseline_note
    own = ["base"] if any(name.startswith(f"{BASE}test/") for name in metrics) else []
    heads = ["metric", "best trial", *own, _baseline(sweep), f"compared with the {_baseline(sweep)}"]
    return markup.section("On test data", note, markup.table(heads, rows))


def _drawn(shown: Picture, draw: Callable[[go.Figure], str]) -> str:
    title, note = html.escape(shown.title), html.escape(shown.note)
    return f'<h3>{title}</h3><p class="note">{note}</p>{draw(figures.picture(shown))}'


def _probed(metrics: Mapping[str, float], drawn: Sequence[str]) -> str:
    """Return the section about the network: a probe's numbers with their meaning, then its pictures."""
    numbers = {name.removeprefix("probe/"): v for name, v in metrics.items() if name.startswith("probe/")}
    if not numbers and not drawn:
        return ""
    rows = [[name, cell(value), glossary.meaning(name)] for name, value in numbers.items()]
    table = markup.table(["number", "value", "meaning"], rows, words_last=True) if rows else ""
    note = "Measurements of a trial's network. Inputs and answers are scaled: 1 is one standard deviation."
    return markup.section("What the network is like", note, table + "".join(drawn))


def _winner(company: Company | None, draw: Callable[[go.Figure], str]) -> str:
    """Return the section about the winner of confirm and its company: sentences, table, differences with intervals."""
    if company is None:
        return ""
    first, *others = company_sentences.lines(company)
    rows = [
        [member.name, cell(member.value), str(member.seeds) if member.role != "rival" else "", told]
        for member, told in company_sentences.table(company)
    ]
    picture = figures.differences([(member.name, member.difference) for member in company.members], "the winner")
    notes = "".join(f'<p class="note">{html.escape(line)}</p>' for line in others)
    heads = ["confirmed", f"mean {company.metric}", "seeds", "the winner is"]
    body = notes + markup.table(heads, rows, words_last=True) + (draw(picture) if picture is not None else "")
    return markup.section("The winner and its company", first, body)


def _worth(verdict: Verdict, about: Mapping[str, str], draw: Callable[[go.Figure], str], looked: str) -> str:
    """Return the section about the verdict: the sentences, the table, the differences with their intervals.

    `looked` says how often the test part was looked at.
    """
    first, *others = sentences.lines(verdict)
    both = bool(verdict.second)
    rows = [
        [row.name, *map(cell, (row.validation, row.test)), *([cell(row.second)] if both else []), told]
        + ([sentences.beside_base(row)] if both else [])
        for row, told in sentences.table(verdict)
    ]
    heads = [verdict.metric, "validation", "test part", *([verdict.second] if both else []), "the network is"]
    heads += ["compared with the base"] if both else []
    notes = "".join(f'<p class="note">{html.escape(line)}</p>' for line in [*others, looked] if line)
    picture = figures.differences([(row.name, row.difference) for row in verdict.rows], "the network")
    drawn = draw(picture) if picture is not None else ""
    body = notes + markup.table(heads, rows, words_last=True) + drawn + _about_rivals(verdict, about)
    return markup.section("Is the network worth it?", first, body)


def _about_rivals(verdict: Verdict, known: Mapping[str, str]) -> str:
    """Return a sentence about each rival."""
    names = [name for row in verdict.rivals for name in row.rivals if name in known]
    said = "".join(f'<p class="note">{html.escape(name)}: {html.escape(known[name])}</p>' for name in names)
    return f"<details><summary>What the rivals are</summary>{said}</details>" if said else ""


def _front(sweep: Sweep, draw: Callable[[go.Figure], str], base: Trial | None) -> str:
    both = figures.front(sweep)
    if sweep.second is None or both is None:
        return ""
    ways = [f"{metric} ({direction})" for metric, direction in ((sweep.metric, sweep.direction), sweep.second)]
    note = f"No other trial is better by both {' and '.join(ways)}. Which of these is the best is your choice."
    names = list(dict.fromkeys(name for trial in sweep.front for name in trial.settings))
    labels = axes.short_names(names)
    rows = [
        [str(trial.number), cell(trial.value), cell(trial.second), *_settings(trial, names)] for trial in sweep.front
    ]
    if base is not None and base.second is not None and base not in sweep.front:
        rows.append([f"{base.number} (base)", cell(base.value), cell(base.second), *_settings(base, names)])
    table = markup.table(["trial", sweep.metric, sweep.second.metric, *(labels[name] for name in names)], rows)
    return markup.section("The Pareto front", note, draw(both) + table)


def _curves_note(sweep: Sweep) -> str:
    having = sum(1 for trial in sweep.trials if trial.curve)
    where = f"in the first of {sweep.windows.count} windows" if sweep.windows.count > 1 else "on validation data"
    note = f"{sweep.metric} of each trial by epoch, {where}."
    drawn = len(figures.thinned(sweep))
    if drawn < having:
        note += f" {drawn} of {having} curves are drawn: the best ones and an even selection of the others."
    return note


def _top(sweep: Sweep) -> str:
    ranked = sorted(sweep.trials, key=lambda trial: figures.rank(trial, sweep.direction))[:_TOP]
    if not ranked:
        return ""
    names = list(dict.fromkeys(name for trial in ranked for name in trial.settings))
    labels = axes.short_names(names)
    of = "" if sweep.windows.count == 1 else " (window 1)"
    fixed = ["trial", sweep.metric, "state", f"best epoch{of}", f"epochs{of}", "time"]
    heads = [*fixed, *(labels[name] for name in names)]
    rows = [_row(trial, names) for trial in ranked]
    best = sweep.best
    title = "The trials" if len(sweep.trials) <= _TOP else f"The best {_TOP} trials"
    note = "Completed trials first, the best on top."
    return markup.section(title, note, markup.table(heads, rows, best is not None and ranked[0].number == best.number))


def _row(trial: Trial, names: Sequence[str]) -> list[str]:
    seconds = trial.duration_s
    state = "diverged" if trial.diverged else markup.WORDS.get(trial.state, trial.state.lower())
    cells = [
        str(trial.number),
        cell(trial.value),
        state,
        str(trial.best_epoch or markup.NONE),
        str(len(trial.curve)),
    ]
    cells.append(markup.NONE if seconds is None else markup.duration(seconds))
    return [*cells, *_settings(trial, names)]


def _settings(trial: Trial, names: Sequence[str]) -> list[str]:
    return [cell(trial.settings[name]) if name in trial.settings else markup.NONE for name in names]


def _spec(sweep: Sweep) -> str:
    if not sweep.spec_text:
        return ""
    text = html.escape(sweep.spec_text)
    return f"<section><details><summary>The spec</summary><pre>{text}</pre></details></section>"
