"""Digests of what was read from a table: of values, and of times."""

import hashlib

import numpy as np
import pandas as pd

from lstm.data.tables import reader


def sha(numbers: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes, in hex."""
    return hashlib.sha256(memoryview(np.ascontiguousarray(numbers).reshape(-1).view(np.uint8))).hexdigest()


def sha_of_times(index: pd.Index | None) -> str:
    """Return the SHA-256 of times as microseconds, and of whole numbers as they are, in hex."""
    digest = hashlib.sha256()
    for rows in reader.spans(0 if index is None else len(index)):
        assert index is not None
        some = index.to_numpy()[rows]
        some = some.astype("datetime64[us]").view(np.int64) if isinstance(index, pd.DatetimeIndex) else some
        digest.update(memoryview(np.ascontiguousarray(some)).cast("B"))
    return digest.hexdigest()
