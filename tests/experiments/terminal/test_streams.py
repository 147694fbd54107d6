import errno
import os
import pty
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import forking
import pytest
import twin

from dashboards.tracking import server
from experiments.terminal.streams import BACKLOG, Relay, View
from lstm.messages.message import note

SCRIPT = Path(sys.executable).with_name("sweep")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this machine has no /dev/full")


def closed(*descriptors):
    """What closes streams in a process that is about to start."""
    return lambda: [os.close(descriptor) for descriptor in descriptors]


@pytest.fixture
def environment(tmp_path):
    return {key: value for key, value in os.environ.items() if key != "SWEEP_HOME"} | {"COLUMNS": "80"}


def call(words, finished, environment, **streams):
    """The command in the folder of `finished`, or in a folder."""
    cwd = getattr(finished, "folder", finished)
    return subprocess.run([SCRIPT, *words], cwd=cwd, env=environment, timeout=240, check=False, **streams)


def near(words, finished, environment, **streams):
    """The same in a forked child: where Python's own start and end are not the point."""
    return forking.call(words, getattr(finished, "folder", finished), environment, **streams)


READ = [["--version"], ["best", "tiny", "--json"], ["compare", "tiny"], ["status", "tiny"], ["stop", "tiny"]]
READ += [["predict", "tiny", "--output", "-"], ["verify", "tiny"]]


def assert_told(code, err):
    assert (code, err.count("\n")) == (1, 1)
    assert os.strerror(errno.ENOSPC) in err


@needs_full
@pytest.mark.parametrize("words", READ, ids=" ".join)
def test_output_that_can_not_be_written_is_an_error_in_a_line(finished, environment, words):
    with FULL.open("w") as full:
        done = near(words, finished, environment, stdout=full.fileno())
    assert_told(done.code, done.err)


