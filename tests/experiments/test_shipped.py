"""A home that holds a sweep of an older version of a shipped spec: today's version starts beside it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster.opening import open_study
from cluster.study import stored
from experiments import lookup, shipped
from experiments.home import Home
from experiments.planning import make
from experiments.spec import loader as specs
from experiments.spec import yaml_document as yaml_file
from lstm.data.tables import regular

OLDER = Path(__file__).parent / "older"  # versions that were shipped once
SPECS = sorted(shipped.FOLDER.glob("*.yaml"))
GIVEN = {"ETTH1_CSV": "/somewhere/ETTh1.csv", "TINYSHAKESPEARE_TXT": "/somewhere/input.txt", "MULTI30K": "/somewhere"}
CO2, SUNSPOTS = str(shipped.FOLDER / "co2.yaml"), str(shipped.FOLDER / "conditional.yaml")
OF_SUNSPOTS, SUNSPOTS_CSV = shipped.data_versions()["sunspots.csv"], (shipped.DATA / "sunspots.csv").read_bytes()
NAMES = {"co2.yaml": "mauna-loa-co2", "conditional.yaml": "sunspots"}


def hash_of(path):
    return specs.spec_hash(specs.comparable(specs.load(path, environment=GIVEN)))


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A folder as `experiments` was once."""
    folder = tmp_path_factory.mktemp("older")
    shutil.copytree(shipped.FOLDER / "data", folder / "data")
    for path in OLDER.iterdir():
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Home.at("runs")


def begin(path, home, *overrides):
    """Begins a sweep as its driver does, without a trial; what its study says."""
    plan = make(lookup.spec(str(path), home, overrides), home)
    home.folder.mkdir(exist_ok=True)
    open_study(plan.order, plan.series)
    lookup.keep(plan, overrides)
    return facts(home, plan.order.name)


def facts(home, name):
    return stored.facts(home.study_url, name)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_what_is_shipped_today_is_listed_last(path):
    """Where this fails: `python -m experiments.shipped` adds it, and keeps those before."""
    name = str(yaml_file.read(path, environment=GIVEN).filled["name"])
    assert shipped.versions()[name][-1] == hash_of(path)


def test_the_list_is_one_of_shipped_specs():
    assert set(shipped.versions()) == {yaml_file.read(path, environment=GIVEN).filled["name"] for path in SPECS}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_version_that_was_shipped_stays_listed(path, tmp_path):
    def git(*arguments):
        folder = str(shipped.FOLDER)
        return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)

    log = git("log", "--format=%H", "--", path.name)
    if log.returncode or not log.stdout:
        pytest.skip("no git, or no history of the specs")
    for commit in log.stdout.split():
        then = git("show", f"{commit}:./{path.name}")
        if then.returncode == 0:  # else it was taken away there
            (tmp_path / "then.yaml").write_text(then.stdout)
            name = yaml_file.read(tmp_path / "then.yaml", environment=GIVEN).filled["name"]
            assert hash_of(tmp_path / "then.yaml") in shipped.versions()[name], commit


def test_the_data_that_are_shipped_today_are_listed_last():
    """Where this fails: `python -m experiments.shipped` adds them, and keeps those before."""
    files = [path for path in shipped.DATA.iterdir() if path.suffix in (".csv", ".txt")]
    assert {path.name: regular.fingerprint(path) for path in files} == {
        name: each[-1] for name, each in shipped.data_versions().items()
    }


@pytest.fixture
def todays(tmp_path, monkeypatch):
    """A folder with today's spec and, in the second place, data that an update has changed; the data before."""
    folder = tmp_path / "shipped"
    shutil.copytree(shipped.DATA, folder / "data")
    shutil.copy(SUNSPOTS, folder)
    data = folder / "data" / "sunspots.csv"
    before = data.read_bytes()

    def update():
        data.write_bytes(before + b"2009,4.1\n")
        listed = {**shipped.data_versions(), "sunspots.csv": (*OF_SUNSPOTS, regular.fingerprint(data))}
        monkeypatch.setattr(shipped, "data_versions", lambda: listed)
        return data

    return folder / "conditional.yaml", update


