"""NeuralForecast's AutoLSTM on Ray, as its own pages advise it; runs in an environment of its own (.venv-bench).

    python autolstm.py WORK.json FOLDER

After "Hyperparameter Optimization" (nixtlaverse.nixtla.io/neuralforecast): a search space, Ray as the backend, one core
a trial. The same LSTM, look-back, windows in a step, steps and judgements; the head is NeuralForecast's own (a linear
layer shared by the last steps), windows are drawn at random instead of passed over, and it has neither a checkpoint per
epoch nor MLflow. At its end it trains the best configuration once more, which is part of what it does.
`FOLDER/trials/` gets a file per trial, written by a Lightning callback.
"""

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as lightning
import ray
import torch
from neuralforecast import NeuralForecast
from neuralforecast.auto import AutoLSTM
from neuralforecast.common._base_auto import RayOptions
from neuralforecast.losses.pytorch import MSE
from ray import tune
from ray.tune.search.basic_variant import BasicVariantGenerator

NAMES = {"hidden_size": "encoder_hidden_size", "num_layers": "encoder_n_layers", "learning_rate": "learning_rate"}


class Diary(lightning.Callback):
    """Writes down what a training did; the last one, without a validation part, is not a trial."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.started, self.losses = time.time(), list[float]()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.sanity_checking and "ptl/val_loss" in trainer.callback_metrics:
            self.losses.append(float(trainer.callback_metrics["ptl/val_loss"]))

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not self.losses:
            return
        encoder = pl_module.hist_encoder
        trained = {
            "settings": {name: pl_module.hparams[theirs] for name, theirs in NAMES.items()},
            "recurrent": sum(p.numel() for p in encoder.parameters()),
            "parameters": sum(p.numel() for p in pl_module.parameters()),
            "steps": trainer.global_step,
            "losses": self.losses,
            "started": self.started,
            "ended": time.time(),
        }
        Path(self.folder, f"{uuid.uuid4().hex}.json").write_text(json.dumps(trained), encoding="utf-8")


def main() -> None:
    """Searches and fits; what the trials did lies in FOLDER."""
    work, folder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]).resolve()
    (folder / "trials").mkdir()
    ray.init(address="local")  # not a cluster that happens to run here
    torch.set_num_threads(1)
    points = [{theirs: trial[name] for name, theirs in NAMES.items()} for trial in work["trials"]]
    config: dict[str, Any] = {
        **{name: tune.choice(sorted({point[name] for point in points})) for name in points[0]},
        "input_size": work["lookback"],
        "decoder_layers": 1,
        "max_steps": work["max_epochs"] * work["steps_per_epoch"],
        "val_check_steps": work["steps_per_epoch"],
        "windows_batch_size": work["batch_size"],
        "scaler_type": "identity",  # the whole series is scaled once, as everywhere here
        "random_seed": work["seed"],
        "gradient_clip_val": work["gradient_clip"],
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "logger": False,
        "callbacks": [Diary(str(folder / "trials"))],
    }
    model = AutoLSTM(
        h=work["horizon"],
        loss=MSE(),
        config=config,
        search_alg=BasicVariantGenerator(points_to_evaluate=points),
        num_samples=len(points),
        ray_options=RayOptions(
            cpus=1, gpus=0, run_config=tune.RunConfig(name="autolstm", storage_path=str(folder), verbose=0)
        ),
    )
    table = pd.read_csv(work["csv"], parse_dates=["time"]).head(work["train"] + work["validation"])
    table = table.rename(columns={"time": "ds", "load": "y"}).assign(unique_id="load")
    forecaster = NeuralForecast(models=[model], freq="h", local_scaler_type="standard")
    forecaster.fit(table, val_size=work["validation"])
    best = forecaster.models[0].results.get_best_result()
    print({name: best.config[name] for name in points[0]}, best.metrics["loss"])


if __name__ == "__main__":
    main()
