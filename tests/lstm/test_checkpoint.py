import hashlib
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from pyarrow import fs

from lstm import checkpoint
from lstm.checkpoint import BrokenCheckpoint, Checkpoint, dumps, load, loads, names, write
from lstm.data.dataset import Scale
from lstm.data.forecast import SeriesFacts
from lstm.records.epoch import Epoch, State
from lstm.records.errors import NewerForm
from lstm.records.goodput import Spent
from lstm.storage import files
from lstm.tasks.registry import TASKS


def content(trial_config, epoch=1):
    """A checkpoint after an epoch, its weights telling which."""
    weights = {"head.weight": torch.full((2, 3), float(epoch))}
    history = tuple(Epoch(n, {"val/loss": 1 / n, "lr": 0.1}, 1 / n, 1_700_000_000_000 + n) for n in range(1, epoch + 1))
    optimizer = {"state": {0: {"step": torch.tensor(epoch)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}]}
    state = State(epoch, weights, optimizer, {"last_epoch": epoch}, epoch, 1 / epoch, weights, history)
    facts = asdict(SeriesFacts("f" * 64, ("y",), 1, 0, Scale((1.5,), (2.0,)), 24, "1h"))
    return Checkpoint(trial_config(), facts, state)


@pytest.fixture(params=["folder", "file uri", "object store"])
def address(request, tmp_path, monkeypatch):
    """Where checkpoints lie, as each kind of address."""
    if request.param == "folder":
        return str(tmp_path / "sweep" / "trial-0001")
    if request.param == "file uri":
        return (tmp_path / "a sweep" / "trial-0001").as_uri()
    store = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    (tmp_path / "bucket" / "trial-0001").mkdir(parents=True)  # object stores have no folders to make
    monkeypatch.setattr(files, "remote", lambda address: (store, address.removeprefix("mock://")))
    return "mock://bucket/trial-0001"


def assert_same(found, wanted):
    assert (found.config, found.facts) == (wanted.config, wanted.facts)
    assert found.state.history == wanted.state.history
    assert torch.equal(found.state.model["head.weight"], wanted.state.model["head.weight"])
    assert torch.equal(found.state.best_weights["head.weight"], wanted.state.best_weights["head.weight"])
    assert found.state.optimizer["param_groups"] == wanted.state.optimizer["param_groups"]
    assert (found.state.epoch, found.state.best_epoch) == (wanted.state.epoch, wanted.state.best_epoch)


# --- The file ---------------------------------------------------------------------------------------------


def test_what_is_written_is_what_is_read(trial_config):
    wanted = content(trial_config, 3)
    assert_same(loads(dumps(wanted)), wanted)


def test_what_was_spent_lies_in_the_file_and_outlives_the_weights(trial_config, tmp_path):
    spent = Spent(start=2.5, report=0.1)
    write(str(tmp_path), 1, replace(content(trial_config), spent=spent))
    assert load(str(tmp_path)).spent == spent
    strip(str(tmp_path))
    assert load(str(tmp_path)).spent == spent


def test_a_file_of_before_time_was_measured_is_read(trial_config, monkeypatch):
    save = torch.save
    monkeypatch.setattr(
        torch, "save", lambda content, file: save({k: content[k] for k in content if k != "spent"}, file)
    )
    assert loads(dumps(replace(content(trial_config), spent=Spent(start=2.5)))).spent == Spent()


def test_torch_opens_the_file_as_it_is(trial_config, tmp_path):
    name = write(str(tmp_path), 1, content(trial_config, 2))
    found = torch.load(tmp_path / name, weights_only=True)
    assert found["best_weights"]["head.weight"].tolist() == [[2.0] * 3] * 2
    assert [row["number"] for row in found["history"]] == [1, 2]
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.comment.startswith(b"sha256:")
        assert archive.testzip() is None


def test_any_altered_byte_is_caught(trial_config):
    data = dumps(content(trial_config))
    tail = range(len(data) - 100, len(data))  # the end of the archive, the comment's length and the comment
    for position in [*range(0, len(data) - 100, 7), *tail]:
        for mask in (0x01, 0x20, 0xFF):
            altered = bytearray(data)
            altered[position] ^= mask
            with pytest.raises(BrokenCheckpoint):
                loads(bytes(altered))


