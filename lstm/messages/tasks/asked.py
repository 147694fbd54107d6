"""What a task, a rival or a prediction can't do, and refits."""

from lstm.messages.entry import Entry

TASKS: dict[str, Entry] = {
    "flag-of-another-task": Entry(
        "has no effect with the task {task}", "leave the flag out", example={"task": "forecast"}
    ),
    "force-without-file": Entry(
        "has no effect: nothing is written without {flag}", "leave it out, or give {flag} FILE", {"flag": "--html"}
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
    "warm-in-this-process": Entry(
        "--warm judges and trains in the process of the command, so no worker of a cluster would have a part in it",
        "leave out --address for a warm refit, or --warm",
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
    "no-file-of-the-test-part": Entry(
        "is needed: the spec's data are one file for all parts, and most of it was trained on",
        "name the file to predict from; a new sweep may have a file for its test part, in {field}",
        {"field": "data.test_path"},
    ),
    "prompt-empty": Entry("is empty, and there is no text to continue", "give a text to continue"),
    # --- The libraries that it all runs on
}
