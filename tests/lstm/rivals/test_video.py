"""The rivals of forecasts of frames: what a shift is measured by."""

import numpy as np

from lstm.config.video import VideoData
from lstm.data import video
from lstm.rivals.video import shifts


def test_a_shift_does_not_depend_on_the_rounding_of_float32():
    """Digits on black: many frequencies of a frame are weak, and some are nothing but rounding errors."""
    sizes = {"train": 1, "validation": 1, "test": 200}
    section = VideoData(digits={"canvas": 32, "sizes": sizes, "seed": 1}, lookback=10, horizon=10)
    data = video.load(section, None)
    chosen = data.parts["test"]
    exact = data.values[chosen, :10, ..., 0].astype(np.float64)
    rounded = data.items(chosen)[0][:, :, 0].astype(np.float64)
    for lag in (1, 2, 3, 4):
        found = shifts(rounded[:, -1 - lag], rounded[:, -1])
        assert np.array_equal(found, shifts(exact[:, -1 - lag], exact[:, -1]))
        assert np.array_equal(found, shifts(exact[:, -1 - lag] / 255, exact[:, -1] / 255))


def test_a_shift_is_found_over_the_border_and_of_equal_ones_the_first():
    drawn, by = np.random.default_rng(0).random((3, 8, 9)), [(1, 2), (-3, 0), (0, -4)]
    after = np.stack([np.roll(each, shift, axis=(0, 1)) for each, shift in zip(drawn, by, strict=True)])
    assert shifts(drawn, after).tolist() == [[1, 2], [-3, 0], [0, -4]]
    stripes = np.tile([1.0, 0.0, 0.0, 0.0], (1, 8, 2))  # the same again after 4 columns, and in each row
    assert shifts(stripes, np.roll(stripes, 1, axis=2)).tolist() == [[0, 1]]
    assert shifts(np.zeros((1, 4, 4)), np.zeros((1, 4, 4))).tolist() == [[0, 0]]
