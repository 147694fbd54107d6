"""Pairs of sentences: the fields of the task `translate`, and its data."""

from lstm.messages.entry import Entry
from lstm.messages.tasks.texts import TO_UTF8

FIELDS: dict[str, Entry] = {
    "generated-and-files": Entry(
        "would do nothing with generated pairs (data.generate: {generate})",
        "leave it out, or leave data.generate, data.sizes and data.seed out",
        {"generate": "dates"},
    ),
    "sizes-of-files": Entry("is for generated pairs, and these are read from files", "leave it out"),
    "columns-and-target-path": Entry(
        "would do nothing: a table has both sides, in the columns data.source and data.target",
        "leave it out, or leave data.source and data.target out",
    ),
    "no-targets": Entry(
        "is missing: nothing says where the targets are",
        "name the file with the target of each line, or name the columns of a table with data.source and data.target",
    ),
    "share-and-file": Entry(
        "would do nothing: the part has a file of its own, data.{field}",
        "leave one of both out",
        {"field": "test_path"},
    ),
    "part-missing": Entry(
        "is missing: nothing says what the {part} part is",
        "name the part's file, or give its share of data.path with data.split.{part}",
        {"part": "validation"},
    ),
    "target-without-source": Entry(
        "is the targets of a part that has no sources", "add data.{field}, or leave it out", {"field": "test_path"}
    ),
    "split-of-nothing": Entry("has no share, so it would do nothing", "leave it out, or give data.split.validation"),
    "input-feeding-without-attention": Entry(
        "needs attention: it feeds back what attention has found",
        "set model.attention to dot, general or additive, or leave model.input_feeding out",
    ),
    "chrono-of-sentences": Entry(
        "is chrono, which is for sequences of one known length", "give a number, such as 1.0, or leave it out"
    ),
    "line-too-long-to-translate": Entry(
        "has {length:,} characters{others:?, and * more lines are too long}, but the spec's data.max_length lets the "
        "network read at most {most:,}",
        "write each sentence on a line of its own",
        {"length": 4_000, "most": 1_000, "others": 2},
    ),
    "too-many-dates": Entry(
        "wants {wanted:,} different dates, but there are {most:,}",
        "make the sizes smaller",
        {"wanted": 1_000_000, "most": 730_500},
    ),
    "too-many-units": Entry(
        "would have {count:,} different {units}, but a vocabulary has at most {limit:,}",
        "say how many of the most frequent ones to keep, or use units: bpe",
        {"count": 120_000, "units": "words", "limit": 100_000},
    ),
    "only-empty-lines": Entry("have no text in any line of the training part", "give texts"),
    "own-cell-without-bridge": Entry(
        "is {cell}: the decoder begins with the encoder's last state, which is known of lstm, gru and rnn only",
        "use one of them{variant:?, or a variant without gate recurrence}",
        {"cell": "own.py:Cell", "variant": None},
    ),
}
PAIRS: dict[str, Entry] = {
    # --- Files
    "table-instead-of-lines": Entry(
        "is missing: {file} is a table by its name, and nothing says in which columns the sentences are",
        "name the columns with data.source and data.target, or give a text file with one sentence per line",
        {"file": "pairs.csv"},
    ),
    "text-in-utf16": Entry(
        "is a text in UTF-16", "save the file as UTF-8, for example by `iconv -f UTF-16 -t UTF-8 OLD > NEW`"
    ),
    "line-not-utf8": Entry("is not UTF-8 at byte {byte:,} of the line", TO_UTF8, {"byte": 17}),
    "too-many-bytes-of-sentences": Entry(
        "has more than {limit:,} bytes of text", "give a part of the sentences", {"limit": 2**31}
    ),
    "line-of-a-megabyte": Entry(
        "has a megabyte or more, which is no sentence", "give a text file with one sentence per line"
    ),
    "lines-end-in-returns": Entry(
        "has one line, with carriage returns in it: its lines end as on old Macs",
        "let the lines end in a line feed, for example by tr '\\r' '\\n'",
    ),
    "column-without-texts": Entry(
        "column {column!q} has the type {type}, not text",
        "name the column with the sentences",
        {"column": "id", "type": "int64"},
    ),
    "file-of-two-roles": Entry("is the same file as {other}", "give each its own file", {"other": "data.path"}),
    # --- Pairs
    "lines-differ-in-number": Entry(
        "has no partner: the file has {count:,} lines, {other} has {others:,}{empty:? (the further lines are empty)}",
        "give both files the same number of lines, line N of one being the translation of line N of the other",
        {"count": 1_015, "other": "test.en", "others": 1_014, "empty": None},
    ),
    "side-empty": Entry(
        "is empty, and {other} is not{more:? (and * more such lines)}",
        "write the missing sentence, or remove the line from both sides",
        {"other": "train.en:812", "more": 3},
    ),
    "line-too-long-for-pair": Entry(
        "has {length:,} characters, more than the {most:,} of data.max_length{more:? (and * more such lines)}",
        "raise data.max_length, or shorten or remove the line in both files{way:?, or set data.long_lines: *}",
        {"length": 2_310, "most": 1_000, "more": 3, "way": "leave_out"},
    ),
    "no-pairs": Entry("has no pair of sentences that could be used", "give lines with sentences on both sides"),
    "part-without-pairs": Entry(
        "leaves no pair for the {part} part: {file} has {count:,} pairs with different sources to share out",
        "give more pairs, or other shares",
        {"part": "train", "file": "train.de", "count": 2},
    ),
    "pairs-too-few-to-draft": Entry(
        "has {count:,} pairs of sentences, too few to learn to translate from",
        "give {least:,} pairs or more, better some thousand",
        {"count": 40, "least": 100},
    ),
    "sentences-instead-of-names": Entry(
        "has sentences, {source!q} and {target!q}, so the file has no line of names",
        "write the names of the columns in a line before it, as in the first line of a CSV or TSV: source, target",
        {"source": "Der Hund schläft.", "target": "The dog sleeps."},
    ),
    "sides-swapped": Entry(
        "looks like the targets of {other}, and its targets look like the sources: the two files are swapped",
        "swap the two paths of this part",
        {"other": "train.de"},
    ),
    "sides-equal": Entry(
        "has the same text as the sources in all {count:,} training pairs, so there is nothing to translate",
        "give the file, or the column, with the translations",
        {"count": 29_000},
    ),
}
NOTES: dict[str, Entry] = {
    "empty-pairs-left-out": Entry(
        "{count:,} pairs are empty on both sides and left out, the first one here", example={"count": 2}
    ),
    "long-pairs-left-out": Entry(
        "{count:,} pairs have a line of more than {most:,} characters and are left out, the first one here",
        example={"count": 12, "most": 1_000},
    ),
    "many-sides-equal": Entry(
        "has the same text as the sources in {count:,} of {total:,} training pairs, which are no translations",
        "if that is a mistake, remove these pairs: a network learns to copy from them",
        {"count": 4_000, "total": 29_000},
    ),
    "pairs-trained-on": Entry(
        "{count:,} of {total:,} pairs of the {part} part are also in the training part, so its figures are too good",
        "remove them from one of both",
        {"count": 12, "total": 1_000, "part": "test"},
    ),
    "quotes-are-text": Entry(
        "quotes are characters of their sentences, because not all quotes in the file enclose a field"
    ),
    "quotes-enclose": Entry("quotes around fields are left out, as in a CSV: all quotes in the file are written so"),
}
