"""Judges whether a refit had better be fresh or warm: over windows of newer rows, which neither has learnt from.

For each window both are trained on all rows before it, as they will be on all rows, and forecast the window. A window
is one observation, as for the winner of confirm. The one that is better over the windows is then trained on all rows.
The trainings for the windows are kept in checkpoints until the refit is whole, so they are resumed to the bit.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from experiments.trials import unfinished
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset, Held, Warm, Whole
from lstm.messages.message import Note, Say, note
from lstm.records.epoch import Epoch
from lstm.records.errors import refused
from lstm.records.objective import Scalar
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial, counted

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint
    from lstm.training.refit import Start
    from lstm.verdict.company import Company

Training = Callable[..., Iterator[Epoch]]
Kind = Literal["fresh", "warm"]
KINDS: tuple[Kind, ...] = ("warm", "fresh")  # of equals the first one is taken: it is what was asked for
START = "start"  # in `Derived.fitted`: the kind, if it was asked to judge which one is better


@dataclass(frozen=True)
class Warming:
    """A refit of which is yet to be judged whether it goes on from a checkpoint; nothing is started or written yet."""

    parent: Trial
    start: "Start"
    data: Warm
    epochs: int  # of a fresh training
    address: str  # of the trainings for the windows

    @classmethod
    def of(cls, parent: Trial, state: "Checkpoint", data: Warm, epochs: int, checkpoints: str) -> "Warming":
        """Return what is to be judged of a trial, whose checkpoint is `state`; `checkpoints` is the sweep's address."""
        from lstm.training.refit import Start

        return cls(parent, Start.of(state), data, epochs, unfinished.address_of(checkpoints, parent.number))

    @property
    def config(self) -> TrialConfig:
        """The configuration of a fresh training."""
        return TrialConfig.model_validate(self.parent.config)

    def whole(self, kind: Kind) -> Whole:
        """Return all rows as one of the two is trained on them."""
        return self.data.warm if kind == "warm" else self.data.fresh

    def changes(self, kind: Kind) -> Mapping[str, Scalar]:
        """Return the fields of the configuration that differ from the parent's."""
        return self.start.changes(self.config) if kind == "warm" else {}

    def epochs_on(self, kind: Kind, count: int) -> int:
        """Return for how many epochs one of the two is trained on so many rows."""
        from lstm.training.refit import warm_epochs

        return warm_epochs(self.epochs, self.data.seen, count) if kind == "warm" else self.epochs

    def weights(self, kind: object) -> Mapping[str, Any] | None:
        """Return the weights that a training begins with; None if they are drawn."""
        return self.start.weights if kind == "warm" else None

    @property
    def about(self) -> Note:
        """A note on what is judged and then trained."""
        whole, windows = self.data.fresh, self.data.windows
        return note(
            "refit-judges-warm",
            number=self.parent.number,
            windows=counted(len(windows), "window"),
            new=whole.new,
            first=windows[0].first,
            last=windows[-1].last,
            fresh=counted(self.epochs, "epoch"),
            warm=counted(self.epochs_on("warm", whole.count), "epoch"),
            rate=self.start.rate,
            count=whole.count,
        )

    def judge(self, train: Training, say: Say) -> Mapping[str, Scalar]:
        """Train both for each window, or go on with that, and return what a refit keeps of it, with the better kind.

        Args:
            train: `lstm.training.refit.train` on a device.
            say: Is told what each window says.

        Raises:
            BadInput: both have diverged.
            OSError: a checkpoint can't be written.
        """
        from lstm.tasks import registry as tasks

        errors: dict[Kind, list[float | None]] = {kind: [] for kind in KINDS}
        for number, held in enumerate(self.data.windows, 1):
            for kind in KINDS:
                found = self._trained(kind, number, held, train)
                errors[kind].append(tasks.judge_held(found, _data(held, kind), held.warm) if found else None)
            told = {kind: each[-1] if each[-1] is not None else "diverged" for kind, each in errors.items()}
            span = {"first": held.first, "last": held.last}
            say(note("refit-window-judged", at=f"window {number}", metric=self.config.metric, **span, **told))
        return self._result(errors)

    def _trained(self, kind: Kind, number: int, held: Held, train: Training) -> "Checkpoint | None":
        """Train one of the two on all rows before a window; None if that has diverged."""
        from lstm import checkpoint
        from lstm.tasks import registry as tasks

        data, config, address = _data(held, kind), _changed(self.config, self.changes(kind)), self._place(kind, number)
        epochs, facts = self.epochs_on(kind, held.count), tasks.of(config).facts_row(data)
        found = checkpoint.load(address)
        if found is not None and (found.config != config or found.fingerprint != data.fingerprint):
            found = None
        attempt = 1 + max((checkpoint.attempt(name) for name in checkpoint.names(address)), default=0)
        state, start = found.state if found else None, self.weights(kind)
        for epoch in train(config, data, epochs, state, start=start):
            assert epoch.state is not None
            found = checkpoint.Checkpoint(config, facts, epoch.state)
            checkpoint.write(address, attempt, found)
        assert found is not None
        return found if found.state.best_weights else None

    def _place(self, kind: Kind, number: int) -> str:
        return f"{self.address}/{_named(number, kind)}"

    @property
    def trainings(self) -> dict[str, int]:
        """The number of epochs of each training for a window, by its name."""
        windows = enumerate(self.data.windows, 1)
        return {_named(n, kind): self.epochs_on(kind, held.count) for n, held in windows for kind in KINDS}

    def _result(self, errors: Mapping[Kind, list[float | None]]) -> Mapping[str, Scalar]:
        company = _compared(self.config, errors)
        if company.winner is None:
            raise refused("refit-diverged", at=f"the refit of trial {self.parent.number}", reason="diverged twice")
        means = {member.name: member.value for member in company.members}
        other = next(member for member in company.members if member is not company.winner)
        difference = other.difference
        return {
            START: company.winner.name,
            "windows": company.count,
            "value_warm": means["warm"],
            "value_fresh": means["fresh"],
            "better": difference.value if difference else None,
            "low": difference.low if difference else None,
            "high": difference.high if difference else None,
            "better_in": difference.unit if difference else None,
        }


