"""Messages about what a task, a rival or a prediction can't do, and about a user's own code."""

from lstm.messages.entry import Entry

TASKS: dict[str, Entry] = {
    "flag-of-another-task": Entry(
        "has no effect with the task {task}", "leave the flag out", example={"task": "forecast"}
    ),
    # --- Refits
    "refit-of-generated-data": Entry(
        "the data are generated, so that there are no data which a refit could learn from besides",
        "use the best trial; for more data, raise data.sizes in a new sweep",
    ),
    "task-without-refit": Entry(
        "the task {task} does not say what all its data are",
        "use the best trial, or give the task the methods load_all and predict_together",
        {"task": "own.py:Own"},
    ),
    "warm-from-one-seed": Entry(
        "--warm goes on from one checkpoint, so other seeds would only draw other batches",
        "leave out --seeds for a warm refit, or --warm for several seeds",
    ),
    "warm-without-time": Entry(
        "the data of the task {task} have no newer rows which could say whether going on from a checkpoint is better",
        "leave out --warm: a fresh refit learns from all data",
        {"task": "classify"},
    ),
    "warm-without-new-rows": Entry(
        "has {new:,} rows that are newer than the sweep, and a forecast of {horizon} steps must fit into them to judge "
        "whether a warm refit is better",
        "add newer rows at the end of the file, or leave out --warm: a fresh refit needs none",
        {"new": 3, "horizon": 7},
    ),
    "warm-without-forecast": Entry(
        "no forecast of {horizon} steps fits into the newer rows from {first} to {last} without a gap, so nothing can "
        "be judged there",
        "fill the gap, wait for more rows, or leave out --warm",
        {"horizon": 7, "first": "2024-06-01", "last": "2024-06-14"},
    ),
    "warm-weights-gone": Entry(
        "the weights of trial {number}, from which a warm refit would go on, were removed or lost",
        "leave out --warm: a fresh refit needs no weights. If those of the best trial are lost, `sweep run {sweep}` "
        "restores them; for those of all trials, begin a sweep with `storage.keep: all`",
        {"number": 7, "sweep": "sales"},
    ),
    "until-not-a-time": Entry(
        "is no time", "write it as 2024-05-31 or 2024-05-31T18:00 (the last row is of {last})", {"last": "2024-06-30"}
    ),
    "until-not-a-number": Entry(
        "is no whole number, as the times of this file are",
        "give a number from {first} to {last}",
        {"first": 0, "last": 899},
    ),
    "until-is-a-day": Entry(
        "can be the beginning or the end of that day, because the file has several rows a day",
        "write {last} for its last row, or {first} for its beginning",
        {"first": "2024-05-31T00:00", "last": "2024-05-31T23:00"},
    ),
    "until-outside-data": Entry(
        "is not within the data",
        "give a time from {first} to {last}",
        {"first": "2020-01-01 00:00:00", "last": "2024-06-30 00:00:00"},
    ),
    "until-too-early": Entry(
        "leaves {rows:,} rows, too few for a forecast to train on (a look-back of {lookback}, a horizon of {horizon})",
        "give a later time",
        {"rows": 10, "lookback": 56, "horizon": 7},
    ),
    # --- Rivals
    "rival-unknown": Entry(
        "the task has no rival {name!q}{near:?, did you mean *?}",
        "name one of the task's rivals ({known}), or leave the rival out for the best trial",
        example={"name": "rigde", "near": "ridge", "known": ["seasonal naive", "ridge"]},
    ),
    "rival-of-none": Entry(
        "the task has no rivals, so the rival {name!q} does not exist",
        "leave the rival out for the best trial",
        example={"name": "ridge"},
    ),
    "rival-judged-only": Entry(
        "the rival {name!q} is only judged and does not forecast what comes next",
        "name one of the rivals that do ({able}), or leave the rival out for the best trial",
        example={"name": "AutoETS", "able": ["seasonal naive", "ridge"]},
    ),
    "rivals-judged-only": Entry(
        "the rival {name!q} is only judged and does not forecast what comes next, as all rivals of this task are",
        "leave the rival out for the best trial",
        example={"name": "n-grams"},
    ),
    # --- What is drafted or trained on
    "text-too-short-to-draft": Entry(
        "has {count:,} {unit}, too few to learn the next symbol of a text from",
        "give {least:,} {unit} or more, better some hundred thousand",
        example={"count": 900, "unit": "characters", "least": 2_000},
    ),
    "no-target-measured": Entry(
        "no window of the training part has a target that was measured: after the look-back of {lookback:,} rows all "
        "targets were filled in, and there is nothing to learn",
        "use more data or another data.split",
        example={"lookback": 24},
    ),
    # --- What a prediction is made from
    "trained-on-another-reading": Entry(
        "is read otherwise than by the earlier version that trained this network ({rules}), so a forecast would be of "
        "other times or values",
        "begin the sweep again under another name, and predict with that",
        {"rules": ["times-by-wall-clock"]},
    ),
    "step-of-another-length": Entry(
        "has a row every {step}, the model was trained on a row every {wanted}",
        "give rows with the step {wanted}",
        example={"step": "1D", "wanted": "1h"},
    ),
    "no-target-known": Entry(
        "has no row in which every target is known",
        "give rows with a value of each target: {targets}",
        example={"targets": ["load"]},
    ),
    "too-few-rows-to-look-back": Entry(
        "has {rows:,} rows up to the last known target, the look-back of the model has {lookback:,}",
        "give {lookback:,} rows or more up to the last known target",
        example={"rows": 9, "lookback": 24},
    ),
    "look-back-with-gap": Entry(
        "has no value of the column {column!q} at {time}, within the look-back",
        "fill the value in, or train with data.missing: interpolate or forward_fill",
        example={"column": "load", "time": "2024-02-01 00:00:00"},
    ),
    "look-back-starts-with-gap": Entry(
        "has missing values at the start of the look-back", "give more rows before the look-back"
    ),
    "horizon-without-covariates": Entry(
        "lacks the {horizon:,} steps after the last known target, or future covariates in them ({covariates})",
        "give these {horizon:,} steps with every future covariate and with empty targets",
        example={"horizon": 3, "covariates": ["holiday"]},
    ),
    "sequence-shorter-than-warmup": Entry(
        "has {steps:,} steps, of which the first {warmup:,} (training.warmup_steps) get no answer",
        "give more than {warmup:,} steps",
        example={"steps": 2, "warmup": 2},
    ),
    "sequence-too-large-for-float32": Entry("has values that are too large for float32", "rescale the values"),
    "sequence-with-gaps": Entry("has missing values, and a sequence needs all its values", "fill the values in"),
    "symbol-outside-alphabet": Entry(
        "the column symbol has values other than the whole numbers from 0 to {most}",
        "write each symbol as a whole number from 0 to {most}",
        example={"most": 9},
    ),
    "temperature-outside-range": Entry(
        "is {temperature}, must be a number from 0 to 100",
        "give a number from 0 to 100, such as 0.8",
        example={"temperature": "nan"},
    ),
    "prompt-empty": Entry("is empty, and there is no text to continue", "give a text to continue"),
    # --- The libraries that it all runs on
}