def test_any_truncation_and_any_tail_is_caught(trial_config):
    data = dumps(content(trial_config))
    for length in [*range(0, len(data) - 200, 31), *range(len(data) - 200, len(data))]:
        with pytest.raises(BrokenCheckpoint):
            loads(data[:length])
    for tail in (b"\0", b"\n", data):
        with pytest.raises(BrokenCheckpoint):
            loads(data + tail)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_file_with_a_right_checksum_does_not_run(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"format": 1, "config": Hostile(trap)}, tmp_path / "bad.pt")
    body = (tmp_path / "bad.pt").read_bytes()[:-2]
    with pytest.raises(BrokenCheckpoint, match="can't be read"):
        loads(body + files.seal(body))
    bare = pickle.dumps(Hostile(trap), protocol=2)
    with pytest.raises(BrokenCheckpoint, match="can't be read"):
        loads(bare + files.seal(bare))
    assert not trap.exists()
    torch.load(tmp_path / "bad.pt", weights_only=False)
    assert trap.exists()  # the trap works


@pytest.mark.parametrize(
    "alter",
    [
        lambda c: {k: v for k, v in c.items() if k != "format"},
        lambda c: {k: v for k, v in c.items() if k != "model"},
        lambda c: c | {"config": {}},
        lambda c: c | {"facts": {"scale": {}}},
        lambda c: c | {"history": [{"number": 1}]},
        lambda c: [],
        lambda c: None,
    ],
)
def test_a_whole_file_with_foreign_content_is_broken_too(trial_config, tmp_path, alter):
    name = write(str(tmp_path), 1, content(trial_config))
    torch.save(alter(torch.load(tmp_path / name, weights_only=True)), tmp_path / "other.pt")
    body = (tmp_path / "other.pt").read_bytes()[:-2]
    with pytest.raises(BrokenCheckpoint):
        loads(body + files.seal(body))


def test_a_newer_versions_file_is_refused_and_not_taken_for_damage(trial_config, tmp_path):
    name = write(str(tmp_path), 1, content(trial_config, 1))
    torch.save(torch.load(tmp_path / name, weights_only=True) | {"format": 7}, tmp_path / "other.pt")
    body = (tmp_path / "other.pt").read_bytes()[:-2]
    (tmp_path / "attempt-01-epoch-000002.pt").write_bytes(body + files.seal(body))
    with pytest.raises(NewerForm) as error:
        load(str(tmp_path))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("newer-form", f"{tmp_path}/attempt-01-epoch-000002.pt")
    assert wrong.values == {"form": 7, "known": checkpoint.FORMAT}


def test_an_earlier_versions_file_is_of_the_first_window(trial_config, tmp_path):
    name = write(str(tmp_path), 1, content(trial_config, 2))
    now = torch.load(tmp_path / name, weights_only=True)
    history = [{k: v for k, v in row.items() if k != "window"} for row in now["history"]]
    then = {k: v for k, v in now.items() if k != "window"} | {"format": 2, "history": history}
    torch.save(then, tmp_path / "other.pt")
    body = (tmp_path / "other.pt").read_bytes()[:-2]
    found = loads(body + files.seal(body)).state
    assert [epoch.place for epoch in found.history] == [(1, 1), (1, 2)]
    assert found.place == (1, 2)


def test_the_checksum_is_that_of_the_bytes_before_it(trial_config):
    data = dumps(content(trial_config))
    assert data.endswith(b"sha256:" + hashlib.sha256(data[:-73]).hexdigest().encode())


def strip(address):
    checkpoint.strip(address, load(address))


def read(address):
    return checkpoint.newest(address, lambda _: None)[0]


# --- The address ------------------------------------------------------------------------------------------


def test_an_empty_address_holds_nothing(address):
    assert names(address) == []
    assert load(address) is None


def test_the_newest_epoch_is_loaded_and_two_files_are_kept(address, trial_config):
    for epoch in range(1, 13):
        assert write(address, 1, content(trial_config, epoch)) == f"attempt-01-epoch-{epoch:06d}.pt"
    assert names(address) == ["attempt-01-epoch-000011.pt", "attempt-01-epoch-000012.pt"]
    assert_same(load(address), content(trial_config, 12))
    assert loads(read(address)).state.epoch == 12


def test_a_later_windows_epoch_is_the_newest(address, trial_config):
    first = content(trial_config, 12)
    again = tuple(replace(epoch, window=2) for epoch in first.state.history[:1])
    state = replace(first.state, window=2, epoch=1, history=(*first.state.history, *again))
    write(address, 1, content(trial_config, 11))
    write(address, 1, first)
    assert write(address, 1, replace(first, state=state)) == "attempt-01-window-02-epoch-000001.pt"
    assert names(address) == ["attempt-01-epoch-000012.pt", "attempt-01-window-02-epoch-000001.pt"]
    assert load(address).state.place == (2, 1)
    assert [epoch.place for epoch in load(address).state.history][-2:] == [(1, 12), (2, 1)]


