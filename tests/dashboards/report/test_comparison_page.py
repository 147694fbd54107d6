"""The page of several sweeps: what is in it, and in a real Chromium what a reader sees and does."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import browser
import pytest
from searches import searched

from dashboards.report.answers import Verdicts
from dashboards.report.comparison import Comparison, compare
from dashboards.report.comparison_page import comparison_page
from lstm.records.objective import Objective
from lstm.records.sweep import Sweep
from lstm.verdict.interval import Difference
from lstm.verdict.verdict import Row, Verdict

EVIL = '</script><img src=x onerror="document.title=666"><a href="javascript:document.title=666">'
SHARES = {"training.learning_rate": 0.61, "model.residual": 0.2, "model.hidden_size": 0.14, "model.num_layers": 0.05}
SIZES = {16: (16,), 100: (40, 40, 20), 1_000: (400, 400, 200), 10_000: (4_000, 4_000, 2_000)}
CELLS = {"sales_lstm": "lstm", "sales_gru": "gru", "sales_short": "lstm"}


def verdict() -> Verdict:
    rows = (
        Row("trial 1", "network", 0.105, 0.12, trial=1),
        Row("base", "base", 0.179, 0.2, Difference("loss", "%", 40.0, 31.0, 48.0, 12, 30)),
        Row("ridge", "rival", 0.11, 0.124, Difference("loss", "%", 3.3, -4.0, 9.0, 12, 30), rivals=("ridge",)),
        Row(f"rival {EVIL}", "rival", 0.9, 0.8, Difference("loss", "%", 86.0)),
    )
    return Verdict("loss", "minimize", "loss", 30, searched=True, rows=rows, best="ridge")


def page(sweeps: Sequence[Sweep], importances: Mapping[str, Mapping[str, float]] | None = None) -> str:
    verdicts: Verdicts = {sweep.name: (None, f"`sweep rivals {sweep.name}` tells it") for sweep in sweeps}
    verdicts = {**verdicts, sweeps[0].name: (verdict(), "")}
    shares = {sweep.name: SHARES for sweep in sweeps} if importances is None else importances
    return comparison_page(compare(sweeps, every=True), sweeps, shares, verdicts)


def of_size(total: int) -> list[Sweep]:
    return [searched(name, n, cell=CELLS[name]) for name, n in zip(CELLS, SIZES[total], strict=False)]


def rows_in(document: str) -> list[dict[str, Any]]:
    """The trials that the page's data say, with the names of `compare --json`."""
    (text,) = re.findall(r'<script type="application/json" id="data-of-trials">(.*?)</script>', document, re.DOTALL)
    data = json.loads(text)
    coded = {
        name: [each["choices"][k] for k in each["codes"]] for name, each in data["trials"].items() if "codes" in each
    }
    plain = {name: each for name, each in data["trials"].items() if name not in coded}
    rows = [
        dict(zip((*coded, *plain), each, strict=True)) for each in zip(*coded.values(), *plain.values(), strict=True)
    ]
    for i, row in enumerate(rows):
        row["parameters"] = {}
        for each in data["settings"]:
            value = each["values"][i] if "values" in each else each["codes"][i]
            if value not in (None, -1) or ("codes" in each and value != -1):
                row["parameters"][each["path"]] = value if "values" in each else each["choices"][value]
    return rows


def equal_to_json(rows: Sequence[Mapping[str, Any]], found: Comparison) -> None:
    """Each trial that `compare --json` names is on the page, with the same numbers."""
    on_page = {(row["sweep"], row["trial"]): row for row in rows}
    for said in found.to_json()["trials"]:
        row = on_page[said["sweep"], said["trial"]]
        same = ("state", "value", "best_epoch", "epochs", "seconds", "reason", "kind", "parent", "rank", "second")
        assert {name: row[name] for name in same} == {name: said[name] for name in same}
        assert row["is_base"] == said["is_base"]
        assert row["parameters"].items() >= said["parameters"].items()


def test_the_numbers_are_those_of_compare_as_json() -> None:
    sweeps = of_size(100)
    rows = rows_in(page(sweeps))
    equal_to_json(rows, compare(sweeps))
    assert len(rows) == 100 + 3 * 6
    beside = {row["kind"] for row in rows if row["rank"] is None and row["state"] == "COMPLETE"}
    assert beside == {"base", "extend", "confirm", "refit"}
    assert sum(row["rank"] is not None for row in rows) == sum(
        row["rank"] is not None for row in compare(sweeps).to_json()["trials"]
    )


def test_nothing_is_fetched_and_no_name_is_markup() -> None:
    document = page([hostile(searched(EVIL, 16))])
    outside = re.sub(r"<script>.*?</script>", "", document, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="([^"]*)"', re.sub(r"<style>.*?</style>", "", outside, flags=re.DOTALL)) == [
        "data:,"
    ]
    assert "<img" not in outside
    assert "url(http" not in document
    assert "sourceMappingURL" not in document


