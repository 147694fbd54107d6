"""Reads pairs of sentences from files: the parts, by files of their own or by shares, and what is wrong, by line."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm.config.translate import PARTS, PairFiles, TranslateData
from lstm.data.dataset import Part
from lstm.data.pairs import reading
from lstm.data.pairs.alike import are_swapped
from lstm.data.pairs.pairs import Lines, PairParts, Pairs
from lstm.data.pairs.reading import Side
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault, refused

MOST_TOLD = 5  # lines with the same fault that are named
SAME = 0.1  # share of the pairs with equal sides from which that is likely a mistake
Both = tuple[Side, Side]


def read(section: TranslateData, location: PairFiles, begun: Mapping[Part, int] | None = None) -> PairParts:
    """Read the pairs of all parts.

    With `begun`, only the first pairs of each file are taken: as many as those parts had when a sweep was begun.

    A pair whose two sides are both empty is left out, and said. Pairs with the same source come into the same part when
    parts are shares of one file, so that no source of the test part was trained on.

    Raises:
        BadInput: a file can't be read, sides have different numbers of lines, a side of a pair is empty or too long,
            files are swapped or the same, or a part would have no pair.
    """
    _check_paths(location)
    assert location.path is not None
    whole, doubts = _both(section, location, "path", "target_path")
    whole, told = _complete(whole, section, is_trained_on=True)
    doubts += told
    own = [part for part, (path, _) in PARTS.items() if getattr(location, path) is not None]
    if begun is not None:
        whole = _first(whole, sum(count for part, count in begun.items() if part not in own))
    parts: dict[Part, Both] = {}
    for part, (path, target_path) in PARTS.items():
        if getattr(location, path) is not None:
            found, notes = _both(section, location, path, target_path)
            found, told = _complete(found, section, is_trained_on=False)
            found = found if begun is None else _first(found, begun[part])  # type: ignore[index] # as below
            parts |= {part: found}  # type: ignore[dict-item] # PARTS has the names of parts
            doubts += [*notes, *told]
            if are_swapped([side.lines for side in whole], [side.lines for side in found]):
                raise refused("sides-swapped", f"data.{path}", at=found[0].path, other=str(whole[0].path))
    parts = _shared_out(whole, section, parts)
    pairs: dict[Part, Pairs] = {name: Pairs(*(side.lines for side in both)) for name, both in parts.items()}
    doubts += [*_doubts(pairs)]
    digest = hashlib.sha256(str(sorted(pairs)).encode())
    for name in sorted(pairs):
        for side in parts[name]:
            digest.update(side.lines.digest())
    return PairParts(pairs, digest.hexdigest(), tuple(doubts))


def _first(both: Both, count: int) -> Both:
    """Return the first pairs; all of them if there are fewer."""
    places = np.arange(min(count, len(both[0].lines)))
    return both[0].at(places), both[1].at(places)


def sources(path: Path, section: TranslateData) -> Sequence[str]:
    """Read the sentences to translate, one per line; empty lines stay empty.

    Of a table the column `data.source` is read, or `source` if the spec names none.

    Raises:
        BadInput: the file can't be read as text in UTF-8 or as a table, or a line is longer than `data.max_length`.
    """
    if reading.is_table(path):
        name = section.source or "source"
        found = reading.table(path, section.model_copy(update={"source": name, "target": name}))[0]
    else:
        found = reading.text(path, section)
    if len(long := np.flatnonzero(found.lengths > section.max_length)):
        values = {"length": int(found.lengths[long[0]]), "most": section.max_length, "others": len(long) - 1 or None}
        raise refused("line-too-long-to-translate", at=found.place(int(long[0])), **values)
    return found.lines


def _check_paths(location: PairFiles) -> None:
    """Check that no file has two roles.

    Raises:
        BadInput: one has.
    """
    seen: dict[Path, str] = {}
    for name, path in location:
        if path is not None:
            there = Path(path).resolve()
            if there in seen:
                raise refused("file-of-two-roles", f"data.{name}", at=path, other=f"data.{seen[there]}")
            # Only in a table are both sides in one file.
            seen[there] = name


def _both(section: TranslateData, location: PairFiles, path: str, target_path: str) -> tuple[Both, list[Note]]:
    """Read both sides of the pairs of a file, or of two."""
    source = Path(getattr(location, path))
    if section.source is not None:
        one, two, notes = reading.table(source, section)
        return (one, two), notes
    target = Path(getattr(location, target_path))
    one, two = reading.text(source, section), reading.text(target, section)
    if len(one.lines) != len(two.lines):
        longer, shorter = (one, two) if len(one.lines) > len(two.lines) else (two, one)
        ends = all(not length for length in longer.lengths[len(shorter.lines) :].tolist())
        raise refused(
            "lines-differ-in-number",
            f"data.{target_path}",
            at=longer.place(len(shorter.lines)),
            count=len(longer.lines),
            other=str(shorter.path),
            others=len(shorter.lines),
            empty=True if ends else None,
        )
    return (one, two), []


def _complete(both: Both, section: TranslateData, *, is_trained_on: bool) -> tuple[Both, list[Note]]:
    """Return the pairs whose sides are not empty and not too long, and notes on those that are left out.

    Raises:
        BadInput: one side of a pair is empty, or a line is too long and is not to be left out.
    """
    (source, target), doubts = both, list[Note]()
    empty = np.stack([source.lengths == 0, target.lengths == 0])
    if faults := [*_empty_faults(both, empty, is_table=section.source is not None)]:
        raise BadInput(*faults)
    long = np.stack([source.lengths, target.lengths]) > section.max_length
    if long.any() and not (is_trained_on and section.long_lines == "leave_out"):
        raise BadInput(*_long_faults(both, long, section, is_trained_on=is_trained_on))
    none, too_long = empty.all(axis=0), long.any(axis=0)
    for code, left_out in (("empty-pairs-left-out", none), ("long-pairs-left-out", too_long)):
        if left_out.any():
            first = int(np.flatnonzero(left_out)[0])
            count = int(np.count_nonzero(left_out))
            doubts.append(note(code, at=source.place(first), count=count, most=section.max_length))
    kept = np.flatnonzero(~(none | too_long))
    if not len(kept):
        raise refused("no-pairs", at=source.path)
    return (both if len(kept) == len(source.lines) else (source.at(kept), target.at(kept))), doubts


def _empty_faults(both: Both, empty: np.ndarray, *, is_table: bool) -> Iterator[Fault]:
    """Yield the faults of pairs of which one side is empty. In a table both sides are on the same line."""
    only, fields = empty & ~empty[::-1], ("data.source", "data.target")
    for side, wrong in enumerate(only):
        for index, more in _told(wrong):
            path, other = (fields[side], fields[1 - side]) if is_table else ("", both[1 - side].place(index))
            yield fault("side-empty", path, at=both[side].place(index), other=other, more=more)


def _long_faults(both: Both, long: np.ndarray, section: TranslateData, *, is_trained_on: bool) -> Iterator[Fault]:
    """Yield the faults of lines that are longer than the bound."""
    way = "leave_out" if is_trained_on else None
    for side, wrong in zip(both, long, strict=True):
        for index, more in _told(wrong):
            values: dict[str, Any] = {"length": int(side.lengths[index]), "most": section.max_length, "more": more}
            yield fault("line-too-long-for-pair", "data.max_length", at=side.place(index), way=way, **values)


def _told(wrong: np.ndarray) -> Iterator[tuple[int, int | None]]:
    """Yield the first wrong lines, the last of them with the number of those that are not told."""
    places = np.flatnonzero(wrong).tolist()
    last = min(len(places), MOST_TOLD) - 1
    for number, index in enumerate(places[:MOST_TOLD]):
        yield index, (len(places) - MOST_TOLD or None) if number == last and len(places) > MOST_TOLD else None


def _shared_out(whole: Both, section: TranslateData, parts: dict[Part, Both]) -> dict[Part, Both]:
    """Return all parts: those with files of their own, and shares of the pairs for the others.

    Pairs with the same source stay together. A part's pairs are in the order of the file.
    """
    split, count = section.split, len(whole[0].lines)
    shares = {part: getattr(split, part) or 0.0 for part in PARTS} if split else {}
    _, group = np.unique(whole[0].lines.checksums(), return_inverse=True)
    sizes = np.bincount(group)
    order = np.random.default_rng(split.seed if split else 0).permutation(len(sizes))
    ends = np.cumsum(sizes[order])  # pairs in the groups up to each, in drawn order
    taken, drawn = 0, np.zeros(len(sizes), np.int64)  # which part each group is in; 0 is the training part
    for number, share in enumerate(shares.values(), 1):
        if share:
            more = int(np.searchsorted(ends, (ends[taken - 1] if taken else 0) + max(round(share * count), 1))) + 1
            drawn[order[taken:more]] = number
            taken = more
    found: dict[Part, Both] = {**parts}
    for number, part in enumerate(("train", *shares)):
        if not number or shares[part]:
            places = np.flatnonzero(drawn[group] == number)
            if not len(places):
                raise refused("part-without-pairs", "data.split", part=part, count=count, file=str(whole[0].path))
            found[part] = (whole[0].at(places), whole[1].at(places))  # type: ignore[index] # as above
    return found


def _doubts(parts: dict[Part, Pairs]) -> Iterator[Note]:
    """Yield a note for each thing that is likely wrong in the pairs.

    Raises:
        BadInput: the two sides of all pairs are equal, so that there is nothing to translate.
    """
    sums = {part: [_checksums(side) for side in (pairs.sources, pairs.targets)] for part, pairs in parts.items()}
    source, target = sums["train"]
    if (same := int((source == target).sum())) == len(source):
        raise refused("sides-equal", "data.target_path", count=same)
    if same > SAME * len(source):
        yield note("many-sides-equal", "data.target_path", count=same, total=len(source))
    trained = np.unique(_joined(source, target))
    for part in ("validation", "test"):
        seen = np.isin(_joined(*sums[part]), trained)
        if seen.any():
            yield note("pairs-trained-on", part=part, count=int(seen.sum()), total=len(seen))


def _checksums(side: Sequence[str]) -> np.ndarray:
    assert isinstance(side, Lines)
    return side.checksums()


def _joined(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return one number for each pair, (pair,) uint64."""
    found: np.ndarray = source.astype(np.uint64) << np.uint64(32) | target.astype(np.uint64)
    return found
