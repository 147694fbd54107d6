"""Files that a test writes, and what is read from them; a small case of each task."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from lstm.config.classify import ClassifyData
from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData, Sizes
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.translate import PairFiles, TranslateData
from lstm.config.trial import TrialConfig
from lstm.config.video import VideoData
from lstm.data import classify as classify_data
from lstm.data import language_model as language_data
from lstm.data import memory as memory_data
from lstm.data import translate as translate_data
from lstm.data import video as video_data
from lstm.data.tables import regular
from lstm.records.errors import BadInput

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def _trial(task, section, warmup=0, **top):
    training = TrainingConfig(max_epochs=1, batch_size=8, learning_rate=0.01, warmup_steps=warmup)
    return TrialConfig(task=task, data=section, model=ModelConfig(hidden_size=3), training=training, **top)


def _season(rows, season, targets=2):
    rng = np.random.default_rng(3)
    steps = np.arange(rows)
    waves = [np.sin(2 * np.pi * (steps / season + shift)) for shift in np.linspace(0, 0.5, targets)]
    return np.stack(waves, axis=1) * 3 + 0.02 * steps[:, None] + rng.normal(size=(rows, targets)).cumsum(axis=0) * 0.1


@pytest.fixture(scope="session")
def seasonal():
    """`(time, target)` with a season and a trend."""
    return _season


@pytest.fixture(scope="session")
def cases(tmp_path_factory, trial_config, series_of):
    """By name: data and configuration."""
    folder = tmp_path_factory.mktemp("text")
    rng = np.random.default_rng(5)
    letters = "".join(rng.choice(list("abcab ab\n"), size=3_000))
    (folder / "a.txt").write_text(letters)
    values = np.concatenate([_season(300, 7), _season(300, 7, 1) * 10], axis=1)
    values[40, 0] = values[100, 1] = values[250, 0] = np.nan
    series_config = trial_config(
        {
            "target": ["y", "z"],
            "past_covariates": ["p"],
            "time": "t",
            "calendar": ["day_of_week"],
            "season": 7,
            "lookback": 9,
            "horizon": 4,
            "missing": "interpolate",
        }
    )
    found = {"forecast": (series_of(series_config.data, values, step="D"), series_config)}
    digits = ClassifyData(
        id="id",
        time="row",
        columns=[f"p{n}" for n in range(8)],
        label="label",
        split={"validation": 0.2, "test": 0.25, "seed": 1},
    )
    config = _trial("classify", digits, metric="val/accuracy", direction="maximize")
    found["classify"] = (classify_data.load(digits, EXPERIMENTS / "data" / "digits.csv"), config)
    for unit in ("characters", "words"):
        section = TextData(unit=unit, lookback=5, split={"validation": 0.2, "test": 0.2})
        found[unit] = (language_data.load(section, folder / "a.txt"), _trial("language_model", section))
    sizes = Sizes(train=60, validation=20, test=30)
    for problem, length, warmup in (("adding", 12, 0), ("copy", 4, 2), ("mackey_glass", 60, 5)):
        options = {"memorize": 3, "symbols": 4} if problem == "copy" else {}
        section = MemoryData(problem=problem, length=length, sizes=sizes, **options)
        found[problem] = (memory_data.generate(section), _trial("memory", section, warmup))
    dates = {"generate": "dates", "sizes": sizes.model_dump(), "units": "characters"}
    small = {"max_epochs": 1, "batch_size": 8, "learning_rate": 0.01}
    tree = {"task": "translate", "data": dates, "model": {"hidden_size": 3}, "training": small}
    config = TrialConfig.model_validate(tree)
    found["dates"] = (translate_data.load(config.data_as(TranslateData), PairFiles()), config)
    moving = {"digits": {"number": 1, "canvas": 8, "size": 4, "sizes": sizes.model_dump()}, "lookback": 4, "horizon": 3}
    model = {"cell": "convlstm", "channels": 2, "kernel_size": 3}
    config = TrialConfig.model_validate({"task": "video", "data": moving, "model": model, "training": small})
    found["frames"] = (video_data.load(config.data_as(VideoData), None), config)
    return found


@pytest.fixture(scope="session")
def shared_config(data_config):
    """Reads `y` over `t`; anything in it can be set by name."""

    def make(**settings):
        return data_config(**{"time": "t", "target": "y", "lookback": 2, "horizon": 1} | settings)

    return make


@pytest.fixture
def reads(tmp_path, shared_config):
    """Writes a file (text, bytes or Arrow columns) and reads it."""

    def read(content, name="a.csv", **settings):
        if isinstance(content, dict):
            pa.parquet.write_table(pa.table(content), tmp_path / name)
        elif content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return regular.read(shared_config(**settings), tmp_path / name)

    return read


@pytest.fixture
def refuses(reads, tmp_path):
    """What is wrong with a file, its folder left out of the places."""

    def refuse(content, name="a.csv", **settings):
        with pytest.raises(BadInput) as error:
            reads(content, name, **settings)
        return [replace(each, place=each.place.replace(f"{tmp_path}/", "")) for each in error.value.faults]

    return refuse
