import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.ray_backend import scratch
from lstm.records.errors import BadInput


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where temporary files lie."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


HOLDS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from cluster.ray_backend import scratch
with scratch.folder() as own:
    (own / "deep" / "er").mkdir(parents=True)
    print(own, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def driver(places):
    """A process that holds a folder of its own, and that folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, places], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def test_a_folder_lives_as_long_as_its_driver(places, driver):
    process, theirs = driver
    with scratch.folder() as own:
        assert theirs.is_dir(), "its driver lives"
        assert own.stat().st_mode & 0o777 == 0o700
        (own / "file").touch()
        process.kill()
        process.wait()
        with scratch.folder() as other:
            assert sorted(places.iterdir()) == sorted([own, other]), "the killed driver's is gone"
    assert list(places.iterdir()) == []


def test_what_is_not_a_killed_drivers_stays(places):
    strange = [places / f"lstm-sweeps-{name}" for name in ("file", "link", "without-a-lock", "locked-by-a-link")]
    strange[0].touch()
    strange[2].mkdir()
    strange[3].mkdir()
    (places / "mine").mkdir()
    (places / "mine" / "lock").touch()
    strange[1].symlink_to(places / "mine")
    (strange[3] / "lock").symlink_to(places / "mine" / "lock")
    with scratch.folder():
        pass
    assert sorted(places.iterdir()) == sorted([places / "mine", *strange])
    assert (places / "mine" / "lock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another user")
def test_another_users_folder_stays(places):
    theirs = places / "lstm-sweeps-theirs"
    theirs.mkdir()
    (theirs / "lock").touch()
    os.chown(theirs, 65534, 65534)
    with scratch.folder():
        pass
    assert theirs.is_dir()


def test_a_folder_that_was_taken_for_a_killed_drivers_before_it_was_locked_is_made_again(places, monkeypatch):
    first = []
    lock = fcntl.flock

    def flock(descriptor, how):
        if not first:
            first.append(Path(f"/proc/self/fd/{descriptor}").readlink().parent)
            scratch._remove(first[0])
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with scratch.folder() as own:
        assert own != first[0]
        assert list(places.iterdir()) == [own]


def test_where_nothing_can_be_locked_nothing_is_removed(places, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks")

    (places / "lstm-sweeps-a").mkdir()
    (places / "lstm-sweeps-a" / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock)
    with scratch.folder() as own:
        assert own.is_dir()
    assert list(places.iterdir()) == [places / "lstm-sweeps-a"]


def test_no_place_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(BadInput) as error, scratch.folder():
        pytest.fail("made")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("no-temporary-folder", "TMPDIR")


# --- the token


@pytest.fixture
def environment(monkeypatch):
    """Sets what the token depends on, and nothing else of it."""

    def set_(**values):
        for name in ("HOME", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_TMPDIR", "TMPDIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return set_


@pytest.mark.parametrize(
    "home", [None, "", "relative", "/proc/none", "{}/gone", "{}/file", "{}/a-file-for-ray", "{}/a-broken-token"]
)
def test_a_home_that_will_not_do_is_not_needed(environment, tmp_path, home):
    (tmp_path / "file").touch()
    (tmp_path / "a-file-for-ray").mkdir()
    (tmp_path / "a-file-for-ray" / ".ray").touch()
    (tmp_path / "a-broken-token" / ".ray" / "auth_token").mkdir(parents=True)
    environment(**({} if home is None else {"HOME": home.format(tmp_path)}))
    before = sorted(tmp_path.rglob("*"))
    (own := tmp_path / "own").mkdir()
    with scratch.token(own):
        place = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        assert place.parent == own
        assert place.stat().st_mode & 0o777 == 0o600
        assert len(place.read_text()) == 64
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ
    assert sorted(path for path in tmp_path.rglob("*") if own not in (path, path.parent)) == before


@pytest.mark.parametrize(
    "given", [{}, {"RAY_AUTH_TOKEN": "x" * 32}, {"RAY_AUTH_TOKEN_PATH": "/a"}, {"RAY_AUTH_MODE": "disabled"}]
)
def test_a_home_that_will_do_and_a_token_that_is_given_are_used(environment, tmp_path, given):
    environment(**({"HOME": "/proc/none"} if given else {"HOME": tmp_path}), **given)
    before = dict(os.environ)
    with scratch.token(tmp_path):
        assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


def test_a_token_in_the_home_is_its_owners_alone(environment, tmp_path):
    environment(HOME=tmp_path)
    scratch.protect_token()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch(0o666)
    scratch.protect_token()
    assert (tmp_path / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600


# --- Ray's sockets


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize(
    ("base", "code"), [("/" + "x" * 60, "sockets-path-too-long"), ("/proc/none", "rays-folder-unwritable")]
)
def test_a_place_in_which_ray_cannot_work_is_not_used_and_that_is_said(environment, monkeypatch, name, base, code):
    environment(**{name: base})
    place, said = scratch.for_ray()
    assert place == "/tmp/ray"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BadInput) as error:
        scratch.for_ray()
    wrong, nor = error.value.faults
    assert (wrong.code, wrong.place, wrong.values["variable"]) == (code, f"{name} {base}", name)
    assert (nor.code, nor.place, nor.values["variable"]) == ("rays-folder-unwritable", "/tmp", name)
    assert (said.code, said.place, said.values["variable"]) == ("rays-files-elsewhere", f"{name} {base}", name)
    assert said.values["folder"] == "/tmp/ray"
    assert (said.values["room"], said.values["unwritable"]) == (wrong.values.get("room"), wrong.values.get("folder"))
    assert said.text.startswith(wrong.text)


def test_ray_works_where_it_always_does(environment, tmp_path):
    environment()
    assert scratch.for_ray() == (None, None)
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as short:
        environment(TMPDIR="/" + "x" * 60, RAY_TMPDIR=short)
        assert scratch.for_ray() == (None, None), "Ray asks for its own variable first"