def test_changed_shipped_data_are_a_version_too(todays, home, sweep):
    path, update = todays
    before = begin(path, home)
    assert json.loads(sweep("plan", path, "--json").out)["sweep"] == "sunspots"
    update()
    planned = json.loads(sweep("plan", path, "--json").out)
    assert planned["sweep"] == "sunspots-2"
    told = [each["values"] for each in planned["warnings"] if each["code"] == "older-version-kept"]
    assert told == [{"older": ["sunspots"], "name": "sunspots-2"}]
    begin(path, home)
    assert json.loads(sweep("plan", path, "--json").out)["sweep"] == "sunspots-2"
    assert facts(home, "sunspots") == before
    assert json.loads(sweep("status", path, "--json").out)["sweep"] == "sunspots-2"


def test_changed_data_beside_an_older_spec_are_one_version(todays, older, home):
    path, update = todays
    begin(older / "conditional.yaml", home)
    update()
    assert lookup.spec(str(path), home).experiment.name == "sunspots-2"


def test_a_spec_with_one_version_starts_beside_where_its_data_were_changed(todays, home, monkeypatch):
    path, update = todays
    monkeypatch.setattr(shipped, "versions", lambda: {"sunspots": (hash_of(SUNSPOTS),)})
    begin(path, home)
    update()
    assert lookup.spec(str(path), home).experiment.name == "sunspots-2"


@pytest.mark.parametrize("whose", ["today's", "older"])
def test_data_that_their_user_changed_are_refused_as_ever(todays, home, sweep, whose):
    path, update = todays
    if whose == "older":  # a sweep on data of one's own, then an update
        (path.parent / "data" / "sunspots.csv").write_bytes(SUNSPOTS_CSV + b"2009,1.5\n")
    begin(path, home)
    data = update()
    if whose == "today's":
        data.write_bytes(data.read_bytes() + b"2010,1.5\n")
    answer = sweep("run", path)
    assert answer.code == 2
    assert "the bytes of the file" in answer.err
    assert facts(home, "sunspots-2") is None


@pytest.mark.parametrize("named", NAMES)
def test_todays_version_is_planned_beside_it(older, home, sweep, named):
    name, path = NAMES[named], str(shipped.FOLDER / named)
    before = begin(older / named, home)
    planned = json.loads(sweep("plan", path, "--json").out)
    assert planned["sweep"] == f"{name}-2"
    [note] = [each for each in planned["warnings"] if each["values"].get("name") == f"{name}-2"]
    assert note["place"].startswith(f"{path}:")
    assert facts(home, f"{name}-2") is None
    begin(path, home)
    assert facts(home, f"{name}-2")["spec_hash"] == planned["hash"] == hash_of(path)
    assert facts(home, name) == before
    again = json.loads(sweep("plan", path, "--json").out)
    assert again["sweep"] == f"{name}-2"
    # By its name it is what it is.
    assert lookup.spec(f"{name}-2", home).experiment.name == f"{name}-2"
    assert lookup.spec(name, home).experiment.model.num_layers == 1
    assert sweep("plan", name, "--json").code == 0
    assert json.loads(sweep("plan", name, "--json").out)["hash"] == before["spec_hash"]


def test_verbs_that_look_find_it_by_the_spec(older, home, sweep):
    begin(older / "co2.yaml", home)
    answer = sweep("best", CO2)
    assert answer.code == 2
    assert "mauna-loa-co2-2" in answer.err
    begin(CO2, home)
    for verb in ("best", "compare", "verify", "status"):
        answer = sweep(verb, CO2, "--json")
        assert answer.code in (0, 1), answer.err
        assert "mauna-loa-co2-2" in json.dumps(json.loads(answer.out))
        assert answer.err.startswith("note: ")
        assert "mauna-loa-co2 " in answer.err


def test_of_several_older_ones_each_stays(older, home, monkeypatch):
    begin(older / "co2.yaml", home)
    begin(CO2, home)
    known = shipped.versions()["mauna-loa-co2"]
    text = (older / "co2.yaml").read_text().replace("hidden_size: 32", "hidden_size: 31")
    (older / "tomorrow.yaml").write_text(text)
    tomorrow = hash_of(older / "tomorrow.yaml")
    monkeypatch.setattr(shipped, "versions", lambda: {"mauna-loa-co2": (*known, tomorrow)})
    begin(older / "tomorrow.yaml", home)
    assert facts(home, "mauna-loa-co2-3")["spec_hash"] == tomorrow
    assert facts(home, "mauna-loa-co2-2")["spec_hash"] == known[-1]


def test_a_version_that_comes_back_goes_on_with_its_sweep(older, home, monkeypatch):
    begin(older / "co2.yaml", home)
    first = hash_of(older / "co2.yaml")
    monkeypatch.setattr(shipped, "versions", lambda: {"mauna-loa-co2": (first, hash_of(CO2), first)})
    assert lookup.spec(str(older / "co2.yaml"), home).experiment.name == "mauna-loa-co2"


