"""Messages about the home, sweeps by name, verbs and flags."""

from lstm.messages.entry import Entry

_OTHER_HOME = "give another folder with --home"
_TWO = ["/work/specs/study.db", "/work/study.db"]
_LEFT_BEHIND = {"trials": 12, "checkpoints": "/work/runs/etth1/2f0c", "runs": 12}

HOME: dict[str, Entry] = {
    # --- The home
    "home-has-question-mark": Entry(
        "has a ? in its path, which the addresses of its databases can't have", f"{_OTHER_HOME}, without a ?"
    ),
    "home-has-percent": Entry(
        "has a % in its path that some readers of the addresses of its databases would decode",
        f"{_OTHER_HOME}, without a %",
    ),
    "home-not-utf8": Entry(
        "is not UTF-8 text, which the addresses of its databases must be", f"{_OTHER_HOME}, in UTF-8"
    ),
    "home-not-possible": Entry("can't be a folder: {why}", _OTHER_HOME, example={"why": "File name too long"}),
    "home-is-file": Entry("{file:?* }is a file, must be a folder", _OTHER_HOME, example={"file": "/work/data.csv"}),
    "home-not-writable": Entry("{folder} can't be written to", _OTHER_HOME, example={"folder": "/mnt/archive"}),
    "home-is-empty": Entry("has no records yet", "run a spec first with `sweep run`"),
    "home-record-not-read": Entry(
        "can't be read: {why}",
        "make the file readable, or give another home with --home",
        example={"why": "Permission denied"},
    ),
    "home-record-damaged": Entry("is damaged", "remove the file; the next `sweep run` writes it again"),
    "folder-not-made": Entry(
        "the folder {folder} can't be made: {why}",
        "make the place writable, or give another home with --home",
        example={"folder": "/mnt/archive/runs/etth1", "why": "Permission denied"},
    ),
    "sweep-folder-is-file": Entry(
        "is a file, must be the folder of the sweep", "move the file away, or give the sweep another name"
    ),
    # --- Names and addresses
    "no-sweep-of-this-name": Entry(
        "{home} has no sweep of this name{near:?, did you mean *?}{known:? (it has *)}",
        "give the NAME of a sweep that was run, or its SPEC file, or another home with --home",
        example={"home": "/work/runs", "near": None, "known": ["etth1", "weather"]},
    ),
    "file-in-several-places": Entry(
        "{path} is a relative path, and {files} all exist",
        "move all but one of them away, or give the whole path; a relative path starts at the spec",
        example={"path": "study.db", "files": _TWO},
    ),
    "folder-missing": Entry(
        "the folder {folder:?*}{address:?of *} does not exist",
        "make the folder first, or give another",
        example={"folder": "/work/databases", "address": None},
    ),
    # --- What was lost
    "study-lost": Entry(
        "the study of this sweep does not exist any more, though {said_by} says that the sweep was run (left, and "
        "unchanged: {trials:,} trials{checkpoints:? in *}, {runs:,} runs in MLflow)",
        "restore the study from what is left with `sweep rebuild {named} --study{flag}`, or begin anew: give the spec "
        "another name, or move {away} away",
        example={
            **_LEFT_BEHIND,
            "said_by": "/work/runs/etth1",
            "named": "etth1",
            "flag": "",
            "away": "/work/runs/etth1",
        },
    ),
    "several-studies-left": Entry(
        "{count} studies have checkpoints here, and nothing says which of them is meant",
        "move the folders of the others away",
        example={"count": 2},
    ),
    "checkpoints-of-study": Entry(
        "has checkpoints of {trials:,} trials of the study {study}{home:? in *}",
        "move the folder away unless this study is meant",
        example={"trials": 12, "study": "2f0c", "home": "the home /work/runs of ann on node-1"},
    ),
    "study-not-lost": Entry("the study of this sweep exists", "leave --study out: it restores a study that was lost"),
    "nothing-left-of-study": Entry(
        "nothing is left of an earlier study, neither checkpoints nor runs in MLflow",
        "begin the sweep anew with `sweep run`",
    ),
    "data-of-another-training": Entry(
        "are not those that {trained} was trained on",
        "bring the data back as they were then",
        example={"trained": "etth1"},
    ),
}

_SMALLER = "make model.hidden_size, model.num_layers, data.lookback, data.horizon or training.batch_size smaller"
_DIGESTS = {"digest": "3f1c0a9b5d2e", "trained": "9ac412de5d2e"}