def test_a_later_attempt_wins_over_an_older_ones_later_epoch(address, trial_config):
    write(address, 1, content(trial_config, 5))
    write(address, 2, content(trial_config, 6))
    write(address, 1, content(trial_config, 9))  # a worker thought dead writes on
    write(address, 10, content(trial_config, 3))
    assert names(address)[-1] == "attempt-10-epoch-000003.pt"
    assert load(address).state.epoch == 3
    assert len(names(address)) == 4


def test_a_broken_file_is_named_and_the_one_before_is_used(address, trial_config, tmp_path):
    for epoch in (1, 2):
        write(address, 1, content(trial_config, epoch))
    [newest] = tmp_path.rglob("attempt-01-epoch-000002.pt")
    newest.write_bytes(newest.read_bytes()[:-1])
    broken = []
    assert load(address, broken.append).state.epoch == 1
    assert [(each.code, each.place) for each in broken] == [
        ("file-passed-over", f"{address}/attempt-01-epoch-000002.pt")
    ]
    assert loads(read(address)).state.epoch == 1


def test_where_all_files_are_broken_there_is_none(address, trial_config, tmp_path):
    write(address, 1, content(trial_config, 1))
    [only] = tmp_path.rglob("attempt-*.pt")
    only.write_bytes(b"")
    broken = []
    assert load(address, broken.append) is None
    assert len(broken) == 1


def test_stripping_leaves_the_history_alone(address, trial_config):
    for attempt, epoch in ((1, 1), (1, 2), (2, 3)):
        write(address, attempt, content(trial_config, epoch))
    size = len(read(address))
    strip(address)
    assert names(address) == ["attempt-02-epoch-000003.pt"]
    found, wanted = load(address), content(trial_config, 3)
    assert found.state.history == wanted.state.history
    assert (found.config, found.facts, found.state.best_epoch) == (wanted.config, wanted.facts, 3)
    assert not any((found.state.model, found.state.optimizer, found.state.schedule, found.state.best_weights))
    assert len(read(address)) < size


def test_stripping_overwrites_a_broken_newest_file(address, trial_config, tmp_path):
    for epoch in (1, 2):
        write(address, 1, content(trial_config, epoch))
    [newest] = tmp_path.rglob("attempt-01-epoch-000002.pt")
    newest.write_bytes(b"")
    strip(address)
    assert names(address) == ["attempt-01-epoch-000002.pt"]
    assert load(address).state.epoch == 1


def test_an_object_store_is_reached_through_its_uri():
    system, path = files.remote("mock:///bucket/trial-0001")
    assert (system.type_name, path) == ("mock", "bucket/trial-0001")
    assert checkpoint.names("mock:///bucket/trial-0001") == []


def test_other_files_at_the_address_are_left_alone(trial_config, tmp_path):
    others = {"notes.txt", "attempt-1.pt", "attempt-01-epoch-000001.pt.bak", ".attempt-01-epoch-000009.pt.swp"}
    for name in others:
        (tmp_path / name).write_text("x")
    for epoch in (1, 2, 3):
        write(str(tmp_path), 1, content(trial_config, epoch))
    strip(str(tmp_path))
    assert {p.name for p in tmp_path.iterdir()} == others | {"attempt-01-epoch-000003.pt"}


# --- A crash in the middle --------------------------------------------------------------------------------


class Crash(BaseException):
    pass


def crash(*_, **__):
    raise Crash


@pytest.mark.parametrize(("where", "what"), [(os, "fsync"), (Path, "replace")], ids=["fsync", "rename"])
@pytest.mark.parametrize("epoch", [2, 3], ids=["another name", "the same name"])
def test_a_crash_in_the_middle_leaves_what_was_there(trial_config, tmp_path, monkeypatch, where, what, epoch):
    folder = str(tmp_path)
    for before in (1, 2):
        write(folder, 1, content(trial_config, before))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(where, what, crash)
        with pytest.raises(Crash):
            write(folder, 1, content(trial_config, epoch))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    write(folder, 1, content(trial_config, 3))
    assert load(folder).state.epoch == 3


@pytest.mark.parametrize("strips", [False, True], ids=["the next write", "stripping"])
def test_what_a_kill_left_half_written_is_removed_unless_a_later_attempt_may_be_writing_it(
    trial_config, tmp_path, strips
):
    dead = {".attempt-01-epoch-000007.pt.41", ".attempt-02-epoch-000001.pt.42", f".attempt-02-epoch-000002.pt.{2**22}"}
    live = {".attempt-03-epoch-000002.pt.43", ".attempt-10-epoch-000001.pt.44"}
    write(str(tmp_path), 2, content(trial_config, 1))
    for name in dead | live:
        (tmp_path / name).write_bytes(b"half")
    if strips:
        strip(str(tmp_path))
    else:
        write(str(tmp_path), 2, content(trial_config, 2))
    assert {path.name for path in tmp_path.iterdir()} - set(names(str(tmp_path))) == live


