"""Messages about what a task, a rival or a prediction can't do."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {
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
    "switch-of-no-library": Entry(
        "{name!q} is not a library that has patches",
        "write all, or some of {known}, separated by commas",
        example={"name": "numpy", "known": ["mlflow", "optuna", "ray", "torch"]},
    ),
}
