"""Notes: what the user should know and what stops nothing. A mend is there if something can be done about it."""

from collections.abc import Mapping

from lstm.messages.entry import Entry

_TIME = {"column": "time"}
_FULL = "No space left on device"
_DAMAGE = "runs/co2/judged.npz: is truncated, altered or not ours"
_ALIKE = "it equals the lost one to the bit by the values of its epochs"

DATA: Mapping[str, Entry] = {
    "columns-without-own-name": Entry(
        "{count} columns were left out, since their names are empty, occur twice{twice:? (*)} or have a character that "
        "is not printed, such as a non-breaking space",
        "give each of these columns a name of its own if you need it",
        {"count": 2, "twice": "load"},
    ),
    "first-steps-left-out": Entry(
        "the first {count:,} steps were left out, since not every column has a value before {first}",
        example={"count": 7, "first": "2016-01-08 00:00:00"},
    ),
    "not-used-as-time": Entry(
        "{column!q} is not used as the time, since its numbers repeat, are irregular or have fractions",
        example={"column": "year"},
    ),
    "rows-averaged": Entry(
        "{rows:,} rows were averaged into {steps:,} steps of {step}",
        example={"rows": 15, "steps": 3, "step": "1h"},
    ),
    "rows-sorted-by-time": Entry("the rows were not in the order of time and were sorted"),
    "steps-are-working-days": Entry("the file has no Saturdays and Sundays, so steps are working days"),
    "steps-missing-noted": Entry(
        "{count:,} of {steps:,} steps of {step} are missing, the first is {first} ({missing})",
        example={"count": 2, "steps": 5, "step": "1D", "first": "2016-01-03 00:00:00", "missing": "interpolate"},
    ),
    "steps-with-missing-values": Entry(
        "{count:,} of {steps:,} steps have missing values ({missing})",
        example={"count": 12, "steps": 900, "missing": "interpolate"},
    ),
    "symbols-not-in-vocabulary": Entry(
        "{count:,} {unit} are not in the vocabulary, so the model sees one unknown symbol for all of them",
        example={"count": 40, "unit": "characters"},
    ),
    "times-in-other-columns": Entry(
        "column {column!q} is taken as the time, and {others!q} could be, too",
        "if another one is meant, name it, as in data.time: {other}",
        {"column": "start", "others": ["end"], "other": "end"},
    ),
    "clocks-change": Entry(
        "the times are local ones (where clocks change, hours twice: {twice}, hours absent: {absent}), so rows are "
        "averaged into steps of {step}, and an absent hour is a missing step",
        "name the zone in data.time_zone to keep each hour",
        {"twice": 1, "absent": 1, "step": "1h"},
    ),
    "zones-in-a-column": Entry(
        "column {column!q} may say the zone of each time, as {value!q}, and is not read: times are as they are written",
        "if clocks change there, name the zone, as in data.time_zone: {place}",
        {"column": "tz", "value": "CDT", "place": "America/Chicago"},
    ),
    "column-not-quite-numbers": Entry(
        "column {column!q} is left out: {value!q} is not a number, and almost all its other values are",
        "correct the value if you need the column",
        {"column": "load", "value": "12..5"},
    ),
    "words-taken-as-missing": Entry(
        "column {column!q}: {words!q} among the numbers ({count:,} times, this row is the first) means a missing value",
        example={"column": "wind", "words": ["M"], "count": 12},
    ),
    "flags-as-numbers": Entry(
        "column {column!q}: {words!q} are read as 1 for yes and 0 for no",
        example={"column": "open", "words": ["no", "yes"]},
    ),
    "points-for-decimals": Entry(
        "column {column!q}: the point in {value!q} is read as one for decimals, and all numbers of the file have three "
        "digits after it",
        "if it is one for thousands, write data.thousands: '.' and data.decimal: ','",
        {"column": "price", "value": "4.999"},
    ),
    "points-beside-commas": Entry(
        "column {column!q} has points for decimals, beside others with a comma", example={"column": "rate"}
    ),
    "signs-left-out": Entry(
        "column {column!q}: {text!q} is read as {value:.10g}",
        example={"column": "cash", "text": "($12.50)", "value": -12.5},
    ),
    "percents-as-numbers": Entry("column {column!q}: 1.5% is read as 1.5", example={"column": "change"}),
    "value-may-mean-missing": Entry(
        "column {column!q} is {value:.7g} in {rows:,} rows (this row is the first), and all other values are from "
        "{low:.6g} to {high:.6g}",
        "if it means that nothing was measured, write data.missing_values: [{value:.7g}] and say in data.missing what "
        "to do there",
        {"column": "wv", "value": -9999.0, "rows": 18, "low": 0.0, "high": 23.5},
    ),
    "closed-hours-left-out": Entry(
        "steps are the open hours {hours!q}, and {left_out:,} closed steps of {step} are left out",
        "leave out data.open_hours if they are not closed",
        {"hours": ["Mon-Fri 09:30-16:00"], "left_out": 1200, "step": "30min"},
    ),
    "empty-rows-left-out": Entry("{count:,} rows without any value were left out", example={"count": 3}),
    "rows-to-nearest-step": Entry(
        "{rows:,} rows are up to {most_s:g} s off the even steps of {step} and belong to the nearest step",
        example={"rows": 12, "most_s": 2.0, "step": "10min"},
    ),
    "times-by-wall-clock": Entry(
        "the times in {column!q} are in {zone} and taken by the clock there, since they are days or longer steps",
        example={**_TIME, "zone": "Europe/Berlin"},
    ),
    "times-in-utc": Entry("the times in {column!q} are in UTC or have an offset, and are kept in UTC", example=_TIME),
    "times-irregular-averaged": Entry(
        "the times are irregular (median {median_s:g} s apart), so rows are averaged into steps of {step}",
        "give data.step if you want other steps",
        {"median_s": 3540.0, "step": "1h"},
    ),
    "times-of-a-clock": Entry(
        "the times in {column!q} are at one hour of the day in {places!q}",
        "if they are days of that place, name it, as in data.time_zone: {place}",
        {**_TIME, "places": ["Europe/Berlin (00:00)"], "place": "Europe/Berlin"},
    ),
    "times-turned-into-utc": Entry(
        "the times in {column!q} are in {zone} and were turned into UTC", example={**_TIME, "zone": "Europe/Berlin"}
    ),
    "too-large-for-baseline": Entry(
        "the data are too large for the baseline ({baseline} on the flattened input), which is left out",
        example={"baseline": "logistic regression"},
    ),
    "value-far-from-all-others": Entry(
        "column {column!q} is {value:.7g} in {rows:,} rows ({parts}), this row is the first, and all other values "
        "are from {low:.6g} to {high:.6g}, which {value:.7g} outweighs",
        "if this value means that nothing was measured, empty these cells and say in data.missing what to do there",
        {"column": "wv", "value": -9999.0, "rows": 18, "parts": ["18 in the training part"], "low": 0.0, "high": 23.5},
    ),
    "values-missing-noted": Entry(
        "{count:,} values are missing ({missing})", example={"count": 2, "missing": "forward_fill"}
    ),
}

