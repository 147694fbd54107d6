"""The built wheel, installed and used outside the checkout, beside a folder of the user's with a name of ours."""

import importlib.metadata
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("experiments", "cluster", "dashboards", "lstm")


def libraries():
    """The folders of what this Python has installed, ours aside: that is installed from the wheel."""
    own = {str(ROOT), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return [each for each in sys.path if each.endswith("site-packages") and each not in own]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what git knows."""
    source = tmp_path_factory.mktemp("source")
    named = ["pyproject.toml", "README.md", "LICENSE", "lstm_sweeps.py", *ROOMS]
    listed = subprocess.run(["git", "ls-files", "-z", *named], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"no checkout of git: {listed.stderr}")
    for name in filter(None, listed.stdout.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*build, "--wheel-dir", source / "made", source], capture_output=True, text=True, timeout=280, check=False
    )
    if "No module named pip" in done.stderr or "Cannot import 'setuptools" in done.stderr:
        pytest.skip(f"this Python can't build a wheel: {done.stderr}")
    assert done.returncode == 0, done.stderr
    (made,) = (source / "made").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A Python of its own that has the wheel and our libraries; runs code, or the command, in a folder."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    python = place / "venv" / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place / "venv")}))
    (packages / "libraries.pth").write_text("\n".join(libraries()) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def run(folder, *words):
        first, *rest = words
        program = [place / "venv" / "bin" / first] if first == "sweep" else [python, "-c", first]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*program, *rest], cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
        )
        return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


def test_the_wheel_has_types_data_and_the_schema(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{room}/py.typed" for room in ROOMS} <= names
    assert {"experiments/co2.yaml", "experiments/data/co2.csv", "experiments/spec.schema.json"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


PLAN = """
import sys, experiments
from importlib.resources import files
from experiments import plan
shipped = files("experiments") / "single.yaml"
found = plan(shipped)
print(found.trials, experiments.__version__, experiments.__file__)
"""


def test_it_is_used_outside_the_checkout(installed, tmp_path):
    answer = installed(tmp_path, PLAN)
    assert answer.code == 0, answer.err
    trials, version, place = answer.out.split()
    assert (trials, version) == ("1", importlib.metadata.version("lstm-sweeps"))
    assert not Path(place).is_relative_to(ROOT)
    assert answer.err == ""
    assert list(tmp_path.iterdir()) == []
    assert installed(tmp_path, "sweep", "--version").out.split()[-1] == version


def test_beside_a_folder_of_experiments_that_is_no_package_it_works(installed, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "first_try.csv").write_text("day,load\n")
    answer = installed(tmp_path, "import experiments; from experiments import plan; print(experiments.__file__)")
    assert answer.code == 0, answer.err
    assert Path(answer.out.strip()).is_file()
    assert str(tmp_path) not in answer.out


# The package that people import, and one of the others, which are alike.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ("experiments", "lstm") else pytest.mark.faults) for n in ROOMS]
)
def test_beside_a_package_of_a_name_of_ours_it_says_so(installed, tmp_path, name):
    (tmp_path / name).mkdir()
    theirs = tmp_path / name / "__init__.py"
    theirs.write_text("")
    answer = installed(tmp_path, "from lstm_sweeps import run")
    assert answer.code == 1
    last = answer.err.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {name}: Python finds {theirs} in place of ")
    assert "another folder" in last
    answer = installed(tmp_path, "sweep", "plan", "--help")  # its own folder is not where Python looks
    assert answer.code == 0, answer.err
    if name == "experiments":  # Python's own words, which name the file
        answer = installed(tmp_path, "from experiments import run")
        assert answer.code == 1
        assert str(theirs) in answer.err


def test_the_other_name_is_the_same_face(installed, tmp_path):
    answer = installed(tmp_path, "import lstm_sweeps, experiments; print(lstm_sweeps.load is experiments.load, lstm_sweeps.__version__)")  # fmt: skip # noqa: E501
    assert answer.out.split() == ["True", importlib.metadata.version("lstm-sweeps")], answer.err
    answer = installed(tmp_path, "import lstm_sweeps; lstm_sweeps.walk")
    assert "AttributeError" in answer.err
