"""Runs `sweep run` on the head of a RayJob. The ConfigMap of the RayJob holds this file as it is.

KubeRay starts a new cluster each time that a job has FAILED, up to `backoffLimit` times. An end that a new cluster
would only repeat must not be such a failure: this file asks Ray to stop the job then. The job is STOPPED, which KubeRay
never tries again. This file uses the standard library alone, because the image may hold another version of lstm-sweeps.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from threading import Thread
from typing import IO, Any

FILES = Path(os.environ.get("SWEEP_FILES", "/sweep"))  # the ConfigMap
NOTES = Path(os.environ.get("SWEEP_NOTES", "/sweep-notes"))  # a folder of the pod: the init container writes there, too
DASHBOARD = os.environ.get("SWEEP_DASHBOARD", "http://127.0.0.1:8265")
COMMAND, REFUSED, DRIVER, LEAVING = "command.json", "refused.json", "driver.pid", "leaving"
END = "sweep-launch-end: "  # begins the last line that is written here
# Another driver's lease ends by itself 30 s after that driver is gone, and a pod has two minutes to leave.
HELD_S, AGAIN_S = float(os.environ.get("SWEEP_HELD_S", "300")), float(os.environ.get("SWEEP_AGAIN_S", "10"))
LEAVE_S = 90.0  # for a driver to keep its last epochs; the pod is killed 30 s later
BAD_INPUT, HELD, INTERRUPTED = 2, 3, 130


def main(words: list[str]) -> int:
    """Run what the words say: `plan` in the init container, `leave` before the pod ends, else the driver."""
    if words == ["plan"]:
        return plan()
    return leave() if words == ["leave"] else drive()


def plan() -> int:
    """Plan the sweep. A refusal is left for the driver, because an init container that fails is tried for ever."""
    done = subprocess.run(_command()["plan"], stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr, file=sys.stderr, end="", flush=True)
    if done.returncode == BAD_INPUT:
        (NOTES / REFUSED).write_text(json.dumps(done.stderr), encoding="utf-8")
    return 0


def drive() -> int:
    """Run the driver to its end, and see to it that KubeRay tries again where that is of use, and only there."""
    signal.signal(signal.SIGTERM, lambda *_: (NOTES / LEAVING).touch())  # Ray signals the driver, too
    if (NOTES / REFUSED).exists():
        return _final(BAD_INPUT, json.loads((NOTES / REFUSED).read_text(encoding="utf-8")))
    end = time.monotonic() + HELD_S
    while True:
        code, said = _driver(_command()["run"])
        if code != HELD or _leaving() or time.monotonic() > end:
            break
        time.sleep(AGAIN_S)  # most likely the driver of the attempt before this one, whose pod is leaving
    if not _leaving() and code in (BAD_INPUT, HELD, INTERRUPTED):
        return _final(code, said)
    _tell(code, said)
    return code


def leave() -> int:
    """Ask the driver to end, and wait until it has kept its last epochs. Kubernetes calls this before a pod ends."""
    (NOTES / LEAVING).touch()
    try:
        pid = int((NOTES / DRIVER).read_text(encoding="utf-8"))
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + LEAVE_S
        while time.monotonic() < end:
            os.kill(pid, 0)
            time.sleep(0.2)
    except (FileNotFoundError, ProcessLookupError):
        pass  # there is no driver, or none any more
    return 0


def _driver(command: list[str]) -> tuple[int, str]:
    """Run a driver; its exit code as a shell has it, and the end of what it wrote to its second stream."""
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")
    assert driver.stderr is not None
    (NOTES / DRIVER).write_text(str(driver.pid), encoding="utf-8")
    said: deque[str] = deque(maxlen=20)
    reader = Thread(target=_repeat, args=(driver.stderr, said), daemon=True)
    reader.start()
    code = driver.wait()
    (NOTES / DRIVER).unlink()
    reader.join(1)  # not for ever: a process that the driver has left behind may hold the stream
    return code if code >= 0 else 128 - code, "".join(said)


def _repeat(lines: IO[str], said: deque[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr, end="", flush=True)
        said.append(line)


def _final(code: int, said: str) -> int:
    """End as STOPPED: Ray ends this process meanwhile."""
    _tell(code, said)
    job = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["job_submission_id"]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    subprocess.run(["ray", "job", "stop", "--no-wait", "--address", DASHBOARD, job], check=False)
    time.sleep(60)
    return code


def _tell(code: int, said: str) -> None:
    print(END + json.dumps({"code": code, "said": said.strip()[-2000:]}), file=sys.stderr, flush=True)


def _command() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / COMMAND).read_text(encoding="utf-8"))
    return found


def _leaving() -> bool:
    return (NOTES / LEAVING).exists()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
