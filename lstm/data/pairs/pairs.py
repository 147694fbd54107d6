"""Pairs of sentences as plain values, kept packed so that a million of them need little more memory than their file."""

import hashlib
import itertools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from lstm.data.dataset import Part
from lstm.messages.message import Note

AT_ONCE = 2**15  # texts that are copied at once


class Lines(Sequence[str]):
    """Texts packed as UTF-8 in one array. A list of the same strings needs about three times as much memory."""

    __slots__ = ("_bytes", "_ends")

    def __init__(self, lines: Iterable[str]) -> None:
        packed, ends = bytearray(), [0]
        for line in lines:
            packed += line.encode()
            ends.append(len(packed))
        self._bytes = np.frombuffer(bytes(packed), np.uint8)
        self._ends = np.array(ends, np.int64)  # (line + 1,): where each line ends; the first is 0

    @classmethod
    def of(cls, packed: np.ndarray, ends: np.ndarray) -> "Lines":
        """Return texts that are packed already: their bytes, uint8, and where each ends, (text + 1,) int64."""
        made = cls(())
        made._bytes, made._ends = packed, ends
        return made

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> "list[str]": ...

    def __getitem__(self, index: int | slice) -> "str | list[str]":
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        place = index % len(self)
        return self._bytes[self._ends[place] : self._ends[place + 1]].tobytes().decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # it is compared by what it contains, like a list

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        return self._bytes.nbytes + self._ends.nbytes

    def at(self, places: np.ndarray) -> "Lines":
        """Return the texts at some places, (text,) int64, in that order."""
        sizes = np.diff(self._ends)[places]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        packed = np.empty(int(ends[-1]), np.uint8)
        for start in range(0, len(places), AT_ONCE):
            some, long = places[start : start + AT_ONCE], sizes[start : start + AT_ONCE]
            first = ends[start]
            within = np.arange(long.sum()) - np.repeat(ends[start : start + len(long)] - first, long)
            taken = self._bytes[np.repeat(self._ends[some], long) + within]
            packed[first : first + len(taken)] = taken
        return Lines.of(packed, ends)

    def digest(self) -> bytes:
        """Return the SHA-256 of the texts and of where each ends."""
        found = hashlib.sha256(self._ends.astype("<i8").tobytes())
        found.update(self._bytes.data)
        return found.digest()

    def checksums(self) -> np.ndarray:
        """Return the CRC-32 of each text, (text,) uint32. Other texts nearly always have others."""
        ends, packed = self._ends.tolist(), self._bytes.tobytes()
        pieces = (zlib.crc32(packed[start:end]) for start, end in itertools.pairwise(ends))
        return np.fromiter(pieces, np.uint32, len(self))


@dataclass(frozen=True)
class Pairs:
    """Sources, and the target of each."""

    sources: Sequence[str]  # one sentence each, without the end of the line, NFC
    targets: Sequence[str]  # as many; [] if only sources are known, as in a prediction

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def nbytes(self) -> int:
        """Size in bytes of those sides that are packed."""
        return sum(side.nbytes for side in (self.sources, self.targets) if isinstance(side, Lines))


@dataclass(frozen=True)
class PairParts:
    """What a reader of files, or a generator, gives back."""

    parts: Mapping[Part, Pairs]
    fingerprint: str  # digest of what was read
    doubts: Sequence[Note] = ()  # what is likely wrong