SPEC: Mapping[str, Entry] = {
    "earlier-loss-kept": Entry(
        "the sweep {sweep} was begun by an earlier version, whose loss counts {counted}, and keeps that loss to its "
        "end, so that its trials can be compared",
        "give the spec another name if you want a loss on measured values alone",
        {"sweep": "co2", "counted": "values that were filled in, 59 in the training part"},
    ),
    "field-left-out": Entry(
        "gives way to --set and is left out (the spec has {written}, and {why})",
        example={"written": "0.9", "why": "it would do nothing: adam has no momentum"},
    ),
    "field-taken-as": Entry(
        "gives way to --set and is taken as {now} (the spec has {written}, and {why})",
        example={"written": "maximize", "now": "minimize", "why": "it does not fit val/loss"},
    ),
    "file-where-sweep-was": Entry(
        "{path} is {found}, where this sweep was before, and not the file next to its spec",
        example={"path": "study.db", "found": "/work/study.db"},
    ),
    "first-not-remembered": Entry(
        "what was chosen of earlier sweeps is not known any more, so no more of it is tried first ({why})",
        example={"why": "is no sweep of the home runs"},
    ),
    "first-outside-passed-over": Entry(
        "{found} settings of earlier sweeps are tried first, and these, which would have come before, are not in the "
        "space: {named}{more:?, and * more}",
        "make the space wider to try them, too",
        {
            "found": 5,
            "named": "trial 7 of sales (model.hidden_size is 300, outside the space)",
            "more": 2,
        },
    ),
    "gp-learns-nothing-from-pruned": Entry(
        "the gp sampler learns from completed trials only, so it learns nothing from trials that {pruner} prunes",
        "use the tpe sampler, or pruner: {{type: none}}",
        {"pruner": "successive_halving"},
    ),
    "idle-field-beside-override": Entry(
        "has no effect with this --set ({why}), and stays as it is",
        example={"why": "is 8 of n_trials: 3, so the sampler would never act"},
    ),
    "idle-field-of-begun-sweep": Entry(
        "has no effect ({why}), and stays as it is, since the sweep has begun with it",
        example={"why": "would do nothing: adam has no momentum"},
    ),
    "machine-too-small": Entry(
        "a trial asks for {cpus} CPUs and {gpus:g} GPUs, this machine has {cpus_here} and {gpus_here}{why:? (*)}",
        "give `sweep run` the --address of a cluster that has them",
        {"cpus": 1, "gpus": 1.0, "cpus_here": 2, "gpus_here": 0, "why": "no GPU was found"},
    ),
    "more-trials-than-combinations": Entry(
        "is {trials:,}, and the space has {combinations:,} combinations, so the sweep is complete when all "
        "combinations were tried",
        example={"trials": 100, "combinations": 12},
    ),
    "no-failed-trials": Entry("no trial has failed, so none is run again"),
    "begun-otherwise": Entry(
        "`sweep run` would refuse to go on with this sweep, because it was begun otherwise ({why})",
        "undo the change to go on with it, or give the spec another `name` to begin a new sweep",
        {"why": "training.batch_size: was 16, is 17"},
    ),
    "not-known-if-begun": Entry(
        "it is not known whether the sweep has begun and with which loss ({why})",
        "make the study's database reachable to know it",
        {"why": "study.db: the database does not answer"},
    ),
    "older-version-kept": Entry(
        "{older} was run with an older version of this spec or its data and is left as it is, so this version's "
        "sweep is {name}",
        example={"older": ["co2"], "name": "co2-2"},
    ),
    "own-code-executed": Entry(
        "is your own code and is executed here and by every worker (SHA-256 {digest})",
        example={"digest": "9f86d081884c"},
    ),
    "seed-searched": Entry(
        "a seed is luck and not a setting, and the seed that is the best here says nothing about other data",
        "leave the seed out of search.space",
    ),
}