def hostile(sweep: Sweep) -> Sweep:
    """The same sweep whose settings, texts and reasons are markup."""
    trials = []
    for trial in sweep.trials:
        settings = {**trial.settings, f"own.{EVIL}": EVIL if trial.number % 2 else "plain"}
        trials.append(replace(trial, settings=settings, reason=trial.reason and EVIL))
    return replace(sweep, trials=tuple(trials))


@pytest.mark.parametrize(("count", "said"), [(0, "No trial has completed yet."), (1, "val/loss")])
def test_few_trials_are_a_page_too(count: int, said: str) -> None:
    assert said in page([searched("a", count)], {"a": {}})


def test_a_second_objective_and_windows_have_their_words() -> None:
    facts = {"windows": {"count": 3, "longest": 30, "refit": True}}
    one = searched("a", 20, facts=facts, second=Objective("probe/scalability/step_us", "minimize"))
    trials = tuple(replace(t, second=float(t.number)) for t in one.trials)
    document = page([replace(one, trials=trials)])
    assert [row["second"] for row in rows_in(document)] == [float(row["trial"]) for row in rows_in(document)]
    assert '"second":"probe/scalability/step_us (minimize)"' in document
    assert "on the Pareto front with probe/scalability/step_us" in document
    assert "minimize val/loss, the mean over the windows of a backtest." in document
    assert "Epochs are those of the first window." in document


def test_too_few_completed_trials_have_no_importances() -> None:
    alone = page([searched("a", 8)], {"a": {}})
    assert '"not_weighed":"Too few completed trials to say: ' in alone
    assert "Too few completed trials to say: " in alone.replace('"not_weighed":"Too', "")
    both = page([searched("a", 60), searched("b", 8)], {"a": SHARES, "b": {}})
    assert "by PED-ANOVA. b: too few completed trials to say: " in both


def test_a_setting_that_did_not_vary_is_named() -> None:
    varied, other = searched("a", 60), searched("b", 60)
    trials = tuple(replace(each, settings={**each.settings, "model.cell": "lstm"}) for each in other.trials)
    fixed = replace(other, trials=trials)
    assert "by PED-ANOVA. Without an importance, which needs two values: cell (searched in " in page([fixed])
    both = page([varied, fixed])
    assert "by PED-ANOVA. b: without an importance, which needs two values: cell (searched in " in both


@contextmanager
def opened(chromium: Any, document: str, folder: Path, *, dark: bool = False) -> Iterator[browser.Opened]:
    """The page in a browser, all figures drawn, and no error of the console at its end."""
    file = folder / "compare.html"
    file.write_text(document, encoding="utf-8")
    with browser.opened(chromium, file.as_uri(), dark=dark) as tab:
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        tab.page.wait_for_selector("html[data-drawn]")
        tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        tab.page.wait_for_selector("html[data-drawn=all]", timeout=120_000)
        yield tab
        assert tab.errors == []
        assert [url for url in asked if not url.startswith(("data:", "blob:"))] == []


def in_table(tab: browser.Opened) -> list[dict[str, Any]]:
    """The rows that the table shows, in its order, all of them and not only those in view."""
    found: list[dict[str, Any]] = tab.page.evaluate("Tabulator.findTable('#trials .place')[0].getData('active')")
    return found


def shows(tab: browser.Opened, rows: set[int]) -> None:
    """Wait until the table has these rows and no others."""
    ids = "Tabulator.findTable('#trials .place')[0].getData('active').map(row => row.i).sort((a, b) => a - b)"
    tab.page.wait_for_function(f"rows => JSON.stringify({ids}) === JSON.stringify(rows)", arg=sorted(rows))


