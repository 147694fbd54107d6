import io
import json
import math
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from lstm.judging.items import Blocks, Items
from lstm.ownership import ForeignCheckpoint
from lstm.records.errors import BadInput, NewerForm
from lstm.storage import files
from lstm.verdict import archive, store
from lstm.verdict.store import BrokenJudgements, Entry, Fitted, Judgements, check, dumps, loads, read, write

STUDY, DATA = "a" * 32, "d" * 64


def entry(name, losses, role="rival", **made):
    losses = np.asarray(losses, dtype=float)
    places = np.arange(100, 100 + len(losses))
    weights = np.where(np.isnan(losses), 0.0, 6.0)
    parts = {"validation": losses / 2, "test": losses}
    items = {
        part: Items(part, name, places, weights, {"loss": errors, "mae": np.sqrt(errors)})
        for part, errors in parts.items()
    }
    figures = {part: {"loss": i.mean("loss"), "rmse": math.sqrt(i.mean("loss"))} for part, i in items.items()}
    return Entry(name, role, items, figures, **made)


@pytest.fixture
def judged():
    return Judgements(
        study=STUDY,
        data=DATA,
        metric="loss",
        blocks=Blocks.of_windows(26, 52),
        entries=(
            entry("trial 3", [1.0, 2.0, math.nan, 0.5], "network", trial=3, second=0.25),
            entry("last value", [2.0, 2.5, math.nan, 1.5], rival="last"),
            entry("seasonal naive", [2.0, 2.5, math.nan, 1.5], rival="seasonal_naive"),
            Entry("ridge", "rival", why="failed: no memory", rival="ridge"),
        ),
        no_base="begun before",
    )


@pytest.fixture(params=["folder", "file uri", "object store"])
def address(request, tmp_path, monkeypatch):
    """Where a sweep's folder lies, as each kind of address."""
    if request.param == "folder":
        return str(tmp_path / "sweep")
    if request.param == "file uri":
        return (tmp_path / "a sweep").as_uri()
    place = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    (tmp_path / "bucket").mkdir()
    monkeypatch.setattr(files, "remote", lambda address: (place, address.removeprefix("mock://")))
    return "mock://bucket"


