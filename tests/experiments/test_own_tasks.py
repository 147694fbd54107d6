"""Tasks and cells of a user's own, from his file to a rebuilt MLflow: two toys, which no file of the product names."""

import functools
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

TOYS = Path(__file__).with_name("toys")
REST = """
model: {{hidden_size: 8}}
training: {{max_epochs: 3, batch_size: 32, learning_rate: 0.01}}
search:
  metric: {metric}
  direction: {direction}
  n_trials: 3
  sampler: {{type: random, seed: 1}}
  space:
    model.hidden_size: {{type: int, low: 4, high: 8}}
resources: {{gpus_per_trial: 0}}
"""
TASKS = {
    "tank": ("task: tank.py:Tank\ndata: {path: tank.csv}", "val/centimetres", "minimize"),
    "spell": ("task: spell.py:Spell\ndata: {words: 100}", "val/spelt_right", "maximize"),
}


def lay(name, folder):
    """Puts a toy's file, its spec and the tank's table into a folder."""
    head, metric, direction = TASKS[name]
    shutil.copy(TOYS / f"{name}.py", folder)
    (folder / f"{name}.yaml").write_text(f"name: {name}\n{head}" + REST.format(metric=metric, direction=direction))
    level, rows = 50.0, ["inflow,outflow,level"]
    for n in range(240):
        inflow, outflow = 3 + 2 * math.sin(n / 7), 3 + 1.5 * math.cos(n / 11)
        level += inflow - outflow
        rows.append(f"{inflow:.4f},{outflow:.4f},{level:.4f}")
    (folder / "tank.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def tank(tmp_path, monkeypatch):
    """A folder with the tank's file, spec and table, which is the working folder."""
    lay("tank", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run_toy(tmp_path_factory, command, near):
    """Runs a toy's sweep, once for this file: by Ray, or without it."""

    @functools.cache
    def run_toy(name, way):
        folder = tmp_path_factory.mktemp(name)
        lay(name, folder)
        run = {"ray": command, "near": functools.partial(near, drawn=True)}[way]
        answer = run("run", f"{name}.yaml", "--json", cwd=folder)
        assert answer.code == 0, answer.err
        return folder, json.loads(answer.out)

    return run_toy


@pytest.fixture
def ran(request, run_toy, monkeypatch):
    """Such a sweep, its folder being the working folder: what is changed there is put back."""
    name, way = request.param
    folder, document = run_toy(name, way)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    yield SimpleNamespace(name=name, folder=folder, document=document)
    shutil.copy(TOYS / f"{name}.py", folder)


def test_a_toy_has_at_most_120_lines():
    assert {path.name: len(path.read_text().splitlines()) <= 120 for path in TOYS.glob("*.py")} == {
        "tank.py": True,
        "spell.py": True,
    }


# Over Ray, tests/cluster/test_driver.py runs one in each run of the tests.
OTHERS = [("tank", "near"), *((toy, "ray") for toy in TASKS)]
RUNS = [("spell", "near"), *(pytest.param(each, marks=pytest.mark.faults) for each in OTHERS)]


@pytest.mark.usefixtures("blank_pages")
@pytest.mark.parametrize("ran", RUNS, indirect=True, ids="-".join)
def test_a_task_goes_through_every_verb_and_only_those_that_need_it_execute_its_file(ran, sweep):
    toy = ran.name
    _, metric, direction = TASKS[toy]
    planned = sweep("plan", f"{toy}.yaml", "--json")
    assert planned.code == 0, planned.err
    [note] = json.loads(planned.out)["warnings"]
    assert (note["code"], toy in note["place"]) == ("own-code-executed", True)
    predicted = sweep("predict", toy)
    assert (predicted.code, len(predicted.out.splitlines())) == (0, 2), predicted.err
    probed = sweep("probe", toy, "--json")
    assert probed.code == 0, probed.err
    assert json.loads(probed.out)["numbers"]
    (ran.folder / f"{toy}.py").rename(ran.folder / "away.py")
    best = json.loads(sweep("best", toy, "--json").out)
    values = [trial["value"] for trial in json.loads(sweep("compare", toy, "--json").out)["trials"]]
    assert best["best"]["value"] in values
    assert (best["metric"], best["direction"]) == (metric, direction)
    assert (ran.folder / "runs" / toy / "report.html").is_file()
    for verb in ("status", "verify", "rebuild", "verify"):
        answer = sweep(verb, toy)
        assert answer.code == 0, answer.out + answer.err
    judged = sweep("rivals", toy)
    assert (judged.code, judged.out) == (2, "")
    assert "only plan, doctor, run, retry, train, predict and probe" in judged.err
    refused = sweep("predict", toy)
    assert (refused.code, refused.out) == (2, "")
    assert f"{toy}.py" in refused.err
    assert sweep("predict", toy, "--code", "away.py").out == predicted.out


@pytest.mark.parametrize("ran", [("spell", "near")], indirect=True, ids=["spell"])
def test_a_verdict_knows_that_a_users_metric_is_better_when_higher(ran):
    rows = ran.document["verdict"]["rows"]
    network, base = (next(r for r in rows if r["role"] == role) for role in ("network", "base"))
    assert base["difference"]["unit"] == "points"
    assert base["difference"]["value"] == pytest.approx(100 * (network["test"] - base["test"]))


@pytest.mark.parametrize("ran", [("tank", "near")], indirect=True, ids=["tank"])
def test_other_bytes_than_the_sweeps_are_refused_with_both_digests(ran, sweep):
    was = json.loads(sweep("best", "tank", "--json").out)["best"]["config"]["code"]["tank.py"]
    with (ran.folder / "tank.py").open("a") as file:
        file.write("# other\n")
    for verb in ("run", "predict"):
        answer = sweep(verb, "tank")
        assert (answer.code, answer.out) == (2, "")
        assert was[:12] in answer.err
        assert answer.err.count("SHA-256") >= 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("tank.py:Tank", "tank.py:Tanks"), "Tanks"),
        (("tank.py:Tank", "tanks.py:Tank"), "tanks.py"),
        (("tank.py:Tank", "tank.py:Mean"), "lstm.tasks.base.Task"),
        (("path: tank.csv", "pth: tank.csv"), "did you mean path"),
        (("val/centimetres", "val/centimeters"), "did you mean val/centimetres"),
        (("minimize", "maximize"), "use minimize"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tank, sweep, change, told):
    spec = tank / "tank.yaml"
    spec.write_text(spec.read_text().replace(*change))
    answer = sweep("plan", "tank.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert "tank.yaml:" in answer.err
    assert told in answer.err


def test_a_task_without_measure_is_refused_where_evolution_is_set_or_searched(tank, sweep):
    spec = tank / "tank.yaml"
    whole = spec.read_text()
    searched = whole.replace(
        "space:", "space:\n    training.method: {type: categorical, choices: [gradient, evolution]}"
    )
    for text in (searched, whole.replace("training: {", "training: {method: evolution, ")):
        assert text != whole
        spec.write_text(text)
        for verb in ("plan", "run"):
            answer = sweep(verb, "tank.yaml")
            assert (answer.code, answer.out) == (2, "")
            assert "training.method: evolution needs the metrics of a batch" in answer.err
    assert not (tank / "runs").exists()
    file = tank / "tank.py"
    file.write_text(file.read_text() + "\n\nFeed.measure = lambda self, network, rows: ({'loss': 0.0}, len(rows))\n")
    assert sweep("plan", "tank.yaml").code == 0
    file.write_text(file.read_text().replace("self._device = data, config", "self._device = 1 / 0, config"))
    spec.write_text(searched)
    answer = sweep("plan", "tank.yaml")
    assert (answer.code, "ZeroDivisionError" in answer.err, "tank.py:" in answer.err) == (2, True, True)


def test_what_a_file_raises_is_told_with_its_line(tank, sweep, near):
    file = tank / "tank.py"
    text = file.read_text()
    file.write_text(text + "\n1 / 0\n")
    answer = sweep("plan", "tank.yaml")
    assert answer.code == 2
    line = len(text.splitlines()) + 2
    assert [part for part in (f"tank.py:{line}: ", "ZeroDivisionError") if part not in answer.err] == []
    judged = '        return judged("", part,'
    assert judged in text
    file.write_text(text.replace(judged, '        raise KeyError("no")\n' + judged))
    line = next(n for n, each in enumerate(file.read_text().splitlines(), 1) if "KeyError" in each)
    ran = near("run", "tank.yaml", "--set", "search.stop.max_failures=1", cwd=tank)
    assert ran.code == 1, ran.err
    assert f"tank.py:{line}: KeyError" in ran.out + ran.err
