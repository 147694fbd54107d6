"""Tables of labelled sequences."""

from lstm.messages.entry import Entry

SEQUENCES = {
    "id-or-label-missing": Entry(
        "column {column!q} has no {role} in this row (an empty cell, NA, null and the like are missing)",
        "give each row one",
        {"column": "patient", "role": "id"},
    ),
    "id-or-label-with-fractions": Entry(
        "column {column!q} has fractions",
        "give text or whole numbers as {role}",
        {"column": "patient", "role": "id"},
    ),
    "id-or-label-without-text": Entry(
        "column {column!q} has the type {type}",
        "give text or whole numbers as {role}",
        {"column": "patient", "role": "id", "type": "list<item: int64>"},
    ),
    "time-twice-in-sequence": Entry(
        "time {time} occurs twice in the sequence {sequence!q} (column {column!q})",
        "keep one row per time, or give each sequence its own id",
        {"column": "step", "time": "1", "sequence": "p17"},
    ),
    "labels-differ": Entry(
        "the label is {label!q}, but the sequence {sequence!q} has the label {other!q} in other rows",
        "give all rows of a sequence the same label",
        {"sequence": "p17", "label": "ill", "other": "well"},
    ),
    "value-missing": Entry(
        "column {column!q} has no value in this row",
        "say what to do with data.missing: zero or forward_fill",
        {"column": "pulse"},
    ),
    "no-value-to-repeat": Entry(
        "column {column!q} has no value in this row, and none before it in its sequence to repeat",
        "fill in the value, or use data.missing: zero",
        {"column": "pulse"},
    ),
    "class-without-training": Entry(
        "none of the {count} sequences of class {label!q} would be left for training",
        "make validation and test smaller, or give more sequences of that class in {file}",
        {"label": "ill", "count": 5, "file": "beats.csv"},
    ),
    "class-smaller-than-folds": Entry(
        "class {label!q} has {count} of the {folds} sequences outside the test part that {folds} folds need",
        "give {most:?at most * folds, or }more sequences of that class in {file}",
        {"label": "ill", "count": 3, "folds": 5, "most": 3, "file": "beats.csv"},
    ),
    "too-many-classes": Entry(
        "column {column!q} has {count:,} classes, but at most {limit:,} are allowed",
        "name a column with fewer classes as the label",
        {"column": "patient", "count": 1_200, "limit": 1_000},
    ),
    "only-one-class": Entry(
        "column {column!q} has only one class: all {count:,} sequences are {label!q}",
        "give sequences of at least two classes",
        {"column": "state", "count": 300, "label": "well"},
    ),
    "class-too-small": Entry(
        "class {label!q} (column {column!q}) has {count} of the {least} sequences that train, validation and test need "
        "at least",
        "give more sequences, or leave the class out",
        {"column": "state", "label": "ill", "count": 1, "least": 3},
    ),
    "classes-too-small": Entry(
        "class {label!q} (column {column!q}) has {count} of the {least} sequences that train, validation and test need "
        "at least, and {others:,} more of {classes:,} classes have too few",
        "give more sequences, or leave such classes out",
        {"column": "state", "label": "ill", "count": 1, "least": 3, "others": 1, "classes": 4},
    ),
}