def checkpoint_of(swept: Sweep, parent: Trial) -> "Checkpoint":
    """Return the checkpoint of a trial, from which a warm training of its setting goes on.

    Raises:
        BadInput: it is lost, or its weights were removed.
    """
    from lstm import ownership

    found = ownership.load_trial(swept, parent)
    if found is None or not found.state.best_weights:
        raise refused("warm-weights-gone", at=swept.name, number=parent.number, sweep=swept.name)
    return found


def said(fitted: Mapping[str, Scalar], metric: str) -> Note | None:
    """Return a note on what the windows have said of a refit; None if it was not asked to be warm."""
    from lstm.verdict.interval import Difference
    from lstm.verdict.sentences import amount

    kind = fitted.get(START)
    if kind is None:
        return None
    other, windows = "fresh" if kind == "warm" else "warm", counted(int(str(fitted["windows"])), "window")
    if fitted["better"] is None:
        return note("refit-other-diverged", kind=kind, other=other, windows=windows)
    figures: dict[str, Any] = {name: fitted[name] for name in ("low", "high")}
    difference = Difference(metric, str(fitted["better_in"]), fitted["better"], **figures)  # type: ignore[arg-type] # as it was kept
    code = {"better": "refit-is-better", "unknown": "refit-too-few-windows"}.get(difference.answer, "refit-is-alike")
    return note(code, kind=kind, other=other, windows=windows, told=amount(difference))


def _named(number: int, kind: Kind) -> str:
    return f"window-{number:02d}-{kind}"


def _data(held: Held, kind: Kind) -> Dataset:
    return held.warm if kind == "warm" else held.fresh


def _changed(config: TrialConfig, changes: Mapping[str, Scalar]) -> TrialConfig:
    tree = config.model_dump()
    for path, value in changes.items():
        section, _, name = path.partition(".")
        tree[section][name] = value
    return TrialConfig.model_validate(tree)


def _compared(config: TrialConfig, errors: Mapping[Kind, list[float | None]]) -> "Company":
    """Compare the two over the windows, as confirm does with settings on windows that the search has not seen."""
    from lstm.records.confirmation import Confirmation, Confirmed
    from lstm.verdict.company import company

    rows = tuple(Confirmed(kind, place, kind, (), (tuple(errors[kind]),)) for place, kind in enumerate(KINDS))
    return company(Confirmation(config.metric, config.direction, "fresh", len(errors["warm"]), 0, rows))
