import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from searches import searched

from dashboards.report import columns
from dashboards.report.comparison import compare
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


def sweep(name: str, trials: list[Trial], direction: Any = "minimize") -> Sweep:
    return Sweep(name, "val/loss", direction, len(trials), tuple(trials))


def test_every_column_has_an_item_for_each_row_and_reads_as_the_comparison() -> None:
    sweeps = [searched("a", 40), searched("b", 20, cell="gru")]
    found = compare(sweeps, every=True)
    shown = json.loads(json.dumps(columns.columns(found, sweeps, {}), allow_nan=False))
    for field in columns.FIELDS:
        assert shown["trials"][field] == [getattr(row, field) for row in found.trials]
    for field in ("sweep", "state", "kind", "reason"):
        coded = shown["trials"][field]
        assert [coded["choices"][k] for k in coded["codes"]] == [getattr(row, field) for row in found.trials]
    assert sorted(each["path"] for each in shown["settings"]) == sorted(found.trial_parameters)
    for each in shown["settings"]:
        read = each.get("values") or [None if k < 0 else each["choices"][k] for k in each["codes"]]
        assert read == [row.parameters.get(each["path"]) for row in found.trials]
        assert each["searched"] == (each["path"] not in ("model.cell", "training.seed"))


def test_true_one_and_the_text_1_are_three_values() -> None:
    assert columns.coded([True, 1, "1", 1.0, True]) == {"choices": [True, 1, "1", 1.0], "codes": [0, 1, 2, 3, 0]}
    assert columns.coded([math.inf])["choices"] == ["inf"], "which JSON has no number for"


def test_regret_counts_what_the_search_had_cost_in_the_order_of_ends(make: SimpleNamespace) -> None:
    trials = [make.trial(0, 0.5, ended_at_ms=9_000), make.trial(1, 0.3, ended_at_ms=5_000, epochs_s=2.5)]
    trials += [make.trial(2, 0.1, "PRUNED", ended_at_ms=6_000), make.trial(3, 0.2, ended_at_ms=20_000, epochs_s=1.0)]
    found = columns.regret(sweep("a", [*trials, make.trial(4, None, "RUNNING")]), 0.15)
    assert found["trial"] == [1, 3]
    assert found["epochs"] == [5, 20]
    assert found["seconds"] == [2.5, 2.5 + 4.0 + 9.0 + 1.0]
    assert [round(each, 9) for each in found["regret"]] == [0.15, 0.05]
    worse = columns.regret(sweep("a", trials, "maximize"), 0.5)
    assert (worse["trial"], [round(each, 9) for each in worse["regret"]]) == ([1, 0, 3], [0.2, 0.0, 0.0])


def test_regret_is_from_the_best_of_all_sweeps(make: SimpleNamespace) -> None:
    sweeps = [sweep("a", [make.trial(0, 0.5)]), sweep("b", [make.trial(0, 0.2)]), sweep("none", [])]
    by_name = {each["sweep"]: each["regret"] for each in columns.regrets(compare(sweeps, every=True), sweeps)}
    assert by_name == {"a": [0.3], "b": [0.0], "none": []}
    assert columns.regrets(compare([sweep("none", [])]), [sweep("none", [])]) == []


def test_a_long_curve_is_thinned_and_keeps_its_first_best_and_last_epoch(make: SimpleNamespace) -> None:
    curve = tuple((epoch, 1 / epoch) for epoch in range(1, 1001))
    trial = make.trial(0, 0.1, curve=curve, best_epoch=777)
    for room in (16, 50, 999):
        kept = [epoch for epoch, _ in columns.thinned(trial, room)]
        assert len(kept) <= room
        assert {1, 777, 1000} <= set(kept)
        assert kept == sorted(set(kept))
    assert columns.thinned(trial, 1000) == list(curve)


def test_all_curves_together_are_bounded_and_rounded(make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MOST_POINTS", 4_000)
    long = tuple((epoch, 1 / 3 + epoch) for epoch in range(1, 401))
    trials = [make.trial(n, 0.1, curve=long) for n in range(20)]
    trials.append(make.trial(20, 0.2, curve=((1, math.nan), (2, 0.123456789)), best_epoch=2))
    one = sweep("a", trials)
    drawn = columns.curves(compare([one], every=True), [one])
    assert drawn[20] == [None, 0.12346]
    points = sum(len(each[0]) for each in drawn[:20])
    assert 3_600 < points <= 4_000
    assert columns.room_of(10**6) == columns.LEAST_POINTS
    assert max(len(str(value)) for _, values in drawn[:20] for value in values) == 6


def test_axes_have_the_completed_trials_of_the_search_the_best_last() -> None:
    one, other = searched("a", 40), searched("b", 20)
    found = compare([one, other], every=True)
    lines = columns.parallel(found, list(one.trials[0].settings), {"a": {"model.num_layers": 0.4}})
    rows = [found.trials[i] for i in lines["rows"]]
    assert [row.rank for row in rows] == list(range(len(rows), 0, -1))
    assert {row.kind for row in rows} == {"search"}
    assert [axis["label"] for axis in lines["axes"]][::4] == ["sweep", "learning_rate"]
    assert all(len(axis["values"]) == len(rows) for axis in lines["axes"])


def test_only_the_most_important_settings_have_an_axis(make: SimpleNamespace) -> None:
    names = [f"own.f{k}" for k in range(20)]
    trials = [make.trial(n, 0.1 + n, settings=dict.fromkeys(names, n)) for n in range(3)]
    one = sweep("a", trials)
    lines = columns.parallel(compare([one], every=True), names, {"a": {"own.f19": 0.9}})
    labels = [axis["label"] for axis in lines["axes"]]
    assert (len(labels), "f19" in labels, "f18" in labels, lines["left_out"]) == (13, True, False, 8)


def test_no_line_without_two_completed_trials(make: SimpleNamespace) -> None:
    one = sweep("a", [make.trial(0, 0.1), replace(make.trial(1, 0.2), state="PRUNED")])
    assert columns.parallel(compare([one], every=True), [], {})["axes"] == []
