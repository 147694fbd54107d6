"""Draft of a first spec for pairs of sentences: their units, the size of the network, and a search by their number."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lstm.config.translate import PARTS, PairFiles, PairShares, TranslateData
from lstm.data.dataset import Part
from lstm.data.pairs import files as pair_files
from lstm.data.pairs.pairs import Pairs
from lstm.data.pairs.reading import is_table
from lstm.data.profile.files import GivenFile
from lstm.data.tables import reader
from lstm.messages.message import Note
from lstm.records.errors import BadInput, refused
from lstm.tasks.drafts.draft import Draft, Line, Recognition, Remark, Value, choices, integers, numbers

NEEDS = (
    "needs two texts, line N of the second being the translation of line N of the first (or six: for training, "
    "validation and test), or a table with two columns of sentences"
)
SHARE = 0.1  # of the validation part, and of the test part
MOST_JUDGED = 5_000  # pairs of a part that is a share: more make a figure little surer, and a sweep slower
LEAST = 100  # pairs: with fewer, the parts are too small to say anything
SAMPLE = 2_000  # sentences that are looked at
SHORT = 25  # characters of a usual sentence up to which characters are the units
SENTENCE = 2  # words of a usual value of a column of sentences
ENDS = (".", "!", "?", "…", "\u3002", "\uff01", "\uff1f")  # of a sentence; a column's name has none of them
ALIKE = 0.9  # share of the target's characters that the source has, too, from which one vocabulary serves both
MANY, SOME = 20_000, 3_000  # pairs


@dataclass(frozen=True)
class Choice:
    """The settings that are chosen for pairs of sentences."""

    pairs: Pairs  # of the training part
    total: int  # pairs of all files
    longest: int  # characters of the longest line
    long: int  # pairs with a line longer than the bound

    @property
    def train(self) -> int:
        """Pairs of the training part."""
        return len(self.pairs)

    @cached_property
    def usual(self) -> tuple[float, float]:
        """The median length of a source and of a target, in characters."""
        sides = (self.pairs.sources, self.pairs.targets)
        found = [float(np.median([len(each) for each in sampled(side)])) for side in sides]
        return found[0], found[1]

    @property
    def units(self) -> str:
        """What the network reads and writes."""
        return "characters" if max(self.usual) <= SHORT else "bpe"

    @property
    def pieces(self) -> int:
        """The number of pieces of words."""
        return 6_000 if self.train >= MANY else 2_000 if self.train >= SOME else 500

    @cached_property
    def shared(self) -> float:
        """The share of the target's characters that the source has, too."""
        source, target = (Counter("".join(sampled(side))) for side in (self.pairs.sources, self.pairs.targets))
        return sum(often for each, often in target.items() if each in source) / max(target.total(), 1)

    @property
    def hidden(self) -> int:
        """Units of the base's layers."""
        return 256 if self.train >= MANY else 128 if self.train >= SOME else 64

    @property
    def batch_size(self) -> int:
        """Pairs in a batch."""
        return 64 if self.train >= SOME else 32

    @property
    def max_epochs(self) -> int:
        """Most epochs of a trial: about 10,000 batches, which a network of this kind needs to become fluent."""
        return int(np.clip(10_000 * self.batch_size / self.train, 10, 60))

    @property
    def metric(self) -> str:
        """The metric by which trials are compared."""
        return "exact_match" if self.units == "characters" else "bleu"


def sampled(side: Sequence[str]) -> list[str]:
    """Return some texts of a side, evenly spread."""
    places = np.unique(np.linspace(0, len(side) - 1, SAMPLE).astype(int))
    return [side[place] for place in places.tolist()]


def recognise(files: Sequence[GivenFile]) -> Recognition:
    """Return whether files are two texts, or six, or a table with two columns of sentences and no numbers to learn."""
    if len(files) in (2, 6) and not any(is_table(file.path) or file.form.kind == "other" for file in files):
        of = " for training, validation and test, in this order" if len(files) == 6 else ""
        return Recognition(True, f"pairs of texts{of}: line N of the second is the translation of line N of the first")
    if len(files) != 1 or files[0].form.kind != "table" or not is_table(files[0].path):
        return Recognition(False, NEEDS)
    found = _sentence_columns(files[0])
    if len(found) != 2:
        return Recognition(False, NEEDS)
    return Recognition(True, f"a table with two columns of sentences, {found[0]} and {found[1]}")


