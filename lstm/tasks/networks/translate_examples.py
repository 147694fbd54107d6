"""What a translating network does with test sentences, for the report: texts, attention, and BLEU by length."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from lstm.config.translate import TranslateData
from lstm.config.trial import TrialConfig
from lstm.data.pairs.pairs import Pairs
from lstm.data.translate import Translations
from lstm.judging.corpus import bleu, chrf
from lstm.judging.translate import signatures, statistics
from lstm.nn.translate.encoder_decoder import TranslateNetwork
from lstm.records.figures import Beside, Curve, Example, HeatMap
from lstm.tasks.networks.translate import translate

SHOWN = 12  # sentences beside their references
MAPS = 3  # sentences whose attention is shown
MOST_UNITS = 32  # of a sentence whose attention is shown, on each side: more names would overlap
ASKED = 2_000  # test sentences that are translated, evenly spread
BINS, LEAST = 8, 25  # groups of sentences by length, and sentences in one


def examples(network: nn.Module, data: Translations, config: TrialConfig) -> list[Example]:
    """Return translations beside their references, the weights of attention, and BLEU by the length of the source."""
    assert isinstance(network, TranslateNetwork)
    section, test = config.data_as(TranslateData), data.parts["test"]
    rows = np.unique(np.linspace(0, len(test) - 1, min(ASKED, len(test))).round().astype(np.int64))
    answers = [data.facts.target.decode(each.units) for each in translate([network], data, section, "test", rows)]
    asked = Pairs([test.sources[row] for row in rows.tolist()], [test.targets[row] for row in rows.tolist()])
    found: list[Example] = [beside(asked, answers, section)]
    curve = by_length(asked, answers, section)
    return [*found, *([curve] if curve else []), *_attention(network, data, section, rows)]


def beside(asked: Pairs, answers: Sequence[str], section: TranslateData) -> Beside:
    """Return some translations beside sources and references, evenly spread; equal ones are marked."""
    counts = statistics(answers, asked.targets, lowercase=section.lowercase)
    score = chrf(counts["chrf"])
    rows = []
    for place in np.unique(np.linspace(0, len(answers) - 1, SHOWN).round().astype(int)).tolist():
        own = "equal" if counts["exact_match"][place, 0] else f"{score[place]:.0f}"
        rows.append((asked.sources[place], asked.targets[place], answers[place], own))
    told = signatures(lowercase=section.lowercase)
    note = (
        "Sentences of the test part, evenly spread, which the best trial has never seen, each with its own chrF. "
        f"Figures are sacrebleu's: BLEU {told['bleu']}, chrF {told['chrf']}."
    )
    return Beside("Translations of the best trial", note, ("source", "reference", "translation", "chrF"), tuple(rows))


def by_length(asked: Pairs, answers: Sequence[str], section: TranslateData) -> Curve | None:
    """Return BLEU and chrF of sentences of about one length; None if there are too few sentences to compare."""
    unit = "characters" if section.units == "characters" else "words"
    lengths = np.array([len(each) if unit == "characters" else len(each.split()) for each in asked.sources])
    borders = np.unique(np.quantile(lengths, np.linspace(0, 1, min(BINS, len(lengths) // LEAST) + 1)[:-1]))
    bins = np.searchsorted(borders, lengths, side="right") - 1
    kept = [each for each in range(len(borders)) if np.count_nonzero(bins == each) >= LEAST]
    if len(kept) < 2:
        return None
    counts = statistics(answers, asked.targets, lowercase=section.lowercase)
    sums = {name: np.stack([counts[name][bins == each].sum(axis=0) for each in kept]) for name in ("bleu", "chrf")}
    told = signatures(lowercase=section.lowercase)
    return Curve(
        "BLEU by the length of the source",
        f"Of {len(answers):,} test sentences in {len(kept)} groups by length, at each group's mean. By sacrebleu: BLEU "
        f"{told['bleu']}, chrF {told['chrf']}.",
        f"{unit} of the source",
        "BLEU, chrF",
        tuple(float(lengths[bins == each].mean()) for each in kept),
        {"BLEU": tuple(bleu(sums["bleu"]).tolist()), "chrF": tuple(chrf(sums["chrf"]).tolist())},
    )


def _attention(
    network: TranslateNetwork, data: Translations, section: TranslateData, rows: np.ndarray
) -> list[HeatMap]:
    """Return the weights of attention for a few sentences that are short enough for a picture."""
    if network.attention is None:
        return []
    pairs, facts = data.numbered.parts["test"], data.facts
    short = rows[np.maximum(pairs.sources.lengths, pairs.targets.lengths)[rows] < MOST_UNITS]
    chosen = short[np.unique(np.linspace(0, max(len(short) - 1, 0), MAPS).round().astype(int))] if len(short) else short
    made = translate([network], data, section, "test", chosen, attention=True)
    maps = []
    for row, each in zip(chosen.tolist(), made, strict=True):
        numbers = pairs.sources.numbers[pairs.sources.ends[row] : pairs.sources.ends[row + 1]]
        read, written = [*facts.source.shown(numbers.tolist()), "end"], [*facts.target.shown(each.units), "end"]
        # Of a hundredth of all attention nobody reads the number.
        values = tuple(tuple(round(value, 2) for value in line) for line in each.attention[: len(written)])
        if not values:
            continue
        maps.append(
            HeatMap(
                f"Attention: {data.parts['test'].sources[row]}",
                "How much each unit of the source (a column) counts when a unit of the translation (a row) is written.",
                "source",
                "translation",
                tuple(read),
                tuple(written[: len(values)]),
                values,
                0.0,
                1.0,
            )
        )
    return maps