def test_a_reader_sorts_filters_selects_and_brushes(chromium: Any, tmp_path: Path) -> None:
    sweeps = [hostile(searched(EVIL, 20)), searched("sales_gru", 16, cell="gru")]
    with opened(chromium, page(sweeps), tmp_path) as tab:
        see = tab.page
        rows = in_table(tab)
        ranked = [row for row in compare(sweeps).trials if row.rank]
        assert [(row["sweep"], row["trial"], row["value"]) for row in rows[: len(ranked)]] == [
            (row.sweep, row.trial, row.value) for row in ranked
        ]
        assert {row["rank"] for row in rows[len(ranked) :]} == {None}
        assert see.title() == f"Comparison of {compare(sweeps).sweeps[0].sweep} and {compare(sweeps).sweeps[1].sweep}"
        see.focus("#trials [tabulator-field=epochs] [role=button]")  # without a mouse
        see.keyboard.press("Enter")
        assert [row["epochs"] for row in in_table(tab)] == sorted(row["epochs"] for row in rows)
        see.locator("#trials [tabulator-field=value] input").press_sequentially("<0.15")
        good = {row["i"] for row in rows if row["value"] and row["value"] < 0.15}
        assert 0 < len(good) < len(rows)
        see.wait_for_function(f"Tabulator.findTable('#trials .place')[0].getDataCount('active') === {len(good)}")
        assert {row["i"] for row in in_table(tab)} == good
        see.click("text=Clear the filters")
        for bound, least, most in (("3.5..7", 3.5, 7.0), ("0.05..0.2 min", 3.0, 12.0), ("<0.1 min", 0.0, 5.999)):
            box = see.locator("#trials [tabulator-field=seconds] input")
            box.fill("")
            box.press_sequentially(bound)
            within = {row["i"] for row in rows if row["seconds"] is not None and least <= row["seconds"] <= most}
            assert 0 < len(within) < len(rows)
            shows(tab, within)
        see.click("text=Clear the filters")
        see.select_option("#trials [tabulator-field=state] select", "diverged")
        assert {row["state"] for row in in_table(tab)} == {"diverged"}
        see.click("text=Clear the filters")
        see.click("text=Select none")
        see.focus("#trials [tabulator-field=rank] [role=button]")
        see.keyboard.press("Enter")
        see.focus("#trials .tabulator-tableholder")
        for key in ("Home", " ", "ArrowDown", " "):
            see.keyboard.press(key)
        two = in_table(tab)[:2]
        assert see.locator("#differences thead th").count() == 3
        differing = see.locator("#differences tbody th").all_inner_texts()
        assert "val/loss" in differing
        field = f"s{compare(sweeps, every=True).trial_parameters.index('model.residual')}"
        assert ("model.residual" in differing) == (two[0][field] != two[1][field])
        assert see.evaluate("document.querySelector('#curves .place').data.length") == 4, "two curves, and their marks"
        brush = "{'dimensions[0].constraintrange': [[[0.9, 1.1]]]}"
        see.evaluate(f"Plotly.restyle(document.querySelector('#parallel .place'), {brush})")
        drawn = sum(row["rank"] is not None and row["sweep"] == "sales_gru" for row in rows)
        see.wait_for_function(f"Tabulator.findTable('#trials .place')[0].getDataCount('active') === {drawn}")
        assert {row["sweep"] for row in in_table(tab)} == {"sales_gru"}
        see.click("text=Clear the brush")
        assert len(in_table(tab)) == len(rows)
        assert see.title().startswith("Comparison of ")


@pytest.mark.pages
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("total", SIZES)
def test_pictures_of_every_size(chromium: Any, tmp_path: Path, total: int, dark: bool) -> None:
    """The pictures are in build/pages, to be looked at."""
    folder = Path(__file__).parents[3] / "build" / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    with opened(chromium, page(of_size(total)), tmp_path, dark=dark) as tab:
        drawn = "name => document.querySelector(`#${name} .place .main-svg`) !== null"
        names = ("curves", "parallel", "importances", "spread", "regret", "cut")
        blank = [name for name in names if not tab.page.evaluate(drawn, name)]
        assert blank == []
        back = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 3 * 128) == dark
        tab.page.screenshot(path=folder / f"compare-{total}-{'dark' if dark else 'light'}.png", full_page=True)


@pytest.mark.pages
def test_ten_thousand_trials_open_within_5_s_and_sort_within_1_s(chromium: Any, tmp_path: Path) -> None:
    """In seconds of the page's own thread: a busy machine makes the clock useless."""
    document = page(of_size(10_000))
    assert len(document) < 12e6
    file = tmp_path / "compare.html"
    file.write_text(document, encoding="utf-8")
    with browser.opened(chromium, "about:blank") as tab:
        measure = tab.page.context.new_cdp_session(tab.page)
        measure.send("Performance.enable", {"timeDomain": "threadTicks"})

        def spent() -> float:
            found = {each["name"]: each["value"] for each in measure.send("Performance.getMetrics")["metrics"]}
            return float(found["TaskDuration"])

        began = time.monotonic()
        tab.page.goto(file.as_uri(), wait_until="commit")
        tab.page.wait_for_selector("html[data-drawn]", timeout=120_000)
        opening, took = spent(), time.monotonic() - began
        assert not tab.page.evaluate("document.querySelector('#parallel .main-svg')"), "drawn when it comes near"
        tab.page.evaluate("Tabulator.findTable('#trials .place')[0].setSort('seconds', 'desc')")
        sorting = spent() - opening
        began = time.monotonic()
        for name in ("parallel", "cut"):
            tab.page.locator(f"#{name}").scroll_into_view_if_needed()
        tab.page.wait_for_selector("html[data-drawn=all]", timeout=120_000)
        drawing, drew = spent() - opening - sorting, time.monotonic() - began
        print(f"opening {opening:.2f} s of CPU, {took:.1f} s on the clock; sorting {sorting:.2f} s of CPU")
        print(f"drawing what is below {drawing:.2f} s of CPU, {drew:.1f} s on the clock")
        assert (
            tab.page.evaluate("document.querySelector('#parallel .place').data[0].dimensions[0].values.length") == 1000
        )
        assert opening < 5
        assert sorting < 1
        seconds = [row["seconds"] for row in in_table(tab) if row["seconds"] is not None]
        assert seconds == sorted(seconds, reverse=True)
        assert len(in_table(tab)) == 10_000 + 18
        assert tab.errors == []
