import json
import multiprocessing
import signal
import threading

import pytest

from cluster.launch import record, tool
from cluster.launch.record import Launched
from lstm.records.errors import BadInput, NewerForm, fault


def test_a_record_is_read_as_it_was_written(tmp_path):
    assert record.read(tmp_path / "co2") is None
    made = Launched("slurm", "1234", "co2", "login", "ann", 1.5, {"log": "/x/1234.log"})
    record.write(tmp_path / "co2", made)
    assert record.read(tmp_path / "co2") == made
    assert [file.name for file in (tmp_path / "co2").iterdir()] == [record.FILE]


def test_a_record_takes_the_place_of_its_intent(tmp_path):
    intent = Launched("slurm", "sweep-co2-1a2b", "co2", where={"name": "sweep-co2-1a2b"})
    record.intend(tmp_path / "co2", intent)
    assert (record.intended(tmp_path / "co2"), record.read(tmp_path / "co2")) == (intent, None)
    record.write(tmp_path / "co2", Launched("slurm", "1234", "co2"))
    assert record.intended(tmp_path / "co2") is None
    assert [file.name for file in (tmp_path / "co2").iterdir()] == [record.FILE]


WHOLE = {"form": 1, "system": "slurm", "job": "4", "sweep": "co2"}
WRONG = [{"form": "x"}, {"job": 4}, {"where": []}, {"where": {"log": None}}, {"at": "now"}, {"host": None}]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"form": 1, "system": "slurm"}', '{"form": 1, "other": 2}'),
        *(json.dumps(WHOLE | each) for each in WRONG),
    ],
)
def test_a_damaged_record_is_told(tmp_path, text):
    (tmp_path / record.FILE).write_text(text)
    with pytest.raises(BadInput) as error:
        record.read(tmp_path)
    assert [each.code for each in error.value.faults] == ["launch-record-damaged"]


def test_a_newer_record_is_not_taken_for_damage(tmp_path):
    (tmp_path / record.FILE).write_text(json.dumps({"form": 2, "job": 1}))
    with pytest.raises(NewerForm):
        record.read(tmp_path)


def test_one_process_at_a_time_launches_a_sweep(tmp_path):
    inside, most, entered = 0, 0, threading.Barrier(4)

    def launch():
        nonlocal inside, most
        entered.wait()
        for _ in range(20):
            with record.launching(tmp_path / "co2"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=launch) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == 1
    assert not (tmp_path / "co2").exists(), "a launch that was refused leaves nothing"


def test_a_launch_that_was_killed_is_over_when_its_tool_has_ended(tmp_path):
    absent = tool.Missing(fault("kubectl-missing"))

    def launch():
        with record.launching(tmp_path / "co2"):
            words = ["sh", "-c", f"kill -KILL $PPID; sleep 0.5; touch {tmp_path}/submitted"]
            tool.run(words, seconds=30, missing=absent, silent=absent)

    killed = multiprocessing.get_context("fork").Process(target=launch)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    with record.launching(tmp_path / "co2"):
        assert (tmp_path / "submitted").exists()


def test_a_tool_that_this_machine_can_not_run_has_asked_nothing(tmp_path):
    (tmp_path / "sbatch").write_text("no program")
    (tmp_path / "sbatch").chmod(0o755)
    absent = tool.Missing(fault("kubectl-missing"))
    with pytest.raises(tool.Unsent, match="sbatch: can't be started: Exec format error"):
        tool.run([str(tmp_path / "sbatch")], seconds=30, missing=absent, silent=absent)


def test_only_the_job_that_was_meant_is_dropped(tmp_path):
    first, second = (Launched("slurm", job, "co2", at=1.0) for job in ("1", "2"))
    record.write(tmp_path / "co2", first)
    assert not record.drop(tmp_path / "co2", second)
    assert record.read(tmp_path / "co2") == first
    record.intend(tmp_path / "co2", second)
    assert record.drop(tmp_path / "co2", second)
    assert not (tmp_path / "co2").exists()


def test_the_job_of_a_driver_is_in_its_environment():
    assert record.of_environment({}) == {}
    assert record.of_environment({record.VARIABLE: "slurm:12"}) == {"system": "slurm", "job": "12"}
    assert record.of_environment({record.VARIABLE: "kubernetes:ns/co2"}) == {"system": "kubernetes", "job": "ns/co2"}
