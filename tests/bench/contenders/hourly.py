"""The benchmark's data: 4,000 hourly points: a day, a week, a trend, noise that lasts; the same bytes each time."""

from pathlib import Path

import numpy as np

ROWS = 4000
SEED = 12


def write(path: Path) -> None:
    """Writes a CSV with the columns `time` and `load`."""
    noise = np.random.default_rng(SEED).normal(size=ROWS)
    lasting = np.zeros(ROWS)
    for row in range(1, ROWS):
        lasting[row] = 0.8 * lasting[row - 1] + noise[row]
    hour = np.arange(ROWS)
    day, week = np.sin(2 * np.pi * hour / 24), np.sin(2 * np.pi * hour / (24 * 7))
    load = 100 + 20 * day + 10 * week + hour / 400 + 2 * lasting
    times = np.datetime64("2025-01-01T00") + hour.astype("timedelta64[h]")
    lines = [f"{time},{value:.3f}" for time, value in zip(np.datetime_as_string(times, unit="s"), load, strict=True)]
    path.write_text("\n".join(["time,load", *lines]) + "\n", encoding="utf-8")
