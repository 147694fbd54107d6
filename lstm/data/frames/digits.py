"""Generates moving digits: scikit-learn's handwritten digits on a black canvas (after Srivastava et al., 2015)."""

from functools import cache

import numpy as np

from lstm.config.video import SIDE, MovingDigits
from lstm.data.dataset import Part

VERSION = 1  # of the generator; part of the fingerprint, because different sequences are different data
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)  # of the images, by part: a digit of the test part is in no training sequence
BRIGHTEST = 16  # of a pixel in scikit-learn's images
IMAGES = len(PARTS)  # the purpose of the draw that shares out the images; the parts' own are 0, 1, 2


def generate(section: MovingDigits, steps: int) -> dict[Part, np.ndarray]:
    """Generate each part's sequences: (sequence, time, height, width, 1) uint8. Equal sections make equal ones."""
    images = _images(section.side)
    order = np.random.default_rng([section.seed, IMAGES]).permutation(len(images))
    borders = (np.cumsum(SHARES) * len(images)).round().astype(int)[:-1]
    own = dict(zip(PARTS, np.split(order, borders), strict=True))
    sizes: dict[str, int] = section.sizes.model_dump()
    return {
        part: _moving(np.random.default_rng([section.seed, number]), images[own[part]], sizes[part], steps, section)
        for number, part in enumerate(PARTS)
    }


@cache
def _images(side: int) -> np.ndarray:
    """Return the digits, interpolated bilinearly to `side` x `side` pixels: (image, row, column) uint8."""
    from sklearn.datasets import load_digits

    small = load_digits().images / BRIGHTEST
    places = np.clip((np.arange(side) + 0.5) * SIDE / side - 0.5, 0, SIDE - 1)
    weights = np.maximum(1 - np.abs(places[:, None] - np.arange(SIDE)), 0)  # (side, SIDE)
    images: np.ndarray = (weights @ small @ weights.T * 255).round().astype(np.uint8)
    return images


def _moving(
    generator: np.random.Generator, images: np.ndarray, count: int, steps: int, section: MovingDigits
) -> np.ndarray:
    side, canvas = section.side, section.canvas
    room = canvas - side
    size = (count, section.number)
    chosen = generator.integers(0, len(images), size)
    starts = generator.uniform(0, room if section.bounce else canvas, (*size, 2))
    angle = generator.uniform(0, 2 * np.pi, size)
    velocity = section.speed * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    frames = np.zeros((count, steps, canvas, canvas), dtype=np.uint8)
    every, within = np.arange(count)[:, None, None], np.arange(side)
    for step in range(steps):
        places = _folded(starts + velocity * step, room) if section.bounce else starts + velocity * step
        corners = places.round().astype(np.int64)
        for digit in range(section.number):
            rows = (corners[:, digit, 0, None] + within) % canvas
            columns = (corners[:, digit, 1, None] + within) % canvas
            at = (every, step, rows[:, :, None], columns[:, None, :])
            frames[at] = np.maximum(frames[at], images[chosen[:, digit]])
    return frames[..., None]


def _folded(places: np.ndarray, room: int) -> np.ndarray:
    """Return places on a line as those of something that bounces between 0 and `room`."""
    if room == 0:
        return np.zeros_like(places)
    found: np.ndarray = room - np.abs(places % (2 * room) - room)
    return found
