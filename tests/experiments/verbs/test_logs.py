import json

from cluster.launch import record
from cluster.launch.record import Launched


def test_the_log_of_a_sweep_that_was_not_launched_is_the_one_in_its_home(copied, sweep):
    log = "one\ntwo\n"
    (copied.home / "tiny/sweep.log").write_text(log)
    assert sweep("logs", "tiny").out == log
    assert json.loads(sweep("logs", "tiny", "--json").out) == {"sweep": "tiny", "lines": log.splitlines()}


def test_the_log_of_a_launched_sweep_is_its_jobs(copied, sweep, tmp_path):
    file = tmp_path / "12.log"
    record.write(copied.home / "tiny", Launched("slurm", "12", "tiny", where={"log": str(file)}))
    answer = sweep("logs", "tiny")
    assert (answer.code, "the job 12 has not begun" in answer.err) == (2, True)
    (copied.home / "tiny/sweep.log").write_text("of an earlier run\n")
    assert sweep("logs", "tiny").out == "of an earlier run\n", "until the job has begun"
    file.write_text("Ray has 2 of 2 nodes\n")
    assert sweep("logs", "tiny").out == "Ray has 2 of 2 nodes\n"


def test_no_log_is_told(folder, sweep):
    answer = sweep("logs", "tiny")
    assert (answer.code, "has no sweep of this name" in answer.err) == (2, True)


def test_a_name_that_is_too_long_is_no_sweep(folder, sweep):
    for verb in ("logs", "status", "stop"):
        answer = sweep(verb, "a" * 5000)
        assert (answer.code, "has no sweep of this name" in answer.err) == (2, True), answer.err
