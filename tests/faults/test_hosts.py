"""What happens to hosts: killed, cut off, without the shared disk, with another clock; and two drivers on one sweep.

Real Ray hosts, see `tests/lab/hosts.py`. After each fault the sweep must be whole: that say plain SQL, the training
alone in this process, the second opinion in `audit.py` and `sweep verify`.
"""

import functools
import json
import math
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import audit
import hosts
import pytest
import trainings

from cluster.study import stored
from lstm import checkpoint, ownership
from lstm.config.section import File
from lstm.config.trial import TrialConfig
from lstm.data.forecast import load
from lstm.training.loop import train

pytestmark = pytest.mark.faults

NAME, TRIALS = "faulty", 5
ACTOR = "ray::ResourceTrainable"  # how Tune calls the process of a worker that has a trial
# One window at a step: an epoch of a network that small takes long enough to be hit in its middle.
SPEC = """
name: {name}
data: {{path: wave.csv, target: y, lookback: 24, horizon: 6, split: {{validation: 0.2, test: 0.2}}}}
training: {{max_epochs: {epochs}, batch_size: 1, learning_rate: 1e-3}}
search:
  n_trials: {trials}
  sampler: {{type: random, seed: 3}}
  space:
    model.hidden_size: {{type: int, low: 8, high: 64}}
storage: {{checkpoints: {checkpoints}, keep: all}}
"""
# The same over windows, with larger batches; the base and the best setting are confirmed on other windows.
CONFIRMED = (
    SPEC.replace("test: 0.2}}}}", "test: 0.2}}, backtest: {{windows: 2, fresh: true}}}}")
    .replace("  n_trials", "  confirm: {{top: 1, seeds: 3}}\n  n_trials")
    .replace("batch_size: 1,", "batch_size: 4,")
)
LEFT_S = 600  # no time is asserted: a sweep that takes longer hangs
FOUND_S = 60  # but this one is promised


@pytest.fixture
def lab() -> Iterator[hosts.Lab]:
    """Three hosts with nothing on them."""
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.lab(3) as made:
        yield made


@dataclass
class Faulty:
    """One sweep in a folder that all hosts see."""

    folder: Path
    epochs: int = 5
    trials: int = TRIALS
    spec: str = SPEC
    # When each checkpoint file was first seen: trial, attempt, epoch.
    # A later window's epochs are 101, 102, ..., 201, ...
    seen: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkpoints, self.home = self.folder / "checkpoints", self.folder / "home"
        self.checkpoints.mkdir()
        rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(1400))
        (self.folder / "wave.csv").write_text(f"y\n{rows}\n")
        spec = self.spec.format(name=NAME, epochs=self.epochs, trials=self.trials, checkpoints=self.checkpoints)
        (self.folder / "spec.yaml").write_text(spec)
        threading.Thread(target=self._look, daemon=True).start()

    @property
    def root(self) -> Path:
        """Where each trial has its checkpoints."""
        (root,) = self.checkpoints.glob(f"{NAME}/*")
        return root

    def _look(self) -> None:
        while self.folder.exists():
            for file in self.checkpoints.glob(f"{NAME}/*/trial-*/attempt-*.pt"):
                trial, (attempt, *place) = int(file.parent.name[-4:]), map(int, re.findall(r"\d+", file.stem))
                window, epoch = place if len(place) == 2 else (1, *place)
                self.seen.setdefault((trial, attempt, 100 * (window - 1) + epoch), time.monotonic())
            time.sleep(0.02)

    def command(self, address: str | None) -> tuple[str, ...]:
        return ("sweep", "run", "spec.yaml", "--home", "home", *(("--address", address) if address else ()))

    def start(self, host: hosts.Host, address: str | None) -> "subprocess.Popen[str]":
        return host.start(*self.command(address), cwd=self.folder)

    def run(self, host: hosts.Host, address: str | None) -> "subprocess.CompletedProcess[str]":
        return host.run(*self.command(address), cwd=self.folder, timeout_s=LEFT_S)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What plain SQL finds in the study; nothing while there is none."""
        try:
            with closing(sqlite3.connect(f"file:{self.home}/study.db?mode=ro", uri=True, timeout=60)) as study:
                return study.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []

    def workers(self) -> dict[int, str]:
        """Of each trial that runs, where it does."""
        found = self.rows(
            "SELECT number, value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
            "WHERE key = 'start' AND state = 'RUNNING'"
        )
        return {int(number): json.loads(start)["worker"] for number, start in found}

    def known(self) -> Counter[int]:
        """How many epochs of each trial the study knows."""
        return Counter(
            int(row[0])
            for row in self.rows("SELECT number FROM trials JOIN trial_intermediate_values USING (trial_id)")
        )

    def is_confirming(self) -> bool:
        """Whether a trial of confirm runs."""
        found = self.rows(
            "SELECT value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
            "WHERE key = 'derived' AND state = 'RUNNING'"
        )
        return any(json.loads(row)["purpose"] == "confirm" for (row,) in found)

    def trials_on(self, host: hosts.Host) -> list[int]:
        """The trials that a host trains, or trained last."""
        return [n for n, worker in self.workers().items() if worker.startswith(f"{host.address} ")]

    def amid(self, host: hosts.Host) -> int | None:
        """The trial that a host trains, where that is amid its epochs."""
        return next((n for n in self.trials_on(host) if 2 <= self.known()[n] <= self.epochs - 2), None)

    def is_amid(self) -> bool:
        """Whether any trial is."""
        return any(2 <= self.known()[n] <= self.epochs - 2 for n in self.workers())

    def worker_of(self, trial: int) -> str:
        """Where a trial ran last."""
        ((start,),) = self.rows(
            "SELECT value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
            f"WHERE key = 'start' AND number = {trial}"
        )
        return str(json.loads(start)["worker"])

    def driver(self) -> dict[str, object]:
        """Who holds the sweep, or held it last."""
        found = self.rows("SELECT owner FROM sweep_lease")
        return dict(json.loads(found[0][0])) if found else {}

    def first(self, trial: int, attempt: int) -> float | None:
        """When an attempt's first checkpoint was seen."""
        return min((at for (n, a, _), at in list(self.seen.items()) if (n, a) == (trial, attempt)), default=None)

    def again(self) -> dict[int, int]:
        """Of each trial, how many epochs were written by more than one attempt."""
        times = Counter((trial, epoch) for trial, _, epoch in self.seen)
        return dict(Counter(trial for (trial, _), count in times.items() if count > 1))


