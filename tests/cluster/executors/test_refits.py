"""The seeds of a refit train side by side as one after another, whatever becomes of a worker."""

import itertools
import json
from types import SimpleNamespace

import pytest
import trainings

from cluster.config import ResourcesConfig
from cluster.decisions import End
from cluster.executors import refits
from cluster.executors.in_process import here
from cluster.goodput import Clock
from cluster.interrupts import Stop
from cluster.protocol import FINISHED
from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials import queue as trial_queue
from cluster.trials.refits import begin
from cluster.worker import TrialWorker
from lstm import checkpoint
from lstm.records.events import EpochEnded, TrialEnded, TrialLost, TrialStarted
from lstm.records.state import Derived

EPOCHS, SEEDS = 3, (1, 7, 9)


class SideBySide:
    """A place where two trials have a worker at once; the worker of the first dies after its first epoch if it `dies`.

    `breaks` is raised by each step of a training, as by a user's own code.
    """

    gpus_per_trial, warnings, grows = 0.0, (), False

    def __init__(self, *, dies=False, breaks=None):
        self.dies, self.breaks, self.most = dies, breaks, 0

    def slots(self):
        return 2

    def heed(self):
        if self.breaks:
            raise self.breaks

    def run(self, controller, series, name):
        live, order = {}, None
        for number in itertools.count():
            order = controller.suggest(f"{name}-{number}") if len(live) < 2 else None
            if order == FINISHED and not live:
                return
            if isinstance(order, dict):
                worker = TrialWorker(series, Clock(), name=lambda _: "host pid 1", handle=list, heed=self.heed)
                worker.begin(order)
                live[f"{name}-{number}"] = worker
                self.most = max(self.most, len(live))
            for trial_id, worker in [*live.items()]:
                result = worker.step()
                if result["done"] or controller.result(trial_id, result):
                    controller.complete(trial_id, result, error=False)
                    del live[trial_id]
                elif self.dies and result["epochs"]:
                    self.dies = False
                    controller.error(trial_id, "the actor died")
                    controller.complete(trial_id, None, error=True)
                    del live[trial_id]


@pytest.fixture
def fitted(quick_path, sqlite, trial_config, series_of, walk, monkeypatch):
    """Trains a refit at a place; its study, the checkpoints of its trials, the events, what was shown, and the end."""
    monkeypatch.setattr(trial_queue, "time", SimpleNamespace(monotonic=itertools.count(step=100).__next__))
    config = trial_config()
    series, base = series_of(config.data, walk(60)), json.loads(config.model_dump_json())

    def train(place, again=None):
        name = again.name if again else f"sweep-{place.__class__.__name__}-{id(place)}"
        root = str(quick_path / name)
        study = Study(sqlite, name, None, config)
        if again is None:
            study.remember(base=base, checkpoints=root, n_trials=1, comparable={})
            study.ask()
            study.end(0, End("COMPLETE", 0.5, (2,)))
        some = [Derived(0, "refit", {"training.seed": s} if s > 1 else {}, 0, {"epochs": EPOCHS}) for s in SEEDS]
        numbers = [begin(study, each) for each in some]
        stop, events, shown = Stop(), [], []
        order = SimpleNamespace(
            name=name,
            checkpoints=root,
            resources=ResourcesConfig(),
            for_workers=lambda gpus: {"cpus": 1, "gpus": gpus, "probe": True, "studies": ("mine",)},
        )
        patience = Patience(sqlite, lambda: True, stop, events.append)
        given = {"stop": stop, "record": events.append, "patience": patience, "start": None}
        show = lambda number, epoch: shown.append((number, epoch.number))  # noqa: E731 # a list's method in two parts
        refits.train(study, numbers, series, place, order, show=show, **given)
        kept = [checkpoint.load(f"{root}/trial-{number:04d}") for number in numbers]
        return SimpleNamespace(study=study, kept=kept, events=events, shown=shown, stop=stop, numbers=numbers)

    return train


def test_side_by_side_they_have_the_weights_of_one_after_another(fitted):
    place = SideBySide()
    together, alone = fitted(place), fitted(here(ResourcesConfig()))
    assert place.most == 2
    for one, other in zip(together.kept, alone.kept, strict=True):
        assert trainings.same_weights(one.state.model, other.state.model)
        assert one.derived == other.derived
    for each in (together, alone):
        assert sorted(each.shown) == [(n, epoch) for n in each.numbers for epoch in range(1, EPOCHS + 1)]
        refit = each.study.sweep().refits
        assert [(t.state, t.value, t.spent, t.best_epochs) for t in refit] == [("COMPLETE", None, None, (0,))] * 3
        assert [t.ended_at_ms for t in refit] == sorted({t.ended_at_ms for t in refit}), "one after another"
        told = [type(event) for event in each.events if event.number == each.numbers[0]]
        assert told == [TrialStarted, *[EpochEnded] * EPOCHS, TrialEnded]
        assert [e for e in each.events if isinstance(e, TrialEnded)] == [t.ending() for t in refit]
    seeds = {t.config["training"]["seed"] for t in together.study.sweep().refits}
    assert seeds == set(SEEDS)


def test_a_worker_that_dies_costs_an_epoch_at_most(fitted):
    found, alone = fitted(SideBySide(dies=True)), fitted(here(ResourcesConfig()))
    assert [type(e) for e in found.events].count(TrialLost) == 1
    assert [t.attempt for t in found.study.sweep().refits] == [2, 1, 1]
    assert all(
        trainings.same_weights(a.state.model, b.state.model) for a, b in zip(found.kept, alone.kept, strict=True)
    )


def test_what_can_not_go_on_ends_all_and_stays_open(fitted):
    found = fitted(SideBySide(breaks=ValueError("of my own")))
    assert (found.stop.code, found.stop.reason) == (1, f"trial {found.numbers[0]}: ValueError: of my own")
    assert {t.state for t in found.study.sweep().refits} == {"RUNNING"}
    again = fitted(SideBySide(), again=found.study)
    assert again.numbers == found.numbers
    assert [t.state for t in again.study.sweep().refits] == ["COMPLETE"] * 3
