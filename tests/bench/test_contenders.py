import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import bare
import bars
import hourly
import outcome
import pytest
import verdict
import workload
from outcome import Trained

from experiments.spec import loader
from lstm.config.forecast import ForecastData
from lstm.tasks import registry as tasks
from lstm.tasks.networks import forecast
from lstm.training.loop import train


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "hourly.csv"
    hourly.write(path)
    return path


@pytest.fixture
def work(csv: Path) -> outcome.Work:
    return workload.make(workload.SPECS["short"], csv)


def done(work: outcome.Work) -> list[Trained]:
    """Trials that did the work, as a contender would tell."""
    values, trials = bare.series(work), []
    for number, settings in enumerate(work["trials"]):
        proof = bare.Training(work, settings, values).proof
        proof["steps"] = work["max_epochs"] * work["steps_per_epoch"]
        trials.append(Trained(settings, **proof, losses=(0.5, 0.4, 0.3, 0.2, 0.1), started=number, ended=number + 1))
    return trials


@pytest.mark.parametrize("kind", workload.SPECS)
def test_each_spec_says_the_work_whole(kind: str, csv: Path) -> None:
    work = workload.make(workload.SPECS[kind], csv)
    keys = [outcome.key(trial) for trial in work["trials"]]
    read = loader.load(workload.SPECS[kind], environment={"BENCH_CSV": str(csv)}).experiment
    assert read.search is not None
    assert len(set(keys)) == len(keys) == read.search.n_trials
    assert work["train"] + work["validation"] + 500 == hourly.ROWS


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "short" else pytest.mark.faults) for kind in workload.SPECS]
)
def test_bare_pytorch_and_our_trainer_do_the_same_work(kind: str, csv: Path) -> None:
    work = workload.make(workload.SPECS[kind], csv)
    spec = loader.load(workload.SPECS[kind], environment={"BENCH_CSV": str(csv)})
    read = spec.experiment
    values = bare.series(work)
    for settings in work["trials"]:
        size, layers, rate = settings["hidden_size"], settings["num_layers"], settings["learning_rate"]
        model = read.model.model_copy(update={"hidden_size": size, "num_layers": layers})
        training = read.training.model_copy(update={"learning_rate": rate})
        config = read.base.model_copy(update={"model": model, "training": training})
        series = tasks.load(config, spec.location)
        section = config.data_as(ForecastData)
        theirs = bare.Training(work, settings, values)
        feed = forecast.Feed(series, config, "cpu")
        assert theirs.proof["parameters"] == tasks.parameter_count(config, series)
        assert theirs.trained_on == feed.items == len(series.train_origins(section))
        assert len(theirs.judged_on) == feed.judged("validation")
    # Of the last, which is quick, the first epoch in full.
    ours, bare_epoch = next(train(config, series)), next(theirs.epochs())
    assert bare_epoch["train/loss"] == pytest.approx(ours.metrics["train/loss"], rel=1e-3)
    assert bare_epoch["val/loss"] == pytest.approx(ours.metrics["val/loss"], rel=1e-3)
    assert theirs.proof["steps"] == work["steps_per_epoch"]


def test_work_that_was_done_has_no_fault(work: outcome.Work) -> None:
    trials = done(work)
    assert not list(outcome.faults(work, trials, trials, alike=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 229}, "229 steps, not 230"),
        ({"losses": (0.5, 0.4, 0.3, 0.1)}, "4 judged epochs, not 5"),
        ({"recurrent": 1215}, "recurrent parameters, not"),
        ({"parameters": 1}, "1 parameters, not"),
        ({"losses": (0.5, 0.4, 0.3, 0.2, 0.11)}, "ends at a loss of 0.11, not 0.1"),
        ({"losses": (0.5, 0.4, 0.3, 0.2, float("nan"))}, "ends at a loss of nan"),
        ({"settings": {"hidden_size": 8, "num_layers": 1, "learning_rate": 0.1}}, "has too much ['8/1/0.1']"),
    ],
)
def test_work_that_was_not_done_is_told(work: outcome.Work, change: dict[str, object], told: str) -> None:
    trials = done(work)
    changed = [dataclasses.replace(trials[0], **change), *trials[1:]]  # type: ignore[arg-type]
    assert told in "\n".join(outcome.faults(work, changed, trials, alike=True))


def test_another_network_may_differ_in_its_head_and_its_draws_but_not_in_what_it_learns(work: outcome.Work) -> None:
    trials = done(work)
    other = [dataclasses.replace(t, parameters=t.recurrent + 17, losses=(*t.losses[:4], 0.15)) for t in trials]
    assert not list(outcome.faults(work, other, trials, alike=False))
    worse = [dataclasses.replace(t, losses=(*t.losses[:4], 0.25)) for t in trials]
    (fault,) = outcome.faults(work, worse, trials, alike=False)
    assert "median" in fault


def test_a_result_tells_ratios_of_each_round_and_lies_beside_the_earlier_ones(
    work: outcome.Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def times(before: float, trials: float, after: float, others: float = 0.0) -> verdict.Times:
        return {
            "whole_s": before + trials + after,
            "before_s": before,
            "trials_s": trials,
            "after_s": after,
            verdict.OTHERS: others,
        }

    rounds = [
        {"limit": times(1, 18, 1), "stock": times(5, 70, 5), "ours": times(4, 20, 1)},
        {"limit": times(1, 19, 1), "stock": times(5, 85, 10), "ours": times(4, 20, 1)},
        {"limit": times(1, 20, 1), "stock": times(5, 90, 5, others=50), "ours": times(4, 20, 1)},
    ]
    found = verdict.document("short", {**work, "cores": 2}, rounds, {"autolstm": "not there"}, {})
    assert found["disturbed"] == ["round 3, stock: 0.50 of 2 cores"]
    whole, _, trials = found["ratios"]
    assert (whole["of"], whole["median"], whole["low"], whole["high"]) == ("stock / ours", 4.0, 3.2, 4.0)
    assert (trials["of"], trials["span"], trials["median"], trials["goal"]) == ("limit / ours", "trials_s", 0.95, 0.92)
    paths = [verdict.keep(found, tmp_path / "results") for _ in range(2)]
    assert paths[0] != paths[1]
    assert json.loads(paths[0].read_text(encoding="utf-8")) == found
    verdict.show(found, verdict.earlier(tmp_path / "results", "short"))
    shown = capsys.readouterr().out
    assert "left out: autolstm (not there)" in shown
    assert shown.count(found["at"]) == 2
    drawn = ElementTree.fromstring(bars.draw(found))
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"limit", "stock", "ours", "100.0", "25.0"} <= set(texts)
