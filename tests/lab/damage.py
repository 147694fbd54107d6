"""What can go wrong with a finished sweep's records, done to them by plain SQL and by writing files.

Each damage takes a home with SQLite stores and the name of a sweep there, of three trials or more and two epochs or
more, and returns the number of the trial that it damaged, or None where it damaged the sweep itself.
"""

import hashlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Damage = Callable[[Path, str], int | None]
VICTIM = 1  # not the first, not the last
HOSTILE = "hostile-pickle-ran"  # the file in the home that the hostile checkpoint makes if its code is run


@contextmanager
def _study(home: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(home / "study.db")) as database, database:
        yield database


@contextmanager
def _mlflow(home: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        yield database


def _change(database: sqlite3.Connection, sql: str, *values: Any) -> None:
    """Changes something for sure: a damage that does none would be found by nobody and prove nothing."""
    assert database.execute(sql, values).rowcount > 0, sql


def _trial(database: sqlite3.Connection, name: str, number: int = VICTIM) -> int:
    """The key of a trial in the study's tables."""
    sql = "SELECT trial_id FROM trials JOIN studies USING (study_id) WHERE study_name = ? AND number = ?"
    key: int = database.execute(sql, (name, number)).fetchone()[0]
    return key


def _run(database: sqlite3.Connection, name: str, number: int = VICTIM) -> str:
    """The key of a trial's run in MLflow's tables."""
    sql = (
        "SELECT run_uuid FROM runs JOIN tags n USING (run_uuid) JOIN tags t USING (run_uuid) "
        "WHERE lifecycle_stage = 'active' AND n.key = 'sweep.name' AND n.value = ? "
        "AND t.key = 'sweep.trial' AND t.value = ?"
    )
    key: str = database.execute(sql, (name, str(number))).fetchone()[0]
    return key


def _sweep_run(database: sqlite3.Connection, name: str) -> str:
    sql = (
        "SELECT run_uuid FROM runs JOIN tags n USING (run_uuid) JOIN experiments e USING (experiment_id) "
        "WHERE e.name = 'sweeps' AND n.key = 'sweep.name' AND n.value = ?"
    )
    key: str = database.execute(sql, (name,)).fetchone()[0]
    return key


def _best(home: Path, name: str) -> int:
    with _mlflow(home) as database:
        sql = "SELECT value FROM tags WHERE run_uuid = ? AND key = 'sweep.best_trial'"
        return int(database.execute(sql, (_sweep_run(database, name),)).fetchone()[0])


def _end(database: sqlite3.Connection, key: int) -> dict[str, Any]:
    sql = "SELECT value_json FROM trial_user_attributes WHERE trial_id = ? AND key = 'end'"
    end: dict[str, Any] = json.loads(database.execute(sql, (key,)).fetchone()[0])
    return end


def _change_end(database: sqlite3.Connection, key: int, end: dict[str, Any]) -> None:
    sql = "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = ? AND key = 'end'"
    _change(database, sql, json.dumps(end), key)


def _files(home: Path, name: str, number: int = VICTIM) -> list[Path]:
    """A trial's checkpoint files, the newest last."""
    with _study(home) as database:
        address = _end(database, _trial(database, name, number))["checkpoint"]
    return sorted(Path(address).glob("attempt-*.pt"))


def _artifact(home: Path, name: str, number: int, path: str) -> Path:
    with _mlflow(home) as database:
        run = _run(database, name, number)
        uri = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run,)).fetchone()[0]
    return Path(unquote(urlsplit(uri).path)) / path


def _sealed(archive: bytes) -> bytes:
    """A zip archive without a comment, with that of a sound checkpoint."""
    body = archive[:-2]
    comment = b"sha256:" + hashlib.sha256(body).hexdigest().encode()
    return body + len(comment).to_bytes(2, "little") + comment


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# --- in the study


def study_trial_deleted(home: Path, name: str) -> int:
    """A trial in the middle is gone, with all that hung on it."""
    return _delete_trial(home, name, VICTIM)


def study_last_trial_deleted(home: Path, name: str) -> int:
    """The last trial is gone, so that no number is missing before another."""
    with _study(home) as database:
        sql = "SELECT max(number) FROM trials JOIN studies USING (study_id) WHERE study_name = ?"
        last = database.execute(sql, (name,)).fetchone()[0]
    return _delete_trial(home, name, last)


