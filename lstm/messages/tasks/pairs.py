"""Pairs of sentences: the fields of the task `translate`, and its data."""

from lstm.messages.entry import Entry

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
    "unit-searched": Entry(
        "changes the unit of {metric}, so trials could not be compared by it",
        "take a search.metric that is the same for all, one of {metrics}; or leave the field out of the space",
        {"metric": "val/loss", "metrics": ["val/character_nats", "val/bleu"]},
    ),
}
