"""What is examined: what a sweep needs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster.config import ResourcesConfig
from cluster.space import suggest
from experiments.home import Home
from experiments.planning import Plan
from lstm.own_code import imports
from lstm.storage.files import folder_of
from lstm.training.estimates import checkpoint_bytes


@dataclass(frozen=True)
class Subject:
    """What is examined: the needs of a spec, or of any sweep in a home."""

    home: Home
    study: str
    tracking: str
    checkpoints: str
    resources: ResourcesConfig
    packages: Sequence[str] = ()  # which the spec's own code imports
    data_bytes: int = 0
    data: Sequence[str] = ()  # the places of the data, as the spec has them
    checkpoint_bytes: tuple[int, int] = (0, 0)  # of all trials' weights, at least and at most; 0 without a spec
    kept_bytes: int = 0  # of checkpoints that the sweep has already

    @classmethod
    def of(cls, plan: Plan) -> "Subject":
        """Return what a plan needs."""
        order = plan.order
        return cls(
            home=plan.home,
            study=order.study_url,
            tracking=plan.tracking_uri,
            checkpoints=str(order.storage.checkpoints),
            resources=order.resources,
            packages=sorted({name for each in order.code for name in imports(each)}),
            data_bytes=plan.series.nbytes,
            data=[*plan.spec.written_location.values()],
            checkpoint_bytes=_checkpoint_bytes(plan),
            kept_bytes=_kept_bytes(order.sweep_folder),
        )


def _checkpoint_bytes(plan: Plan) -> tuple[int, int]:
    """Return what the checkpoints take in the end: of the smallest networks one each, of the largest two."""
    order = plan.order
    low, high = suggest.ends(order.base, order.search.space) if order.search else (order.base, order.base)
    top = order.storage.top
    kept = order.trials if top is None else min(order.trials, top + 2)  # the base, and one that trains
    least, most = sorted(checkpoint_bytes(each, plan.series) for each in (low, high))
    return kept * least, 2 * kept * most


def _kept_bytes(address: str) -> int:
    folder = folder_of(address)
    if folder is None:
        return 0
    found = 0
    for each in folder.glob("**/*.pt"):
        with suppress(OSError):  # a driver has replaced it just now
            found += each.stat().st_size
    return found