RUN: Mapping[str, Entry] = {
    "extended-at-another-rate": Entry(
        "goes on after epoch {after} to epoch {epochs}, with a constant learning rate of {rate:g}",
        example={"after": 30, "epochs": 60, "rate": 1e-4},
    ),
    "extended-to-the-bit": Entry(
        "goes on after epoch {after} to epoch {epochs}, with its schedule ({schedule}), and equals one training to "
        "that epoch, on a CPU to the bit",
        example={"after": 30, "epochs": 60, "schedule": "constant"},
    ),
    "extended-with-rule": Entry(
        "training.{rule}: {value:g} still holds, so it may stop before epoch {epochs}",
        example={"rule": "patience", "value": 5, "epochs": 60},
    ),
    "extended-without-rule": Entry(
        "training.{rule}: {value:g} has stopped it at epoch {after}, and does not hold for its extension",
        example={"rule": "patience", "value": 5, "after": 12},
    ),
    "settings-confirmed": Entry(
        "the search has ended, and {settings} settings are judged on {windows}, each from {seeds} other seeds: "
        "{trials} trainings are to come",
        example={"settings": 6, "seeds": 5, "trials": 30, "windows": "windows that the search has not seen"},
    ),
    "fewer-to-confirm": Entry(
        "confirm takes {there} settings instead of the best {top}: no more have completed",
        example={"top": 5, "there": 3},
    ),
    "rival-not-confirmed": Entry(
        "the best rival is not judged on the windows of confirm ({why})", example={"why": "ValueError: too few rows"}
    ),
    "base-not-confirmed": Entry(
        "is the base and has not completed ({why}), so confirm leaves it out", example={"why": "diverged in epoch 4"}
    ),
    "weights-freed": Entry(
        "its weights were removed (storage.keep, or `sweep clean`), so the trial is trained again for its extension"
    ),
    "refit-planned": Entry(
        "trains the setting of trial {number}{best} for {epochs}, as many as its best had, on all {count:,} {unit}"
        "{first:?, from *}{last:? to *}{new:?, * of them new}, from {seeds}, and no data are left to judge it",
        example={
            "number": 15,
            "best": ", the winner of confirm,",
            "epochs": "13 epochs",
            "count": 930,
            "unit": "rows",
            "first": "2020-01-01",
        }
        | {"last": "2022-07-18", "new": 30, "seeds": "5 seeds"},
    ),
    "data-sets-not-known": Entry(
        "an earlier version began the sweep, and its data can't be read again, so MLflow shows no data sets: {why}",
        example={"why": "data: have changed"},
    ),
    "refit-given-up": Entry(
        "was to learn from {count:,} of the data, which have grown since: a new refit takes its place",
        example={"count": 900},
    ),
    "refit-tried-again": Entry("goes on from its last whole epoch: {why}", example={"why": "its host was lost"}),
    "refit-refused-by-mlflow": Entry(
        "MLflow refused {refused}, which study and checkpoints have", example={"refused": ["the end of trial 24"]}
    ),
    "refit-predicts": Entry(
        "predicts with {trials}, the refit of trial {parent}, which learnt from all {count:,} {unit}{last:? to *} "
        "(with --trial {parent} that trial predicts)",
        example={"trials": "trials 24, 25", "parent": 15, "count": 930, "unit": "rows"} | {"last": "2022-07-18"},
    ),
    "refit-of-former-best": Entry(
        "the winner is trial {best} now, and the refit is of trial {parent}: `sweep refit {sweep}` fits the winner",
        example={"best": 31, "parent": 15, "sweep": "etth1"},
    ),
    "test-part-predicted": Entry(
        "predicts from the file of the test part, {file}",
        "--input FILE predicts from another",
        {"file": "test.de"},
    ),
    "winner-does-not-predict": Entry(
        "predicts with trial {best}, the best of the search, but confirm's winner is trial {number}",
        "`sweep refit {sweep}` trains the winner on all data, and predicts; --trial {number} predicts with that trial",
        {"best": 15, "number": 7, "sweep": "co2"},
    ),
    "fitted-rival-not-trusted": Entry("{why}, so the rival is fitted again", example={"why": _DAMAGE}),
    "fitting-rivals": Entry("fitting rivals: {rivals}", example={"rivals": ["ridge", "ets"]}),
    "judged-before-end": Entry(
        "the sweep has not ended ({done} of {trials} trials have), so the best trial up to now is judged",
        example={"done": 3, "trials": 40},
    ),
    "judgements-damaged": Entry("{why}, so all models are judged again", example={"why": _DAMAGE}),
    "no-gpu-to-train-on": Entry(
        "the training runs on the CPU, though the spec asks for a GPU: {why}",
        "set resources.gpus_per_trial to 0 if that is meant",
        {"why": "PyTorch was built without CUDA"},
    ),
    "nothing-is-written-here": Entry("can't be written to, so its pages can be looked at, and nothing is kept"),
    "page-not-written": Entry(
        "the page could not be written: {why}", "make room or give write access, and run it again", {"why": _FULL}
    ),
    "probed-without-pictures": Entry("the probe has no pictures: {why}", example={"why": "the data file changed"}),
    "report-not-written": Entry(
        "the report could not be written: {why}", "make room or give write access, and run it again", {"why": _FULL}
    ),
    "rivals-not-judged": Entry(
        "the rivals could not be judged: {why}",
        "run `sweep rivals {sweep}{flag}`",
        {"why": _FULL, "sweep": "co2", "flag": ""},
    ),
    "training-goes-on": Entry("the training goes on after epoch {epochs}", example={"epochs": 4}),
    "training-was-complete": Entry(
        "the training was complete after epoch {epochs} ({stop}), so nothing was left to do",
        example={"epochs": 30, "stop": "max_epochs"},
    ),
}

