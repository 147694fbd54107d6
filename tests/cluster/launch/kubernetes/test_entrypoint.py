"""How the head's script ends for each end of the driver, with stand-ins for `sweep` and for Ray's `ray`."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cluster.launch.kubernetes import entrypoint
from cluster.launch.kubernetes.states import last_end

STOPS = """#!/bin/sh
echo "$@" > "$SWEEP_NOTES/ray"
kill -TERM $PPID
"""
WAIT_S = 30


class Pod:
    """The files of a head's pod, with a `ray` that ends the job as Ray would."""

    def __init__(self, folder):
        self.files, self.notes = folder / "files", folder / "notes"
        for each in (self.files, self.notes, folder / "bin"):
            each.mkdir()
        (folder / "bin" / "ray").write_text(STOPS)
        (folder / "bin" / "ray").chmod(0o755)
        self.variables = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "SWEEP_FILES": str(self.files),
            "SWEEP_NOTES": str(self.notes),
            "SWEEP_HELD_S": "0",
            "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"metadata": {"job_submission_id": "co2-1"}}),
        }

    def start(self, script, *words, **variables):
        commands = {"plan": ["sh", "-c", script], "run": ["sh", "-c", script]}
        (self.files / entrypoint.COMMAND).write_text(json.dumps(commands))
        return self._run(*words, **variables)

    def _run(self, *words, **variables):
        # -I -S: without any package, as in an image with another version of ours.
        return subprocess.Popen(
            [sys.executable, "-I", "-S", entrypoint.__file__, *words],
            env=self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def leave(self):
        assert self._run("leave").wait(WAIT_S) == 0

    @property
    def asked_ray(self):
        return (self.notes / "ray").read_text().split() if (self.notes / "ray").exists() else None


@pytest.fixture
def pod(tmp_path):
    return Pod(tmp_path)


def ended(process):
    said, _ = process.communicate(timeout=WAIT_S)
    return process.returncode, last_end(said.splitlines()), said


STOP = ["job", "stop", "--no-wait", "--address", "http://127.0.0.1:8265", "co2-1"]


@pytest.mark.parametrize("code", [2, 3, 130])
def test_an_end_that_a_new_cluster_would_repeat_is_stopped_by_ray(pod, code):
    returned, end, said = ended(pod.start(f"echo one; echo 'a.yaml:3: no' >&2; exit {code}"))
    assert end == (code, "a.yaml:3: no")
    assert "one\n" in said
    assert pod.asked_ray == STOP
    assert returned == -signal.SIGTERM


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 1", 1), ("kill -9 $$", 137)])
def test_any_other_end_is_the_jobs_own(pod, script, code):
    returned, end, _ = ended(pod.start(script))
    assert (returned, end) == (code, (code, ""))
    assert pod.asked_ray is None


def test_a_driver_of_the_attempt_before_is_waited_for(pod):
    script = f"test -e {pod.notes}/gone || exit 3"
    process = pod.start(script, SWEEP_HELD_S="60", SWEEP_AGAIN_S="0.1")
    while not (pod.notes / entrypoint.DRIVER).exists():
        time.sleep(0.01)
    (pod.notes / "gone").touch()
    assert ended(process)[:2] == (0, (0, ""))
    assert pod.asked_ray is None


def test_a_refused_plan_is_told_by_the_driver_which_is_not_started(pod):
    assert ended(pod.start("echo 'a.yaml:3: no' >&2; exit 2", "plan"))[0] == 0
    assert ended(pod.start(f"touch {pod.notes}/ran"))[1] == (2, "a.yaml:3: no")
    assert pod.asked_ray == STOP
    assert not (pod.notes / "ran").exists()


@pytest.mark.parametrize("code", [0, 1])
def test_any_other_plan_leaves_it_to_the_driver(pod, code):
    assert ended(pod.start(f"exit {code}", "plan"))[0] == 0
    assert ended(pod.start("exit 0"))[0] == 0


def test_a_pod_that_leaves_lets_the_driver_end_first_and_kuberay_try_again(pod):
    script = f"trap 'touch {pod.notes}/kept; exit 130' TERM; echo up; while :; do sleep 0.05; done"
    process = pod.start(script)
    assert process.stdout.readline() == "up\n"
    pod.leave()
    assert (pod.notes / "kept").exists()
    assert ended(process)[:2] == (130, (130, ""))
    assert pod.asked_ray is None


def test_a_pod_without_a_driver_leaves_at_once(pod):
    pod.leave()


def test_a_stop_of_the_job_from_outside_is_no_end_of_its_own(pod):
    """KubeRay does so when the RayJob is deleted: Ray signals this process and the driver."""
    process = pod.start("trap 'exit 130' TERM; echo up; while :; do sleep 0.05; done")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    while not (pod.notes / entrypoint.LEAVING).exists():
        time.sleep(0.01)
    os.kill(int((pod.notes / entrypoint.DRIVER).read_text()), signal.SIGTERM)
    assert ended(process)[0] == 130
    assert pod.asked_ray is None


def test_a_process_that_the_driver_leaves_behind_does_not_hold_the_end_up(pod):
    process = pod.start(f"while ! test -e {pod.notes}/over; do sleep 0.1; done & exit 0")
    assert process.wait(WAIT_S) == 0  # it has our pipe's other end still
    (pod.notes / "over").touch()
    process.communicate()