def _delete_trial(home: Path, name: str, number: int) -> int:
    with _study(home) as database:
        key = _trial(database, name, number)
        for table in ("trial_values", "trial_intermediate_values", "trial_params", "trial_user_attributes", "trials"):
            _change(database, f"DELETE FROM {table} WHERE trial_id = ?", key)
    return number


def study_epoch_deleted(home: Path, name: str) -> int:
    """An epoch in the middle of a trial is gone."""
    with _study(home) as database:
        sql = "DELETE FROM trial_intermediate_values WHERE trial_id = ? AND step = 1"
        _change(database, sql, _trial(database, name))
    return VICTIM


def study_epoch_altered(home: Path, name: str) -> int:
    """An epoch's value differs from the measured one in its last digits."""
    with _study(home) as database:
        sql = "UPDATE trial_intermediate_values SET intermediate_value = intermediate_value * (1 + 1e-12) "
        _change(database, f"{sql} WHERE trial_id = ? AND step = 1", _trial(database, name))
    return VICTIM


def study_epoch_not_a_number(home: Path, name: str) -> int:
    """An epoch's value has become NaN, which Optuna writes as an empty value of another kind."""
    with _study(home) as database:
        sql = "UPDATE trial_intermediate_values SET intermediate_value = NULL, intermediate_value_type = 'NAN' "
        _change(database, f"{sql} WHERE trial_id = ? AND step = 1", _trial(database, name))
    return VICTIM


def study_epoch_beyond_the_end(home: Path, name: str) -> int:
    """There is one epoch more than was trained."""
    with _study(home) as database:
        sql = (
            "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) "
            "SELECT trial_id, max(step) + 1, intermediate_value, intermediate_value_type "
            "FROM trial_intermediate_values WHERE trial_id = ?"
        )
        _change(database, sql, _trial(database, name))
    return VICTIM


def study_setting_deleted(home: Path, name: str) -> int:
    """One of the settings that a trial was given is gone."""
    with _study(home) as database:
        key = _trial(database, name)
        sql = "DELETE FROM trial_params WHERE param_id = (SELECT min(param_id) FROM trial_params WHERE trial_id = ?)"
        _change(database, sql, key)
    return VICTIM


def study_setting_like_the_base_deleted(home: Path, name: str) -> int:
    """A setting is gone that is the base configuration's, too: what was trained still follows from the study."""
    with _study(home) as database:
        sql = "SELECT value_json FROM study_user_attributes JOIN studies USING (study_id) "
        rows = database.execute(f"{sql} WHERE study_name = ? AND key = 'base'", (name,))
        base = json.loads(rows.fetchone()[0])["model"]["hidden_size"]
        sql = "SELECT number, trial_id FROM trial_params JOIN trials USING (trial_id) JOIN studies USING (study_id) "
        sql += "WHERE study_name = ? AND param_name = 'model.hidden_size' AND param_value = ?"
        number, key = database.execute(sql, (name, base)).fetchone()
        _change(database, "DELETE FROM trial_params WHERE trial_id = ? AND param_name = 'model.hidden_size'", key)
    return int(number)


def study_setting_altered(home: Path, name: str) -> int:
    """The study says that a trial was given another number than it trained with."""
    with _study(home) as database:
        sql = "UPDATE trial_params SET param_value = param_value * 1.5 WHERE trial_id = ? AND param_name = ?"
        _change(database, sql, _trial(database, name), "training.learning_rate")
    return VICTIM


def study_end_deleted(home: Path, name: str) -> int:
    """A trial has ended, and nothing says how."""
    with _study(home) as database:
        sql = "DELETE FROM trial_user_attributes WHERE trial_id = ? AND key = 'end'"
        _change(database, sql, _trial(database, name))
    return VICTIM


def study_end_value_altered(home: Path, name: str) -> int:
    """A trial's end names a better value than any of its epochs had."""
    with _study(home) as database:
        key = _trial(database, name)
        end = _end(database, key)
        _change_end(database, key, {**end, "value": end["value"] / 2})
    return VICTIM