def resealed(data, alter):
    """A file with another content and the right checksum: `alter` changes its members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    alter(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    body = buffer.getvalue()[:-2]
    return body + files.seal(body)


def swapped(old, new):
    def alter(members):
        assert old in members[archive.CONTENT]
        members[archive.CONTENT] = members[archive.CONTENT].replace(old, new)

    return alter


# --- The file -------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_is_read(address, judged):
    assert read(address) is None
    write(address, judged)
    found = read(address, (STUDY,), DATA)
    assert replace(found, entries=()) == replace(judged, entries=())
    for mine, wanted in zip(found.entries, judged.entries, strict=True):
        assert replace(mine, items={}) == replace(wanted, items={})
        assert mine.items.keys() == wanted.items.keys()
        for part, items in mine.items.items():
            other = wanted.items[part]
            assert (items.part, items.name) == (other.part, other.name)
            np.testing.assert_array_equal(items.places, other.places)
            np.testing.assert_array_equal(items.weights, other.weights)
            np.testing.assert_array_equal(items.errors["loss"], other.errors["loss"])


def test_the_same_content_makes_the_same_bytes_at_any_time(judged, monkeypatch):
    data = dumps(judged)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))

    def turned(items):
        parts = reversed(items.items())
        return {part: replace(each, errors=dict(reversed(each.errors.items()))) for part, each in parts}

    other = replace(
        judged,
        entries=tuple(
            replace(e, items=turned(e.items), figures=dict(reversed(e.figures.items()))) for e in judged.entries
        ),
    )
    assert dumps(other) == data
    assert dumps(loads(data)) == data


def test_arrays_that_are_the_same_are_kept_once_and_numpy_opens_the_file(judged, tmp_path):
    write(str(tmp_path), judged)
    with np.load(tmp_path / store.NAME, allow_pickle=False) as archive:
        arrays = [name for name in archive.files if name != "content.json"]
        assert len(arrays) == 10  # places, weights; two errors on two parts, of two rules of three
        assert archive[arrays[0]].shape == (4,)


def test_what_can_be_no_items_is_not_written(judged, tmp_path):
    for alter in (
        lambda i: replace(i, places=i.places[::-1]),
        lambda i: replace(i, weights=i.weights[:-1]),
        lambda i: replace(i, weights=-i.weights),
        lambda i: replace(i, errors={"loss": np.ones(9)}),
    ):
        first = judged.entries[0]
        wrong = replace(first, items={"test": alter(first.items["test"])})
        with pytest.raises(ValueError, match="trial 3"):
            write(str(tmp_path), replace(judged, entries=(wrong,)))
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_file_before(judged, tmp_path, monkeypatch):
    write(str(tmp_path), judged)
    before = (tmp_path / store.NAME).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(str(tmp_path), replace(judged, entries=()))
    assert [p.name for p in tmp_path.iterdir()] == [store.NAME]
    assert (tmp_path / store.NAME).read_bytes() == before


# --- Damage ---------------------------------------------------------------------------------------------------


def test_any_altered_byte_any_truncation_and_any_tail_is_caught(judged):
    data = dumps(judged)
    for place in [*range(0, len(data) - 120, 11), *range(len(data) - 120, len(data))]:
        altered = bytearray(data)
        altered[place] ^= 0x20
        with pytest.raises(BrokenJudgements):
            loads(bytes(altered))
    for length in [*range(0, len(data) - 100, 37), *range(len(data) - 100, len(data))]:
        with pytest.raises(BrokenJudgements):
            loads(data[:length])
    for tail in (b"\0", data):
        with pytest.raises(BrokenJudgements):
            loads(data + tail)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_file_with_a_right_checksum_does_not_run(judged, tmp_path):
    trap, hostile = tmp_path / "trap", io.BytesIO()
    np.save(hostile, np.array([Hostile(trap)], dtype=object), allow_pickle=True)
    assert b"touch" in hostile.getvalue()
    for content in (hostile.getvalue(), pickle.dumps(Hostile(trap))):
        with pytest.raises(BrokenJudgements, match="can't be read"):
            loads(resealed(dumps(judged), lambda members, content=content: members.update({"0000.npy": content})))
    body = pickle.dumps(Hostile(trap))
    with pytest.raises(BrokenJudgements):
        loads(body + files.seal(body))
    assert not trap.exists()


@pytest.mark.parametrize(
    "alter",
    [
        lambda members: members.pop(archive.CONTENT),
        lambda members: members.pop("0001.npy"),
        lambda members: members.update({archive.CONTENT: b"[]"}),
        lambda members: members.update({archive.CONTENT: b"{"}),
        swapped(b'"format": 2', b'"forms": 1'),
        swapped(b'"metric"', b'"metrics"'),
        swapped(b'"length"', b'"long"'),
        swapped(b'"places": "0000"', b'"places": "0001"'),
        swapped(b'"weights": "0001"', b'"weights": "0000"'),
    ],
)
def test_a_whole_file_with_foreign_content_is_broken_too(judged, alter):
    with pytest.raises(BrokenJudgements, match="can't be read"):
        loads(resealed(dumps(judged), alter))


def test_a_newer_versions_file_is_refused_with_its_number_and_not_taken_for_damage(judged, tmp_path):
    newer = resealed(dumps(judged), swapped(b'"format": 2', b'"format": 7, "more": 2'))
    (tmp_path / store.NAME).write_bytes(newer)
    for call in (lambda: read(str(tmp_path)), lambda: list(check(str(tmp_path)))):
        with pytest.raises(NewerForm) as caught:
            call()
        [wrong] = caught.value.faults
        assert (wrong.code, wrong.place) == ("newer-form", f"{tmp_path}/{store.NAME}")
        assert wrong.values == {"form": 7, "known": store.FORMAT}
        assert caught.value.code == 2


@pytest.mark.parametrize(
    ("metric", "wanted"),
    [("loss", ("minimize", "loss")), ("f1", ("maximize", "accuracy")), ("mae_original/f1", ("minimize", "loss"))],
)
def test_an_earlier_versions_file_says_which_way_its_metric_is_better_by_its_name(judged, metric, wanted):
    def earlier(members):
        content = json.loads(members[archive.CONTENT])
        members[archive.CONTENT] = json.dumps(
            {name: value for name, value in content.items() if name not in ("direction", "mean")} | {"format": 1}
        ).encode()

    found = loads(resealed(dumps(replace(judged, metric=metric)), earlier))
    assert (found.direction, found.mean) == wanted


def test_which_way_a_metric_is_better_comes_back(judged):
    whole = replace(judged, metric="spelt_right", direction="maximize", mean="right")
    assert replace(loads(dumps(whole)), entries=()) == replace(whole, entries=())


def test_another_studys_and_other_datas_are_refused_and_left(judged, tmp_path):
    write(str(tmp_path), judged)
    before = (tmp_path / store.NAME).read_bytes()
    with pytest.raises(ForeignCheckpoint) as caught:
        read(str(tmp_path), ("b" * 32,))
    assert isinstance(caught.value, BadInput)
    [wrong] = caught.value.faults
    assert (wrong.code, wrong.place) == ("judged-for-another-study", f"{tmp_path}/{store.NAME}")
    assert wrong.values == {"found": STUDY, "study": "b" * 32}
    with pytest.raises(ForeignCheckpoint) as caught:
        read(str(tmp_path), (STUDY,), "e" * 64)
    [wrong] = caught.value.faults
    assert (wrong.code, wrong.values) == ("judged-on-other-data", {"found": DATA[:12], "data": "e" * 12})
    assert read(str(tmp_path), ("b" * 32, STUDY), DATA) is not None  # a copy of that study
    assert (tmp_path / store.NAME).read_bytes() == before


# --- What rivals have fitted ----------------------------------------------------------------------------------


def fitted(name="ridge"):
    arrays = {
        "weights": np.arange(6.0).reshape(2, 3),
        "symbols": np.array([3, 1], dtype=np.int32),
        "level": np.array(0.5),
    }
    return Fitted(name, "ridge on 104 changes", {"lookback": 104, "penalty": 0.01}, arrays, "on a sample")


@pytest.mark.parametrize("name", ["ridge", "seasonal naive", "../above", "a/b", "größer"])
def test_what_a_rival_has_fitted_is_read_as_it_was_written(address, name, tmp_path):
    assert store.read_fitted(address, name) is None
    store.write_fitted(address, fitted(name), STUDY, DATA)
    found = store.read_fitted(address, name, (STUDY,), DATA)
    assert replace(found, arrays={}) == replace(fitted(name), arrays={})
    for key, array in fitted().arrays.items():
        np.testing.assert_array_equal(found.arrays[key], array)
        assert (found.arrays[key].dtype, found.arrays[key].shape) == (array.dtype, array.shape)
    with pytest.raises(ForeignCheckpoint):
        store.read_fitted(address, name, ("b" * 32,))
    [place] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(place.relative_to(tmp_path).parts) == 2  # in the sweep's folder, whatever its name
    assert list(check(address, (STUDY,), DATA)) == []


def test_a_fitted_rivals_file_is_deterministic_and_its_damage_is_found(tmp_path):
    store.write_fitted(str(tmp_path), fitted(), STUDY, DATA)
    path = tmp_path / store.fitted_name("ridge")
    before = path.read_bytes()
    laid = {key: np.asfortranarray(array) for key, array in reversed(fitted().arrays.items())}
    laid["level"] = np.array(0.5)  # numpy would make a row of it
    store.write_fitted(str(tmp_path), replace(fitted(), arrays=laid), STUDY, DATA)
    assert path.read_bytes() == before
    path.write_bytes(before[:-1])
    with pytest.raises(BrokenJudgements, match=r"rival-ridge\.npz"):
        store.read_fitted(str(tmp_path), "ridge")
    with pytest.raises(ValueError, match="Object arrays"):
        store.write_fitted(str(tmp_path), replace(fitted(), arrays={"a": np.array([object()])}), STUDY, DATA)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


# --- The check ------------------------------------------------------------------------------------------------


def test_nothing_is_found_in_what_is_sound_or_absent(address, judged):
    assert list(check(address)) == []
    write(address, judged)
    told = {"trial 3": {"test/loss": 3.5 / 3, "val/loss": 3.5 / 6 * (1 + 1e-7), "baseline/loss": 9.0}}
    assert list(check(address, (STUDY,), DATA, told)) == []


def test_damage_is_found_and_named(judged, tmp_path):
    write(str(tmp_path), judged)
    path = tmp_path / store.NAME
    sound = path.read_bytes()
    store.write_fitted(str(tmp_path), fitted(), STUDY, DATA)
    (tmp_path / store.fitted_name("ridge")).rename(tmp_path / store.fitted_name("last"))
    assert "ridge" in only(check(str(tmp_path))).what
    (tmp_path / store.fitted_name("last")).write_bytes(b"nothing of ours")
    assert "rival-last.npz" in only(check(str(tmp_path))).what
    (tmp_path / store.fitted_name("last")).unlink()

    path.write_bytes(sound[: len(sound) // 2])
    assert store.NAME in only(check(str(tmp_path))).what
    path.write_bytes(sound)
    assert "b" * 32 in only(check(str(tmp_path), ("b" * 32,))).what
    assert "e" * 12 in only(check(str(tmp_path), (STUDY,), "e" * 64)).what


def test_a_figure_that_is_not_its_items_mean_is_found(judged, tmp_path):
    first, *others = judged.entries
    nicer = replace(first, figures={**first.figures, "test": {"loss": first.figures["test"]["loss"] * 0.999}})
    write(str(tmp_path), replace(judged, entries=(nicer, *others)))
    found = only(check(str(tmp_path)))
    assert (found.trial, found.store) == (3, "checkpoint")
    assert "test/loss" in found.what


def test_items_made_nicer_are_found_by_what_others_were_told(judged, tmp_path):
    write(str(tmp_path), judged)
    found = only(check(str(tmp_path), told={"trial 3": {"test/loss": 1.2}}))
    assert found.trial == 3
    assert "1.2" in found.what
    found = only(
        check(str(tmp_path), told={"trial 3": {"val/rmse": 9.0}})
    )  # no mean of items, and written all the same
    assert "validation/rmse" in found.what


def test_a_rival_judged_on_other_items_is_found(judged, tmp_path):
    first, rival, *_ = judged.entries
    moved = {part: replace(items, places=items.places + 1) for part, items in rival.items.items()}
    write(str(tmp_path), replace(judged, entries=(first, replace(rival, items=moved))))
    assert [("last value" in f.what, f.trial) for f in check(str(tmp_path))] == [(True, None)] * 2
    heavier = {part: replace(items, weights=items.weights * 2) for part, items in rival.items.items()}
    write(str(tmp_path), replace(judged, entries=(first, replace(rival, items=heavier))))
    assert len(list(check(str(tmp_path)))) == 2


def only(findings):
    [finding] = findings
    assert finding.mend
    return finding
