"""`sweep clean`: free the weights of trials that are not among the best."""

from collections.abc import Iterable

from experiments import lookup
from experiments.home import Home
from experiments.terminal.output import emit, print_faults, print_note
from experiments.trials import cleaning
from lstm.records.trial import counted

SHOWN = 20  # the most trials that a line names


def main(*, home: str, named: str, keep: str, dry_run: bool, as_json: bool) -> int:
    """Free the weights, or with `dry_run` say what would be freed. Returns 1 if not everything was freed."""
    found = lookup.sweep(named, Home.at(home), print_note)

    def about(planned: cleaning.Cleaned) -> None:
        if not as_json:
            _show(found, planned, dry_run=dry_run)

    done, faults = cleaning.clean(found, keep, print_note, dry_run=dry_run, about=about)
    if as_json:
        emit(
            {
                "sweep": found.name,
                "keep": keep,
                "dry_run": dry_run,
                "bytes": done.bytes,
                "freed": [{"trial": number, "bytes": size} for number, size in done.freed.items()],
                "warm": [{"refit_of": number, "bytes": size} for number, size in done.warm.items()],
                "kept": [{"trial": number, "why": why} for number, why in sorted(done.kept.items())],
                "failed": list(done.failed),
                "errors": [each.row() for each in faults],
            }
        )
    elif dry_run:
        about(done)
    elif done.bytes:
        parts = [counted(len(done.freed), "trial")] * bool(done.freed) + [_of_refits(done.warm)] * bool(done.warm)
        print(f"{found.name}: freed {done.bytes / 1e6:,.3g} MB of {' and '.join(parts)}")
    return print_faults(faults) or int(bool(done.failed))


def _show(found: lookup.Found, planned: cleaning.Cleaned, *, dry_run: bool) -> None:
    """Say what is freed and what stays, before anything is freed."""
    name = found.name
    reasons = dict[str, list[int]]()
    for number, why in sorted(planned.kept.items()):
        reasons.setdefault(why, []).append(number)
    for why, numbers in reasons.items():
        print(f"{name}: keeps the weights of {_few(numbers)}: {why}")
    verb = "would free" if dry_run else "frees"
    if planned.warm:
        size = sum(planned.warm.values()) / 1e6
        print(
            f"{name}: {verb} {size:,.3g} MB of {_of_refits(planned.warm)}; `sweep refit --warm` would train them again"
        )
    if not planned.freed:
        print(f"{name}: no other trial has weights" + "; nothing is freed" * (not planned.warm))
        return
    size = sum(planned.freed.values()) / 1e6
    print(f"{name}: {verb} {size:,.3g} MB of {_few(planned.freed)}; their curves and all that MLflow has stay")
    if lookup.read(found).windows.count == 1:  # trials of a backtest can't be extended
        print(
            f"`sweep extend {name}{found.home.flag}` trains such a trial again first, unless MLflow has its checkpoint."
        )
    print("`predict --trial` and `probe --trial` need weights; `refit --trial`, `retry` and `confirm` do not.")


def _of_refits(warm: Iterable[int]) -> str:
    """Return in words what is left of warm refits that are not whole."""
    return f"trainings for the windows of a warm refit of trial {', '.join(map(str, warm))}, which is not whole"


def _few(numbers: Iterable[int]) -> str:
    """Return trials in words, at most `SHOWN` of them by their numbers."""
    every = sorted(numbers)
    more = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return f"{counted(len(every), 'trial')} ({', '.join(map(str, every[:SHOWN]))}{more})"
