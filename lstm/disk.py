"""Which disk a file lies on, so that a person knows where room is to be made."""

import shutil
from pathlib import Path


def place_of(path: Path) -> str:
    """A file or folder, which need not exist, with the mount point and the free space of its disk."""
    there = path.absolute()
    try:
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        while not there.is_mount():
            there = there.parent
    except OSError:
        return str(path)
    return f"{path} (disk {there}, {free / 1e6:,.0f} MB free)"