def study_epoch_time_altered(home: Path, name: str) -> int:
    """A trial's epochs took another time than its history says."""
    with _study(home) as database:
        key = _trial(database, name)
        end = _end(database, key)
        _change_end(database, key, {**end, "epochs_s": end["epochs_s"] + 1})
    return VICTIM


def study_spent_altered(home: Path, name: str) -> None:
    """A trial's workers spent other times than were told; MLflow has the figures made of them."""
    with _study(home) as database:
        key = _trial(database, name)
        end = _end(database, key)
        _change_end(database, key, {**end, "spent": {**end["spent"], "report": end["spent"]["report"] + 1}})


def study_value_altered(home: Path, name: str) -> int:
    """The sampler learns from another value than the trial's."""
    with _study(home) as database:
        sql = "UPDATE trial_values SET value = value / 2 WHERE trial_id = ?"
        _change(database, sql, _trial(database, name))
    return VICTIM


def study_left_running(home: Path, name: str) -> int:
    """A trial is RUNNING, and nobody runs it."""
    with _study(home) as database:
        sql = "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id = ?"
        _change(database, sql, _trial(database, name))
    return VICTIM


def study_number_twice(home: Path, name: str) -> int:
    """Two trials have the same number."""
    with _study(home) as database:
        sql = "UPDATE trials SET number = ? WHERE trial_id = ?"
        _change(database, sql, VICTIM, _trial(database, name, VICTIM + 1))
    return VICTIM


# --- in MLflow


def mlflow_point_deleted(home: Path, name: str) -> int:
    """A curve has a hole."""
    with _mlflow(home) as database:
        sql = "DELETE FROM metrics WHERE run_uuid = ? AND key = 'train/loss' AND step = 1"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_point_doubled(home: Path, name: str) -> int:
    """A point is there twice, with two timestamps, as when an epoch is told of again with the time of telling."""
    with _mlflow(home) as database:
        sql = (
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "SELECT key, value, timestamp + 7, run_uuid, step, is_nan FROM metrics "
            "WHERE run_uuid = ? AND key = 'val/loss' AND step = 1"
        )
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_point_altered(home: Path, name: str) -> int:
    """A point has another value than was measured."""
    with _mlflow(home) as database:
        sql = "UPDATE metrics SET value = value + 1e-9 WHERE run_uuid = ? AND key = 'grad_norm' AND step = 1"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_point_not_a_number(home: Path, name: str) -> int:
    """A point has become NaN."""
    with _mlflow(home) as database:
        sql = "UPDATE metrics SET value = 0, is_nan = 1 WHERE run_uuid = ? AND key = 'val/loss' AND step = 1"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_point_at_another_time(home: Path, name: str) -> int:
    """A point has another timestamp than that of its measurement."""
    with _mlflow(home) as database:
        sql = "UPDATE metrics SET timestamp = timestamp + 1000 WHERE run_uuid = ? AND key = 'lr' AND step = 1"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_curve_cut(home: Path, name: str) -> int:
    """Every curve of a trial lacks its last epoch, as if the store had been away at its end."""
    with _mlflow(home) as database:
        run = _run(database, name)
        last = "SELECT max(step) FROM metrics WHERE run_uuid = ?1 AND key = 'val/loss'"
        _change(database, f"DELETE FROM metrics WHERE run_uuid = ?1 AND key <> 'best' AND step = ({last})", run)
        newest = "FROM metrics m WHERE m.run_uuid = l.run_uuid AND m.key = l.key ORDER BY step DESC LIMIT 1"
        sql = (
            f"UPDATE latest_metrics AS l SET value = (SELECT value {newest}), step = (SELECT step {newest}), "
            f"timestamp = (SELECT timestamp {newest}) WHERE run_uuid = ? AND key <> 'best'"
        )
        _change(database, sql, run)
    return VICTIM


def mlflow_metric_deleted(home: Path, name: str) -> int:
    """One of a trial's curves is missing as a whole."""
    with _mlflow(home) as database:
        run = _run(database, name)
        for table in ("metrics", "latest_metrics"):
            _change(database, f"DELETE FROM {table} WHERE run_uuid = ? AND key = 'val/mae'", run)
    return VICTIM