OWN_CODE: dict[str, Entry] = {
    # --- The file
    "code-unreadable": Entry(
        "the file, which the spec names as its own code, can't be read: {why}",
        "write the right file into the spec, as FILE.py:Class, or name it with --code FILE",
        example={"why": "no such file or directory"},
    ),
    "code-too-large": Entry(
        "the file has {size:,} bytes, a spec's own code must have {most:,} or fewer",
        "leave only the class and what it needs in the file",
        example={"size": 2_000_000, "most": 2**20},
    ),
    "code-no-python": Entry(
        "the file is not valid Python: {why}", "correct the line", example={"why": "invalid syntax"}
    ),
    "code-imports-neighbour": Entry(
        "the file imports a file beside it, which workers do not have",
        "write all the code into one file",
    ),
    "code-raises": Entry(
        "the code raises {kind}: {why}",
        "correct the code there",
        example={"kind": "ZeroDivisionError", "why": "division by zero"},
    ),
    "code-not-executed": Entry(
        "{name} is the user's own code{digest:? (SHA-256 *)}, which only plan, run, retry, train, predict and probe "
        "execute",
        "use one of these verbs",
        example={"name": "mine.py:Cell", "digest": "0f3a9c51b2d4"},
    ),
    "code-without-class": Entry(
        "the file has no class {name}",
        "write a class of the file into the spec, as FILE.py:Class",
        example={"name": "Cells"},
    ),
    # --- A task
    "task-of-another-class": Entry(
        "the class is not a subclass of lstm.tasks.base.Task", "derive the class from lstm.tasks.base.Task"
    ),
    "task-section-of-another-class": Entry(
        "the class has a section that is not a subclass of lstm.config.section.Data",
        "derive the section's class from lstm.config.section.Data",
    ),
    "task-lacks": Entry("the class lacks {names}", "define {names} in the class", example={"names": ["judge", "load"]}),
    # --- A cell
    "cell-of-another-class": Entry(
        "the cell that is built is a {kind}, must be a torch.nn.Module",
        "derive the class from torch.nn.Module",
        example={"kind": "dict"},
    ),
    "cell-returns-no-pair": Entry(
        "the cell must return two things: outputs (batch, time, hidden_size) and a state",
        "return both from forward, in this order",
    ),
    "cell-outputs-of-another-shape": Entry(
        "the cell returns outputs of the shape ({shape}), must be (batch, time, hidden_size) = ({wanted})",
        "return an output of hidden_size numbers for each step of each sequence",
        example={"shape": [2, 4], "wanted": [2, 6, 4]},
    ),
    "cell-outputs-not-finite": Entry(
        "the cell returns outputs that are not finite for inputs between -1 and 1",
        "see to it that the outputs stay finite, for example by smaller initial weights or a bounded activation",
    ),
    "cell-state-lacks-something": Entry(
        "the cell returns other outputs if a sequence is read in two parts, the second with the state after the first",
        "let an output depend on the state and on the steps since then alone, and keep in the state all that later "
        "outputs need of the steps before",
    ),
    "cell-without-training": Entry(
        "the cell has nothing to train: its outputs depend on no parameter",
        "compute the outputs by parameters of the module, and do not detach the outputs",
    ),
}

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