@needs_full
@pytest.mark.parametrize("words", [["--help"], pytest.param(["best", "tiny"], marks=pytest.mark.faults)], ids=" ".join)
def test_it_is_no_second_error_when_python_ends(finished, environment, words):
    with FULL.open("w") as full:
        done = call(words, finished, environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert_told(done.returncode, done.stderr)


@pytest.mark.parametrize("streams", [pytest.param((1,), marks=pytest.mark.faults), (0, 1)], ids=str)
def test_closed_output_is_an_error_in_a_line(finished, environment, streams):
    words = ["status", "tiny"]
    done = call(words, finished, environment, stderr=subprocess.PIPE, text=True, preexec_fn=closed(*streams))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert os.strerror(errno.EBADF) in done.stderr


@needs_full
def test_what_can_not_be_said_on_standard_error_changes_no_exit_code(finished, environment):
    with FULL.open("w") as full:
        for words, code in ((["status", "tiny"], 0), (["status", "nothing"], 2), (["stauts"], 2)):
            done = near(words, finished, environment, stderr=full.fileno())
            assert (done.code, bool(done.out)) == (code, code == 0)
        assert call(["stauts"], finished, environment, stderr=full).returncode == 2
    assert call(["status", "tiny"], finished, environment, preexec_fn=closed(1, 2)).returncode == 1


@pytest.mark.parametrize("words", [["compare", "tiny"], ["best", "tiny", "--json"]], ids=" ".join)
def test_a_reader_that_has_left_is_no_error(finished, environment, words):
    done = near_without_reader(words, finished, environment)
    assert (done.code, done.err) == (0, "")


def test_a_reader_that_has_left_is_no_error_when_python_ends(finished, environment):
    with without_reader() as there:
        done = call(["--help"], finished, environment, stdout=there, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@contextmanager
def without_reader():
    """A pipe that nobody reads."""
    here, there = os.pipe()
    os.close(here)
    try:
        yield there
    finally:
        os.close(there)


def near_without_reader(words, folder, environment):
    with without_reader() as there:
        return near(words, folder, environment, stdout=there)


def test_training_goes_to_its_end_whoever_looks(folder, environment):
    train = ["train", "tiny.yaml", "--set", "training.batch_size=32"]
    done = near_without_reader(train, folder, environment)
    assert (done.code, done.err) == (0, "")
    again = near(train, folder, environment)
    assert str(note("training-was-complete", at="tiny", epochs=2, stop="max_epochs")) in again.out


@needs_full
def test_a_page_whose_address_nobody_could_read_is_not_served(home, environment, monkeypatch, tmp_path):
    """Its server, which is MLflow's (test_ui.py), is here a process that only lives."""

    def serve(*_):
        process = subprocess.Popen(["sleep", "100"])
        (tmp_path / "server").write_text(str(process.pid))
        return server.Server("http://127.0.0.1:5007", process)

    monkeypatch.setattr(server, "serve", serve)
    with FULL.open("w") as full:
        done = near(["ui", "tiny", "--home", home], home, environment, stdout=full.fileno())
    assert_told(done.code, done.err)
    assert not Path("/proc", (tmp_path / "server").read_text()).exists(), "the server has ended"


# --- A sweep ----------------------------------------------------------------------------------------------


def lost(log):
    return [line for line in log.splitlines() if "the screen can't be written" in line]


def near_closed(words, folder, environment):
    return twin.wait(forking.start(words, folder, environment, (None, None, None)))


def near_terminal_that_closes(words, folder, environment):
    return forking.on_terminal(words, folder, environment, until=b"2").code


def ray_closed(words, folder, environment):
    return call(words, folder, environment, preexec_fn=closed(0, 1, 2)).returncode


def ray_terminal_that_closes(words, folder, environment):
    here, there = pty.openpty()
    process = subprocess.Popen([SCRIPT, *words], cwd=folder, env=environment, stdin=there, stdout=there, stderr=there)
    os.close(there)
    shown = b""
    while b"2" not in shown:
        shown += os.read(here, 65536)
    os.close(here)
    return process.wait(timeout=240)


@pytest.mark.parametrize(
    ("on_nothing", "on_terminal_that_closes"),
    [
        pytest.param(near_closed, near_terminal_that_closes, id="here"),
        pytest.param(ray_closed, ray_terminal_that_closes, id="ray", marks=pytest.mark.faults),
    ],
)
def test_a_sweep_outlives_its_screen(folder, environment, on_nothing, on_terminal_that_closes):
    """First on no stream at all, as from cron: the databases are opened where these would be; then on a terminal."""
    log = folder / "runs" / "tiny" / "sweep.log"
    words = ["run", "tiny.yaml", "--set", "training.batch_size=32", "--set"]
    assert on_nothing([*words, "search.n_trials=1"], folder, environment) == 0
    first = log.read_text()
    assert "[1/1] trial 1 COMPLETE" in first
    assert len(lost(first)) == 1
    assert (folder / "runs" / "study.db").read_bytes().startswith(b"SQLite format 3\0")
    terminal = environment | {"TERM": "xterm"}
    assert on_terminal_that_closes([*words, "search.n_trials=2"], folder, terminal) == 0
    second = log.read_text()[len(first) :]
    assert "[2/2] trial 2 COMPLETE" in second
    assert len(lost(second)) == 1
    assert os.strerror(errno.EIO) in second


@needs_full
def test_the_last_words_and_the_document(copied, environment):
    log = copied.home / "tiny" / "sweep.log"
    with FULL.open("w") as full:
        for more, code in (([], 0), (["--json"], 1)):  # the document is what was asked for, the screen is not
            done = near(["run", "tiny.yaml", *more], copied, environment, stdout=full.fileno())
            assert (done.code, done.err.count("\n")) == (code, code)
            assert len(lost(log.read_text())) == 1
    assert near_without_reader(["run", "tiny.yaml", "--json"], copied, environment).code == 0
    assert near_without_reader(["run", "tiny.yaml"], copied, environment).code == 0
    assert len(lost(log.read_text())) == 2


# --- A view -----------------------------------------------------------------------------------------------


def test_a_view_keeps_the_first_error_and_tells_it_once():
    here, there = os.pipe()
    os.close(here)
    told = []
    with View(there, told.append, closefd=True) as view:
        assert [view.write("abc\n"), view.write("defgh\n")] == [4, 6]
    assert [error.errno for error in told] == [errno.EPIPE]
    assert view.error is told[0]


def test_a_view_waits_where_another_made_the_pipe_non_blocking():
    here, there = os.pipe()
    os.set_blocking(there, False)
    sent = "x" * 300_000  # more than a pipe holds
    got = bytearray()

    def read():
        while data := os.read(here, 4096):
            got.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    with View(there, closefd=True) as stream:
        stream.write(sent)
    reader.join()
    os.close(here)
    assert got.decode() == sent


def test_work_does_not_wait_for_a_reader_and_the_last_words_are_kept():
    here, there = os.pipe()
    relay = Relay(View(there, closefd=True))
    for number in range(BACKLOG * 10):
        relay.write(f"{number:>100}\n")  # more than a pipe and the backlog hold
    relay.write("the end")
    closing = threading.Thread(target=relay.close)
    closing.start()
    got = b""
    while data := os.read(here, 65536):
        got += data
    closing.join()
    os.close(here)
    assert got.endswith(b"the end")
    assert BACKLOG <= len(got.splitlines()) < BACKLOG * 10


def test_who_settles_has_all_that_was_written_before_on_the_screen():
    here, there = os.pipe()
    os.set_blocking(here, False)
    relay = Relay(View(there, closefd=True))
    for number in range(300):
        relay.write(f"{number}\n")
    relay.settle(60.0)
    assert os.read(here, 65536).split() == [b"%d" % number for number in range(300)]
    relay.write("x" * 300_000)  # more than a pipe holds
    relay.settle(0.0)  # a reader that does not read is waited for no longer
    relay.patience_s = 0.0
    relay.close()
    os.close(here)


def test_an_end_that_is_asked_for_waits_for_no_reader():
    here, there = os.pipe()
    relay = Relay(View(there, closefd=True))
    relay.patience_s = 0.0
    relay.write("x" * 300_000)
    relay.close()
    assert relay.closed
    os.close(here)
