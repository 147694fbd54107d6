"""Decides when a private part of a library is used: only with the versions it was tried with, and unless switched off.

Each library has one file `private_patches.py` that uses its private parts; a test finds such uses anywhere else.
"""

import logging
import os
from dataclasses import dataclass

from lstm.records.errors import refused

SWITCH = "SWEEP_WITHOUT_PATCHES"  # libraries that are used without their private parts, separated by commas, or `all`
VENDORS = ("mlflow", "optuna", "ray", "torch")

_told: set["Patch"] = set()  # patches for which a warning was logged, so that each is logged once


@dataclass(frozen=True, slots=True)
class Patch:
    """A use of private parts of a library, with the versions that it was tried with."""

    vendor: str  # the library, one of `VENDORS`
    name: str  # the name of the patch's function
    tried: tuple[str, ...]  # the versions that the patch was tried with, by their first two numbers
    without: str  # what happens if the patch is left out

    def fits(self, version: str) -> bool:
        """Return whether the patch was tried with this version and is not switched off.

        A warning is logged once if the patch was not tried with this version.

        Raises:
            BadInput: the environment variable `SWITCH` names a library that has no patches.
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
    """Return the libraries whose patches are switched off by the environment variable `SWITCH`.

    Raises:
        BadInput: the variable names a library that has no patches.
    """
    named = [name.strip().lower() for name in os.environ.get(SWITCH, "").split(",") if name.strip()]
    if wrong := [name for name in named if name not in (*VENDORS, "all")]:
        raise refused("switch-of-no-library", at=SWITCH, name=wrong[0], known=list(VENDORS))
    return VENDORS if "all" in named else tuple(named)
