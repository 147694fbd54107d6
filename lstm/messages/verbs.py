"""Messages about what a verb is asked for."""

from lstm.messages.entry import Entry

_SMALLER = "make model.hidden_size, model.num_layers, data.lookback, data.horizon or training.batch_size smaller"
_DIGESTS = {"digest": "3f1c0a9b5d2e", "trained": "9ac412de5d2e"}

ENTRIES = {
    # --- Files that are written
    "output-folder-missing": Entry(
        "the folder {folder} does not exist",
        "make the folder first, or write to another with --output",
        example={"folder": "forecasts"},
    ),
    "output-is-folder": Entry(
        "is a folder, must be a file", "name a file{meant:?, as in --output *}", example={"meant": "specs/etth1.yaml"}
    ),
    "output-exists": Entry("exists already", "overwrite the file with --force, or name another with --output"),
    "output-is-input": Entry("is the data itself", "name another file with --output"),
    "output-not-yaml": Entry(
        "is no name of a spec, which ends in .yaml",
        "name the file as in --output {meant}",
        example={"meant": "etth1.yaml"},
    ),
    "output-not-written": Entry(
        "can't be written: {why}", "name a file elsewhere with --output", example={"why": "No space left on device"}
    ),
    # --- A draft of a spec
    "several-tasks-fit": Entry(
        "{count} tasks can read this data: {reasons}",
        "name one of them with --task: {tasks}",
        example={
            "count": 2,
            "reasons": ["forecast (has times in 'when')", "classify (has a label in 'kind')"],
            "tasks": ["forecast", "classify"],
        },
    ),
    "no-task-fits": Entry(
        "no task recognises {form:?it, which is *}{files:?the * files as one data set} ({reasons})",
        "change the data into what one of the tasks needs, or give your own task with --task FILE.py:Class",
        example={"form": "JSON", "files": None, "reasons": ["forecast: needs a table", "classify: needs a table"]},
    ),
    "task-does-not-fit": Entry(
        "the task {task} does not recognise {form:?it, which is *}{files:?the * files as one data set}: the task {why}",
        "change the data into what the task needs, or leave --task out, or give another",
        example={"task": "classify", "form": "a CSV", "files": None, "why": "needs a column of labels"},
    ),
    "unknown-task": Entry(
        "is no task{near:?, did you mean *?}",
        "give one of {known}, or your own as FILE.py:Class",
        example={"near": "forecast", "known": ["forecast", "classify", "language_model"]},
    ),
    # --- Code of the user's
    "code-flag-without-use": Entry(
        "would do nothing: {named} has {count} files of code, --code is for one",
        "leave --code out",
        example={"named": "etth1.yaml", "count": 0},
    ),
    "code-of-another-training": Entry(
        "is not the code that the trial was trained with: its SHA-256 is {digest}, the trial's {trained}",
        "name the right file with --code FILE",
        example=_DIGESTS,
    ),
    # --- Trials and rivals
    "no-completed-trial": Entry(
        "no trial has completed yet",
        "run the sweep first with `sweep run {sweep}`",
        example={"sweep": "etth1"},
    ),
    "no-such-checkpoint": Entry(
        "{sweep} has no trial {number} with a checkpoint",
        "give a trial that has a checkpoint (there are {count:,}{trials:?: *}{more:? and * more})",
        example={"sweep": "etth1", "number": 99, "count": 3, "trials": [0, 1, 2], "more": None},
    ),
    "checkpoint-not-valid": Entry(
        "has no valid checkpoint any more",
        "look for the damage and its remedy with `sweep verify {sweep}`",
        example={"sweep": "etth1"},
    ),
    "weights-not-kept": Entry(
        "the weights of the trial were not kept (storage.keep: best)", "leave --trial out for the best trial"
    ),
    "model-without-trial": Entry("a rival forecasts without a trial", "leave the trial out"),
    "option-without-effect": Entry("would do nothing with --model", "leave the option out"),
    "rival-not-fitted": Entry(
        "the rival was not fitted yet",
        "fit the rival with `sweep rivals {sweep}{flag}`",
        example={"sweep": "etth1", "flag": " --home /work/runs"},
    ),
    "fitted-rival-damaged": Entry(
        "what the rival has fitted can't be used: {why}",
        "fit the rival again with `sweep rivals {sweep}{flag}`",
        example={"why": "/work/runs/etth1/rival-ridge.npz: is truncated", "sweep": "etth1", "flag": ""},
    ),
    "table-not-kept": Entry(
        "can't be kept as a table: {why}",
        "give columns that Parquet can hold, or the path of a file",
        example={"why": "Conversion failed for column load with type object"},
    ),
    # --- Trials that are run again
    "trials-said-twice": Entry(
        "--failed and numbers both say which trials are meant", "give --failed for all that failed, or their numbers"
    ),
    "no-trials-said": Entry(
        "nothing says which trials are meant", "give --failed for all that failed, or their numbers"
    ),
    "target-reached": Entry(
        "has reached its target (search.stop.target), so that nothing more is run",
        "change the target in the spec and run the sweep first with `sweep run`",
    ),
    "no-such-trial": Entry(
        "has no trial {number}",
        "give a failed trial (it has {count:,}{failed:?: *})",
        example={"number": 99, "count": 2, "failed": [3, 7]},
    ),
    "trial-retried-already": Entry(
        "trial {number} was retried already, as trial {retry}",
        "run that trial with `sweep run {sweep}` if it has not ended",
        example={"number": 3, "retry": 24, "sweep": "etth1"},
    ),
    "trial-not-failed": Entry(
        "trial {number} is {state}, and only failed trials are retried",
        "give a failed trial (it has {count:,}{failed:?: *})",
        example={"number": 5, "state": "COMPLETE", "count": 2, "failed": [3, 7]},
    ),
    # --- The machine
    "memory-too-small": Entry(
        "a trial would need about {needed_gb:,.1f} GB of memory, this machine has {room_gb:,.1f} GB",
        _SMALLER,
        example={"needed_gb": 93.1, "room_gb": 16.0},
    ),
    "out-of-memory": Entry("out of memory in epoch {epoch}", _SMALLER, example={"epoch": 2}),
}
