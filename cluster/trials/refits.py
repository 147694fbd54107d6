"""The beginning of a refit's trial in the study."""

from cluster.decisions import Decisions, derived_of
from cluster.study.drafts import running_like
from cluster.study.stored import FORM, FORMAT
from cluster.study.study import Study
from lstm.records.state import Derived


def begin(study: Study, derived: Derived) -> int:
    """Add a trial that runs at once, with the settings of its parent, or find the same one; return its number.

    It never waits in the queue, where a driver of the search would ask for it.
    """
    trials = study.frozen()
    for each in trials:
        if derived_of(each.user_attrs) == derived and not each.state.is_finished():
            return each.number
    study.remember(**{FORM: FORMAT})  # before the trial: an earlier version would train it as one of the search
    parent = next(each for each in trials if each.number == derived.parent)
    study.add(running_like(parent, Decisions(derived).asked()))
    return study.frozen()[-1].number
