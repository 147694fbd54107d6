"""Messages about the fields of a spec: wrong values, contradictions, what would do nothing, what misfits the task."""

from lstm.messages.entry import Entry

ENTRIES = {
    "and-more": Entry("… and {count:,} more faults", "fix the faults above first", {"count": 7}),
    "field-missing": Entry(
        "is missing",
        "add it{allowed:?: one of *}{about:?: *}",
        {"allowed": None, "about": "Column with the values to forecast."},
    ),
    "field-of-another-section": Entry(
        "is no field of this section",
        "move it: {name} belongs to {sections}",
        {"name": "learning_rate", "sections": ["training"]},
    ),
    "field-of-another-type": Entry(
        "would do nothing with type: {type}",
        "leave it out, or use a type that has it: {types}",
        {"type": "random", "types": ["tpe"]},
    ),
    "name-like-a-file": Entry(
        "is {name}, which verbs would take for a file", "leave the ending out", {"name": "energy.yaml"}
    ),
    "name-reserved": Entry("is {name}, which is reserved", "take another name", {"name": "artifacts"}),
    "name-with-dots": Entry(
        "is {name}, and a name may not hold '..' or end with '.'", "take another name", {"name": "a..b"}
    ),
    "not-one-of": Entry(
        "is {came}{near:?, did you mean *?}",
        "use one of {allowed}",
        {"came": '"lstn"', "near": "lstm", "allowed": ["lstm", "gru", "rnn"]},
    ),
    "out-of-bounds": Entry("is {came}", "use a value that is {bounds}", {"came": "-1", "bounds": "at least 1"}),
    "unknown-field": Entry(
        "is no field of this section{near:?, did you mean *?}",
        "rename it, or leave it out{allowed:?; the section has *}",
        {"near": "hidden_size", "allowed": None},
    ),
    "wrong-form": Entry(
        "is {came}, which does not have the right form",
        "correct it{about:?: *}",
        {"came": '"a b"', "about": "Letters."},
    ),
    "wrong-type": Entry(
        "is {came}{near:?, did you mean *?}",
        "write {wanted}{hint:?; *}",
        {"came": '"32"', "wanted": "a whole number", "near": None, "hint": "remove the quotes"},
    ),
    "bidirectional-sees-the-future": Entry(
        "would let the network see its own answers: this task asks for an answer at every step, and a bidirectional "
        "layer reads the steps after it",
        "leave it out",
    ),
    "calendar-feature-twice": Entry("names {feature} twice", "name it once", {"feature": "hour_of_day"}),
    "chrono-of-short-sequences": Entry(
        "is chrono, which draws memories from 1 step to one step less than a sequence has, and a sequence has {steps}",
        "give sequences of 3 steps or more, or give a number",
        {"steps": 2},
    ),
    "column-name-taken": Entry(
        "is {column}, the name of a column that predict adds to its answer",
        "rename the column",
        {"column": "probability"},
    ),
    "column-of-two-roles": Entry(
        "names column {column!r}, which {other} names too",
        "give the column one role",
        {"column": "temperature", "other": "data.target"},
    ),
    "column-twice-in-a-role": Entry("names column {column!r} twice", "name it once", {"column": "temperature"}),
    "dropout-without-layers": Entry(
        "would do nothing: dropout acts between layers, and num_layers is 1",
        "set model.num_layers: 2 or more, or dropout: 0",
    ),
    "field-of-another-problem": Entry(
        "would do nothing with problem: {problem}: it belongs to {owner}",
        "leave it out, or set data.problem: {owner}",
        {"problem": "adding", "owner": "copy"},
    ),
    "field-of-another-schedule": Entry(
        "would do nothing with schedule: {schedule}",
        "leave it out, or use a schedule that has it: {schedules}",
        {"schedule": "constant", "schedules": ["exponential", "plateau"]},
    ),
    "field-of-forecast": Entry("would do nothing: only the task forecast uses it", "leave it out"),
    "no-forget-gate": Entry(
        "would do nothing: {field}: {value} has no forget gate", "leave it out", {"field": "cell", "value": "gru"}
    ),
    "no-momentum": Entry(
        "would do nothing: {optimizer} has no momentum",
        "set training.optimizer: sgd, or leave it out",
        {"optimizer": "adam"},
    ),
    "no-time-column": Entry("would do nothing: the spec names no time column", "name it in data.time"),
    "noise-on-symbols": Entry(
        "would do nothing: the inputs are symbols, and noise can't be added to symbols", "leave it out"
    ),
    "nothing-to-train": Entry(
        "leaves nothing for training: validation and test add up to {total:g}", "make them smaller", {"total": 1.0}
    ),
    "patience-too-long": Entry(
        "would do nothing: {patience} epochs without a better value{more:? and * more} don't fit into "
        "max_epochs: {max_epochs}",
        "make it smaller",
        {"patience": 20, "more": 3, "max_epochs": 20},
    ),
    "shares-above-one": Entry("has shares that add up to {total:g}", "let them add up to 1 at most", {"total": 1.2}),
    "split-of-several-kinds": Entry("mixes kinds", "use only shares (0.15), only row counts (2880) or only times"),
    "too-many-steps": Entry(
        "asks for {steps:,} steps in memory, {most:,} are the most",
        "make data.sizes or data.length smaller",
        {"steps": 2_000_000_000, "most": 500_000_000},
    ),
    "variant-of-another-cell": Entry(
        "is a variant of the LSTM, and cell is {cell}", "set model.cell: lstm, or leave it out", {"cell": "gru"}
    ),
    "warmup-of-all-steps": Entry(
        "is {warmup}, and a sequence has {steps} steps",
        "make it smaller, so that some steps are left to learn from",
        {"warmup": 24, "steps": 24},
    ),
    "warmup-of-both-directions": Entry(
        "can't be used with model.bidirectional, which has no first steps", "leave one of them out"
    ),
    "warmup-of-unequal-lengths": Entry(
        "can't be used where sequences differ in length: a short sequence may have no steps after the warm-up",
        "leave it out",
    ),
}
