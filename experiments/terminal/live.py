"""Shows a sweep while it runs: as a live table on a terminal, as plain lines elsewhere."""

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from experiments.spec.experiment import largest
from experiments.terminal.formats import GAP, WIDE, duration, settings
from lstm.records.events import (
    EpochEnded,
    Event,
    Notice,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialLost,
    TrialProbed,
    TrialStarted,
)
from lstm.records.objective import Direction, is_better
from lstm.records.state import TrialState, counts
from lstm.records.sweep import Sweep
from lstm.records.trial import counted, epochs_named

if TYPE_CHECKING:
    from cluster.order import Order

LEAST = 72  # columns that a table with sentences needs
BASE_SETTINGS = "the spec's own settings"
ENDED: tuple[TrialState, ...] = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(slots=True)
class _Row:
    started: TrialStarted
    epoch: int = 0
    value: float | None = None
    window: int = 1
    since: float = field(default_factory=time.monotonic)


class Screen:
    """A view that receives a sweep's events and shows them."""

    def __init__(
        self,
        console: Console,
        name: str,
        *,
        n_trials: int,
        max_epochs: int,
        metric: str,
        direction: Direction,
        log: TextIO | None = None,
    ) -> None:
        """Prepare the screen, which shows while its context is entered. `log` gets the plain lines too."""
        self._log = log
        self._console, self._name, self._n_trials, self._max_epochs = console, name, n_trials, max_epochs
        self._direction = direction
        self._running: dict[int, _Row] = {}
        self._states: Counter[str] = Counter()
        self._best: TrialEnded | None = None
        self._best_settings = ""  # unknown if an earlier driver found the best trial
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        self._metric = metric
        self._here = 0  # trials that ended under this driver
        self._durations: list[float] = []
        self._over = False  # no trial runs any more; judging and MLflow may still take a while
        self._since = time.monotonic()
        self._live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=2,
            transient=True,
            # The streams lead to the log: what libraries print belongs there, not between the table's lines.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @classmethod
    def of(cls, order: "Order", console: Console, before: Sweep | None, log: TextIO | None = None) -> "Screen":
        """Make the screen of an order, starting from what is known of the sweep `before`."""
        screen = cls(
            console,
            order.name,
            n_trials=order.n_trials,
            max_epochs=int(largest("training.max_epochs", order.base.training.max_epochs, order.search)),
            metric=order.base.metric,
            direction=order.base.direction,
            log=log,
        )
        if before:
            done = [t.state for t in before.counted if t.ended and t.number not in order.retries]
            screen.known(Counter(done), before.best.ending() if before.best else None)
        return screen

    def __enter__(self) -> "Screen":
        """Start the live table."""
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the live table."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Handle an event; called from several threads."""
        line = self.line(event)
        if line and self._log:
            with suppress(OSError):  # MLflow, the study and the trials report a full disk
                print(time.strftime("%Y-%m-%d %H:%M:%S"), line, file=self._log, flush=True)
        if line and (not self._is_live or isinstance(event, Notice | TrialLost)):
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def line(self, event: Event) -> str | None:
        """Take an event, and return what has happened on one line; None if that is not worth a line."""
        handlers: Mapping[type, Callable[[Any], str | None]] = {
            SweepStarted: self._sweep_started,
            TrialStarted: self._trial_started,
            EpochEnded: self._epoch_ended,
            TrialEnded: self._trial_ended,
            TrialProbed: lambda _: None,  # the trial's end, which follows, gets a line
            TrialLost: self._trial_lost,
            Notice: lambda notice: f"note: {notice.text}",
        }
        if isinstance(event, SweepEnded):
            self._over = True
            self._running.clear()
            return None
        return handlers[type(event)](event)

    def known(self, states: Mapping[str, int], best: TrialEnded | None) -> None:
        """Take over what earlier drivers did."""
        self._states.update(states)
        self._best = best

    def _sweep_started(self, event: SweepStarted) -> str:
        done = self._done
        if done > event.n_trials:
            return f"{event.sweep}: {counted(done, 'trial')} done before, {event.n_trials:,} asked for now"
        before = f", {done} of them done before" if done else ""
        return f"{event.sweep}: {counted(event.n_trials, 'trial')}{before}"

    @property
    def _done(self) -> int:
        return sum(self._states[s] for s in ENDED)

    @property
    def _all(self) -> int:
        """Trials in total. If `n_trials` was lowered, more trials than that may have ended."""
        return max(self._n_trials, self._done)

    def _trial_started(self, event: TrialStarted) -> str | None:
        if not self._running.get(event.number):
            self._running[event.number] = _Row(event)
            if len(self._running) == 1 and self._live.is_started:
                self._live.refresh()  # so that the first trial is visible, however short it is
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        if event.derived and event.derived.extends is not None:
            again += f", extends trial {event.derived.parent} from epoch {event.derived.after} to {_last(event)}"
        elif event.derived and event.derived.parent is not None:
            again += f", {event.derived.purpose} of trial {event.derived.parent}"
        return f"trial {event.number} starts on {event.worker}{again}: {_what(event)}"

    def _epoch_ended(self, event: EpochEnded) -> None:
        if row := self._running.get(event.number):
            row.epoch, row.value, row.window = event.epoch.number, event.epoch.value, event.epoch.window

    def _trial_ended(self, event: TrialEnded) -> str | None:
        row = self._running.pop(event.number, None)
        if row is None:
            return None  # a trial of an earlier driver, sent again for MLflow
        beside = not counts(row.started.derived)
        if not beside:
            self._states[event.state] += 1
            self._here += 1
            self._durations.append(time.monotonic() - row.since)
        better = not beside and self._is_best(event)
        if better:
            self._best, self._best_settings = event, _what(row.started)
        value = "" if event.value is None else f" {self._metric} {event.value:.5g} at {_epochs(event)}"
        reason = f" ({event.reason})" if event.reason else ""
        mark = "  ← best so far" if better else "  (base)" if row.started.is_base else _extended(row.started)
        count = "" if beside else f"[{self._done}/{self._all}] "
        return f"{count}trial {event.number} {event.state}{value}{reason}{mark}"

    def _trial_lost(self, event: TrialLost) -> str:
        self._running.pop(event.number, None)
        return f"trial {event.number} lost in attempt {event.attempt}: {event.reason}; it is tried again"

    def _is_best(self, event: TrialEnded) -> bool:
        before = self._best.value if self._best else None
        return event.state == "COMPLETE" and is_better(event.value, before, self._direction)

    def render(self) -> RenderableType:
        """Return the live table."""
        counts = "  ".join(
            f"{state.lower()} {n}" for state, n in [*self._states.items(), ("running", len(self._running))] if n
        )
        lines: list[RenderableType] = [self._head()]
        if counts:
            lines.append(Text(f"{counts}   {self._rate()}".rstrip()))
        if self._best and self._best.value is not None:
            best = f"best {self._metric} {self._best.value:.5g}: trial {self._best.number}, {_epochs(self._best)} "
            lines.append(_Cut(best, self._best_settings, style="green"))
        running = sorted(self._running.items())
        if running:
            lines.append(self._workers(running))
        else:
            lines.append(Text("finishing the records …" if self._over else "starting workers …", style="dim"))
        return Group(*lines)

    def _head(self) -> RenderableType:
        name, so_far, left = Text(self._name, style="bold"), f"{self._done}/{self._all}", self._left()
        head = Table.grid(padding=(0, 2))
        for _ in range(4):
            head.add_column(no_wrap=True)
        head.add_row(name, ProgressBar(total=self._all, completed=self._done, width=20), so_far, left)
        return _Widest((head, head), last=Text.assemble(name, f"  {so_far}  {left}".rstrip()))

    def _workers(self, running: Sequence[tuple[int, _Row]]) -> RenderableType:
        """Return what each worker does. Narrow terminals get no settings, then also no worker, then text."""
        headings = ("trial", "epoch", self._metric, "for", "worker")
        rows = [
            (
                str(number),
                f"{row.epoch}/{_last(row.started) or self._max_epochs}"
                + (f" of window {row.window}" if row.window > 1 else ""),
                "" if row.value is None else f"{row.value:.5g}",
                duration(time.monotonic() - row.since),
                re.sub(r"^\S+ \((.+?)\)", r"\1", row.started.worker),  # the host's name without its address
            )
            for number, row in running
        ]
        full, whole, bare, short = (Table(box=None, padding=(0, 2, 0, 0), header_style="dim") for _ in range(4))
        for table, columns in ((full, 5), (whole, 5), (bare, 5), (short, 4)):
            for heading in headings[:columns]:
                table.add_column(heading, no_wrap=True)
        full.add_column("settings")
        whole.add_column("settings", no_wrap=True)
        for cells, (_, row) in zip(rows, running, strict=True):
            full.add_row(*cells, _Cut("", _what(row.started)))
            whole.add_row(*cells, "…")
            bare.add_row(*cells)
            short.add_row(*cells[:4])
        told = ["  ".join(f"{h} {cell}" for h, cell in zip(headings, cells, strict=True) if cell) for cells in rows]
        return _Widest((full, whole), (bare, bare), (short, short), last=Text("\n".join(told)))

    def _rate(self) -> str:
        per_minute = self._here / max(time.monotonic() - self._since, 1.0) * 60
        return f"{per_minute:.{0 if per_minute >= 10 else 1}f} trials/min" if self._here else ""

    def _left(self) -> str:
        if not self._durations or self._done >= self._n_trials:
            return ""
        left_s = statistics.fmean(self._durations) * (self._n_trials - self._done) / max(len(self._running), 1)
        return f"about {duration(left_s)} left"


