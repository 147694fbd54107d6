"""A sweep is named by its NAME, looked up in the home, or by its SPEC, everywhere."""

import dataclasses
import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import spec as specs
from experiments.plan import Home
from experiments.spec import Spec
from lstm.records import BadInput

SPEC, ORIGIN = "spec.yaml", "origin.json"  # in a sweep's folder: its spec as last run, and where that came from


@dataclass(frozen=True)
class Found:
    """A sweep and where it is kept."""

    spec: Spec
    home: Home

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.spec.experiment.name

    @property
    def study_url(self) -> str:
        """The study's database."""
        return self.spec.experiment.storage.study or self.home.study_url

    @property
    def tracking_uri(self) -> str:
        """MLflow's store."""
        return self.spec.experiment.tracking.uri or self.home.tracking_uri


def find(named: str, home: Home, overrides: Sequence[str] = ()) -> Found:
    """The spec behind a NAME or a SPEC.

    Raises:
        BadInput: it is neither, or the spec is wrong.
    """
    if Path(named).suffix in (".yaml", ".yml", ".json") or Path(named).is_file():
        return Found(specs.load(named, overrides), home)
    folder = home.sweep(named)
    if "/" in named or not (folder / SPEC).is_file():
        known = names(home)
        near = difflib.get_close_matches(named, known, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        there = f" (there: {', '.join(known[:10])})" if known and not near else ""
        raise BadInput(
            f"{named}: {home.folder} holds no sweep of this name{hint}{there}; give the NAME of one that was run, or "
            "its SPEC file; --home names another folder"
        )
    origin = json.loads((folder / ORIGIN).read_text()) if (folder / ORIGIN).is_file() else {}
    spec = specs.load(folder / SPEC, [*origin.get("overrides", []), *overrides])
    return Found(dataclasses.replace(spec, folder=Path(origin.get("folder", folder))), home)


def names(home: Home) -> list[str]:
    """The sweeps that were run in a home."""
    if not home.folder.is_dir():
        return []
    return sorted(p.name for p in home.folder.iterdir() if (p / SPEC).is_file())


def keep(spec: Spec, overrides: Sequence[str], home: Home) -> None:
    """Writes a sweep's spec into its folder, so that it is found by its name."""
    folder = home.sweep(spec.experiment.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SPEC).write_text(spec.document.text, encoding="utf-8")
    origin = {"folder": str(spec.folder.absolute()), "overrides": list(overrides)}
    (folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