@pytest.fixture
def sweep(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


def wait_for(condition: Callable[[], object], driver: "subprocess.Popen[str] | None" = None) -> None:
    """Until a condition holds; the driver must live."""
    end = time.monotonic() + LEFT_S
    while not condition():
        if driver and driver.poll() is not None:
            pytest.fail(f"the driver ended with {driver.returncode}: {driver.communicate()[0]}")
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def end_of(driver: "subprocess.Popen[str]", timeout_s: float = LEFT_S) -> str:
    """What a driver said until it ended."""
    return driver.communicate(timeout=timeout_s)[0]


def check_whole(sweep: Faulty) -> None:
    """The base and every trial are there once, and are what training alone gives."""
    trials = [(0, "FAIL"), *((n, "COMPLETE") for n in range(1, TRIALS + 1))]  # no sampler sees the base
    assert sweep.rows("SELECT number, state FROM trials ORDER BY number") == trials
    settings = sweep.rows("SELECT param_name, param_value FROM trial_params")
    assert len(settings) == len(set(settings)) == TRIALS
    reported = sweep.rows(
        "SELECT number, step, intermediate_value FROM trials JOIN trial_intermediate_values USING (trial_id) "
        "ORDER BY number, step"
    )
    assert [(int(n), int(step)) for n, step, _ in reported] == [
        (n, e) for n in range(TRIALS + 1) for e in range(1, sweep.epochs + 1)
    ]
    for number in range(TRIALS + 1):
        kept = checkpoint.load(str(sweep.root / f"trial-{number:04d}"))
        assert kept is not None
        config = TrialConfig.model_validate(kept.config.model_dump())
        assert number == 0 or (f"{config.model.hidden_size}",) in [(f"{v:g}",) for _, v in settings]
        alone = list(train(config, load(config.data, sweep.folder / "wave.csv")))
        values = [value for n, _, value in reported if n == number]
        assert [e.value for e in alone] == [e.value for e in kept.state.history] == values
        assert all(map(math.isfinite, values))
        assert alone[-1].state is not None
        for name, tensor in alone[-1].state.model.items():
            assert (kept.state.model[name] == tensor).all(), name
    assert audit.audit(sweep.home, NAME) == []


def check_verified(sweep: Faulty, host: hosts.Host) -> None:
    said = host.run("sweep", "verify", NAME, "--home", "home", cwd=sweep.folder)
    assert said.returncode == 0, said.stdout


def tell(text: str) -> None:
    """A figure for who runs this with `-s`; none is asserted."""
    print(f"FIGURE {text}")


def _since(moment: float) -> str:
    return f"{time.monotonic() - moment:.1f} s"


def tell_recovery(sweep: Faulty, trial: int, fault: float) -> None:
    moved = min((at for (n, _, _), at in sweep.seen.items() if n == trial and at > fault + 0.1), default=math.nan)
    second = sweep.first(trial, 2) or math.nan
    late = [key for key, at in sweep.seen.items() if key[:2] == (trial, 1) and at > second]
    tell(
        f"trial {trial}: after the fault its next checkpoint came after {moved - fault:.1f} s, attempt 2's first after "
        f"{second - fault:.1f} s; epochs written by more than one attempt: {sweep.again()}; late: {late}"
    )


@pytest.mark.parametrize("silently", [False, True], ids=["processes", "power"])
def test_the_trial_of_a_killed_host_goes_on_elsewhere(lab: hosts.Lab, sweep: Faulty, silently: bool) -> None:
    first, _, victim = lab.hosts
    address = hosts.cluster(*lab.hosts)
    driver = sweep.start(first, address)
    wait_for(lambda: sweep.amid(victim) is not None, driver)
    trial, fault = sweep.amid(victim), time.monotonic()
    victim.kill(silently=silently)
    assert trial is not None
    said = end_of(driver)
    assert driver.returncode == 0, said
    assert f"trial {trial} lost in attempt 1" in said
    assert not sweep.worker_of(trial).startswith(f"{victim.address} ")
    tell_recovery(sweep, trial, fault)
    check_whole(sweep)
    check_verified(sweep, first)


@pytest.mark.parametrize("frozen", [False, True], ids=["lives-on", "frozen"])
def test_what_a_host_writes_that_was_cut_off_and_comes_back_is_never_read(
    lab: hosts.Lab, tmp_path: Path, frozen: bool
) -> None:
    """Cut off for 120 s. Frozen meanwhile, as a paused machine is, it wakes up when another attempt has written."""
    sweep = Faulty(tmp_path, epochs=9)
    first, second, victim = lab.hosts
    address = hosts.cluster(*lab.hosts)
    driver = sweep.start(first, address)
    wait_for(lambda: sweep.amid(victim) is not None, driver)
    trial = sweep.amid(victim)
    assert trial is not None
    epoch = max(e for n, _, e in list(sweep.seen) if n == trial)
    wait_for(lambda: (trial, 1, epoch + 1) in sweep.seen, driver)
    # Amid an epoch, which it will finish; the driver asks for one at a time.
    wait_for(lambda: time.monotonic() - sweep.seen[trial, 1, epoch + 1] > 0.3, driver)
    victim.cut_off()
    fault = time.monotonic()
    if frozen:
        victim.freeze()
    second.freeze(ACTOR)  # the sweep must not be over before the host is back

    wait_for(lambda: sweep.first(trial, 2), driver)
    tell_recovery(sweep, trial, fault)
    if frozen:
        victim.thaw(ACTOR)  # and not yet Ray, which may know by its clock that it is late and end its workers
        late = (trial, 1, epoch + 2)
        wait_for(lambda: late in sweep.seen, driver)
        assert sweep.seen[late] > (sweep.first(trial, 2) or math.inf)
        # Who reads it would be found out by the weights: it is valid, and another network's.
        forge(sweep, late)
        # What runs on from attempt 2 keeps what it has in memory; a third must read.
        first.end(ACTOR)
        wait_for(lambda: sweep.first(trial, 3), driver)
        tell(f"trial {trial}: written by attempt, epoch: {sorted(k[1:] for k in sweep.seen if k[0] == trial)}")
        victim.thaw()
    wait_for(lambda: time.monotonic() - fault >= 120, driver)
    victim.reconnect()
    wait_for(lambda: not victim.pids("raylet/raylet"), driver)  # Ray ends what it has declared dead
    second.thaw(ACTOR)
    said = end_of(driver)
    assert driver.returncode == 0, said
    assert f"trial {trial} lost in attempt 1" in said
    check_whole(sweep)
    check_verified(sweep, first)


def forge(sweep: Faulty, key: tuple[int, int, int]) -> None:
    """Puts a valid checkpoint of the same epoch, with weights and values that no training gave, in a file's place."""
    trial, attempt, epoch = key
    file = sweep.root / f"trial-{trial:04d}" / f"attempt-{attempt:02d}-epoch-{epoch:06d}.pt"
    kept = checkpoint.loads(file.read_bytes())
    state = kept.state
    other = replace(
        state,
        model={name: tensor * 0 for name, tensor in state.model.items()},
        history=tuple(replace(e, value=0.0) for e in state.history),
    )
    new = file.with_suffix(".new")
    new.write_bytes(checkpoint.dumps(replace(kept, state=other)))
    new.replace(file)


@pytest.mark.parametrize("silently", [False, True], ids=["processes", "power"])
def test_a_driver_whose_head_host_is_killed_says_so_and_a_new_cluster_goes_on(
    lab: hosts.Lab, sweep: Faulty, silently: bool
) -> None:
    head, *others = lab.hosts
    address = hosts.cluster(*lab.hosts)
    driver = sweep.start(others[0], address)
    wait_for(sweep.is_amid, driver)
    fault = time.monotonic()
    head.kill(silently=silently)
    said = end_of(driver, FOUND_S)
    tell(f"the driver ended {_since(fault)} after its head")
    assert driver.returncode == 1, said
    assert f"the head of the Ray cluster at {address} does not answer" in said
    known = sum(sweep.known().values())

    for host in others:
        host.end("ray")  # as `ray stop --force` does; what is left of the old cluster would go on for a minute
    assert hosts.cluster(lab.host(1), *others) == address
    begun, fault = sum(sweep.known().values()), time.monotonic()
    assert begun == known
    again = sweep.start(others[0], address)
    wait_for(lambda: sum(sweep.known().values()) > known, again)
    tell(f"the next driver's first epoch came after {_since(fault)}")
    said = end_of(again)
    assert again.returncode == 0, said
    tell(f"epochs written by more than one attempt: {sweep.again()}")
    check_whole(sweep)
    check_verified(sweep, others[0])


def test_a_driver_whose_local_head_is_killed_says_so_and_the_next_goes_on(lab: hosts.Lab, sweep: Faulty) -> None:
    host = lab.hosts[0]
    driver = sweep.start(host, None)
    wait_for(sweep.is_amid, driver)
    fault = time.monotonic()
    host.end("gcs_server")
    said = end_of(driver, FOUND_S)
    tell(f"the driver ended {_since(fault)} after its local head")
    assert driver.returncode == 1, said
    assert "does not answer" in said
    ran = sweep.run(host, None)
    assert ran.returncode == 0, ran.stdout
    check_whole(sweep)
    check_verified(sweep, host)


def test_storage_that_two_hosts_cannot_share_is_found_before_anything_starts(lab: hosts.Lab, sweep: Faulty) -> None:
    first, second, third = lab.hosts
    address = hosts.cluster(*lab.hosts)
    second.make_read_only(sweep.checkpoints)
    own = third.keep_to_itself(sweep.checkpoints)
    before = sorted(sweep.folder.rglob("*"))
    ran = sweep.run(first, address)
    assert ran.returncode == 2, ran.stdout
    faults = sorted(line for line in ran.stdout.splitlines() if str(sweep.checkpoints) in line)
    assert [line.partition(": ")[0] for line in faults] == [f"{h.address} ({h.name})" for h in (second, third)], faults
    assert "Read-only file system" in faults[0]
    assert "is not seen here" in faults[1]
    assert sorted(sweep.folder.rglob("*")) == before
    assert list(own.rglob("*")) == []

    for host in (second, third):
        host.run("umount", sweep.checkpoints, check=True)
    ran = sweep.run(first, address)
    assert ran.returncode == 0, ran.stdout
    check_whole(sweep)
    check_verified(sweep, first)


@pytest.mark.skipif(hosts.COMPILER is None, reason="needs a C compiler, for the clock")
def test_a_clock_that_is_two_hours_back_on_one_host_does_no_harm(lab: hosts.Lab, tmp_path: Path) -> None:
    """It trains there, and for a while the driver runs there, too, between two drivers whose clock is right."""
    sweep = Faulty(tmp_path, epochs=8)
    first, second, back = lab.hosts
    back.environment = hosts.another_time(-2 * 3600, lab.scratch)
    address = hosts.cluster(*lab.hosts)

    def has_trained(before: Counter[int]) -> bool:
        for host in (first, second):
            host.freeze(ACTOR)  # the sweep must not be over before
        return any(sweep.known()[n] > before[n] for n in sweep.trials_on(back))

    for host in (first, back):
        before, driver = sweep.known(), sweep.start(host, address)
        wait_for(functools.partial(has_trained, before), driver)
        for other in (first, second):
            other.thaw(ACTOR)
        host.send(driver, signal.SIGINT)
        said = end_of(driver)
        assert driver.returncode == 130, said
    ran = sweep.run(first, address)
    assert ran.returncode == 0, ran.stdout
    check_whole(sweep)
    check_verified(sweep, first)
    hours: Counter[int] = Counter()
    for number in range(TRIALS + 1):
        kept = checkpoint.load(str(sweep.root / f"trial-{number:04d}"))
        assert kept is not None
        for epoch in kept.state.history:
            hours[round((time.time() - epoch.measured_at_ms / 1000) / 3600)] += 1
    assert set(hours) == {0, 2}, "epochs were measured by both clocks"
    tell(f"epochs by the clock that is right and the one that is not: {dict(hours)}")


def test_a_second_driver_is_refused_and_told_by_whom_until_the_claim_of_a_dead_one_expires(
    lab: hosts.Lab, sweep: Faulty
) -> None:
    first, second, head = lab.hosts
    address = hosts.cluster(head, first, second)
    holder = sweep.start(first, address)
    wait_for(sweep.is_amid, holder)
    head.freeze(ACTOR)  # the sweep must not be over before the others have looked
    who = f"process {first.pid(holder)} on {first.name}"
    for host in (first, second):
        ran = sweep.run(host, address)
        assert ran.returncode == 3, ran.stdout
        assert who in ran.stdout
    assert holder.poll() is None

    first.send(holder, signal.SIGKILL)
    end_of(holder)
    head.thaw(ACTOR)
    known, fault = sum(sweep.known().values()), time.monotonic()
    holder = sweep.start(first, address)  # the dead one was of this machine: no need to wait
    wait_for(lambda: sweep.driver().get("pid") == first.pid(holder), holder)
    wait_for(lambda: sum(sweep.known().values()) > known, holder)
    tell(f"on the same host the next driver's first epoch came {_since(fault)} after the kill")

    who, fault = f"process {first.pid(holder)} on {first.name}", time.monotonic()
    first.kill(silently=True)
    refused = 0
    while (ran := sweep.run(second, address)).returncode == 3:
        assert who in ran.stdout
        refused, taken = refused + 1, time.monotonic()
    assert ran.returncode == 0, ran.stdout
    assert refused, "the claim of a host that nobody hears of holds for a while"
    tell(f"on another host {refused} were refused, for {taken - fault:.1f} s; all was done after {_since(fault)}")
    check_whole(sweep)
    check_verified(sweep, second)


def test_killed_at_random_in_confirm_and_in_refit_it_ends_as_if_nothing_had_happened(
    lab: hosts.Lab, tmp_path: Path
) -> None:
    sweep, draw = Faulty(tmp_path, epochs=3, trials=2, spec=CONFIRMED), random.Random(17)
    first, second, victim = lab.hosts
    address = hosts.cluster(*lab.hosts)

    def is_hit(process: "subprocess.Popen[str]", most: int, amid: Callable[[], object] = lambda: True) -> bool:
        """Waits for some more checkpoints; False if it has ended, as where no worker came to life in time."""
        wanted = len(sweep.seen) + draw.randint(1, most)
        wait_for(lambda: (amid() and len(sweep.seen) >= wanted) or process.poll() is not None)
        assert process.poll() != 0, "it came to its end before it was hit"
        return process.poll() is None

    driver = sweep.start(first, address)
    kills = [lambda: second.end(ACTOR), lambda: first.send(driver, signal.SIGKILL), victim.kill]
    for kill in kills:
        while not is_hit(driver, 4, sweep.is_confirming):
            driver = sweep.start(first, address)
        kill()
    for _ in range(5):
        said = end_of(driver)
        if driver.returncode == 0:
            break
        driver = sweep.start(first, address)
    assert driver.returncode == 0, said

    words = ("sweep", "refit", NAME, "--seeds", "2", "--home", "home", "--address", address)
    for _ in range(2):
        process = first.start(*words, cwd=sweep.folder)
        assert is_hit(process, 2)
        first.send(process, signal.SIGKILL)
        end_of(process)
    ran = first.run(*words, cwd=sweep.folder, timeout_s=LEFT_S)
    assert ran.returncode == 0, ran.stdout
    assert "`sweep predict` uses it" in ran.stdout
    tell(f"killed in confirm and in refit; epochs written by more than one attempt: {sweep.again()}")

    swept = stored.read(f"sqlite:///{sweep.home}/study.db", NAME)
    assert (len(swept.counted), len(swept.confirming), len(swept.refit)) == (2, 6, 2)
    assert swept.confirmation is not None
    assert swept.confirmation.open == 0
    for trial in swept.trials:
        kept = ownership.load_trial(swept, trial)
        assert kept is not None
        assert trainings.is_alone(kept, File(path=str(sweep.folder / "wave.csv"))), trial.number
    assert audit.audit(sweep.home, NAME) == []
    check_verified(sweep, first)
