"""The section `tracking` of a spec: where MLflow remembers."""

from typing import Literal

from pydantic import Field

from lstm.sections import Section

Checkpoints = Literal["best", "all", "none"]


class TrackingConfig(Section):
    """Where runs are recorded."""

    uri: str | None = Field(
        None,
        min_length=1,
        description="MLflow's tracking URI, a server or a database; by default SQLite in the home folder.",
    )
    checkpoints: Checkpoints = Field(
        "best",
        description="Whose checkpoints become artifacts of their runs: the best trial's, every trial's or no trial's. "
        "The others carry their address as a tag.",
    )
