"""What a sweep costs its driver: milliseconds per trial and per epoch, and what a study of that size costs to read.

    python tests/bench/driver.py --trials 1000 --epochs 5 --sampler random tpe
    python tests/bench/driver.py --trials 200 --known 10000

Trials that do nothing go through the product's own controller and study, on SQLite on disk, in this process: suggested,
started, reported epoch by epoch, ended, in the order in which Tune would call. Ray's own part and MLflow's thread are
not in it. An epoch's cost is measured apart, so that a trial's is what is left of it. Growth is the cost of the last
tenth of the trials over that of the second twentieth. Then what stands at the end is read as the verbs do. `--known`
trials lie in the study already, as others would have left them, so that the cost at ten thousand takes minutes.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path
from statistics import mean

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import create_trial

from cluster.config import SearchConfig
from cluster.controller import TrialController
from cluster.interrupts import Stop
from cluster.protocol import Started
from cluster.study import stored
from cluster.study.retry import Patience
from cluster.study.study import Study
from dashboards.report.comparison import compare
from dashboards.report.page import report
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Epoch
from lstm.records.events import Event

SPACE = {
    "model.hidden_size": {"type": "int", "low": 8, "high": 128, "log": True},
    "model.num_layers": {"type": "int", "low": 1, "high": 3},
    "training.learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
}
BASE = {
    "task": "forecast",
    "data": {"path": "x.csv", "target": "y", "lookback": 48, "horizon": 24, "split": {"validation": 0.2, "test": 0.2}},
}


def main() -> None:
    """Drives a sweep with each sampler and prints what it cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--known", type=int, default=0)
    parser.add_argument("--sampler", nargs="+", default=["random", "tpe"], choices=["random", "tpe"])
    options = parser.parse_args()
    for sampler in options.sampler:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder, 'study.db')}"
            _fill(url, sampler, options.known, options.epochs)
            _measure(url, sampler, options.known, options.trials, options.epochs)


def _fill(url: str, sampler: str, known: int, epochs: int) -> None:
    """A study with trials that have ended, each with what our driver keeps of one."""
    made, draw = _driver(url, sampler, known + 1)._study, random.Random(1)
    distributions = {
        "model.hidden_size": IntDistribution(8, 128, log=True),
        "model.num_layers": IntDistribution(1, 3),
        "training.learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    }
    trials = []
    for number in range(known):
        rate = 10 ** draw.uniform(-4, -1)
        values = {epoch: rate + 1 / (number + 1) / epoch for epoch in range(1, epochs + 1)}
        end = {"state": "COMPLETE", "value": values[epochs], "best_epoch": epochs, "reason": "", "diverged": False}
        end |= {"checkpoint": f"/nowhere/trial-{number:04d}", "at_ms": number + 1, "epochs_s": 1.0, "spent": {}}
        facts = {"attempt": 1, "start": {"worker": "host", "at_ms": number}, "end": end}
        params = {"model.hidden_size": draw.randint(8, 128), "model.num_layers": draw.randint(1, 3)}
        params["training.learning_rate"] = rate
        trials.append(
            create_trial(
                params=params,
                distributions=distributions,
                value=values[epochs],
                intermediate_values=values,
                user_attrs=facts,
            )
        )
    made._study.add_trials(trials)


def _measure(url: str, sampler: str, known: int, trials: int, epochs: int) -> None:
    made = _driver(url, sampler, known + trials)
    trial_s, epoch_s = [], []
    for number in range(known, known + trials):
        whole_s, epochs_s = _trial(made, number, epochs)
        trial_s.append(whole_s - epochs_s)
        epoch_s.append(epochs_s / epochs)
    early, late = slice(trials // 20, trials // 10), slice(trials * 9 // 10, trials)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{sampler}, {trials} trials of {epochs} epochs" + f" after {known}" * bool(known), flush=True)
    print(f"  a trial  {mean(trial_s) * 1e3:6.1f} ms, late {mean(trial_s[late]) * 1e3:6.1f}", end="")
    print(f", growth {mean(trial_s[late]) / mean(trial_s[early]):.2f}")
    print(f"  an epoch {mean(epoch_s) * 1e3:6.1f} ms, growth {mean(epoch_s[late]) / mean(epoch_s[early]):.2f}")
    print(f"  memory   {megabytes:6.0f} MB at most", flush=True)
    began = time.perf_counter()
    again = _driver(url, sampler, known + trials + 1)
    assert isinstance(again.suggest("again"), dict)
    print(f"  resume   {time.perf_counter() - began:6.2f} s until the next trial is suggested", flush=True)
    began = time.perf_counter()
    sweep = stored.read(url, "sweep")
    print(f"  read     {time.perf_counter() - began:6.2f} s, as status does")
    began = time.perf_counter()
    compare([sweep])
    print(f"  compare  {time.perf_counter() - began:6.2f} s, beside reading")
    began = time.perf_counter()
    importance = stored.importances_of(url, "sweep")
    report(sweep, importance, [], {})
    print(f"  report   {time.perf_counter() - began:6.2f} s, importances too, beside reading", flush=True)


def _driver(url: str, sampler: str, trials: int) -> TrialController:
    search = SearchConfig.model_validate(
        {"n_trials": trials, "space": SPACE, "sampler": {"type": sampler, "seed": 1}, "pruner": {"type": "median"}}
    )
    base = TrialConfig.model_validate(BASE)
    study = Study(url, "sweep", search, base)
    study.remember(
        base=json.loads(base.model_dump_json()), checkpoints="/nowhere", n_trials=trials, comparable={"a": 1}
    )
    stop = Stop()
    made = TrialController(
        study,
        checkpoints="/nowhere",
        keep=None,
        order={"cpus": 1, "gpus": 0.0, "probe": False, "studies": ("",)},
        limit=lambda: 3,
        stop=stop,
        record=_pass_over,
        patience=Patience(url, lambda: True, stop, _pass_over),
    )
    made.open()
    return made


def _pass_over(_: Event) -> None:
    """MLflow and the screen have threads of their own."""


def _trial(made: TrialController, number: int, epochs: int) -> tuple[float, float]:
    """Seconds of a whole trial, and of its epochs in that."""
    began = time.perf_counter()
    trial = made.suggest(f"t{number}")
    assert isinstance(trial, dict), made.stop.reason
    made.result(f"t{number}", {"epochs": (), "started": Started("host", number, number, ())})
    rate = trial["trial"]["training"]["learning_rate"]
    epochs_s = 0.0
    for epoch in range(1, epochs):
        of_epoch = time.perf_counter()
        # Ever better, so that the pruner is asked and stops none.
        value = rate + 1.0 / (number + 1) / epoch
        made.result(f"t{number}", {"epochs": (Epoch(epoch, {"val/loss": value, "epoch_s": 0.0}, value, epoch),)})
        epochs_s += time.perf_counter() - of_epoch
    value = rate + 1.0 / (number + 1) / epochs
    last = Epoch(epochs, {"val/loss": value, "epoch_s": 0.0}, value, epochs, "max_epochs")
    made.complete(f"t{number}", {"epochs": (last,), "done": True}, error=False)
    return time.perf_counter() - began, epochs_s * epochs / max(1, epochs - 1)


if __name__ == "__main__":
    main()
