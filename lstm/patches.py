"""When a private part of a library may be used: with versions that it was tried with, while nobody switches it off.

Each library has one file `private_patches.py` that reaches into it; a test finds what reaches into one elsewhere.
"""

import logging
import os
from dataclasses import dataclass

from lstm.records.errors import refused

SWITCH = "SWEEP_WITHOUT_PATCHES"  # libraries whose private parts are left alone, separated by commas, or `all`
VENDORS = ("mlflow", "optuna", "ray", "torch")

_told: set["Patch"] = set()  # of which it was said that they are left out


@dataclass(frozen=True, slots=True)
class Patch:
    """A use of private parts of a library, and what is done without it."""

    vendor: str
    name: str  # of its function
    tried: tuple[str, ...]  # the versions that it fits, by their first two numbers
    without: str  # what happens where it is left out

    def fits(self, version: str) -> bool:
        """Whether it was tried with this version, and nobody has switched it off; a note where it was not tried.

        Raises:
            BadInput: the switch names a library that has no patches.
        """
        if self.vendor in switched_off():
            return False
        if ".".join(version.split(".")[:2]) in self.tried:
            return True
        if self not in _told:
            _told.add(self)
            note = "%s %s: %s was tried with %s alone and is left out: %s"
            logging.getLogger(__name__).warning(
                note, self.vendor, version, self.name, ", ".join(self.tried), self.without
            )
        return False


def switched_off() -> tuple[str, ...]:
    """The libraries whose private parts are to be left alone, by the environment.

    Raises:
        BadInput: one that it names has no patches.
    """
    named = [name.strip().lower() for name in os.environ.get(SWITCH, "").split(",") if name.strip()]
    if wrong := [name for name in named if name not in (*VENDORS, "all")]:
        raise refused("switch-of-no-library", at=SWITCH, name=wrong[0], known=list(VENDORS))
    return VENDORS if "all" in named else tuple(named)
