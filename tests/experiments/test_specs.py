import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.spec import loader as spec_file
from experiments.spec import schema
from lstm.tasks import registry as tasks

FOLDER = schema.SCHEMA.parent
SPECS = sorted(FOLDER.glob("*.yaml"))
SHIPPED = [path for path in SPECS if not re.search(r"^  path: .*\$\{", path.read_text(), re.MULTILINE)]

GIVEN = {"ETTH1_CSV": "/somewhere/ETTh1.csv", "TINYSHAKESPEARE_TXT": "/somewhere/input.txt", "MULTI30K": "/somewhere"}


def load(path: Path, environment: dict[str, str] | None = None) -> spec_file.Spec:
    return spec_file.load(path, environment=GIVEN | (environment or {}))


def windows(spec: spec_file.Spec) -> None:
    """Loads the data and asserts that every part has windows at both ends of the space."""
    base = spec.experiment.base
    loaded = tasks.load(base, spec.location, spec.experiment.reach)
    found = tasks.of(base).describe(loaded, base)["windows"]
    assert min(found["validation"], found["test"]) > 10
    assert found["train"] > 100


def test_there_are_specs_to_copy() -> None:
    assert {"co2", "weather", "single", "conditional", "digits", "etth1", "text", "shakespeare"} <= {
        path.stem for path in SPECS
    }


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
class TestEverySpec:
    def test_loads_without_a_warning(self, path: Path) -> None:
        assert spec_file.warnings(load(path)) == []

    def test_a_smoke_test_of_it_loads(self, path: Path) -> None:
        made = spec_file.load(path, ["training.max_epochs=3", "search.n_trials=2"], GIVEN)
        base, search = made.experiment.base, made.experiment.search
        assert (base.training.max_epochs, search.n_trials if search else 1) in [(3, 2), (3, 1)]
        assert all(note.place and note.path for note in made.notes)
        assert bool(search) or any("search.n_trials=2" in note.place for note in made.notes)

    def test_names_the_schema_first(self, path: Path) -> None:
        assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema={spec_file.SCHEMA.name}"

    def test_teaches(self, path: Path) -> None:
        lines = path.read_text().splitlines()
        assert sum("# " in line for line in lines) >= 5
        assert max(len(line) for line in lines) <= 120

    def test_searches_size_depth_and_rate(self, path: Path) -> None:
        search = load(path).experiment.search
        asked = {"model.hidden_size", "model.num_layers", "training.learning_rate"}
        if path.stem == "odyssey":  # the paper's networks have one layer
            asked -= {"model.num_layers"}
        if path.stem == "moving_digits":  # two networks of fixed size are compared
            asked -= {"model.num_layers", "model.hidden_size"}
        assert search is None or set(search.space) >= asked
        assert search is None or "training.seed" not in search.space

    def test_holds_no_machines_path(self, path: Path) -> None:
        assert not Path(load(path).document.written["data"].get("path", "")).is_absolute()


def test_names_are_unique() -> None:
    names = [load(path).experiment.name for path in SPECS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_data_have_windows_in_every_part(path: Path) -> None:
    windows(load(path))


def test_etth1_reads_a_file_of_its_shape(tmp_path: Path) -> None:
    rows = 17_420
    frame = pd.DataFrame({"date": pd.date_range("2016-07-01", periods=rows, freq="h")})
    frame["OT"] = np.random.default_rng(0).normal(size=rows).cumsum()
    frame.to_csv(tmp_path / "ETTh1.csv", index=False)
    for path in sorted(FOLDER.glob("etth1*.yaml")):
        windows(load(path, {"ETTH1_CSV": str(tmp_path / "ETTh1.csv")}))


def test_shakespeare_reads_a_file_of_its_size(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("To be, or not to be\n" * 55_770)
    windows(load(FOLDER / "shakespeare.yaml", {"TINYSHAKESPEARE_TXT": str(tmp_path / "input.txt")}))


def test_every_data_file_is_used_and_its_source_told() -> None:
    told = (FOLDER / "data" / "README.md").read_text()
    used = {load(path).document.written["data"].get("path") for path in SHIPPED}
    for path in (each for each in (FOLDER / "data").iterdir() if each.name not in ("README.md", "versions.json")):
        assert f"data/{path.name}" in used
        assert path.name in told
