"""The data of the task `translate`: pairs of sentences, and the units of a configuration."""

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lstm.config.translate import PairFiles, TranslateData
from lstm.data.dataset import Before, Facts, Part, Whole
from lstm.data.pairs import dates, files, vocabulary
from lstm.data.pairs.numbered import NumberedPairs, numbered
from lstm.data.pairs.pairs import Lines, PairParts, Pairs
from lstm.data.pairs.vocabulary import Vocabulary
from lstm.messages.message import Note
from lstm.records.errors import refused

KEPT = 4  # readings of the same pairs by different units, in a process


@dataclass(frozen=True)
class TranslateFacts(Facts):
    """The facts about pairs that a network needs to translate other sentences."""

    source: Vocabulary
    target: Vocabulary  # that of the source, if both sides share one
    longest_source: int  # units of the longest sentence of the training part
    longest_target: int
    ratio: float  # the largest number of a target's units for one of the source, both with their end


@dataclass(frozen=True)
class Reading:
    """The pairs of all parts as the units of a configuration."""

    key: tuple[Any, ...]  # the pairs' fingerprint, and what of the configuration decides the units
    facts: TranslateFacts
    parts: Mapping[Part, NumberedPairs]

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        return sum(part.nbytes for part in self.parts.values())


@dataclass(frozen=True)
class Translations:
    """Pairs of sentences by part; `read` gives them the units of a configuration."""

    parts: Mapping[Part, Pairs]
    fingerprint: str
    doubts: Sequence[Note] = ()
    units: Reading | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read: the number of pairs of each part

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        return sum(part.nbytes for part in self.parts.values()) + (self.units.nbytes if self.units else 0)

    @cached_property
    def alphabet(self) -> frozenset[str]:
        """The characters of the training part's targets."""
        return frozenset(character for line in self.parts["train"].targets for character in line)

    @property
    def facts(self) -> TranslateFacts:
        """The facts that a network needs; the data must have units."""
        return self.numbered.facts

    @property
    def numbered(self) -> Reading:
        """The pairs as units."""
        if self.units is None:
            raise ValueError("the pairs have no units yet: read them for a configuration first")
        return self.units

    def read(self, section: TranslateData) -> "Translations":
        """Return the pairs with the units of a configuration.

        Raises:
            BadInput: the vocabulary would be empty or too large.
        """
        return replace(self, units=_reading(self, section))


_READ: "OrderedDict[tuple[Any, ...], Reading]" = OrderedDict()


def _reading(data: Translations, section: TranslateData) -> Reading:
    """Return the units of a configuration; the last ones are kept, because trials and their judging ask again."""
    key = (data.fingerprint, section.units, section.pieces, section.shared_vocabulary)
    if data.units is not None and data.units.key == key:  # as in a worker, which got the data with their units
        return data.units
    if key not in _READ:
        _READ[key] = _read(data, section, key)
        while len(_READ) > KEPT:
            _READ.popitem(last=False)
    _READ.move_to_end(key)
    return _READ[key]


def _read(data: Translations, section: TranslateData, key: tuple[Any, ...]) -> Reading:
    trained = data.parts["train"]
    sides = (
        ([trained.sources, trained.targets],) if section.shared_vocabulary else ([trained.sources], [trained.targets])
    )
    found = [vocabulary.of_lines(each, section.units, section.pieces) for each in sides]
    source, target = found[0], found[-1]
    parts = {part: numbered(pairs, source, target, data.alphabet) for part, pairs in data.parts.items()}
    sources, targets = (side.lengths for side in (parts["train"].sources, parts["train"].targets))
    ratio = float(((targets + 1) / (sources + 1)).max())
    facts = TranslateFacts(data.fingerprint, source, target, int(sources.max()), int(targets.max()), ratio)
    return Reading(key, facts, parts)


def load(section: TranslateData, location: PairFiles) -> Translations:
    """Read or generate the pairs, and give them the units of the section.

    Raises:
        BadInput: a file is wrong, a part is empty, or more dates are wanted than there are.
    """
    found = files.read(section, location) if section.generate is None else generated(section)
    order: tuple[Part, ...] = ("train", "validation", "test")
    parts = {part: found.parts[part] for part in order}
    sizes = {f"{part}_pairs": len(pairs) for part, pairs in parts.items()}
    return Translations(parts, found.fingerprint, found.doubts, reading=sizes).read(section)


def load_all(section: TranslateData, location: PairFiles, before: Before) -> Whole:
    """Read all pairs as the training part. Newer ones may follow those of a file that the sweep has seen.

    Raises:
        BadInput: a file is wrong, the pairs are generated, or the old ones are others or are not known.
    """
    if section.generate is not None:
        raise refused("refit-of-generated-data", "data")
    found = files.read(section, location)
    counts: dict[Part, int] = {part: len(pairs) for part, pairs in found.parts.items()}
    begun: dict[Part, int] = {part: int(before.reading.get(f"{part}_pairs", counts[part])) for part in counts}
    old = found if begun == counts else files.read(section, location, begun)
    if old.fingerprint != before.fingerprint:
        code = "old-rows-changed" if before.reading else "old-rows-unknown"
        raise refused(code, "data", at=str(location.path), count=sum(begun.values()), unit="pairs")
    sides = (
        Lines(itertools.chain.from_iterable(getattr(pairs, side) for pairs in found.parts.values()))
        for side in ("sources", "targets")
    )
    sources, targets = sides
    every, none = Pairs(sources, targets), Pairs((), ())
    digest = hashlib.sha256(sources.digest() + targets.digest()).hexdigest()
    data = Translations({"train": every, "validation": none, "test": none}, digest, found.doubts).read(section)
    return Whole(data, "pairs", len(every), len(every) - sum(begun.values()))


def generated(section: TranslateData) -> PairParts:
    """Generate the pairs of a section.

    Raises:
        BadInput: more dates are wanted than there are.
    """
    assert section.sizes is not None
    wanted = section.sizes.train + section.sizes.validation + section.sizes.test
    if wanted > dates.most():
        raise refused("too-many-dates", "data.sizes", wanted=wanted, most=dates.most())
    found = dates.generate(section.sizes, section.seed)
    if not section.lowercase:
        return found
    parts = {
        part: Pairs(Lines(map(str.lower, each.sources)), Lines(map(str.lower, each.targets)))
        for part, each in found.parts.items()
    }
    return replace(found, parts=parts, fingerprint=f"{found.fingerprint} lower")
