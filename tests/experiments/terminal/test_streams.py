import errno
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

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


READ = [["--help"], ["--version"], ["best", "tiny"], ["best", "tiny", "--json"], ["compare", "tiny"]]
READ += [["status", "tiny"], ["stop", "tiny"], ["predict", "tiny", "--output", "-"], ["verify", "tiny"]]


@needs_full
@pytest.mark.parametrize("words", READ, ids=" ".join)
def test_output_that_can_not_be_written_is_an_error_in_a_line(finished, environment, words):
    with FULL.open("w") as full:
        done = call(words, finished, environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert os.strerror(errno.ENOSPC) in done.stderr


@pytest.mark.parametrize("streams", [(1,), (0, 1)], ids=str)
def test_closed_output_is_an_error_in_a_line(finished, environment, streams):
    words = ["status", "tiny"]
    done = call(words, finished, environment, stderr=subprocess.PIPE, text=True, preexec_fn=closed(*streams))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert os.strerror(errno.EBADF) in done.stderr


@needs_full
def test_what_can_not_be_said_on_standard_error_changes_no_exit_code(finished, environment):
    with FULL.open("w") as full:
        for words, code in ((["status", "tiny"], 0), (["status", "nothing"], 2), (["stauts"], 2)):
            done = call(words, finished, environment, stderr=full, stdout=subprocess.PIPE)
            assert (done.returncode, bool(done.stdout)) == (code, code == 0)
    assert call(["status", "tiny"], finished, environment, preexec_fn=closed(1, 2)).returncode == 1


@pytest.mark.parametrize("words", [["compare", "tiny"], ["best", "tiny", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_has_left_is_no_error(finished, environment, words):
    done = call_without_reader(words, finished, environment)
    assert (done.returncode, done.stderr) == (0, b"")


def call_without_reader(words, folder, environment):
    here, there = os.pipe()
    os.close(here)
    try:
        return call(words, folder, environment, stdout=there, stderr=subprocess.PIPE)
    finally:
        os.close(there)


def test_training_goes_to_its_end_whoever_looks(folder, environment):
    done = call_without_reader(["train", "tiny.yaml"], folder, environment)
    assert (done.returncode, done.stderr) == (0, b"")
    again = call(["train", "tiny.yaml"], folder, environment, capture_output=True, text=True)
    assert str(note("training-was-complete", at="tiny", epochs=2, stop="max_epochs")) in again.stdout


@needs_full
def test_a_page_whose_address_nobody_could_read_is_not_served(home, environment):
    with FULL.open("w") as full:
        done = call(["ui", "tiny", "--home", home], home, environment, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


# --- A sweep ----------------------------------------------------------------------------------------------


def lost(log):
    return [line for line in log.splitlines() if "the screen can't be written" in line]


def test_a_sweep_outlives_its_screen(folder, environment):
    """First on no stream at all, as from cron: the databases are opened where these would be; then on a terminal."""
    log = folder / "runs" / "tiny" / "sweep.log"
    started = ["run", "tiny.yaml", "--set", "search.n_trials=1"]
    done = call(started, folder, environment, preexec_fn=closed(0, 1, 2))
    first = log.read_text()
    assert done.returncode == 0
    assert "[1/1] trial 1 COMPLETE" in first
    assert len(lost(first)) == 1
    assert (folder / "runs" / "study.db").read_bytes().startswith(b"SQLite format 3\0")
    here, there = pty.openpty()
    words = ["run", "tiny.yaml", "--set", "search.n_trials=2"]
    terminal = environment | {"TERM": "xterm"}
    process = subprocess.Popen([SCRIPT, *words], cwd=folder, env=terminal, stdin=there, stdout=there, stderr=there)
    os.close(there)
    shown = b""
    while b"2" not in shown:
        shown += os.read(here, 65536)
    os.close(here)
    assert process.wait(timeout=240) == 0
    second = log.read_text()[len(first) :]
    assert "[2/2] trial 2 COMPLETE" in second
    assert len(lost(second)) == 1
    assert os.strerror(errno.EIO) in second


@needs_full
def test_the_last_words_and_the_document(copied, environment):
    log = copied.home / "tiny" / "sweep.log"
    with FULL.open("w") as full:
        for more, code in (([], 0), (["--json"], 1)):  # the document is what was asked for, the screen is not
            words = ["run", "tiny.yaml", *more]
            done = call(words, copied, environment, stdout=full, stderr=subprocess.PIPE, text=True)
            assert (done.returncode, done.stderr.count("\n")) == (code, code)
            assert len(lost(log.read_text())) == 1
    assert call_without_reader(["run", "tiny.yaml", "--json"], copied, environment).returncode == 0
    assert call_without_reader(["run", "tiny.yaml"], copied, environment).returncode == 0
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


def test_an_end_that_is_asked_for_waits_for_no_reader():
    here, there = os.pipe()
    relay = Relay(View(there, closefd=True))
    relay.patience_s = 0.0
    relay.write("x" * 300_000)
    relay.close()
    assert relay.closed
    os.close(here)
