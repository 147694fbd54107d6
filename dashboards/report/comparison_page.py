"""The page of `sweep compare --html`: one HTML file with all trials of several sweeps, readable without a network.

Python computes and words (`columns.py`, `answers.py`). `browser/` has what runs in the page: our own script and styles,
and Tabulator for the table of trials.
"""

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from dashboards.report import markup
from dashboards.report.answers import Answer, Verdicts, answers, capital, left_out, not_weighed
from dashboards.report.axes import short_names
from dashboards.report.columns import MOST_LINES, Importances, columns, curves, room_of
from dashboards.report.comparison import Comparison, SweepRow
from lstm.records.sweep import Sweep
from lstm.records.trial import counted
from lstm.verdict import sentences


def comparison_page(found: Comparison, sweeps: Sequence[Sweep], importances: Importances, verdicts: Verdicts) -> str:
    """Return the page as one HTML document; plotly.js (5 MB) and Tabulator (0.4 MB) are inside.

    A trial takes about 0.2 KB and 8 bytes for each point of its curve, of which there are at most MOST_POINTS.

    Args:
        found: What `compare` has found with `every`, of sweeps with one metric and direction and at least one trial.
        sweeps: The sweeps that were compared.
        importances: By sweep, each searched parameter's share of the importance; empty if it is unknown.
        verdicts: By sweep, the comparison of the network with base and rivals, or None and a sentence.
    """
    by_name = {sweep.name: sweep for sweep in sweeps}
    sweeps = [by_name[row.sweep] for row in found.sweeps]  # the best first
    importances = {sweep.name: importances[sweep.name] for sweep in sweeps}
    lacking = capital(not_weighed(sweeps[0])) if len(sweeps) == 1 else "Not known of any of the sweeps"
    shown = {**columns(found, sweeps, importances), "not_weighed": f"{lacking}."}
    title = " and ".join(row.sweep for row in found.sweeps)
    told = [_head(found, title), _answered(answers(found, sweeps, importances, verdicts)), _sweeps(found.sweeps)]
    told += [
        _frame(found, sweeps, shown),
        _worth({sweep.name: verdicts[sweep.name] for sweep in sweeps}),
        _data(shown, "data-of-trials"),
        _data(curves(found, sweeps), "data-of-curves"),
    ]
    own = "\n".join(map(_file, ("data.js", "figures.js", "table.js")))
    scripts = f'<script>{_file("tabulator.min.js")}</script><script>(() => {{\n"use strict";\n{own}}})();</script>'
    licence = f"<!-- Tabulator:\n{_file('tabulator.LICENSE')}-->"
    style = _file("tabulator.min.css") + _file("page.css")
    return markup.page(f"Comparison of {title}", "\n".join(told) + licence, style=style, end=scripts)


def _file(name: str) -> str:
    return files("dashboards.report").joinpath("browser", name).read_text(encoding="utf-8")