TEXTS: dict[str, Entry] = {
    "empty-text": Entry("is empty", "give a text"),
    "nul-bytes-in-text": Entry("has NUL bytes, so it is not a text file", "give a text in UTF-8"),
    "byte-not-utf8": Entry("is not UTF-8 at byte {byte:,} of the file", "save the file as UTF-8", {"byte": 70_001}),
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

WARM: dict[str, Entry] = {
    "refit-judges-warm": Entry(
        "judges over {windows} of the {new:,} newer rows, {first} to {last}, if the setting of trial {number} is "
        "better trained anew for {fresh}, or from that trial's weights for {warm} at the learning rate {rate:.3g}. The "
        "better one is then trained on all {count:,} rows",
        example={"windows": "4 windows", "new": 60, "first": "2024-06-01", "last": "2024-07-30", "number": 15}
        | {"fresh": "13 epochs", "warm": "5 epochs", "rate": 0.002, "count": 990},
    ),
    "refit-window-judged": Entry(
        "{first} to {last}: {metric} {warm:.5g} warm, {fresh:.5g} fresh",
        example={"first": "2024-06-01", "last": "2024-06-15", "metric": "val/loss", "warm": 0.11, "fresh": 0.12},
    ),
    "refit-is-better": Entry(
        "over {windows} of newer rows a {kind} refit is {told} than a {other} one, so it is the {kind} one",
        example={"windows": "4 windows", "kind": "warm", "other": "fresh", "told": "8 % [2, 14] better"},
    ),
    "refit-is-alike": Entry(
        "over {windows} of newer rows a {kind} refit can't be told apart from a {other} one: {told}, and the {kind} "
        "one is taken",
        example={"windows": "4 windows", "kind": "warm", "other": "fresh", "told": "2 % better [-3, 7]"},
    ),
    "refit-too-few-windows": Entry(
        "over {windows} of newer rows, too few to tell, a {kind} refit is {told} than a {other} one, and is taken",
        example={"windows": "2 windows", "kind": "fresh", "other": "warm", "told": "3 % better"},
    ),
    "refit-other-diverged": Entry(
        "over {windows} of newer rows a {other} refit diverged, so it is a {kind} one",
        example={"windows": "2 windows", "kind": "fresh", "other": "warm"},
    ),
}