VERBS: dict[str, Entry] = {
    # --- Files that are written
    "output-folder-missing": Entry(
        "the folder {folder} does not exist",
        "make the folder first, or write to another with {flag}",
        example={"folder": "forecasts", "flag": "--output"},
    ),
    "output-is-folder": Entry(
        "is a folder, must be a file", "name a file{meant:?, as in --output *}", example={"meant": "specs/etth1.yaml"}
    ),
    "output-exists": Entry(
        "exists already", "overwrite the file with --force, or name another with {flag}", {"flag": "--output"}
    ),
    "output-no-page": Entry(
        "exists already, and --force overwrites only pages for a browser",
        "name a file that ends in .html, as in {flag} {meant}",
        {"flag": "--html", "meant": "all.html"},
    ),
    "output-is-input": Entry("is the data itself", "name another file with --output"),
    "output-not-yaml": Entry(
        "is no name of a spec, which ends in .yaml",
        "name the file as in --output {meant}",
        example={"meant": "etth1.yaml"},
    ),
    "output-not-written": Entry(
        "can't be written: {why}",
        "name a file elsewhere with {flag}",
        {"why": "No space left on device", "flag": "--output"},
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
        "the weights of the trial were removed (storage.keep, or `sweep clean`)", "leave --trial out for the best trial"
    ),
    "switch-of-no-library": Entry(
        "{name!q} is not a library that has patches",
        "write all, or some of {known}, separated by commas",
        example={"name": "numpy", "known": ["mlflow", "optuna", "ray", "torch"]},
    ),
    "no-working-folder": Entry(
        "the working folder can't be used: {why}", "go to a folder that exists", {"why": "No such file or directory"}
    ),
    "model-without-trial": Entry("a rival forecasts without a trial", "leave the trial (--trial) out"),
    "wish-of-another-task": Entry(
        "the draft of the task {task} follows no such flag", "leave the flag out", {"task": "language_model"}
    ),
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
    "no-trial-to-extend": Entry(
        "has no trial {number}",
        "give a completed or pruned trial{trials:?: *}{more:? and * more}",
        {"number": 99, "trials": [0, 3, 7], "more": None},
    ),
    "extend-before-end": Entry(
        "trial {number} is {state}, and only ended trials are extended",
        "wait for its end, or resume the sweep with `sweep run {sweep}` if no driver runs",
        {"number": 3, "state": "RUNNING", "sweep": "etth1"},
    ),
    "extend-of-failed-trial": Entry(
        "trial {number} has failed, and only completed or pruned trials are extended",
        "run it again with `sweep retry {sweep} {number}`",
        {"number": 3, "sweep": "etth1"},
    ),
    "extend-of-failed-extension": Entry(
        "trial {number}, which extends trial {parent}, has failed",
        "extend trial {parent} again",
        {"number": 24, "parent": 3},
    ),
    "extend-of-diverged-trial": Entry(
        "trial {number} {reason}, and more epochs would not help",
        "extend another trial",
        {"number": 3, "reason": "diverged in epoch 4"},
    ),
    "extend-in-backtest": Entry(
        "the sweep has a backtest, whose last training is as long as its windows say: no trial of it can be extended",
        "search with more epochs: `sweep run SPEC --set name=NEW --set training.max_epochs=N`",
    ),
    "extend-without-epochs": Entry("trial {number} has no epoch to go on from", "extend another trial", {"number": 3}),
    "epochs-not-beyond": Entry(
        "trial {number} has {has} epochs already", "give a larger number", {"number": 3, "has": 30}
    ),
    "schedule-has-ended": Entry(
        "the learning rate of trial {number} has the schedule {schedule}, which ends at epoch {end} with a rate of 0",
        "give --learning-rate, which is constant from here on{left:?, or --epochs * at most}",
        {"number": 3, "schedule": "cosine", "end": 30, "left": 30},
    ),
    "trial-being-extended": Entry(
        "trial {number} is being extended to {epochs} epochs, as trial {extension}",
        "end that with `sweep run {sweep}` first, if no driver runs",
        {"number": 3, "epochs": 60, "extension": 24, "sweep": "etth1"},
    ),
    "trial-extended-already": Entry(
        "trial {number} was extended to {epochs} epochs, as trial {extension}",
        "extend trial {extension} to go further",
        {"number": 3, "epochs": 60, "extension": 24},
    ),
    "extension-weights-gone": Entry(
        "the weights of trial {number} are gone, and an extension is not trained again",
        "extend trial {first}, with which it began",
        {"number": 24, "first": 3},
    ),
    "confirm-number": Entry("is not a whole number from 1 to {most:,}", "give such a number", {"most": 100}),
    "confirm-without-search": Entry(
        "searches nothing, so there are no best settings to confirm", "add the section search to the spec"
    ),
    "confirm-before-end": Entry(
        "has not ended: {done:,} of {trials:,} trials have",
        "wait for its end, or resume it with `sweep run {sweep}` if no driver runs",
        {"done": 3, "trials": 40, "sweep": "etth1"},
    ),
    "confirm-without-completed": Entry(
        "has no completed trial, so there is nothing to confirm", "search further, with a higher search.n_trials"
    ),
    "confirm-more-than-there-is": Entry(
        "is more than there is: {there:,} settings have completed", "give at most {there:,}", {"there": 3}
    ),
    "retry-of-extension": Entry(
        "trial {number} extends trial {parent}",
        "extend trial {parent} again with `sweep extend {sweep} {parent} --epochs {epochs}`",
        {"number": 24, "parent": 3, "sweep": "etth1", "epochs": 60},
    ),
    "refit-before-end": Entry(
        "has not ended ({done} of {trials} trials have), and the winner of a sweep is known at its end",
        "run it to its end with `sweep run {sweep}`, or name a completed trial after that",
        {"done": 12, "trials": 24, "sweep": "etth1"},
    ),
    "refit-before-confirm": Entry(
        "trial {best} is the best of the search now, and confirm, whose winner is trial {winner}, did not have it",
        "confirm again with `sweep confirm {sweep}`, or choose one with --trial {winner} or --trial {best}",
        {"best": 31, "winner": 15, "sweep": "etth1"},
    ),
    "refit-without-completed": Entry("no trial has completed", "change the search, so that a trial completes"),
    "refit-of-which-trial": Entry(
        "has two objectives, so that no trial is best in both ({metric} is the second one)",
        "name a trial with --trial (on the front are {trials})",
        {"metric": "probe/parameters", "trials": [3, 7, 12]},
    ),
    "no-trial-to-refit": Entry(
        "has no trial {number}",
        "give a completed trial of the search{trials:?: *}{more:? and * more}",
        {"number": 99, "trials": [0, 3, 7], "more": None},
    ),
    "refit-of-derived-trial": Entry(
        "trial {number} is no trial of the search (it is trial {parent} again: {purpose})",
        "fit trial {parent}, or another trial of the search",
        {"number": 24, "purpose": "extend", "parent": 3},
    ),
    "refit-of-diverged-trial": Entry(
        "trial {number} {reason}", "fit another trial", {"number": 3, "reason": "diverged in epoch 4"}
    ),
    "refit-of-incomplete-trial": Entry(
        "trial {number} is {state}, and only completed trials are fitted on all data",
        "fit another trial",
        {"number": 3, "state": "PRUNED"},
    ),
    "probe-of-refit": Entry(
        "is a refit, which has no validation part left to be probed on",
        "probe trial {parent}, which has the same settings",
        {"parent": 15},
    ),
    "refit-interrupted": Entry(
        "stopped ({why}), and every epoch that was finished is kept",
        "go on with the same command",
        {"why": "interrupted"},
    ),
    "refit-failed": Entry(
        "the refit could not go on: {why}",
        "remove the cause, and go on with the same command",
        {"why": "No space left on device"},
    ),
    "refit-diverged": Entry(
        "{reason}, and would do so again", "fit another trial with --trial", {"reason": "diverged in epoch 4"}
    ),
    "refit-being-made": Entry(
        "trial {number} belongs to a refit of trial {parent} that was begun otherwise and has not ended",
        "end that first with {command}, if no driver runs",
        {"number": 24, "parent": 3, "command": "`sweep refit etth1 --trial 3 --seeds 5`"},
    ),
    # --- What MLflow did not take, after the work
    "nothing-rebuilt": Entry(
        "nothing was changed, because MLflow may hold the last copy of what is damaged",
        "mend the damage, or give --force to rebuild without it",
    ),
    "mlflow-away-in-rebuild": Entry(
        "MLflow does not answer ({why}), so not everything is rebuilt",
        "run the same command again when MLflow answers",
        example={"why": "error 503"},
    ),
    "rebuilt-in-part": Entry(
        "MLflow did not take {count:,} records", "run the same command again when MLflow answers", example={"count": 7}
    ),
    "rebuilt-but-refused": Entry(
        "MLflow refused {refused:*}",
        "mend the cause, which the notes above name, and run the same command again",
        example={"refused": ["trial 3: the metrics"]},
    ),
    "probe-not-in-mlflow": Entry(
        "MLflow did not take the probe, which the study has",
        "deliver the probe with `sweep rebuild {sweep}{flag}`",
        example={"sweep": "etth1", "flag": ""},
    ),
    "verdict-not-in-mlflow": Entry(
        "MLflow did not take the verdict, which the home has",
        "deliver the verdict with `sweep rebuild {sweep}{flag}`",
        example={"sweep": "etth1", "flag": ""},
    ),
    # --- The machine
    "memory-too-small": Entry(
        "a trial would need about {needed_gb:,.1f} GB of memory, this machine has {room_gb:,.1f} GB left for it",
        _SMALLER,
        example={"needed_gb": 93.1, "room_gb": 16.0},
    ),
    "out-of-memory": Entry("out of memory in epoch {epoch}", _SMALLER, example={"epoch": 2}),
}