def mlflow_run_deleted(home: Path, name: str) -> int:
    """Somebody deleted a trial's run in MLflow's pages, which only marks it."""
    with _mlflow(home) as database:
        sql = "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = end_time WHERE run_uuid = ?"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_run_doubled(home: Path, name: str) -> int:
    """A trial has two runs, as when an answer was lost and the run was made again."""
    with _mlflow(home) as database:
        _double(database, _run(database, name))
    return VICTIM


def mlflow_sweep_run_doubled(home: Path, name: str) -> None:
    """The sweep has two runs."""
    with _mlflow(home) as database:
        _double(database, _sweep_run(database, name))


def _double(database: sqlite3.Connection, run: str) -> None:
    for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        copied = ", ".join(f'"{c}"' if c != "run_uuid" else "'doubled' || substr(run_uuid, 8)" for c in columns)
        into = ", ".join(f'"{c}"' for c in columns)
        _change(database, f"INSERT INTO {table} ({into}) SELECT {copied} FROM {table} WHERE run_uuid = ?", run)


def mlflow_sweep_run_deleted(home: Path, name: str) -> None:
    """The sweep's own run was deleted."""
    with _mlflow(home) as database:
        sql = "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?"
        _change(database, sql, _sweep_run(database, name))


def mlflow_progress_altered(home: Path, name: str) -> None:
    """The sweep's curve of bests starts better than it did."""
    with _mlflow(home) as database:
        first = "SELECT min(step) FROM metrics WHERE run_uuid = ?1 AND key = 'best'"
        sql = f"UPDATE metrics SET value = value / 2 WHERE run_uuid = ?1 AND key = 'best' AND step = ({first})"
        _change(database, sql, _sweep_run(database, name))


def mlflow_goodput_altered(home: Path, name: str) -> None:
    """The share of time that went into training was made nicer."""
    with _mlflow(home) as database:
        for table in ("metrics", "latest_metrics"):
            sql = f"UPDATE {table} SET value = 0.99 WHERE run_uuid = ? AND key = 'goodput/training'"
            _change(database, sql, _sweep_run(database, name))


def mlflow_goodput_deleted(home: Path, name: str) -> None:
    """Where workers' time went is gone."""
    with _mlflow(home) as database:
        for table in ("metrics", "latest_metrics"):
            _change(
                database, f"DELETE FROM {table} WHERE run_uuid = ? AND key LIKE 'goodput/%'", _sweep_run(database, name)
            )


def mlflow_best_trial_altered(home: Path, name: str) -> None:
    """The sweep's run names another trial as its best."""
    with _mlflow(home) as database:
        sql = "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'sweep.best_trial'"
        _change(database, sql, str(_best(home, name) + 1), _sweep_run(database, name))


def mlflow_count_altered(home: Path, name: str) -> None:
    """The sweep's run counts a trial too many."""
    with _mlflow(home) as database:
        sql = "UPDATE tags SET value = value + 1 WHERE run_uuid = ? AND key = 'sweep.trials.complete'"
        _change(database, sql, _sweep_run(database, name))


def mlflow_latest_altered(home: Path, name: str) -> int:
    """What MLflow's table of runs shows of a curve is not its last point, though the curve is whole."""
    with _mlflow(home) as database:
        sql = "UPDATE latest_metrics SET value = value / 2 WHERE run_uuid = ? AND key = 'val/loss'"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_run_of_no_trial(home: Path, name: str) -> int:
    """There is a run of a trial that never was."""
    with _mlflow(home) as database:
        run = _run(database, name)
        _double(database, run)
        sql = "UPDATE tags SET value = '77' WHERE run_uuid = ? AND key = 'sweep.trial'"
        _change(database, sql, "doubled" + run[7:])
    return 77


def mlflow_best_mark_added(home: Path, name: str) -> int:
    """A second trial is marked as the best."""
    with _mlflow(home) as database:
        sql = "INSERT INTO tags (key, value, run_uuid) VALUES ('sweep.best', 'true', ?)"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_judgement_altered(home: Path, name: str) -> int:
    """The best trial's run shows a better test loss than it was judged with."""
    best = _best(home, name)
    with _mlflow(home) as database:
        run = _run(database, name, best)
        for table in ("metrics", "latest_metrics"):
            _change(database, f"UPDATE {table} SET value = value / 2 WHERE run_uuid = ? AND key = 'test/loss'", run)
    return best


