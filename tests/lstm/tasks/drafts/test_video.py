"""What is drafted for frames: their range, patches and items."""

import numpy as np
import pytest

from lstm.data.profile.files import GivenFile
from lstm.records.errors import BadInput
from lstm.tasks.drafts import video
from lstm.tasks.drafts.draft import Line


def draft(folder, values, horizon=None):
    np.save(folder / "a.npy", values)
    made = video.draft(GivenFile(folder / "a.npy", horizon=horizon))
    return made, {line.key: line.value for line in (*made.data, *made.model) if isinstance(line, Line)}


@pytest.mark.parametrize(
    ("low", "high", "kind", "wanted"),
    [
        (0, 255, np.uint8, [0, 255]),
        (0, 1, np.uint8, [0, 1]),
        (0, 1, np.float32, [0, 1]),
        (0, 0.5, np.float64, [0, 1]),
        (0, 200, np.float32, [0, 255]),
        (-3.5, 7, np.float64, [-3.5, 7]),
        (0, 1000, np.int32, [0, 1000]),
    ],
)
def test_the_range_is_read_from_the_values(tmp_path, low, high, kind, wanted):
    values = np.full((20, 4, 8, 8), low, dtype=kind)
    values[3, 2, 1, 0] = high
    assert draft(tmp_path, values)[1]["range"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("sides", "patch"), [((8, 8), None), ((32, 32), 2), ((64, 48), 4), ((30, 26), 2), ((31, 29), None)]
)
def test_large_frames_are_cut_into_patches_that_fit(tmp_path, sides, patch):
    values = np.random.default_rng(0).integers(0, 256, (20, 4, *sides), dtype=np.uint8)
    assert draft(tmp_path, values)[1].get("patch") == patch


def test_items_are_as_long_as_the_sequences_allow(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (20, 30, 8, 8), dtype=np.uint8)
    for time, horizon, wanted in ((30, None, (10, 10)), (7, None, (4, 3)), (2, None, (1, 1)), (30, 4, (10, 4))):
        made, lines = draft(tmp_path, values[:, :time], horizon)
        assert (lines["lookback"], lines["horizon"]) == wanted
        assert made.facts["frames"] == time
    with pytest.raises(BadInput):
        draft(tmp_path, values, horizon=40)
    with pytest.raises(BadInput):
        draft(tmp_path, values[:9])


def test_sequences_of_one_frame_have_nothing_to_forecast(tmp_path):
    with pytest.raises(BadInput) as error:
        draft(tmp_path, np.zeros((20, 1, 8, 8), np.uint8))
    assert [each.code for each in error.value.faults] == ["frames-single"]
