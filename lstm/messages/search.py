"""Messages about `search`: the space, first settings, samplers, pruners and objectives; sweeps on one page."""

from lstm.messages.entry import Entry

_ALLOWED = {"choices": None, "low": 8, "high": 256, "step": None}
_SPACE = {
    "choice-twice": Entry("lists {value:yaml} twice", "list it once", {"value": 3}),
    "condition-never-holds": Entry(
        "can never be {value:yaml}: allowed is {choices:?*}{low:?*}{high:? to *}{step:? in steps of *}",
        "use a value that can be suggested",
        _ALLOWED | {"value": 7},
    ),
    "condition-not-searched": Entry(
        "is not searched, so the condition never changes{near:?, did you mean *?}",
        "add it to search.space, or leave the condition out",
        {"near": "training.optimizer"},
    ),
    "condition-of-itself": Entry("is the condition of its own field", "leave it out"),
    "conditions-in-a-circle": Entry(
        "depends on itself through the conditions of other fields", "leave one of these conditions out"
    ),
    "confirm-more-than-trials": Entry(
        "is {top}, but the search has only n_trials: {trials}", "use {trials} or less", {"top": 5, "trials": 4}
    ),
    "no-fresh-windows": Entry(
        "can't be fresh: no windows are set aside",
        "{able:?set data.backtest.fresh to true before the sweep begins, or }use search",
        {"able": True},
    ),
    "dropout-of-one-layer": Entry(
        "would do nothing in some trials: model.num_layers can be 1, and dropout acts between layers",
        "add when: {{model.num_layers: [2, …]}}, without 1",
    ),
    "end-breaks-a-rule": Entry(
        "is {value:yaml}, with which, and the rest of the spec as it is, {field} {why}",
        "change this end of the range, or mend {field}: {how}",
        {"value": 0.5, "field": "model.dropout", "why": "would do nothing", "how": "set model.num_layers: 2 or more"},
    ),
    "end-not-valid": Entry(
        "is {value:yaml}, which is no valid {field}: {why}",
        "use a valid value",
        {"value": 0, "field": "model.hidden_size", "why": "it must be greater than or equal to 1"},
    ),
    "first-and-grid": Entry("would do nothing: the grid sampler visits every point anyway", "leave it out"),
    "first-condition-fails": Entry(
        "would do nothing: the condition of this field (when) does not hold in this setting", "leave it out"
    ),
    "first-fixed-here": Entry(
        "was searched there and is {value:yaml}, but here it is not searched and is {here:yaml}",
        "search it here, too, or leave the earlier sweep out",
        {"value": "gru", "here": "lstm"},
    ),
    "first-not-searched": Entry(
        "is not in search.space{near:?, did you mean *?}",
        "add it there, or leave it out",
        {"near": "model.hidden_size"},
    ),
    "first-sweep-itself": Entry("is this sweep itself", "name sweeps that ran before, or give this one another name"),
    "first-sweep-of-another-metric": Entry(
        "was compared by {theirs}, and this one is by {ours}: their ranks say nothing here",
        "name sweeps with the same search.metric and search.direction",
        {"theirs": "maximize val/accuracy", "ours": "minimize val/loss"},
    ),
    "first-sweep-unknown": Entry(
        "is no sweep of the home {home}{near:?, did you mean *?}",
        "name sweeps that were run in this home, or leave it out",
        {"home": "runs", "near": "sales"},
    ),
    "first-sweep-without-completed": Entry("has no completed trial yet", "run it first, or leave it out"),
    "first-outside-the-space": Entry(
        "is {value:yaml}, outside the space: allowed is {choices:?*}{low:?*}{high:? to *}{step:? in steps of *}",
        "use a value of the space, or make the space wider",
        _ALLOWED | {"value": 7},
    ),
    "high-below-low": Entry(
        "is {high:yaml}, and low is {low:yaml}", "make high larger than low", {"high": 1, "low": 10}
    ),
    "high-off-the-steps": Entry(
        "is {high:yaml}, which steps of {step:yaml} from {low:yaml} never reach",
        "use {top:yaml}",
        {"high": 100, "step": 16, "low": 8, "top": 88},
    ),
    "log-from-zero": Entry(
        "is {low:yaml}, must be above 0 on a logarithmic scale", "make low larger, or leave log out", {"low": 0}
    ),
    "log-with-step": Entry("can't be used with log: true", "leave one of them out"),
    "more-first-than-trials": Entry(
        "has {first} settings for n_trials: {trials}", "raise n_trials, or try fewer first", {"first": 5, "trials": 4}
    ),
    "sweep-named-twice": Entry("names {name!q} twice", "name each sweep once", {"name": "sales"}),
    "not-searchable": Entry(
        "can't be searched: it changes what trials are judged on",
        "leave it out{fields:?; of data these can be searched: *}",
        {"fields": ["data.lookback"]},
    ),
    "bound-too-large": Entry("is larger than any field takes", "use a smaller number"),
    "step-too-large": Entry(
        "is {step:yaml}, must be at most high - low = {span:g}", "make it smaller", {"step": 10, "span": 4}
    ),
    "step-too-small": Entry(
        "is {step:yaml}, which makes more than 1,000,000,000 values", "make it larger", {"step": 1e-12}
    ),
    "unknown-field-to-search": Entry(
        "is no field that can be searched{near:?, did you mean *?}",
        "write a field with its section, such as model.hidden_size",
        {"near": "model.hidden_size"},
    ),
}
_METHODS = {
    "direction-to-the-worst": Entry(
        "would search for the worst trial: {metric} is better when {better}",
        "use {right}",
        {"metric": "val/loss", "better": "lower", "right": "minimize"},
    ),
    "grid-of-a-range": Entry(
        "has no list of values for the grid",
        "give it a step{instead_of:? instead of *}, or choices",
        {"instead_of": "log"},
    ),
    "grid-too-large": Entry(
        "makes a grid of {size:,} combinations, {most:,} are the most",
        "take larger steps",
        {"size": 4_000_000, "most": 1_000_000},
    ),
    "keep-best-and-log-all": Entry(
        "must be all where tracking.checkpoints is all: MLflow would keep what the sweep removes",
        "set storage.keep: all, or tracking.checkpoints: best",
    ),
    "keep-best-of-a-front": Entry(
        "must be all with search.second_objective: no trial of the Pareto front is the best", "use all"
    ),
    "metric-not-probed": Entry(
        "is {metric}, and no trial has it unless every trial is probed",
        "set probe.every_trial: true",
        {"metric": "probe/reliability/noise"},
    ),
    "more-trials-than-grid": Entry(
        "is {trials}, and the grid has {size} combinations", "use {size}", {"trials": 40, "size": 12}
    ),
    "no-search": Entry("would do nothing: the spec has no search, so it is one trial", "leave it out, or add search"),
    "pruner-never-acts": Entry(
        "can never act: the pruner first decides at epoch {first}, and trials end at epoch {epochs}",
        "make it smaller, or use pruner: {{type: none}}",
        {"first": 20, "epochs": 10},
    ),
    "pruner-of-two-objectives": Entry(
        "is {pruner}, and a pruner can't compare trials by two objectives",
        "leave it out, or leave out search.second_objective",
        {"pruner": "median"},
    ),
    "sampler-with-conditions": Entry(
        "is {sampler}, which can't search a field with a condition ({field} has `when`)",
        "use tpe or random",
        {"sampler": "gp", "field": "training.momentum"},
    ),
    "search-empty": Entry("is empty", "leave it out for one training without a search, or fill it in"),
    "startup-never-ends": Entry(
        "is {startup} of n_trials: {trials}, so the {who} would never act",
        "make it smaller, or use {who}: {{type: {other}}}",
        {"startup": 20, "trials": 16, "who": "sampler", "other": "random"},
    ),
    "unit-searched": Entry(
        "changes the unit of {metric}, so trials could not be compared by it",
        "take a search.metric that is the same for all, one of {metrics}; or leave the field out of the space",
        {"metric": "val/loss", "metrics": ["val/character_nats", "val/bleu"]},
    ),
    "target-of-several-units": Entry(
        "is a value of val/loss, which has another unit in each trial: the search changes {fields}",
        "leave it out, or leave {fields} out of the search",
        {"fields": ["training.loss"]},
    ),
    "unknown-metric": Entry(
        "is {metric!q}{near:?, did you mean *?}",
        "use one of {allowed}{part:?, or of a part, as in *}",
        {"metric": "val/los", "near": "val/loss", "allowed": ["val/loss", "val/mse"], "part": "val/mse/step_1"},
    ),
}
_COMPARED = {
    "nothing-to-compare": Entry("there is no trial to compare", "run a spec first with `sweep run`"),
    "not-ranked-together": Entry(
        "the sweeps search for different things ({each})",
        "make a page for each metric and direction",
        example={"each": ["sales: minimize val/loss", "genres: maximize val/accuracy"]},
    ),
}
ENTRIES = _SPACE | _METHODS | _COMPARED