def mlflow_param_altered(home: Path, name: str) -> int:
    """A run shows another configuration than was trained."""
    with _mlflow(home) as database:
        sql = "UPDATE params SET value = '99' WHERE run_uuid = ? AND key = 'model.hidden_size'"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_state_altered(home: Path, name: str) -> int:
    """A run says that its trial failed, which completed."""
    with _mlflow(home) as database:
        sql = "UPDATE tags SET value = 'FAIL' WHERE run_uuid = ? AND key = 'sweep.state'"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_status_altered(home: Path, name: str) -> int:
    """A run is shown as running, long after its trial has ended."""
    with _mlflow(home) as database:
        sql = "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?"
        _change(database, sql, _run(database, name))
    return VICTIM


def mlflow_parent_altered(home: Path, name: str) -> int:
    """A trial's run hangs on another run than the sweep's."""
    with _mlflow(home) as database:
        sql = "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'mlflow.parentRunId'"
        _change(database, sql, _run(database, name, VICTIM - 1), _run(database, name))
    return VICTIM


def artifact_config_altered(home: Path, name: str) -> int:
    """The configuration that lies beside a run is not the one that was trained."""
    path = _artifact(home, name, VICTIM, "config.yaml")
    text = path.read_text()
    assert "lookback: " in text
    path.write_text(text.replace("lookback: ", "lookback: 1"))
    return VICTIM


def artifact_spec_altered(home: Path, name: str) -> None:
    """The spec that lies beside the sweep's run is not the study's."""
    with _mlflow(home) as database:
        sql = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
        uri = database.execute(sql, (_sweep_run(database, name),)).fetchone()[0]
    path = Path(unquote(urlsplit(uri).path)) / "spec.yaml"
    path.write_text(path.read_text() + "# and more\n")


def artifact_checkpoint_altered(home: Path, name: str) -> int:
    """A bit of the best trial's checkpoint in MLflow has flipped."""
    best = _best(home, name)
    _flip(_artifact(home, name, best, "checkpoint/checkpoint.pt"))
    return best


def artifact_checkpoint_deleted(home: Path, name: str) -> int:
    """The best trial's checkpoint in MLflow is gone."""
    best = _best(home, name)
    _artifact(home, name, best, "checkpoint/checkpoint.pt").unlink()
    return best


# --- checkpoints


def checkpoint_deleted(home: Path, name: str) -> int:
    """A trial's checkpoints are gone."""
    for path in _files(home, name):
        path.unlink()
    return VICTIM


def checkpoint_rolled_back(home: Path, name: str) -> int:
    """Only the checkpoint of an earlier epoch is left, and it is sound."""
    *older, newest = _files(home, name)
    assert older
    newest.unlink()
    return VICTIM


def checkpoint_truncated(home: Path, name: str) -> int:
    """The end of a checkpoint is missing."""
    path = _files(home, name)[-1]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return VICTIM


def checkpoint_bit_flipped(home: Path, name: str) -> int:
    """A bit in the middle of a checkpoint has flipped, which torch would load without a word."""
    _flip(_files(home, name)[-1])
    return VICTIM


def checkpoint_of_best_flipped(home: Path, name: str) -> int:
    """The same in the best trial's, beside which an older file lies that is sound."""
    best = _best(home, name)
    _flip(_files(home, name, best)[-1])
    return best


def checkpoint_swapped(home: Path, name: str) -> int:
    """Two trials have each other's checkpoint, both sound."""
    mine, other = _files(home, name)[-1], _files(home, name, VICTIM - 1)[-1]
    one, two = mine.read_bytes(), other.read_bytes()
    mine.write_bytes(two)
    other.write_bytes(one)
    return VICTIM


def checkpoint_hostile(home: Path, name: str) -> int:
    """A checkpoint holds code instead, and the right checksum: only a reader that runs none is safe."""
    import torch

    buffer = io.BytesIO()
    torch.save(_Hostile(str(home / HOSTILE)), buffer)
    _files(home, name)[-1].write_bytes(_sealed(buffer.getvalue()))
    return VICTIM