KEPT: Mapping[str, Entry] = {
    "artifact-damaged": Entry("the artifact checkpoint.pt in MLflow {why}", example={"why": "is truncated"}),
    "artifact-of-another-trial": Entry(
        "the artifact checkpoint.pt in MLflow is not this trial's checkpoint: {why}",
        example={"why": "it is of trial 3"},
    ),
    "checkpoint-lost": Entry("the checkpoint does not exist and MLflow has none, so the trial is trained again"),
    "checkpoint-of-another-configuration": Entry(
        "was trained with {fields}, which differs from this spec, and was left out",
        example={"fields": ["model.hidden_size: 32"]},
    ),
    "checkpoint-of-another-study-left-out": Entry(
        "belongs to the study {study} and was left out", example={"study": "2f0c"}
    ),
    "page-taken-from-mlflow": Entry("was not there and was taken from MLflow"),
    "report-lost": Entry(
        "neither the sweep's folder nor MLflow has the report", "`{run}` writes it again", {"run": "sweep run co2"}
    ),
    "checkpoint-taken-from-mlflow": Entry(
        "the checkpoint did not exist and was taken from MLflow, and {alike}", example={"alike": _ALIKE}
    ),
    "checkpoints-of-another-study-left": Entry(
        "has checkpoints of {trials:,} trials of the study {study}{home:? in *}, which stay as they are, and this "
        "sweep begins anew",
        "if that home is lost, `{restores}` restores its study here instead",
        {"trials": 12, "study": "2f0c", "home": "/work/runs", "restores": "sweep rebuild co2.yaml --study --force"},
    ),
    "end-not-remembered": Entry(
        "the study's database does not answer ({why}), so the study does not know the end of the sweep",
        "run the same command again",
        {"why": "OperationalError"},
    ),
    "ends-from-checkpoints": Entry(
        "MLflow does not answer ({why}), so how the trials ended is taken from their checkpoints",
        example={"why": "ConnectionError"},
    ),
    "file-not-readable-or-writable": Entry(
        "can't be read or written: {why}", "give access to it, and run the same command again", {"why": _FULL}
    ),
    "file-passed-over": Entry("{why}, so an earlier file is used", example={"why": "is truncated"}),
    "former-address-in-mlflow": Entry(
        "MLflow does not answer ({why}), so its runs name the former address of the checkpoints",
        "run the same command again when MLflow answers",
        {"why": "ConnectionError"},
    ),
    "home-copied": Entry(
        "the home is a copy of {before}, so the sweep in it is a sweep of its own from now on",
        example={"before": "/old/runs"},
    ),
    "home-moved": Entry(
        "the home was moved from {before}, and its addresses were changed", example={"before": "/old/runs"}
    ),
    "no-valid-checkpoint": Entry("has no valid checkpoint"),
    "trained-before-test": Entry(
        "is trained on all that stands before the test part, for {epochs}, the median of its windows",
        example={"epochs": "9 epochs"},
    ),
    "diverged-before-test": Entry(
        "diverged when it was trained on all that stands before the test part, so it can't be judged there"
    ),
    "network-of-windows": Entry(
        "was not trained on all that stands before the test part, as the best trial and the base are when the sweep "
        "ends: its network was trained for the windows, on fewer rows"
    ),
    "trained-again": Entry("the trial was trained again, and {alike}", example={"alike": _ALIKE}),
}
