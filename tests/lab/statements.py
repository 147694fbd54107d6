"""SQLAlchemy's compiled statements, which each engine makes anew: here once for all SQLite databases of a process.

A small sweep opens ten engines, and makes 150 statements for them: a tenth of its CPU. What they say does not hang on
the database. Children that are forked later have what was made before.
"""

import functools
import tempfile
from typing import Any


@functools.cache
def shared() -> None:
    """From here on, in this process and its forks, an engine of SQLite finds the statements of all others."""
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
    from sqlalchemy.engine import Engine
    from sqlalchemy.util import LRUCache

    known: Any = LRUCache(100_000)
    made = Engine.__init__

    def make(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        self._compiled_cache = known

    def kind(dialect: Any) -> tuple[Any, ...]:
        return type(dialect), dialect.paramstyle, dialect._json_serializer, dialect._json_deserializer

    replaced: Any = Engine
    replaced.__init__ = make
    dialect: Any = SQLiteDialect_pysqlite  # a statement is known by its dialect, too
    dialect.__eq__ = lambda one, other: type(one) is type(other) and kind(one) == kind(other)
    dialect.__hash__ = lambda one: hash(kind(one))


@functools.cache
def made() -> None:
    """Have those made that a sweep needs: what Optuna and MLflow do for one."""
    shared()
    with tempfile.TemporaryDirectory(prefix="lstm-sweeps-") as folder:
        _of_optuna(f"sqlite:///{folder}/study.db")
        _of_mlflow(f"sqlite:///{folder}/mlflow.db", folder)


def _of_optuna(address: str) -> None:
    import optuna

    storage = optuna.storages.RDBStorage(address)
    study = optuna.create_study(storage=storage, study_name="a")
    study.set_user_attr("a", 1)
    study.set_user_attr("a", 2)
    space = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    study.enqueue_trial({"x": 0.5})
    for _ in range(2):
        trial = study.ask(space)
        trial.set_user_attr("a", 1)
        trial.report(0.5, 1)
        study.tell(trial, 0.5)
    study = optuna.load_study(study_name="a", storage=optuna.storages.RDBStorage(address))
    assert study.trials
    assert study.user_attrs
    for each in (storage, study._storage._backend):  # type: ignore[attr-defined]
        each.engine.dispose()


def _of_mlflow(address: str, folder: str) -> None:
    import inside
    from mlflow.entities import Metric, Param, RunTag, ViewType

    from dashboards.tracking import runs

    client = runs.connect(address)
    experiment = client.create_experiment("a", artifact_location=folder, tags={"a": "b"})
    client.set_experiment_tag(experiment, "a", "c")
    client.search_experiments(ViewType.ALL, 10, "tags.`a` = 'c' AND tags.`b` = 'c'")
    client.search_experiments(ViewType.ACTIVE_ONLY, 10, "tags.`a` = 'c'")
    client.get_experiment_by_name("a")
    run = client.create_run(experiment, tags={"a": "b"}, run_name="a").info.run_id
    for step in range(2):
        client.log_batch(run, [Metric("a", 0.5, 1, step)], [Param("a", "b")], [RunTag("a", str(step))])
    client.log_dict(run, {}, "config.yaml")
    client.set_terminated(run, "FINISHED", 1)
    found = list(runs.search(client, experiment, {"a": "1"}))
    assert [each.info.run_id for each in found] == [run]
    client.get_run(run)
    runs.curves(client, run, ["a"])
    inside.forget()
