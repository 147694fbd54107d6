"""Whose a checkpoint is, and in what one is not its owner's."""

import json
from dataclasses import replace

import pytest

from lstm import checkpoint, ownership
from lstm.checkpoint import Checkpoint
from lstm.ownership import MARK, ForeignCheckpoint, Mark, Owner
from lstm.records.epoch import Epoch, State
from lstm.records.errors import BadInput, NewerForm

MINE, COPIED, OTHER, DATA = "a" * 32, "c" * 32, "b" * 32, "d" * 64


@pytest.fixture
def kept(trial_config):
    """A checkpoint of trial 3."""
    state = State(1, {}, {}, {}, 1, 1.0, {}, (Epoch(1, {"val/loss": 1.0}, 1.0, 1),))
    return Checkpoint(trial_config(), {"fingerprint": DATA}, state, study=MINE, number=3)


@pytest.fixture
def refused(kept, tmp_path):
    """The fault of a checkpoint, written where trial 3 has its own, for that trial's owner."""
    address = f"{tmp_path}/kept/trial-0003"
    owner = Owner((MINE, COPIED), 3, kept.config.model_dump(), DATA)

    def refused(found):
        checkpoint.write(address, 1, found)
        with pytest.raises(ForeignCheckpoint) as error:
            ownership.load(address, owner)
        [wrong] = error.value.faults
        assert wrong.place == address
        assert replace(wrong, place="") == ownership.difference(address, found, owner)
        return wrong.code, wrong.values

    refused.address, refused.owner = address, owner
    return refused


def test_a_trials_own_is_loaded_and_that_of_the_study_which_it_was_copied_from(kept, refused):
    for study in (MINE, COPIED):
        checkpoint.write(refused.address, 1, replace(kept, study=study))
        assert ownership.difference(refused.address, kept, refused.owner) is None
        assert ownership.load(refused.address, refused.owner).study == study


def test_anothers_is_refused_with_what_differs(kept, refused, trial_config):
    assert refused(replace(kept, study=OTHER)) == (
        "checkpoint-of-another-study",
        {"found": OTHER, "number": 3, "study": MINE},
    )
    assert refused(replace(kept, number=4)) == ("checkpoint-of-another-trial", {"found": 4, "number": 3})
    assert refused(replace(kept, facts={"fingerprint": "e" * 64})) == (
        "checkpoint-of-other-data",
        {"found": "e" * 12, "number": 3, "data": "d" * 12},
    )
    other = trial_config(model={"hidden_size": 5}, training={"max_epochs": 7})
    assert refused(replace(kept, config=other)) == (
        "checkpoint-of-other-settings",
        {
            "found": ["model.hidden_size=5", "training.max_epochs=7"],
            "number": 3,
            "settings": ["model.hidden_size=4", "training.max_epochs=4"],
        },
    )


def test_an_earlier_versions_is_known_by_the_mark_of_its_folder(kept, refused, tmp_path):
    ownership.claim(f"{tmp_path}/kept", Mark(OTHER, "load", "sqlite:///there.db"))
    assert refused(replace(kept, study="", number=None)) == (
        "checkpoint-under-another-mark",
        {"sweep": "load", "found": OTHER, "where": "sqlite:///there.db", "number": 3, "study": MINE},
    )


@pytest.mark.parametrize("where", ["", "sqlite:///there.db"])
def test_a_folder_of_another_study_is_not_claimed(tmp_path, where):
    folder = f"{tmp_path}/kept"
    ownership.claim(folder, Mark(OTHER, "load", where))
    with pytest.raises(ForeignCheckpoint) as error:
        ownership.claim(folder, Mark(MINE, "load"))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("folder-of-another-study", folder)
    assert wrong.values == {"sweep": "load", "found": OTHER, "where": where, "study": MINE}
    assert [part for part in (OTHER, MINE, where) if part not in str(wrong)] == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"form": 1}', '{"form": "x", "study": "a"}'])
def test_a_mark_that_can_not_be_read_is_refused(tmp_path, content):
    (tmp_path / MARK).write_text(content)
    with pytest.raises(BadInput) as error:
        ownership.mark_of(str(tmp_path))
    assert [(wrong.code, wrong.place) for wrong in error.value.faults] == [("mark-unreadable", f"{tmp_path}/{MARK}")]


def test_a_newer_versions_mark_is_not_taken_for_damage(tmp_path):
    (tmp_path / MARK).write_text(json.dumps({"form": 7, "study": MINE, "sweep": "load", "where": ""}))
    with pytest.raises(NewerForm) as error:
        ownership.mark_of(str(tmp_path))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("newer-form", f"{tmp_path}/{MARK}")
    assert wrong.values == {"form": 7, "known": ownership.FORMAT}