class _Hostile:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def checkpoint_history_altered(home: Path, name: str) -> int:
    """A history was made nicer, and the file sealed again: only the other stores can tell."""
    import torch

    path = _files(home, name)[-1]
    content = torch.load(path, weights_only=True)
    content["history"][0]["metrics"]["val/mae"] /= 2
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(_sealed(buffer.getvalue()))
    return VICTIM


def checkpoint_of_another_window(home: Path, name: str) -> int:
    """It says that its last epoch was of a second window, of which the sweep has none."""
    import torch

    path = _files(home, name)[-1]
    *before, last = torch.load(path, map_location="cpu", weights_only=True)["history"]
    _rewrite(path, history=[*before, {**last, "window": 2}])
    return VICTIM


def checkpoint_of_another_study(home: Path, name: str) -> int:
    """The same configuration's, trained on the same data, by somebody else's sweep; its checksum is right."""
    _rewrite(_files(home, name)[-1], study="f" * 32)
    return VICTIM


def checkpoint_of_another_trial(home: Path, name: str) -> int:
    """It says that it is another trial's."""
    _rewrite(_files(home, name)[-1], trial=VICTIM + 1)
    return VICTIM


def _rewrite(path: Path, **changed: Any) -> None:
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    assert changed.keys() <= content.keys()
    buffer = io.BytesIO()
    torch.save({**content, **changed}, buffer)
    path.write_bytes(_sealed(buffer.getvalue()))


def checkpoint_mark_of_another_study(home: Path, name: str) -> None:
    """The folder of the checkpoints says that it is another study's."""
    mark = _files(home, name)[-1].parents[1] / "study.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "study": "f" * 32}))


def checkpoint_mark_deleted(home: Path, name: str) -> None:
    """The folder of the checkpoints does not say whose it is."""
    (_files(home, name)[-1].parents[1] / "study.json").unlink()


# --- what was judged, and what rivals have fitted

RIVAL = "ridge"  # one that has coefficients


def _judged(home: Path, name: str) -> Path:
    return home / name / "judged.npz"


def _rival(home: Path, name: str) -> Path:
    return home / name / f"rival-{RIVAL}.npz"


