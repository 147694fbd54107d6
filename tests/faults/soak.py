"""The soak: sweep after sweep over real hosts, PostgreSQL and MLflow, under faults drawn with a fixed seed.

    python tests/faults/soak.py --minutes 60 --seed 1 --output soak.json

Whatever happens, each sweep must come to exactly its trials, `sweep verify` and the second opinion must find nothing,
and the weights of completed trials must be those of the same configuration trained alone. Exits 1 where that is not so.
"""

import argparse
import json
import math
import os
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

import hosts
import outages
import postgres
import psycopg2
import torch
import trainings
from audit import audit

from lstm import checkpoint
from lstm.config.section import File
from lstm.storage import files

TRIALS, EPOCHS = 40, 6
CONFIRMED = 6  # trials of a sweep that is judged over windows, confirmed, and whose winner is fitted on all data
ACTORS = ("ray::ResourceTrainable", "ray::TrialActor")  # a worker with a trial, by what it does just now
# Steps that are far too long let some trials diverge.
SPEC = """
name: {name}
data: {{path: wave.csv, target: y, lookback: 24, horizon: 6, split: {{validation: 0.2, test: 0.2}}{backtest}}}
training: {{max_epochs: {epochs}, batch_size: 1, learning_rate: 1e-3, optimizer: sgd, gradient_clip: null}}
search:
  n_trials: {trials}
  sampler: {{type: {sampler}, seed: {seed}}}
  pruner: {pruner}
{confirm}  space:
    model.hidden_size: {{type: int, low: 4, high: 48}}
    training.learning_rate: {{type: float, low: 1e-3, high: 1.0, log: true}}
storage: {{{study}checkpoints: {checkpoints}, keep: {keep}}}
tracking: {{uri: "{tracking}", checkpoints: {artifacts}}}
"""
PRUNERS = ("{type: none}", "{type: median, n_startup_trials: 3}", "{type: successive_halving, min_resource: 1}")
BACKTEST, CONFIRM = ", backtest: {windows: 2, fresh: true}", "  confirm: {top: 2, seeds: 2}\n"
FAULTS = {  # with how often each is drawn
    "driver killed": 4,
    "driver interrupted": 2,
    "driver terminated": 1,
    "worker killed": 4,
    "host killed": 2,
    "host cut off": 1,
    "head killed": 1,
    "MLflow killed": 2,
    "MLflow answers 503": 2,
    "MLflow hangs": 2,
    "MLflow loses answers": 2,
    "PostgreSQL restarted": 3,
    "disk of checkpoints full": 2,
    "checkpoint truncated": 2,
    "checkpoint altered": 2,
    "checkpoint hostile": 1,
    "second driver": 1,
    "foreign study": 1,
    "home moved": 2,
}
OF_SEARCHES = ("second driver", "foreign study")  # what does not happen to a refit


