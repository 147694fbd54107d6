"""Texts of a language model."""

from lstm.messages.entry import Entry

TO_UTF8 = "save the file as UTF-8; if it is in Latin-1, `iconv -f LATIN1 -t UTF-8 OLD > NEW` does so"
TEXTS: dict[str, Entry] = {
    "empty-text": Entry("is empty", "give a text"),
    "nul-bytes-in-text": Entry("has NUL bytes, so it is not a text file", "give a text in UTF-8"),
    "byte-not-utf8": Entry("is not UTF-8 at byte {byte:,} of the file", TO_UTF8, {"byte": 70_001}),
    "text-too-large": Entry(
        "has {size:,} bytes, but at most {limit:,} are read",
        "give a part of the text",
        {"size": 300_000_000, "limit": 268_435_456},
    ),
    "text-too-short": Entry(
        "has {count} {unit}, too few for three parts", "give a longer text", {"count": 2, "unit": "characters"}
    ),
    "only-one-symbol": Entry(
        "has only one symbol, {symbol!q}, so there is nothing to learn",
        "give a text of several symbols",
        {"symbol": "a"},
    ),
    "too-many-symbols": Entry(
        "{file} has {count:,} different {unit}, but a vocabulary has at most {limit:,}",
        "say how many of the most frequent ones to keep",
        {"file": "book.txt", "count": 120_000, "unit": "words", "limit": 100_000},
    ),
    "too-many-words": Entry(
        "has more than {limit:,} different words", "use unit: characters, or give another text", {"limit": 5_000_000}
    ),
    "no-chunk-to-train-on": Entry(
        "{streams} streams (training.batch_size) of chunks of {steps} symbols need a training part of {needed:,} "
        "symbols, but that of the text has {symbols:,}",
        "make data.lookback or training.batch_size smaller, or give a longer text",
        {"streams": 4, "steps": 5, "needed": 25, "symbols": 24},
    ),
}
