"""Digests of what was read from a table: of values, and of times."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from lstm.data.tables import reader
from lstm.data.tables.timing.steps import is_steady


def sha(numbers: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes, in hex."""
    return hashlib.sha256(as_bytes(numbers)).hexdigest()


def as_bytes(numbers: np.ndarray) -> memoryview:
    """Return an array's bytes, without a copy if they lie in order."""
    content: Any = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8)
    return memoryview(content)


def sha_of_times(index: pd.Index | None) -> str:
    """Return the SHA-256 of times as microseconds, and of whole numbers as they are, in hex.

    Of evenly spaced ones, the first two and their number are enough.
    """
    digest = hashlib.sha256()
    if index is not None and len(index) > 2 and is_steady(index):
        digest.update(f"{len(index)} evenly spaced".encode())
        index = index[:2]
    for rows in reader.spans(0 if index is None else len(index)):
        assert index is not None
        some = index.to_numpy()[rows]
        some = some.astype("datetime64[us]").view(np.int64) if isinstance(index, pd.DatetimeIndex) else some
        digest.update(as_bytes(some))
    return digest.hexdigest()
