import numpy as np
import pytest

from lstm.config.video import MovingDigits, VideoSizes
from lstm.data.frames import digits


def section(**changes):
    base = {"canvas": 16, "sizes": VideoSizes(train=20, validation=5, test=5)}
    return MovingDigits(**base | changes)


def test_equal_sections_make_equal_frames_and_another_seed_others():
    one, same, other = (digits.generate(section(seed=seed), 6) for seed in (1, 1, 2))
    for part, frames in one.items():
        assert frames.dtype == np.uint8
        assert frames.shape == (20 if part == "train" else 5, 6, 16, 16, 1)
        assert np.array_equal(frames, same[part])
        assert not np.array_equal(frames, other[part])


def test_parts_have_other_images(monkeypatch):
    seen = {}
    moving = digits._moving

    def told(generator, images, count, steps, which):
        seen[count] = {image.tobytes() for image in images}
        return moving(generator, images, count, steps, which)

    monkeypatch.setattr(digits, "_moving", told)
    digits.generate(section(sizes=VideoSizes(train=3, validation=2, test=1)), 2)
    assert len(seen[3] | seen[2] | seen[1]) == len(seen[3]) + len(seen[2]) + len(seen[1])
    assert len(seen[3]) > 4 * len(seen[2])


def centre(frame):
    mass = frame[..., 0].astype(float)
    return np.array([(mass.sum(axis=1 - axis) * np.arange(mass.shape[axis])).sum() / mass.sum() for axis in (0, 1)])


def test_a_digit_moves_as_fast_as_it_shall_bounces_and_stays_whole():
    made = digits.generate(section(number=1, canvas=40, size=8, speed=3.0), 30)["train"]
    for frames in made:
        assert len({int(frame.sum()) for frame in frames}) == 1  # whole at every step
        steps = np.diff([centre(frame) for frame in frames], axis=0)
        lengths = np.linalg.norm(steps, axis=1)
        assert np.median(lengths) == pytest.approx(3, abs=0.6)
        assert lengths.max() < 3 + 1.5  # places are rounded to pixels; never to the other border


def test_without_bouncing_a_digit_comes_back_at_the_opposite_border():
    made = digits.generate(section(number=1, canvas=24, size=8, speed=5.0, bounce=False), 12)["train"]
    assert any(frames[:, [0, -1]].any(axis=(1, 2, 3)).any() for frames in made)
    for frames in made:
        assert len({int(frame.sum()) for frame in frames}) == 1


def test_where_digits_overlap_the_brighter_one_shows(monkeypatch):
    images = np.stack([np.full((8, 8), 100, np.uint8), np.full((8, 8), 250, np.uint8)])
    monkeypatch.setattr(digits, "_images", lambda side: images[np.arange(20) % 2])
    made = digits.generate(section(number=4, canvas=8, size=8, speed=0.0), 1)["train"]  # no room: all overlap
    assert set(np.unique(made)) <= {100, 250}
    assert 250 in made


def test_a_digit_is_interpolated_and_keeps_its_shape():
    small, large = digits._images(8), digits._images(16)
    assert small.max() == 255
    halved = large[0].reshape(8, 2, 8, 2).mean(axis=(1, 3))
    assert np.corrcoef(halved.ravel(), small[0].ravel())[0, 1] > 0.95