def _data(value: Any, name: str) -> str:
    # In a script only "<" could end the script; JSON may write it as a code.
    text = json.dumps(value, default=str, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _head(found: Comparison, title: str) -> str:
    first = found.sweeps[0]
    over = ", the mean over the windows of a backtest" if any(row.windows > 1 for row in found.sweeps) else ""
    told = f"{counted(len(found.trials), 'trial')} of {counted(len(found.sweeps), 'sweep')}; "
    told += f"{first.direction} {first.metric}{over}."
    doubt = f'<p class="doubt">{html.escape(found.doubt)}</p>' if found.doubt else ""
    return f'<h1>{html.escape(title)}</h1><p class="found">{html.escape(told)}</p>{doubt}'


def _answered(given: Sequence[Answer]) -> str:
    drawn = "".join(
        f'<div class="answer"><h2>{html.escape(each.question)}</h2>'
        + "".join(f"<p>{html.escape(line)}</p>" for line in each.lines)
        + "</div>"
        for each in given
    )
    return f'<div class="answers">{drawn}</div>'


def _sweeps(rows: Sequence[SweepRow]) -> str:
    several = any(row.windows > 1 for row in rows)
    heads = ["sweep", "trials", f"best {rows[0].metric}", "trial", "median", "middle half"]
    heads += ["epochs (window 1)" if several else "epochs", "trial time", "median trial time"]
    names = list(dict.fromkeys(name for row in rows for name in row.parameters))
    body = [
        [
            row.sweep,
            " ".join(f"{n} {state.lower()}" for state, n in row.states.items()),
            *map(markup.cell, (row.best, row.best_trial, row.median)),
            markup.NONE if row.quartiles is None else " to ".join(map(markup.cell, row.quartiles)),
            f"{row.epochs:,}",
            markup.duration(row.seconds),
            markup.NONE if row.seconds_per_trial is None else markup.duration(row.seconds_per_trial),
            *(markup.cell(row.parameters.get(name)) for name in names),
        ]
        for row in rows
    ]
    note = "Median and middle half are those of the completed trials of the search."
    note += " The last columns are the settings in which the best trials differ." if names else ""
    return markup.section("The sweeps", note, markup.table([*heads, *short_names(names).values()], body))


def _frame(found: Comparison, sweeps: Sequence[Sweep], shown: dict[str, Any]) -> str:
    """Return the places that the script fills, each with what it shows and how it is used."""
    room, longest = room_of(len(found.trials)), max((len(t.curve) for s in sweeps for t in s.trials), default=0)
    thin = f" A curve has at most {room:,} of its epochs here, with the best and the last." if longest > room else ""
    first = " Epochs are those of the first window." if shown["windows"] > 1 else ""
    parts = [
        (
            "trials",
            "The trials",
            "Click a head to sort, a row to select it. Below a head, write a part of a text, or a bound such as <0.2, "
            ">=3, 2..5; of the time in seconds, or as <90 s, >=2 min, 1..2 h. With the keyboard: Tab to a head and "
            "Enter; in the table the arrows and the space bar. Only completed trials of the search have a rank: the "
            "base, extensions, confirm and refits are told apart by "
            f"their kind.{first}",
        ),
        (
            "curves",
            "Curves of the selected trials",
            f"{found.sweeps[0].metric} by epoch; a dot is the best epoch, "
            f"a cross the end of a trial that was stopped early.{thin}",
        ),
        ("differences", "What differs between the selected trials", "Select two or more rows."),
        (
            "parallel",
            "Settings and their results",
            "Each line is a completed trial of the search. Drag along an axis to "
            f"keep only the lines that cross that range: the table follows.{_left_out(shown['axes'])}",
        ),
        ("importances", "Which setting matters", _weighed(sweeps, shown["importances"])),
        (
            "spread",
            "How good are the completed trials?",
            "The share of a sweep's completed trials that are at least as "
            "good as a value. A curve further to the left (to the right, if more is better) is better.",
        ),
        (
            "regret",
            "How fast did the search find it?",
            "How far the best trial so far is from the best of all sweeps, by "
            "what the trials of the search had cost until then. A circle at the bottom is the best of all.",
        ),
        ("cut", "Where pruning cut", f"How many trials were stopped early after which epoch.{first}"),
    ]
    return "".join(
        f'<section id="{name}"><h2>{html.escape(title)}</h2><p class="note">{html.escape(note)}</p>'
        f'<div class="tools"></div><div class="place"></div></section>'
        for name, title, note in parts
    )


def _left_out(axes: Mapping[str, Any]) -> str:
    """Return which axes and lines the parallel coordinates do not have; "" if they have all."""
    less, total, half = axes["left_out"], len(axes["rows"]), MOST_LINES // 2
    told = f" The {less} least important settings have no axis." if less else ""
    drawn = f" Of {total:,} lines the best {half} are drawn, and an even choice of {half} others; the table has all."
    return told + (drawn if total > MOST_LINES else "")


def _weighed(sweeps: Sequence[Sweep], shares: Importances) -> str:
    """Return what the importances are, and of which sweeps and settings they are not known."""
    several = len(sweeps) > 1
    lacking = [f"{sweep.name}: {not_weighed(sweep)}." for sweep in sweeps if sweep.name not in shares and several]
    less = [(sweep, left_out(sweep, shares[sweep.name])) for sweep in sweeps if sweep.name in shares]
    lacking += [f"{f'{sweep.name}: {told}' if several else capital(told)}." for sweep, told in less if told]
    return " ".join(["Each searched setting's share of the importance, by PED-ANOVA.", *lacking])


def _worth(verdicts: Verdicts) -> str:
    drawn = ""
    for name, (verdict, _) in verdicts.items():
        if verdict is None:
            continue
        rows = [
            [row.name, *map(markup.cell, (row.validation, row.test)), told] for row, told in sentences.table(verdict)
        ]
        heads = [verdict.metric, "validation", "test part", "the network is"]
        lines = "".join(f'<p class="note">{html.escape(line)}</p>' for line in sentences.lines(verdict))
        drawn += f"<h3>{html.escape(name)}</h3>{lines}{markup.table(heads, rows, words_last=True)}"
    note = "The best network of each sweep beside its base and its rivals, on validation data and on the test part."
    return markup.section("Is the network worth it?", note, drawn) if drawn else ""
