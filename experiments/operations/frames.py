"""A sweep's trials, its epochs and a forecast as tables of pandas."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.spec.yaml_parser import value_at
from lstm.messages.message import Say
from lstm.records.epoch import Place
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from pandas import DataFrame

    from lstm.verdict.company import Company


def of_trials(sweep: Sweep) -> "DataFrame":
    """Return a table with a row for each trial, indexed by its number."""
    import pandas as pd

    counted = {trial.number for trial in sweep.counted}
    confirms = {t.number: t.derived.parent for t in sweep.confirming if t.derived}
    paths = dict.fromkeys(path for trial in sweep.trials for path in trial.settings)
    searched = [(path, tuple(path.split("."))) for path in paths]
    rows = [
        {
            "trial": t.number,
            "state": t.state,
            "value": t.value,
            **({"second": t.second} if sweep.second else {}),
            "epoch": t.best_epoch,
            "epochs": len(t.curve),
            "seconds": t.duration_s,
            "is_base": t.is_base,
            **({"extends": t.extends} if sweep.extensions else {}),
            **({"confirms": confirms.get(t.number)} if confirms else {}),
            **({"refit_of": t.derived.parent if t.derived and t.is_refit else None} if sweep.refits else {}),
            "counts": t.number in counted,  # in n_trials; a base outside the search and a retried trial do not
            "reason": t.reason,  # why it failed or ended early
            "checkpoint": t.checkpoint,
            **(
                {path: value_at(t.config, address) for path, address in searched}
                if t.is_base or not t.settings
                else t.settings
            ),
        }
        for t in sweep.trials
    ]
    return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "value"]).set_index("trial")


def of_company(found: "Company | None") -> "DataFrame":
    """Return a table with a row for each setting that was confirmed, and for the rival, indexed by its name."""
    import pandas as pd

    rows = [
        {
            "name": member.name,
            "role": member.role,
            "trial": member.number,
            "mean": member.value,
            "seeds": member.seeds,
            "better": each.value if each else None,  # how much better the winner is, in `unit`
            "low": each.low if each else None,
            "high": each.high if each else None,
            "unit": each.unit if each else "",
            "answer": each.answer if each else "",
            "reason": member.why or (each.why if each else ""),
        }
        for member in (found.members if found else ())
        for each in [member.difference]
    ]
    floats = dict.fromkeys(("mean", "better", "low", "high"), float)
    frame = pd.DataFrame(rows, columns=None if rows else ["name", "role", "trial", "seeds", "unit", "answer", *floats])
    return frame.set_index("name").astype({"trial": "Int64", **floats})


def of_epochs(sweep: Sweep, say: Say) -> "DataFrame":
    """Return a table with a row for each epoch of each trial. `say` gets a message for each damaged checkpoint."""
    import pandas as pd

    from lstm import ownership

    rows: list[dict[str, Any]] = []
    for trial in sweep.trials:
        kept = ownership.load_trial(sweep, trial, say)
        whole = {epoch.place: dict(epoch.metrics) for epoch in kept.state.history} if kept else {}
        short = {Place(1, number): {sweep.metric: value} for number, value in trial.curve}
        for place, metrics in sorted((short | whole).items()):
            rows.append({"trial": trial.number, **sweep.windows.named(place), **metrics})
    return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch", sweep.metric])


def of_history(history: Sequence[Mapping[str, float]]) -> "DataFrame":
    """Return a table with a row for each epoch of one training."""
    import pandas as pd

    return pd.DataFrame([dict(row) for row in history])


def of_forecast(columns: Mapping[str, Sequence[Any]], time: str) -> "DataFrame":
    """Return a prediction as a table. Times that are dates become datetimes; with several offsets, in UTC."""
    import pandas as pd

    frame = pd.DataFrame(dict(columns))
    if time in frame and all(isinstance(each, str) and "-" in each for each in frame[time]):
        offsets = {each[-6:] for each in frame[time] if "T" in each and each[-6] in "+-"}
        frame[time] = pd.to_datetime(frame[time], format="ISO8601", utc=len(offsets) > 1)  # where a clock changes
    return frame