def _members(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A file's document and its arrays."""
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        content = json.loads(archive.read("content.json"))
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    return content, arrays


def _write_sealed(path: Path, content: dict[str, Any], arrays: dict[str, Any]) -> None:
    """The same file with another content, and the right checksum."""
    import numpy as np

    buffer, before = io.BytesIO(), path.read_bytes()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("content.json", json.dumps(content))
        for key, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(f"{key}.npy", member.getvalue())
    path.write_bytes(_sealed(buffer.getvalue()))
    assert path.read_bytes() != before


def _entry(content: dict[str, Any], role: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in content["entries"] if e["role"] == role and e["rival"] in ("", RIVAL))
    return found


def _double_an_error(home: Path, name: str, role: str) -> dict[str, Any]:
    content, arrays = _members(_judged(home, name))
    entry = _entry(content, role)
    array = arrays[entry["items"]["test"]["errors"]["loss"]]
    array[len(array) // 2] = 2 * array.max()
    _write_sealed(_judged(home, name), content, arrays)
    return entry


def judged_value_of_a_rival_altered(home: Path, name: str) -> None:
    """A rival did worse on an item than it did, and the file was sealed again."""
    _double_an_error(home, name, "rival")


def judged_value_of_the_network_altered(home: Path, name: str) -> int:
    """The best trial's network did worse on an item than it did."""
    return int(_double_an_error(home, name, "network")["trial"])


def judged_value_and_its_mean_altered(home: Path, name: str) -> None:
    """A rival did worse, and the mean beside it was changed, too: only MLflow can tell."""
    path = _judged(home, name)
    content, arrays = _members(path)
    entry = _entry(content, "rival")
    for errors in entry["items"]["test"]["errors"].values():
        arrays[f"9{errors}"] = arrays[errors] * 2
    for metric, errors in entry["items"]["test"]["errors"].items():
        entry["items"]["test"]["errors"][metric] = f"9{errors}"
        entry["figures"]["test"][metric] *= 2
    _write_sealed(path, content, arrays)


def judged_figure_altered(home: Path, name: str) -> None:
    """A rival's figure that is no mean over items was made worse: only MLflow can tell."""
    content, arrays = _members(_judged(home, name))
    entry = _entry(content, "rival")
    metric = next(m for m in entry["figures"]["test"] if m not in entry["items"]["test"]["errors"])
    entry["figures"]["test"][metric] *= 2
    _write_sealed(_judged(home, name), content, arrays)


def judged_bit_flipped(home: Path, name: str) -> None:
    """A bit in the middle of the file has flipped."""
    _flip(_judged(home, name))


def judged_deleted(home: Path, name: str) -> None:
    """What was judged is gone, what rivals have fitted is there."""
    _judged(home, name).unlink()


def judged_all_deleted(home: Path, name: str) -> None:
    """All of it is gone, and MLflow has figures of rivals."""
    for path in [_judged(home, name), *(home / name).glob("rival-*.npz")]:
        path.unlink()


def judged_of_other_data(home: Path, name: str) -> None:
    """It says that other data were judged."""
    content, arrays = _members(_judged(home, name))
    _write_sealed(_judged(home, name), {**content, "data": "f" * 64}, arrays)


def judged_of_another_study(home: Path, name: str) -> None:
    """It is another study's."""
    content, arrays = _members(_judged(home, name))
    _write_sealed(_judged(home, name), {**content, "study": "f" * 32}, arrays)


def judged_by_another_metric(home: Path, name: str) -> None:
    """It says that another metric was searched for."""
    content, arrays = _members(_judged(home, name))
    assert content["metric"] != "mae"
    _write_sealed(_judged(home, name), {**content, "metric": "mae"}, arrays)


def judged_trial_altered(home: Path, name: str) -> None:
    """It says that another trial's network was judged than the best one's."""
    content, arrays = _members(_judged(home, name))
    _entry(content, "network")["trial"] += 1
    _write_sealed(_judged(home, name), content, arrays)


def judged_rival_deleted(home: Path, name: str) -> None:
    """What a rival has fitted is gone."""
    _rival(home, name).unlink()


def judged_rival_bit_flipped(home: Path, name: str) -> None:
    """A bit of it has flipped."""
    _flip(_rival(home, name))


def judged_rival_coefficient_altered(home: Path, name: str) -> None:
    """A coefficient is another, and the file was sealed again: it forecasts what nobody has judged."""
    content, arrays = _members(_rival(home, name))
    key = max(arrays, key=lambda each: arrays[each].size)
    arrays[key].flat[0] += 1
    _write_sealed(_rival(home, name), content, arrays)


def judged_rival_of_other_data(home: Path, name: str) -> None:
    """It was fitted to other data."""
    content, arrays = _members(_rival(home, name))
    _write_sealed(_rival(home, name), {**content, "data": "f" * 64}, arrays)


def judged_rival_swapped(home: Path, name: str) -> None:
    """It is what another rival has fitted, and sound."""
    other = next(p for p in sorted((home / name).glob("rival-*.npz")) if p != _rival(home, name))
    _rival(home, name).write_bytes(other.read_bytes())


def mlflow_rival_altered(home: Path, name: str) -> None:
    """The sweep's run shows a rival as worse than it was."""
    with _mlflow(home) as database:
        for table in ("metrics", "latest_metrics"):
            sql = f"UPDATE {table} SET value = value * 2 WHERE run_uuid = ? AND key = 'rival/{RIVAL}/loss'"
            _change(database, sql, _sweep_run(database, name))


def mlflow_rival_deleted(home: Path, name: str) -> None:
    """The sweep's run lacks a rival's figure."""
    with _mlflow(home) as database:
        for table in ("metrics", "latest_metrics"):
            sql = f"DELETE FROM {table} WHERE run_uuid = ? AND key = 'rival/{RIVAL}/loss'"
            _change(database, sql, _sweep_run(database, name))


PREFIXES = ("study_", "mlflow_", "artifact_", "checkpoint_", "judged_")
DAMAGES: dict[str, Damage] = {key: value for key, value in list(globals().items()) if key.startswith(PREFIXES)}
