"""The stock recipe, as Ray's own pages advise it: a function trainable, OptunaSearch, MLflow's callback, checkpoints.

    python stock.py WORK.json FOLDER

After "Getting started with PyTorch", "Running Tune experiments with Optuna" and "Using MLflow with Tune" (docs.ray.io).
All that they leave open is decided for speed: the data travel once (tune.with_parameters), one thread a trial, the
longest configurations first, no artifacts sent to MLflow. With `gpus_per_trial` in WORK.json a trial takes that share
of a GPU, and trains there.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bare
import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch


def train(settings: dict[str, Any], work: dict[str, Any], values: torch.Tensor) -> None:
    """One trial: reports each epoch with its checkpoint, and starts from the last one where there is one."""
    started = time.time()
    torch.set_num_threads(1)
    training = bare.Training(work, settings, values, "cuda" if work["gpus_per_trial"] else "cpu")
    if found := tune.get_checkpoint():
        with found.as_directory() as folder:
            state = torch.load(Path(folder) / "checkpoint.pt", weights_only=True)
        training.network.load_state_dict(state["network"])
        training.optimizer.load_state_dict(state["optimizer"])
    for losses in training.epochs():
        with tempfile.TemporaryDirectory() as folder:
            state = {"network": training.network.state_dict(), "optimizer": training.optimizer.state_dict()}
            torch.save(state, Path(folder) / "checkpoint.pt")
            known = {**training.proof, "started": started, "ended": time.time()}
            tune.report({**losses, **known}, checkpoint=tune.Checkpoint.from_directory(folder))


def main() -> None:
    """Runs the trials; what they did lies in Tune's own files under FOLDER."""
    work, folder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]).resolve()
    ray.init(address="local")  # not a cluster that happens to run here
    space = {name: tune.choice(sorted({t[name] for t in work["trials"]})) for name in work["trials"][0]}
    takes = {"cpu": 1, "gpu": work["gpus_per_trial"]}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, work=work, values=bare.series(work)), takes),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val/loss",
            mode="min",
            num_samples=len(work["trials"]),
            search_alg=OptunaSearch(points_to_evaluate=work["trials"]),
        ),
        run_config=tune.RunConfig(
            name="stock",
            storage_path=str(folder),
            callbacks=[MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", experiment_name="stock")],
        ),
    )
    best = tuner.fit().get_best_result()
    print(best.config, best.metrics and best.metrics["val/loss"])


if __name__ == "__main__":
    main()
