"""The migrations of Optuna and MLflow, which each opening of a database reads anew: here once in a process.

That is 0.15 s of a new database of Optuna and 0.03 s of one that is there. They are files of the libraries: nothing in
them hangs on the database.
"""

import functools
from typing import Any


@functools.cache
def read_once() -> None:
    """From here on, in this process and its forks, a folder of migrations is what it was when it was first read."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    replaced: Any = ScriptDirectory
    replaced.from_config = from_config