class World:
    """Three hosts, a PostgreSQL, an MLflow server behind a proxy, a small disk for checkpoints; one sweep at a time."""

    def __init__(self, folder: Path, lab: hosts.Lab, database: postgres.Postgres, draw: random.Random) -> None:
        """Starts all of it."""
        self.folder, self.lab, self.database, self.draw = folder, lab, database, draw
        self.disk = folder / "disk"
        rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(1400))
        (folder / "wave.csv").write_text(f"y\n{rows}\n")
        self.study = database.create("study")
        self.server = outages.MlflowServer(folder)
        self.proxy = outages.Proxy(self.server.port, lab.outside)
        self.name, self.driver = "", None
        self.home, self.in_home = "home", False  # whether the study is the home's own
        self.trials = TRIALS
        # When each file was seen: sweep, trial, attempt, window and epoch.
        self.seen: dict[tuple[str, int, int, tuple[int, ...]], float] = {}
        self.address = hosts.cluster(*lab.hosts)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            for file in self.disk.glob(f"{self.name or '-'}/{self._mine() or '-'}/trial-*/attempt-*.pt"):
                attempt, *place = map(int, re.findall(r"\d+", file.stem))
                key = (self.name, int(file.parent.name[-4:]), attempt, tuple(place))
                self.seen.setdefault(key, time.monotonic())
            time.sleep(0.02)

    def _mine(self) -> str:
        """The id of this sweep's study; "" before it is known."""
        with suppress(OSError, ValueError, KeyError):
            return self._study_id()
        return ""

    # --- the driver

    def write_spec(self, number: int) -> None:
        """The next sweep: samplers, pruners and stores in turn; every second one with windows, confirm and a refit."""
        self.name, self.trials = f"soak-{number:02d}", TRIALS if number % 2 == 0 else CONFIRMED
        self.in_home = number % 4 == 0
        study = "" if self.in_home else f'study: "{self.study}", '
        (self.folder / "spec.yaml").write_text(self._spec(number, study, self.trials, is_confirmed=self.is_confirmed))

    @property
    def is_confirmed(self) -> bool:
        """Whether the sweep is judged over windows, confirmed, and its winner fitted on all data."""
        return self.trials == CONFIRMED

    def _spec(self, number: int, study: str, trials: int, *, is_confirmed: bool = False) -> str:
        return SPEC.format(
            name=self.name,
            epochs=EPOCHS,
            trials=trials,
            backtest=BACKTEST if is_confirmed else "",
            confirm=CONFIRM if is_confirmed else "",
            sampler=("tpe", "random")[number % 2],
            seed=number,
            pruner=PRUNERS[number % 3],
            study=study,
            checkpoints=self.disk,
            keep=("all", "best")[number % 2],
            tracking=self.proxy.address,
            artifacts=("best", "all", "none")[number % 3] if number % 2 == 0 else "best",
        )

    def start_refit(self) -> "subprocess.Popen[str]":
        """`sweep refit` on the first host, whose seeds train on the cluster."""
        words = ("sweep", "refit", self.name, "--seeds", "2", "--home", self.home, "--address", self.address)
        return self.lab.hosts[0].start(*words, cwd=self.folder, output=self.folder / "refit.out")

    def start_driver(self, host: int = 0) -> "subprocess.Popen[str]":
        """`sweep run` on a host."""
        words = ("sweep", "run", "spec.yaml", "--home", self.home, "--address", self.address)
        output = self.folder / f"driver-{host}.out"
        return self.lab.hosts[host].start(*words, cwd=self.folder, output=output)

    def progress(self) -> int:
        """How many checkpoint files of this sweep were seen so far."""
        return sum(key[0] == self.name for key in list(self.seen))

    def wait(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Whether a condition comes true in time, or the driver ends."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if condition() or self.driver is None or self.driver.poll() is not None:
                return bool(condition())
            time.sleep(0.05)
        return False

    # --- the faults; each answers what it wants remembered of it

    def fault(self, kind: str) -> dict[str, Any]:
        """Does one."""
        words = kind.replace(" ", "_").replace("MLflow", "mlflow").replace("PostgreSQL", "postgresql")
        found: dict[str, Any] | None = getattr(self, words)()
        return found or {}

    def _signal_driver(self, number: signal.Signals) -> dict[str, Any]:
        assert self.driver is not None
        started = time.monotonic()
        self.lab.hosts[0].send(self.driver, number)
        self.driver.wait(120)
        return {"ended_after_s": round(time.monotonic() - started, 2), "code": self.driver.returncode}

    def driver_killed(self) -> dict[str, Any]:
        return self._signal_driver(signal.SIGKILL)

    def driver_interrupted(self) -> dict[str, Any]:
        found = self._signal_driver(signal.SIGINT)
        assert found["ended_after_s"] < 15 or found["code"] != 130, found
        return found

    def driver_terminated(self) -> dict[str, Any]:
        return self._signal_driver(signal.SIGTERM)

    def worker_killed(self) -> None:
        workers = self._workers()
        if workers:
            self._send([self.draw.choice(workers)], signal.SIGKILL)

    def _workers(self) -> list[int]:
        return [pid for host in self.lab.hosts for actor in ACTORS for pid in host.pids(actor)]

    def _send(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _other(self) -> int:
        return self.draw.choice((2, 3))

    def _replace(self, number: int) -> None:
        self.lab.hosts[number - 1].kill()
        host = self.lab.host(number)
        for tries_left in (3, 2, 1, 0):  # the others know the address by the dead host's card for a while
            try:
                host.join(self.address, cpus=1)
                return
            except AssertionError:
                if not tries_left:
                    raise

    def host_killed(self) -> dict[str, Any]:
        number = self._other()
        silently = self.draw.random() < 0.5
        self.lab.hosts[number - 1].kill(silently=silently)
        self._replace(number)
        return {"silently": silently}

    def host_cut_off(self) -> dict[str, Any]:
        number, span_s = self._other(), self.draw.choice((10, 120))
        host = self.lab.hosts[number - 1]
        host.cut_off()
        self.wait(lambda: False, span_s)
        host.reconnect()
        if span_s > 60:  # Ray has declared it dead, and its raylet ends when it hears of it
            self._replace(number)
        return {"cut_off_s": span_s}

    def head_killed(self) -> dict[str, Any]:
        assert self.driver is not None
        started = time.monotonic()
        self.lab.hosts[0].end("gcs_server")
        self.driver.wait(120)
        found = {"ended_after_s": round(time.monotonic() - started, 2), "code": self.driver.returncode}
        for number in (1, 2, 3):
            self.lab.hosts[number - 1].kill()
            self.lab.host(number)
        self.address = hosts.cluster(*self.lab.hosts)
        assert found["ended_after_s"] < 60, found
        return found

    def mlflow_killed(self) -> None:
        self.server.kill()
        self.wait(lambda: False, 8)
        self.server.start()

    def _break_proxy(self, mode: outages.Mode) -> None:
        self.proxy.mode = mode
        self.wait(lambda: False, 10)
        self.proxy.mode = "pass"

    def mlflow_answers_503(self) -> None:
        self._break_proxy("503")

    def mlflow_hangs(self) -> None:
        self._break_proxy("hang")

    def mlflow_loses_answers(self) -> None:
        self.proxy.choose = outages.drawn(("swallow", "cut", "refuse"), 0.4, self.draw.randrange(2**31))
        self.wait(lambda: False, 10)
        self.proxy.mode = "pass"

    def postgresql_restarted(self) -> dict[str, Any]:
        span_s = self.draw.choice((0, 5, 20))
        self.database.stop()
        self.wait(lambda: False, span_s)
        self.database.start()
        return {"away_s": span_s}

    def disk_of_checkpoints_full(self) -> None:
        filler = self.disk / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        self.wait(lambda: False, 8)
        filler.unlink()

    def _damage(self, how: Callable[[bytes], bytes]) -> dict[str, Any]:
        """The newest checkpoint of a trial that runs, whose worker then dies, so that it is read."""
        workers = self._workers()
        self._send(workers, signal.SIGSTOP)
        told: dict[str, Any] = {"found_none": True}
        self.wait(lambda: False, 1.5)  # for the driver to end what was told to it
        for number in self._running():  # an ended trial's file is nobody's to damage: nothing could mend it
            place = self.disk / self.name / self._study_id() / f"trial-{number:04d}"
            if names := checkpoint.names(str(place)):
                (place / names[-1]).write_bytes(how((place / names[-1]).read_bytes()))
                told = {"trial": number}
                break
        self._send(workers, signal.SIGKILL)
        return told

    def _running(self) -> list[int]:
        query = "SELECT number FROM trials JOIN studies USING (study_id) WHERE study_name = %s AND state = 'RUNNING'"
        if self.in_home:
            with closing(sqlite3.connect(self.folder / self.home / "study.db", timeout=60)) as database:
                return [number for (number,) in database.execute(query.replace("%s", "?"), (self.name,))]
        with closing(psycopg2.connect(self.study)) as connection, connection.cursor() as cursor:
            cursor.execute(query, (self.name,))
            return [number for (number,) in cursor.fetchall()]

    def checkpoint_truncated(self) -> dict[str, Any]:
        return self._damage(lambda data: data[: len(data) // 2])

    def checkpoint_altered(self) -> dict[str, Any]:
        at = self.draw.random()
        return self._damage(lambda data: _flipped(data, int(at * len(data))))

    def checkpoint_hostile(self) -> dict[str, Any]:
        return self._damage(lambda _: _hostile(self.folder / "hostile-was-run"))

    def second_driver(self) -> dict[str, Any]:
        other = self.start_driver(self.draw.choice((0, 1)))
        code = other.wait(180)
        alive = self.driver is not None and self.driver.poll() is None
        assert code == 3 or not alive, f"a second driver ended with {code}"
        return {"code": code}

    def foreign_study(self) -> dict[str, Any]:
        """Somebody else's sweep of this name keeps its checkpoints in the same place, beside this one's driver."""
        folder = self.folder / f"foreign-{len(list(self.folder.glob('foreign-*')))}"
        folder.mkdir()
        (folder / "wave.csv").write_bytes((self.folder / "wave.csv").read_bytes())
        (folder / "spec.yaml").write_text(self._spec(99, "", trials=2))
        # On a Ray of its own: this sweep's actors hold every slot of the cluster until their sweep has ended.
        ran = self.lab.hosts[0].run("sweep", "run", "spec.yaml", "--home", "home", cwd=folder, timeout_s=600)
        assert ran.returncode == 0, ran.stdout
        return {"code": ran.returncode}

    def home_moved(self) -> dict[str, Any]:
        """The driver is killed, and the home has another place when the next one begins."""
        found = self._signal_driver(signal.SIGKILL)
        moved = f"home-{len(list(self.folder.glob('home*')))}-{self.draw.randrange(1000)}"
        (self.folder / self.home).rename(self.folder / moved)
        self.home = moved
        return found

    # --- the judgement

    def check(self, code: int) -> dict[str, Any]:
        """What is wrong with the sweep that has just ended."""
        wrong: list[str] = []
        home, mlflow = self.folder / self.home, str(self.server.database)
        study = None if self.in_home else self.study
        wrong += audit(home, self.name, study=study, mlflow=mlflow, artifacts=self.server.artifacts)
        for _ in range(5):  # the two cores may be too busy for a server to answer in time
            verified = self.lab.hosts[0].run("sweep", "verify", self.name, "--home", self.home, cwd=self.folder)
            if "does not answer" not in verified.stdout:
                break
        wrong += [] if verified.returncode == 0 else [verified.stdout]
        shown = self.lab.hosts[0].run("sweep", "status", self.name, "--home", self.home, "--json", cwd=self.folder)
        states = json.loads(shown.stdout)["states"]
        if sum(states.values()) != self.trials or "RUNNING" in states:
            wrong.append(f"{states} of {self.trials} trials")
        if self.is_confirmed:
            wrong += self._beside(json.loads(shown.stdout))
        wrong += [f"hostile code was run: {p}" for p in self.folder.glob("hostile-was-run*")]
        (mine,) = (p for p in self.disk.glob(f"{self.name}/*") if p.name == self._study_id())
        places = sorted(mine.glob("trial-*"))
        kept = [found for p in places if (found := checkpoint.load(str(p))) and found.state.model]
        whole = [k for k in kept if k.state.history[-1].stop == "max_epochs"]
        for found in self.draw.sample(whole, min(4, len(whole))):
            wrong += self._alone(found)
        attempts = {key[1:3] for key in self.seen if key[0] == self.name}
        written = Counter((trial, place) for name, trial, _, place in self.seen if name == self.name)
        return {
            "sweep": self.name,
            "code": code,
            "states": states,
            "wrong": wrong,
            "epochs": len(written),
            "epochs_computed_again": sum(n - 1 for n in written.values()),
            "attempts": len(attempts),
        }

    def _study_id(self) -> str:
        saved = json.loads((self.folder / self.home / self.name / "addresses.json").read_text())
        return str(saved["study_id"])

    def _beside(self, status: dict[str, Any]) -> Iterator[str]:
        """What is wrong with the trials of confirm and the refit."""
        if not (confirmed := status["confirmation"]) or confirmed["open"] or not confirmed["trials"]:
            yield f"confirm has {confirmed}"
        states = [trial["state"] for row in status["refits"] for trial in row["trials"] if row["predicts"]]
        if states != ["COMPLETE", "COMPLETE"]:
            yield f"the refit that predicts has the states {states}"

    def _alone(self, found: checkpoint.Checkpoint) -> Iterator[str]:
        if not trainings.is_alone(found, File(path=str(self.folder / "wave.csv"))):
            yield f"{found.config.model_dump()}: not the weights of the same trained alone"


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _hostile(mark: Path) -> bytes:
    import io
    import pickle
    import zipfile

    code = f"open({str(mark)!r}, 'w').close()"
    program = b"c__builtin__\nexec\n(V" + code.encode() + b"\ntR."
    assert pickle.PROTO not in program
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
    body = buffer.getvalue()[:-2]
    return body + files.seal(body)


@contextmanager
def world(folder: Path, draw: random.Random) -> Iterator[World]:
    """All that a soak needs, gone when the context ends."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
    try:
        with hosts.lab(3) as lab, postgres.server() as database:
            made = World(folder, lab, database, draw)
            with made.server, made.proxy:
                yield made
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def soak(minutes: float, seed: int, output: Path, kinds: list[str]) -> int:
    """Runs it; the exit code."""
    draw = random.Random(seed)
    faults: list[dict[str, Any]] = []
    sweeps: list[dict[str, Any]] = []
    folder = Path(tempfile.mkdtemp(prefix="soak"))
    print(f"in {folder}", flush=True)
    end = time.monotonic() + minutes * 60
    with world(folder, draw) as made:
        while time.monotonic() < end:
            made.write_spec(len(sweeps) + 1)
            code = drive(made, made.start_driver, kinds, end, faults, folder / "driver-0.out")
            if made.is_confirmed:
                some = [kind for kind in kinds if kind not in OF_SEARCHES]
                # Also when the time is over: a refit that nothing happens to is no test.
                until = max(end, time.monotonic() + 60)
                code = drive(made, made.start_refit, some, until, faults, folder / "refit.out")
            for row in faults:  # by whichever driver
                if row["sweep"] == made.name:
                    after = [at for key, at in made.seen.items() if key[0] == made.name and at > row["healed_at_s"]]
                    row["moved_after_s"] = round(min(after) - row["healed_at_s"], 2) if after else None
            sweeps.append(made.check(code))
            print(json.dumps(sweeps[-1]), flush=True)
            output.write_text(json.dumps({"seed": seed, **summary(faults, sweeps), "faults": faults, "sweeps": sweeps}))
            if sweeps[-1]["wrong"]:
                print(f"left as it is: {folder}", flush=True)
                return 1
    print(json.dumps(summary(faults, sweeps), indent=1))
    return 0


def drive(
    made: World,
    start: Callable[[], "subprocess.Popen[str]"],
    kinds: list[str],
    end: float,
    faults: list[dict[str, Any]],
    output: Path,
) -> int:
    """Starts a command again and again, under faults, until it has come to its end; its exit code."""
    draw, weights = made.draw, [FAULTS[kind] for kind in kinds]
    code = -1
    drivers = 0
    while code != 0:
        drivers += 1
        assert drivers < 60, f"{made.name} does not come to its end"
        made.driver = start()
        before = made.progress()
        made.wait(lambda before=before: made.progress() > before, 120)
        while made.driver.poll() is None:
            made.wait(lambda: False, draw.uniform(2, 8))
            if made.driver.poll() is not None or time.monotonic() > end or not kinds:
                made.wait(lambda: False, 600)
                break
            (kind,) = draw.choices(kinds, weights)
            started, before = time.monotonic(), made.progress()
            told = made.fault(kind)
            healed, before = time.monotonic(), made.progress()
            made.wait(lambda before=before: made.progress() > before, 300)
            row = {"kind": kind, "sweep": made.name, "command": start.__name__, "healed_at_s": healed, **told}
            row["lasted_s"] = round(healed - started, 2)
            faults.append(row)
            print(json.dumps(row), flush=True)
        code = made.driver.wait(600)
        if code not in (0, 1, 3, 130, 137, -9):
            print(output.read_text(), flush=True)
            raise AssertionError(f"a driver ended with {code}")
    return code


def summary(faults: list[dict[str, Any]], sweeps: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures."""
    moved: dict[str, list[float]] = defaultdict(list)
    for row in faults:
        if row["moved_after_s"] is not None:
            moved[row["kind"]].append(row["moved_after_s"])
    return {
        "sweeps": len(sweeps),
        "trials": sum(sum(s["states"].values()) for s in sweeps),
        "epochs": sum(s["epochs"] for s in sweeps),
        "epochs_computed_again": sum(s["epochs_computed_again"] for s in sweeps),
        "attempts": sum(s["attempts"] for s in sweeps),
        "faults": len(faults),
        "by_kind": dict(Counter(row["kind"] for row in faults)),
        "moved_after_s": {
            k: [round(statistics.median(v), 1), round(max(v), 1)]
            for k, v in moved.items()
            if all(map(math.isfinite, v))
        },
        "wrong": sum(len(s["wrong"]) for s in sweeps),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("soak.json"))
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="these faults alone")
    given = parser.parse_args()
    if reason := hosts.missing() or postgres.missing():
        sys.exit(reason)
    torch.set_num_threads(1)  # as on the hosts: with more, sums of a wide layer are rounded in another order
    sys.exit(soak(given.minutes, given.seed, given.output, given.only or sorted(FAULTS)))