def killed_while_writing(folder, name):
    """What a process that was killed while it wrote a file has left: the name of that."""
    before = set(folder.iterdir())
    child = os.fork()
    if child == 0:
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        try:
            files.put(str(folder), name, b"whole")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = set(folder.iterdir()) - before
    assert left.name.endswith(f".{child}")
    return left.name


def test_a_process_killed_while_it_writes_leaves_nothing_for_long(trial_config, tmp_path):
    write(str(tmp_path), 1, content(trial_config, 1))
    assert killed_while_writing(tmp_path, "attempt-01-epoch-000002.pt").startswith(".attempt-01-epoch-000002.pt.")
    assert load(str(tmp_path)).state.epoch == 1
    write(str(tmp_path), 2, content(trial_config, 2))
    assert [path.name for path in sorted(tmp_path.iterdir())] == names(str(tmp_path))


def test_who_writes_a_file_removes_what_a_killed_process_left_of_it_and_nothing_else(tmp_path):
    dead = killed_while_writing(tmp_path, "home.json")
    mine, _, pid = dead.rpartition(".")
    others = {f"{mine}.{os.getppid()}", f"{mine}.x", f".home.json.other.{pid}", ".home.jso"}
    for name in others:
        (tmp_path / name).write_bytes(b"half")
    files.put(str(tmp_path), "home.json", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"home.json", *others}


@pytest.mark.parametrize("elsewhere", ["another-boot pid:[4026531836]", "{boot} pid:[1]", ""])
def test_what_a_process_of_another_container_writes_is_left_though_the_hosts_have_one_name(
    tmp_path, monkeypatch, elsewhere
):
    theirs = killed_while_writing(tmp_path, "home.json")
    boot, _ = files.machine().split()
    monkeypatch.setattr(files, "machine", lambda: elsewhere.format(boot=boot))
    files.put(str(tmp_path), "home.json", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"home.json", theirs}
    assert killed_while_writing(tmp_path, "report.html").split(".")[3] != theirs.split(".")[3]


def test_two_containers_of_one_host_and_name_do_not_take_each_others_for_dead(tmp_path):
    """Each has its own numbers of processes: one that writes there has the number of none here."""
    free = next(number for number in range(2, 2**15) if not Path(f"/proc/{number}").exists())
    code = (
        f"import os; assert os.getpid() == {free}; from lstm.storage import files; os.fsync = lambda _: os._exit(7); "
        f"files.put({str(tmp_path)!r}, 'home.json', b'half')"
    )
    shell = f'echo {free - 1} > /proc/sys/kernel/ns_last_pid && "$0" -c "$1"; exit $?'
    space = ["unshare", "--fork", "--pid", "--mount-proc", "sh", "-c"]
    able = subprocess.run(
        [*space, "echo 99 > /proc/sys/kernel/ns_last_pid"], capture_output=True, text=True, check=False
    )
    if able.returncode:
        pytest.skip(f"no name space of processes can be made here: {able.stderr.strip()}")
    done = subprocess.run([*space, shell, sys.executable, code], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    (theirs,) = tmp_path.iterdir()
    files.put(str(tmp_path), "home.json", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"home.json", theirs.name}


def test_bytes_are_on_the_disk_before_they_get_their_name(trial_config, tmp_path, monkeypatch):
    order = []
    sync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("sync"), sync(file)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (order.append("rename"), rename(path, to)))
    write(str(tmp_path), 1, content(trial_config))
    assert order == ["sync", "rename", "sync"]


def test_a_full_disk_is_an_os_error_and_leaves_no_torn_file(trial_config, tmp_path, monkeypatch):
    write(str(tmp_path), 1, content(trial_config, 1))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(str(tmp_path), 1, content(trial_config, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["attempt-01-epoch-000001.pt"]


def test_an_old_file_that_can_not_be_removed_does_no_harm(trial_config, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "remove", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    for epoch in (1, 2, 3):
        write(str(tmp_path), 1, content(trial_config, epoch))
    assert load(str(tmp_path)).state.epoch == 3


def test_facts_are_those_of_the_series(trial_config, series_of, walk):
    config = trial_config({"future_covariates": ["f"], "season": 5})
    series = series_of(config.data, walk(100, 2))
    facts = series.facts
    assert (facts.targets, facts.inputs, facts.futures, facts.season) == (("y",), 2, 1, 5)
    assert (facts.scale, facts.fingerprint) == (series.scale, series.fingerprint)
    kept = loads(dumps(replace(content(trial_config), facts=asdict(facts))))
    assert TASKS["forecast"].facts_of(kept.facts) == facts
    assert kept.fingerprint == series.fingerprint
