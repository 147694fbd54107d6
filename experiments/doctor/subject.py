"""What is examined: what a sweep needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.config import ResourcesConfig
from experiments.home import Home
from experiments.planning import Plan
from lstm.own_code import imports


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
        )
