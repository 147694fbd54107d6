"""What a person sees while a sweep runs: a live table on a terminal, plain lines elsewhere."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lstm.records import (
    Direction,
    EpochEnded,
    Event,
    Notice,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialLost,
    TrialStarted,
    TrialState,
)

WIDE = 400  # columns that no table of ours reaches
ENDED: tuple[TrialState, ...] = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(slots=True)
class _Row:
    started: TrialStarted
    epoch: int = 0
    value: float | None = None
    since: float = field(default_factory=time.monotonic)


class Screen:
    """Receives a sweep's events (it is a `Record`) and shows them."""

    def __init__(self, console: Console, name: str, *, n_trials: int, max_epochs: int, direction: Direction) -> None:
        """Prepares the screen; it shows from entering the context to leaving it."""
        self._console, self._name, self._n_trials, self._max_epochs = console, name, n_trials, max_epochs
        self._sign = 1 if direction == "minimize" else -1
        self._running: dict[int, _Row] = {}
        self._states: Counter[str] = Counter()
        self._best: TrialEnded | None = None
        self._metric = ""
        self._here = 0  # trials that ended under this driver
        self._durations: list[float] = []
        self._since = time.monotonic()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> "Screen":
        """Begins to show."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the live table."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Takes an event; called from several threads."""
        handlers: Mapping[type, Callable[[Any], str | None]] = {
            SweepStarted: self._sweep_started,
            TrialStarted: self._trial_started,
            EpochEnded: self._epoch_ended,
            TrialEnded: self._trial_ended,
            TrialLost: self._trial_lost,
            Notice: lambda notice: f"note: {notice.text}",
        }
        if isinstance(event, SweepEnded):
            return
        line = handlers[type(event)](event)
        if line and (not self._console.is_terminal or isinstance(event, Notice | TrialLost)):
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def known(self, states: Mapping[str, int], best: TrialEnded | None) -> None:
        """Takes over what earlier drivers did."""
        self._states.update(states)
        self._best = best

    def _sweep_started(self, event: SweepStarted) -> str:
        self._metric = event.metric
        done = sum(self._states[s] for s in ENDED)
        before = f", {done} of them done before" if done else ""
        return f"{event.sweep}: {event.n_trials} trials{before}"

    def _trial_started(self, event: TrialStarted) -> str | None:
        if not self._running.get(event.number):
            self._running[event.number] = _Row(event)
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        return f"trial {event.number} starts on {event.worker}{again}: {settings(event.settings)}"

    def _epoch_ended(self, event: EpochEnded) -> None:
        if row := self._running.get(event.number):
            row.epoch, row.value = event.epoch.number, event.epoch.value

    def _trial_ended(self, event: TrialEnded) -> str | None:
        row = self._running.pop(event.number, None)
        if row is None:
            return None  # an earlier driver's, sent again for the record
        self._states[event.state] += 1
        self._here += 1
        self._durations.append(time.monotonic() - row.since)
        better = self._is_best(event)
        if better:
            self._best = event
        done = sum(self._states[s] for s in ENDED)
        value = "" if event.value is None else f" {self._metric} {event.value:.5g} at epoch {event.best_epoch}"
        reason = f" ({event.reason})" if event.reason else ""
        mark = "  ← best so far" if better else ""
        return f"[{done}/{self._n_trials}] trial {event.number} {event.state}{value}{reason}{mark}"

    def _trial_lost(self, event: TrialLost) -> str:
        self._running.pop(event.number, None)
        return f"trial {event.number} lost in attempt {event.attempt}: {event.reason}; it is tried again"

    def _is_best(self, event: TrialEnded) -> bool:
        if event.state != "COMPLETE" or event.value is None:
            return False
        before = self._best.value if self._best else None
        return before is None or self._sign * event.value < self._sign * before

    def render(self) -> RenderableType:
        """The live table."""
        done = sum(self._states[s] for s in ENDED)
        counts = "  ".join(
            f"{state.lower()} {n}" for state, n in [*self._states.items(), ("running", len(self._running))] if n
        )
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=self._n_trials, completed=done, width=30),
            f"{done}/{self._n_trials}",
            counts,
            self._pace(done),
        )
        lines: list[RenderableType] = [head]
        if self._best and self._best.value is not None:
            lines.append(
                Text(f"best {self._metric} {self._best.value:.5g}: trial {self._best.number}, ", style="green").append(
                    f"epoch {self._best.best_epoch}"
                )
            )
        workers = Table(box=None, padding=(0, 2), header_style="dim")
        for heading in ("trial", "epoch", self._metric or "value", "for", "settings", "worker"):
            workers.add_column(heading, no_wrap=heading != "settings")
        for number, row in sorted(self._running.items()):
            workers.add_row(
                str(number),
                f"{row.epoch}/{self._max_epochs}",
                "" if row.value is None else f"{row.value:.5g}",
                duration(time.monotonic() - row.since),
                settings(row.started.settings),
                row.started.worker,
            )
        if self._running:
            lines.append(workers)
        else:
            lines.append(Text("starting workers …", style="dim"))
        return Group(*lines)

    def _pace(self, done: int) -> str:
        if not self._durations:
            return ""
        passed = time.monotonic() - self._since
        left_s = statistics.median(self._durations) * (self._n_trials - done) / max(len(self._running), 1)
        return f"{self._here / passed * 60:.3g} trials/min, about {duration(left_s)} left"


def console(table: Table | None = None) -> Console:
    """Where verbs print; as wide as a table needs: a number that is cut is worth nothing."""
    made = Console(highlight=False)
    if table is None:
        return made if made.is_terminal else Console(highlight=False, width=WIDE)
    needed = made.measure(table, options=made.options.update(width=WIDE)).maximum
    return Console(highlight=False, width=max(made.width, needed))


def settings(values: Mapping[str, Any]) -> str:
    """Settings in a line, by the last part of their paths."""
    if not values:
        return "the base configuration"
    return "  ".join(f"{path.rpartition('.')[2]}={_short(value)}" for path, value in values.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Seconds in words: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