def _epochs(ended: TrialEnded) -> str:
    return epochs_named(ended.best_epoch, ended.best_epochs)


def _last(started: TrialStarted) -> int | None:
    """Return the last epoch of a trial that extends another, or None."""
    found = started.derived.changes.get("training.max_epochs") if started.derived else None
    return found if isinstance(found, int) else None


def _extended(started: TrialStarted) -> str:
    made = {"extend": "extends", "confirm": "confirms"}
    verb = made.get(started.derived.purpose) if started.derived else None
    return f"  ({verb} trial {started.derived.parent})" if started.derived and verb else ""


def _what(started: TrialStarted) -> str:
    """Return the settings of a trial as text."""
    return BASE_SETTINGS if started.is_base else settings(started.settings)


class _Cut:
    """A line of settings. The last ones are left out if they do not fit; a number is never cut."""

    def __init__(self, first: str, of: str, style: str = "") -> None:
        self._first, self._parts, self._style = first, of.split(GAP) if of else [], style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ways = [GAP.join([*self._begun(number), "…"]) for number in range(len(self._parts))]
        ways.append(GAP.join(self._begun(len(self._parts))))
        fitting = [way for way in ways if cell_len(way) <= options.max_width]
        yield Text(fitting[-1] if fitting else ways[0], style=self._style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, cell_len(GAP.join(self._begun(len(self._parts)))))

    def _begun(self, number: int) -> list[str]:
        return [*([self._first] if self._first else []), *self._parts[:number]]


class _Widest:
    """The first of several renderings that fits. Each comes with the part that must not be cut; the last one wraps."""

    def __init__(self, *ways: tuple[RenderableType, RenderableType], last: RenderableType) -> None:
        self._ways, self._last = ways, last

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(width=WIDE)
        fit = (way for way, whole in self._ways if console.measure(whole, options=wide).maximum <= options.max_width)
        yield next(fit, self._last)
