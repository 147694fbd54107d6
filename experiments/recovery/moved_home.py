"""Handles a home that was moved or copied: finds its former place, then writes down where it is now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.home import Home, kept_in
from lstm.messages.message import Say, note
from lstm.ownership import Mark
from lstm.records.errors import BadInput

if TYPE_CHECKING:
    from cluster.study.moved import Moved


@dataclass(frozen=True)
class Place:
    """A sweep's stores that may have moved."""

    home: Home
    name: str
    study_url: str
    tracking_uri: str
    is_private: bool = False  # the study's address comes from the environment and must not be written down

    @property
    def study_folder(self) -> str:
        """The folder of the study's file; "" if it must not be written down."""
        from cluster.study import moved

        return "" if self.is_private else moved.folder_of(self.study_url)

    @property
    def is_home_tracking(self) -> bool:
        """Return whether the sweep's runs are in the home's own MLflow, and its database exists."""
        return self.tracking_uri == self.home.tracking_uri and self.home.database.is_file()


def look(place: Place, facts: Mapping[str, Any]) -> "Moved | None":
    """Return where a study was before, if it has moved; change nothing."""
    from cluster.study import moved, stored

    def facts_of(url: str) -> Mapping[str, Any] | None:
        try:
            return stored.facts(url, place.name)
        except BadInput:  # the file is not a study's database
            return None

    former = place.home.former_places() if place.study_url == place.home.study_url else []
    return moved.look(place.study_url, place.name, facts, former, facts_of)


def settle(place: Place, found: "Moved | None", before: Mapping[str, Any], say: Say) -> None:
    """Write down where a home and a sweep in it are now. The caller must hold the sweep's lease.

    A repeated call, as after a kill, gives the same result. MLflow is changed first: until the study has its new place,
    the next call does all of it again.

    Args:
        place: The sweep's stores.
        found: The result of `look`.
        before: What the study remembered before.
        say: Called with what was found, and if MLflow does not answer, a note each.
    """
    from cluster import opening
    from dashboards.tracking import relocate, runs

    home, places = place.home, place.home.moved_from()
    if place.is_home_tracking and places:
        home.keep_former_places()
        relocate.rewrite(home.database, places, home.folder)
    if found is not None:
        if place.is_home_tracking and found.copied:
            relocate.rename_study(home.database, place.name, found.study_before, found.study)
        known = str(before.get("checkpoints", ""))
        if known != found.checkpoints and (place.is_home_tracking or not found.copied):
            try:
                relocate.retag(place.tracking_uri, place.name, found.study, known, found.checkpoints)
            except Exception as error:  # stores have no common class of errors
                if not runs.is_outage(error):
                    raise
                say(note("former-address-in-mlflow", why=runs.cause(error)))
        # A copy has no runs if MLflow's store was not copied with it.
        more = {} if place.is_home_tracking or not found.copied else {"recorded": False}
        mark = Mark(found.study, place.name, kept_in(home))
        opening.write_down(place.study_url, place.name, found, mark, place.study_folder, **more)
        say(note("home-copied" if found.copied else "home-moved", at=place.name, before=str(found.before)))
    if home.folder.is_dir():
        home.write_record()
