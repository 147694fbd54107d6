"""Messages about what a task, a rival or a prediction can't do, and about a user's own code."""

from lstm.messages.entry import Entry

TASKS: dict[str, Entry] = {
    "flag-of-another-task": Entry(
        "has no effect with the task {task}", "leave the flag out", example={"task": "forecast"}
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
