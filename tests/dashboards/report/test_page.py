import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import browser
import pytest

from dashboards.report import page
from dashboards.report.page import report
from lstm.records.figures import Beside, Curve, Forecast, HeatMap, Passage
from lstm.records.objective import RECORD, TaskRecord
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.tasks.registry import TASKS
from lstm.verdict import sentences
from lstm.verdict.company import Company, Member
from lstm.verdict.interval import Difference
from lstm.verdict.verdict import Row, Verdict, of_figures


def sweep(trials: list[Trial], name: str = "co2", task: str = "forecast", **more: Any) -> Sweep:
    known = TASKS[task]
    about = {each.name: each.about for each in known.rivals()}
    record = TaskRecord(known.metrics, known.baseline, known.baseline_note, about)
    facts = {RECORD: record.row(), **more.pop("facts", {})}
    return Sweep(name, "val/loss", "minimize", len(trials), tuple(trials), facts=facts, **more)


class _Page(HTMLParser):
    """What a browser would see: tags outside scripts, and text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if len(data) < 100_000:  # not plotly.js
            self.text += data


FORECAST = Forecast("CO2 (ppm)", ("2001-01-06",), (1.0,), (1.1,), (0.9,), ("2001-01-01",), (0.8,))
METRICS = {"test/mae_original": 0.3, "baseline/mae_original": 0.6, "test/loss": 0.02, "baseline/loss": 0.01}


def test_the_head_says_what_was_found(make: SimpleNamespace) -> None:
    trials = [make.trial(0, 0.5), make.trial(1, 0.25), make.trial(2, 0.9, "PRUNED")]
    text = _Page(report(sweep(trials), {"model.hidden_size": 0.7}, [FORECAST], METRICS)).text
    assert "Trial 1 is the best: val/loss 0.25 with hidden_size 17, learning_rate 0.002." in text
    assert "On test data its mae_original is 0.3, 50% below the seasonal naive (0.6)." in text
    assert "100% above" in text  # the loss was not better, and it says so


def test_what_was_gained_on_the_base_is_worded_as_in_the_verdict(make: SimpleNamespace) -> None:
    trials = [replace(make.trial(0, 0.5), is_base=True), make.trial(1, 0.25)]
    metrics = {**METRICS, "base/test/loss": 0.01}
    text = _Page(report(sweep(trials), {}, [FORECAST], metrics)).text
    (said,) = [line for line in text.splitlines() if "than the base" in line]
    worse = sentences.base(of_figures(sweep(trials), trials[0], metrics))
    assert f"{worse[0].upper()}{worse[1:]}. Trial 1 is the best" in said, "the first line"
    assert "100 % worse than the base" in said
    assert "50 % better on validation" in said


def test_the_winner_comes_first_with_its_company(make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [replace(make.trial(0, 0.5), is_base=True), make.trial(1, 0.25)]
    members = (
        Member("trial 1", "setting", 1, 0.25, 5),
        Member("base", "base", 0, 0.3, 5, Difference("loss", "%", 4.0, -9.0, 15.0, 4)),
        Member(EVIL, "rival", None, 0.9, 1, Difference("loss", "%", 60.0, 50.0, 70.0, 4)),
        Member("trial 7", "setting", 7, seeds=5, why="it has no figures from 1 of 5 seeds"),
    )
    found = Company("val/loss", "minimize", "fresh", 4, 3, members)
    monkeypatch.setattr(page, "concluded", lambda _: found)
    drawn = _Page(report(sweep(trials), {}, [FORECAST], METRICS))
    first = "rial 1, the best of 3 settings, can't be told apart from the base (the spec's own settings, trial 0)"
    (said,) = [line for line in drawn.text.splitlines() if "is the best: val/loss 0.25" in line]
    assert f"T{first}: 4 % better [-9, 15]; the spec's own settings may be enough. " in said
    assert said.index("may be enough. ") < said.index("Trial 1 is the best: ")
    section = drawn.text.partition("The winner and its company")[2]
    assert f"t{first}" in section
    assert "the intervals hold for 3 comparisons together" in section
    assert "trial 7: it has no figures from 1 of 5 seeds" in section
    head, told = section.index("the winner is"), section.index("4 % better [-9, 15]", section.index("the winner is"))
    assert head < told < section.index("60 % [50, 70] better", head) < section.index("Learning curves")
    assert f"worse than the best rival, {EVIL}" not in section
    assert f"better than the best rival, {EVIL}" in section
    assert "img" not in drawn.tags
    monkeypatch.setattr(page, "concluded", lambda _: None)
    assert "winner" not in _Page(report(sweep(trials), {}, [FORECAST], METRICS)).text


def test_the_verdict_takes_the_place_of_the_weakest_rival(make: SimpleNamespace) -> None:
    known = Difference("loss", "%", -4.0, -9.0, 1.0, 12, 30)
    rows = (
        Row("trial 1", "network", 0.25, 0.3, trial=1),
        Row("ridge on 9 changes", "rival", 0.26, 0.29, known, rivals=("ridge",)),
        Row(EVIL, "rival", 0.9, 0.8, Difference("loss", "%", 60.0)),
        Row("LightGBM", "rival", why="not installed"),
    )
    found = Verdict("loss", "minimize", "loss", 30, searched=True, rows=rows, best="ridge on 9 changes")
    shown = sweep([make.trial(1, 0.25)])
    document = report(shown, {}, [FORECAST], METRICS, (), found)
    (about,) = [each.about for each in TASKS["forecast"].rivals() if each.name == "ridge"]
    assert about in _Page(document).text
    text = _Page(document).text
    assert "below the seasonal naive (0.6)" not in text
    assert text.count("ridge on 9 changes") >= 3
    assert "not installed" in text
    assert "4 % worse [-1, 9]" in text
    assert EVIL in text
    (picture,) = [
        json.loads(each) for each in re.findall(r"const f = (.*?); Plotly", document) if "how much better" in each
    ]
    assert picture["data"][0]["x"] == [60.0, -4.0]
    assert picture["data"][0]["error_x"]["arrayminus"] == [0.0, 5.0]


@pytest.mark.parametrize(("count", "few"), [(11, True), (41, False)])
def test_importances_say_how_many_trials_they_come_from(make: SimpleNamespace, count: int, few: bool) -> None:
    trials = [*(make.trial(n, 1.0 + n) for n in range(count)), make.trial(count, 0.9, "PRUNED")]
    text = _Page(report(sweep(trials), {"model.num_layers": 0.7}, [], {})).text
    assert f"on {count} completed trials" in text
    assert ("a rough estimate" in text) == few


def test_a_setting_without_an_importance_is_named(make: SimpleNamespace) -> None:
    trials = [make.trial(n, 1.0 + n, settings={"model.num_layers": n, "model.cell": "lstm"}) for n in range(11)]
    text = _Page(report(sweep(trials), {"model.num_layers": 1.0}, [], {})).text
    assert "Without an importance, which needs two values: cell (searched in 11 completed trials, always lstm)." in text


def test_too_few_completed_trials_have_no_importances(make: SimpleNamespace) -> None:
    text = _Page(report(sweep([make.trial(n, 1.0 + n) for n in range(10)]), {}, [], {})).text
    assert "Too few completed trials to say: 10, and PED-ANOVA needs 11." in text
    assert "Importance" not in _Page(report(sweep([make.trial(0, 1.0, settings={})]), {}, [], {})).text


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_every_number_of_trials(make: SimpleNamespace, count: int) -> None:
    trials = [make.trial(n, 1.0 + n) for n in range(count)]
    document = report(sweep(trials), {}, [], {})
    page = _Page(document)
    assert page.tags.count("h1") == 1
    assert page.addresses == ["data:,"]  # nothing is fetched
    assert ("Learning curves" in page.text) == (count > 0)
    assert ("300 of 1000 curves are drawn" in page.text) == (count == 1000)
    assert page.tags.count("tr") == (min(count, 20) + 1 if count else 0)


def test_a_sweep_in_which_nothing_worked(make: SimpleNamespace) -> None:
    trials = [
        make.trial(0, None, "FAIL", settings={}, best_epoch=0),
        make.trial(1, math.nan, "PRUNED", diverged=True, curve=((1, math.inf), (2, math.nan))),
        make.trial(2, None, "RUNNING", ended_at_ms=None),
        make.trial(3, None, "WAITING", started_at_ms=None),
    ]
    document = report(sweep(trials), {"x": math.nan}, [FORECAST], {"test/loss": math.nan, "baseline/loss": 1.0})
    text = _Page(document).text
    assert "No trial has completed" in text
    assert "diverged" in text


def test_figures_are_json_that_a_browser_can_read(make: SimpleNamespace) -> None:
    odd = make.trial(0, 0.5, curve=((1, math.nan), (2, 0.5)))
    document = report(sweep([odd, make.trial(1, math.inf)]), {"a": 0.5}, [FORECAST], METRICS)
    found = re.findall(r"\{const f = (.*); Plotly\.newPlot", document)
    assert len(found) == 4
    for each in found:
        json.loads(each, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def test_text_of_the_user_stays_text(make: SimpleNamespace) -> None:
    settings = {EVIL: EVIL, "b": 1}
    trials = [make.trial(n, 1.0 + n, settings=settings, reason=EVIL) for n in range(3)]
    shown = Forecast(EVIL, (EVIL,), (1.0,), (1.0,), (1.0,))
    found = sweep(trials, EVIL, spec_text=EVIL)
    document = report(found, {EVIL: 1.0}, [shown], {f"test/{EVIL}": 1.0, f"baseline/{EVIL}": 2.0})
    page = _Page(document)
    assert "img" not in page.tags
    plain = _Page(report(sweep(trials[:0]), {}, [], {}))
    assert page.tags.count("script") - plain.tags.count("script") == 5  # one per figure
    assert EVIL in page.text


def test_chromium_draws_every_figure(make: SimpleNamespace, chromium: Any, tmp_path: Path) -> None:
    trials = [make.trial(n, 1.0 + n, settings={"a": n, "b": 1}) for n in range(3)]
    file = tmp_path / "report.html"
    document = report(sweep(trials), {"a": 1.0}, [], {})
    file.write_text(document, encoding="utf-8")
    with browser.opened(chromium, file.as_uri(), dark=True) as tab:
        drawn = "document.querySelectorAll('.js-plotly-plot:has(.main-svg)').length"
        tab.page.wait_for_function(f"{drawn} == {document.count('Plotly.newPlot(')}")
        assert tab.errors == []


def test_a_probe_is_shown_as_numbers_with_their_meaning_and_as_pictures(make: SimpleNamespace) -> None:
    curve = Curve(EVIL, EVIL, EVIL, EVIL, (0.0, 1.0), {EVIL: (1.0, math.nan)})
    gates = HeatMap("Forget gate", "How much is kept.", "step", "unit", (0.0,), (EVIL,), ((0.5,),), 0.0, 1.0)
    numbers = {"probe/delay/half_life": 12.5, "probe/feedback/gain/ppm": 0.75, f"probe/{EVIL}": 1.0}
    page = _Page(report(sweep([make.trial(0, 0.5)]), {}, [], METRICS | numbers, [curve, gates]))
    assert "What the network is like" in page.text
    assert "delay/half_life12.5steps back at which an input still has half" in page.text
    assert "feedback/gain/ppm0.75change of the answer" in page.text
    assert "How much is kept." in page.text
    assert page.tags.count("h3") == 2
    assert "img" not in page.tags
    plain = _Page(report(sweep([make.trial(0, 0.5)]), {}, [], METRICS))
    assert page.tags.count("script") - plain.tags.count("script") == 2
    assert "What the network is like" not in plain.text


def test_a_picture_of_test_data_is_shown_beside_the_tasks_own_baseline(make: SimpleNamespace) -> None:
    shown = HeatMap(
        EVIL, "Who is who.", "answered", "truth", (EVIL, "b"), (EVIL, "b"), ((0.5, 0.5), (0.0, 1.0)), 0.0, 1.0
    )
    metrics = {"test/loss": 0.1, "baseline/loss": 0.2, "test/accuracy": 0.96, "baseline/accuracy": 0.8}
    page = _Page(report(sweep([make.trial(0, 0.96)], task="classify"), {}, [shown], metrics))
    assert "The best trial on test data" in page.text
    assert "Who is who." in page.text
    assert "Forecasts of the best trial" not in page.text
    assert "On test data its accuracy is 0.96, 20% above the logistic regression (0.8)." in page.text
    assert "reads all steps of a sequence at once" in page.text
    assert "img" not in page.tags


def test_translations_stand_beside_their_references(make: SimpleNamespace) -> None:
    shown = Beside("Translations", EVIL, ("source", "translation"), ((EVIL, "one"), ("zwei", "two")))
    page = _Page(report(sweep([make.trial(0, 40.0)], task="translate"), {}, [shown], {}))
    assert f"{EVIL}one" in page.text
    assert "zweitwo" in page.text
    assert "The best trial on test data" not in page.text
    assert "img" not in page.tags


def test_a_text_that_was_written_is_shown_as_it_is(make: SimpleNamespace) -> None:
    passages = [Passage("A text, continued", EVIL, f"before\n{EVIL}", f"after\n  {EVIL}")]
    found = sweep([make.trial(0, 0.5)], task="language_model")
    page = _Page(report(found, {}, passages, {"test/loss": 1.0, "baseline/loss": 2.0}))
    assert f"before\n{EVIL}after\n  {EVIL}" in page.text
    assert page.tags.count("pre") == 1
    assert "img" not in page.tags
    assert "Forecasts of the best trial" not in page.text
    assert "Bigram counts use how often each symbol followed" in page.text
