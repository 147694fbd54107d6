"""The command line in this process, for verbs that look, where a test puts one home in another's place.

A child for each costs as much again as the verb does. MLflow keeps in mind, as long as a process lives, its databases
and where a run's artifacts are: here it forgets them before and after, so that no later child has them open.
"""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from click.testing import CliRunner

from experiments.cli import main

LOOKS = ("best", "compare", "plan", "predict", "status", "verify")  # which start nothing and write nothing


def call(words: Sequence[object], cwd: Path) -> SimpleNamespace:
    """Runs a verb that looks; its `code`, `out` and `err`."""
    assert words[0] in LOOKS, words
    forget()
    try:
        with contextlib.chdir(cwd):
            done = CliRunner().invoke(main, list(map(str, words)), prog_name="sweep")
    finally:
        forget()
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return SimpleNamespace(code=done.exit_code, out=done.stdout, err=done.stderr)


def forget() -> None:
    """Lets MLflow forget which stores and artifacts it has seen."""
    if client := sys.modules.get("mlflow.tracking._tracking_service.utils"):
        client._artifact_repos_cache.clear()
        client._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    if store := sys.modules.get("mlflow.store.tracking.sqlalchemy_store"):
        engines = store.SqlAlchemyStore._engine_map
        while engines:
            engines.popitem()[1].dispose()