def _sentence_columns(file: GivenFile) -> list[str]:
    """Return the columns of sentences: texts of several words, most of them different; [] beside numbers and times."""
    found = list[str]()
    for column in file.columns:
        values = file.raw.column(column.name)
        is_number_of_row = pa.types.is_integer(values.type) and len(values.unique()) == len(values)
        if column.kind == "time" or (column.kind == "number" and not is_number_of_row):
            return []  # something to learn
        if column.kind != "other" or not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            continue
        texts = [each for each in values.drop_null().slice(0, SAMPLE).to_pylist() if each.strip()]
        words = float(np.median([len(each.split()) for each in texts])) if texts else 0.0
        if words >= SENTENCE and len(set(texts)) > len(texts) / 2:
            found.append(column.name)
    return found


def draft(files: Sequence[GivenFile]) -> Draft:
    """Draft the spec for pairs of sentences. The first file, or column, is the source.

    Raises:
        BadInput: the files are wrong, or have too few pairs.
    """
    section, location, where = _given(files)
    try:
        found = pair_files.read(section, location)
    except BadInput as error:
        few = next((each for each in error.faults if each.code == "part-without-pairs"), None)
        if few is None:
            raise
        raise refused("pairs-too-few-to-draft", at=files[0].path, count=few.values["count"], least=LEAST) from None
    total = sum(map(len, found.parts.values()))
    if total < LEAST:
        raise refused("pairs-too-few-to-draft", at=files[0].path, count=total, least=LEAST)
    bound = TranslateData.model_fields["max_length"].default
    lengths = [
        [len(each) for side in (pairs.sources, pairs.targets) for each in side] for pairs in found.parts.values()
    ]
    longest = max(map(max, lengths))
    chosen = Choice(found.parts["train"], total, longest, sum(length > bound for each in lengths for length in each))
    metric = chosen.metric
    about = "share of sentences that are right to the letter" if metric == "exact_match" else "sacrebleu's, 0 to 100"
    return Draft(
        data=tuple(_data(chosen, location, where, found.parts, found.doubts)),
        model=tuple(_model(chosen)),
        training=tuple(_training(chosen)),
        metric=Line("metric", f"val/{metric}", f"{about}, of greedy translations at the best epoch"),
        direction="maximize",
        first=_first_settings(chosen),
        first_why="tried before the search draws any: the base above, and a lighter one",
        space=(
            integers("model.hidden_size", chosen.hidden // 2, 2 * chosen.hidden, log=True),
            integers("model.num_layers", 1, 2, "a second layer takes about as long as the first"),
            choices("model.attention", ["dot", "general", "additive"]),
            numbers("training.learning_rate", 3e-4, 3e-3),
        ),
        found=_summary(files, chosen, found.parts, found.doubts, where),
        facts=_facts(files, chosen, found.parts, where),
        why="one sentence becomes another; the network reads the whole source before it writes",
    )


def _given(files: Sequence[GivenFile]) -> tuple[TranslateData, PairFiles, Mapping[str, Path | str]]:
    """Return the section and the location that read the files, and the fields that say where the pairs are.

    Raises:
        BadInput: a table's first line has sentences in place of names.
    """
    shares = PairShares(validation=SHARE, test=SHARE)
    if len(files) == 1:
        source, target = _sentence_columns(files[0])
        if source.endswith(ENDS) and target.endswith(ENDS) and not reader.has_types(files[0].path):
            where_names_are = f"{files[0].path}:{files[0].reading.form.skip_rows + 1}"
            raise refused("sentences-instead-of-names", at=where_names_are, source=source, target=target)
        columns = {"source": source, "target": target}
        section = TranslateData(**columns, split=shares, max_length=100_000)  # type: ignore[arg-type]
        return section, PairFiles(path=str(files[0].path)), {"path": files[0].path, **columns}
    names = ["path", "target_path", *(name for part in PARTS.values() for name in part)]
    where = {name: file.path for name, file in zip(names, files, strict=False)}
    section = TranslateData(split=shares if len(files) == 2 else None, max_length=100_000)
    return section, PairFiles(**{name: str(path) for name, path in where.items()}), where


def _share(chosen: Choice) -> float:
    """Return the share of the validation part, and of the test part."""
    return SHARE if chosen.total * SHARE <= MOST_JUDGED else round(MOST_JUDGED / chosen.total, 4) or 0.0001


def _data(
    chosen: Choice,
    location: PairFiles,
    where: Mapping[str, Path | str],
    parts: Mapping[Part, Pairs],
    doubts: Sequence[Note],
) -> Iterator[Line | Remark]:
    reasons = {
        "path": f"the sources; {chosen.total:,} pairs in all",
        "target_path": "the targets, line by line; swap both paths to translate the other way",
        "source": "the first column of sentences; swap both to translate the other way",
        "target": "the second column of sentences",
    }
    yield from (Line(name, value, reasons.get(name, "")) for name, value in where.items())
    yield from (Remark(str(each)) for each in doubts)
    if location.test_path is None:
        share = _share(chosen)
        yield Line("split", {"validation": share, "test": share, "seed": 0}, "shares of the pairs, drawn from the seed")
    yield Line("units", chosen.units, _units_why(chosen))
    if chosen.units == "bpe":
        yield Line("vocabulary_size", chosen.pieces, "rare words are written as several pieces")
    if chosen.shared >= ALIKE:
        why = f"{chosen.shared:.0%} of the characters of the targets are in the sources, too: one vocabulary for both"
        yield Line("shared_vocabulary", True, why)
    else:
        yield Remark(
            "shared_vocabulary: true", f"only {chosen.shared:.0%} of the targets' characters are in the sources"
        )
    bound = TranslateData.model_fields["max_length"].default
    if chosen.long > 0.01 * chosen.total:
        yield Line(
            "max_length", chosen.longest, f"characters of the longest line; {chosen.long:,} have more than {bound:,}"
        )
    elif chosen.long and location.test_path is None:
        yield Line("long_lines", "leave_out", f"{chosen.long:,} lines have more than {bound:,} characters")
    yield Remark("lowercase: true", "if capitals don't matter: figures are higher, and the network writes no capitals")


def _units_why(chosen: Choice) -> str:
    source, target = chosen.usual
    told = f"a usual source has {source:.0f} characters, a usual target {target:.0f}"
    return (
        f"{told}: short enough to be read letter by letter"
        if chosen.units == "characters"
        else f"{told}; pieces of words, by byte-pair encoding"
    )


def _model(chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("cell", "lstm", "of the encoder and the decoder")
    yield Line("hidden_size", chosen.hidden, "searched below")
    yield Line("num_layers", 1, "searched below")
    yield Line("bidirectional", True, "the encoder reads the source from both ends")
    yield Line("attention", "general", "searched below")
    yield Line("tied_embeddings", True, "the scores of the units share the weights of their embedding: fewer to learn")
    yield Line("embedding_dropout", 0.3)


def _training(chosen: Choice) -> Iterator[Line | Remark]:
    batches = -(-chosen.train // chosen.batch_size)
    yield Line("max_epochs", chosen.max_epochs, "most trials end earlier")
    yield Line("batch_size", chosen.batch_size, f"a pass over the training pairs has {batches:,} batches")
    yield Line("learning_rate", 1e-3, "searched below")
    yield Line("schedule", "cosine", "from the learning rate down to 0 over max_epochs")
    yield Line("label_smoothing", 0.1, "in training only; val/loss never has it")
    yield Line("seed", 1)


def _first_settings(chosen: Choice) -> tuple[dict[str, Value], ...]:
    rest: dict[str, Value] = {"model.num_layers": 1, "training.learning_rate": 1e-3}
    base: dict[str, Value] = {"model.hidden_size": chosen.hidden, "model.attention": "general", **rest}
    return base, {**base, "model.hidden_size": chosen.hidden // 2, "model.attention": "dot"}


def _summary(
    files: Sequence[GivenFile],
    chosen: Choice,
    parts: Mapping[Part, Pairs],
    doubts: Sequence[Note],
    where: Mapping[str, Path | str],
) -> dict[str, str]:
    source, target = (where.get(name) or where[path] for name, path in (("source", "path"), ("target", "target_path")))
    example = f"{parts['train'].sources[0][:60]!r} becomes {parts['train'].targets[0][:60]!r}"
    found = {
        "pairs": f"{chosen.total:,} in {', '.join(str(file.path) for file in files)}",
        "from": f"{source}, which was given first, to {target}: {example}",
        "units": f"{chosen.units} ({_units_why(chosen)})",
    }
    return found | ({"notes": "; ".join(map(str, doubts))} if doubts else {})


def _facts(
    files: Sequence[GivenFile], chosen: Choice, parts: Mapping[Part, Pairs], where: Mapping[str, Path | str]
) -> dict[str, Any]:
    return {
        "paths": [str(file.path) for file in files],
        "pairs": chosen.total,
        "longest": chosen.longest,
        "usual_source": chosen.usual[0],
        "usual_target": chosen.usual[1],
        "shared_characters": chosen.shared,
        "units": chosen.units,
        **{name: str(value) for name, value in where.items() if name in ("source", "target")},
    }