def test_a_sweep_of_ones_own_that_has_the_next_name_stays(older, home):
    begin(older / "co2.yaml", home)
    own = begin(SUNSPOTS, home, "name=mauna-loa-co2-2")
    assert lookup.spec(CO2, home).experiment.name == "mauna-loa-co2-3"
    begin(CO2, home)
    assert facts(home, "mauna-loa-co2-2") == own


def test_a_spec_that_its_user_changed_is_refused_as_ever(older, home, sweep, tmp_path):
    before = begin(older / "conditional.yaml", home)
    changed = Path(SUNSPOTS).read_text().replace("batch_size: 16", "batch_size: 17")
    (older / "changed.yaml").write_text(changed)
    answers = [sweep("run", older / "changed.yaml"), sweep("run", SUNSPOTS, "--set", "training.batch_size=17")]
    for answer in answers:
        assert answer.code == 2
        assert "training.batch_size: was 16, is 17" in answer.err
    assert facts(home, "sunspots") == before
    assert facts(home, "sunspots-2") is None
    begin(SUNSPOTS, home)
    answer = sweep("run", older / "changed.yaml")
    assert answer.code == 2


def test_a_user_who_changed_the_older_one_is_refused(older, home, sweep):
    changed = (older / "conditional.yaml").read_text().replace("batch_size: 16", "batch_size: 17")
    (older / "changed.yaml").write_text(changed)
    begin(older / "changed.yaml", home)
    answer = sweep("run", SUNSPOTS)
    assert answer.code == 2
    assert "training.batch_size: was 17, is 16" in answer.err


@pytest.mark.parametrize("now", [(), ("training.max_epochs=7",)], ids=["without it", "with it"])
def test_an_older_one_that_was_run_with_an_override(older, home, now):
    begin(older / "conditional.yaml", home, "training.max_epochs=7", "search.n_trials=3")
    assert lookup.spec(SUNSPOTS, home, now).experiment.name == "sunspots-2"


def test_what_may_change_between_runs_is_no_change_of_the_spec(older, home):
    begin(older / "conditional.yaml", home, "search.n_trials=3")
    free = ["search.n_trials=5", "resources.max_concurrent=1"]
    assert lookup.spec(SUNSPOTS, home, free).experiment.name == "sunspots-2"
    assert lookup.spec(SUNSPOTS, home, ["name=mine"]).experiment.name == "mine"


def test_a_study_elsewhere(older, home, tmp_path):
    elsewhere = f"storage.study=sqlite:///{tmp_path}/elsewhere.db"
    begin(older / "conditional.yaml", home, elsewhere)
    assert lookup.spec(SUNSPOTS, home).experiment.name == "sunspots"
    assert lookup.spec(SUNSPOTS, home, [elsewhere]).experiment.name == "sunspots-2"


def test_it_is_found_without_what_names_the_data(older, home, sweep, tmp_path, monkeypatch):
    rows = "".join(f"{day},{day % 24}\n" for day in range(14_400))
    (tmp_path / "etth1.csv").write_text(f"date,OT\n{rows}")
    path = str(shipped.FOLDER / "etth1.yaml")
    monkeypatch.setenv("ETTH1_CSV", str(tmp_path / "etth1.csv"))
    begin(older / "etth1.yaml", home)
    begin(path, home)
    monkeypatch.delenv("ETTH1_CSV")
    assert json.loads(sweep("status", path, "--json").out)["sweep"] == "etth1-24-2"


def test_it_is_run_beside_it(older, home, near, tmp_path):
    before = begin(older / "conditional.yaml", home)
    files = {path: path.read_bytes() for path in home.sweep("sunspots").rglob("*") if path.is_file()}
    few = ("--set", "search.n_trials=1")
    done = near("run", SUNSPOTS, *few, cwd=tmp_path)
    assert done.code == 0, done.err
    assert re.search(r"note: .*: name: sunspots .*sunspots-2", " ".join((done.out + done.err).split()))
    again = near("run", SUNSPOTS, *few, cwd=tmp_path)
    assert (again.code, "nothing was left to do" in again.out) == (0, True)
    checked = near("verify", SUNSPOTS, "--json", cwd=tmp_path)
    assert (checked.code, json.loads(checked.out)["sweep"]) == (0, "sunspots-2")
    assert facts(home, "sunspots") == before
    assert {path: path.read_bytes() for path in files} == files
