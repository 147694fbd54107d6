"""Tables of waves, for tests of what is found in a file."""

from pathlib import Path

import numpy as np
import pandas as pd


def waves(rows: int, season: int, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """A sine of a season, and noise."""
    return np.sin(2 * np.pi * np.arange(rows) / season) + noise * np.random.default_rng(seed).normal(size=rows)


def hourly(rows: int = 500) -> pd.DataFrame:
    """One with a time, an hour a row."""
    return pd.DataFrame({"when": pd.date_range("2024-01-01", periods=rows, freq="h"), "kw": waves(rows, 24)})


def save(path: Path, frame: pd.DataFrame) -> Path:
    """Writes it as the path's name says."""
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path
