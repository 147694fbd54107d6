import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.training import TrainingConfig
from lstm.config.trial import faults
from lstm.rivals.forecast import naive_metrics
from lstm.tasks.networks import forecast
from lstm.tasks.networks.forecast import Windows, build, evaluate
from lstm.tasks.registry import parameter_count
from lstm.training import estimates, loop, optimizers
from lstm.training.estimates import memory_bytes, seconds_per_epoch
from lstm.training.loop import train
from lstm.training.run import copied

RECIPES = {
    "lstm with dropout": ({"num_layers": 2, "dropout": 0.4}, {}),
    "rnn": ({"cell": "rnn"}, {}),
    "vanilla, chrono": ({"variant": "vanilla", "forget_bias": "chrono", "num_layers": 2, "dropout": 0.4}, {}),
    "full gate recurrence": ({"variant": "full_gate_recurrence", "bidirectional": True}, {}),
    "coupled gates in bfloat16": ({"variant": "coupled_gates"}, {"precision": "bfloat16"}),
    "lstm both ways": ({"bidirectional": True, "forget_bias": 1.0}, {}),
    "gru": ({"cell": "gru"}, {"optimizer": "adam", "weight_decay": 0.01}),
    "sgd with momentum": ({}, {"optimizer": "sgd", "momentum": 0.9}),
    "adamw and cosine": ({}, {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine"}),
    "plateau": ({}, {"schedule": "plateau", "schedule_patience": 0, "schedule_gamma": 0.1, "learning_rate": 1.0}),
    "linear schedule": ({}, {"schedule": "linear"}),
    "exponential": ({}, {"schedule": "exponential", "schedule_gamma": 0.7}),
    "steps across passes": ({"num_layers": 2, "dropout": 0.4}, {"steps_per_epoch": 3}),
    "linear": ({"residual": "linear", "num_layers": 2, "dropout": 0.4}, {"weight_decay": 0.1, "optimizer": "adamw"}),
    "less than a pass": ({}, {"steps_per_epoch": 1}),
    "warm-up and noise": ({"num_layers": 2}, {"warmup_steps": 3, "input_noise": 0.5}),
    "evolution": ({}, {"method": "evolution", "population": 2, "reward": "mae", "fitness_share": 0.7}),
    "bfloat16": ({"num_layers": 2, "dropout": 0.4}, {"precision": "bfloat16"}),
}


@pytest.fixture(params=RECIPES.values(), ids=RECIPES)
def recipe(request, trial_config):
    model, options = request.param
    return trial_config({"future_covariates": ["f"]}, model, options)


@pytest.fixture(scope="module")
def whole(series_of, walk):
    """The epochs of a recipe, trained once; look, don't touch."""
    known = {}

    def whole(recipe):
        key = recipe.model_dump_json()
        if key not in known:
            known[key] = list(train(recipe, series_of(recipe.data, walk(120, 2))))
        return known[key]

    return whole


@pytest.fixture
def scripted(monkeypatch):
    """Lets the validation losses of the coming epochs be said beforehand."""

    def say(*losses):
        coming = iter(losses)
        monkeypatch.setattr(forecast, "evaluate", lambda *_: {"loss": next(coming), "mae": 0.0, "mase": 0.0})

    return say


def same(one, other):
    """Whether two trees of tensors and values are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def measured(epoch):
    return {name: value for name, value in epoch.metrics.items() if name != "epoch_s"}


# --- To the bit -------------------------------------------------------------------------------------------


def test_resumed_after_any_epoch_it_goes_on_to_the_bit(recipe, series_of, walk, whole):
    series = series_of(recipe.data, walk(120, 2))
    whole = whole(recipe)
    assert len(whole) == 4
    assert len({epoch.metrics["train/loss"] for epoch in whole}) == 4
    for stood in whole[:-1]:
        saved = loads(dumps(Checkpoint(recipe, asdict(series.facts), stood.state)))
        rest = list(train(recipe, series, saved.state))
        assert [e.number for e in rest] == list(range(stood.number + 1, 5))
        for found, wanted in zip(rest, whole[stood.number :], strict=True):
            assert measured(found) == measured(wanted)
            assert (found.value, found.stop) == (wanted.value, wanted.stop)
            for part in ("model", "optimizer", "schedule", "best_weights", "best_epoch", "best_value"):
                assert same(getattr(found.state, part), getattr(wanted.state, part)), part
            assert [measured(e) for e in found.state.history] == [measured(e) for e in whole[: found.number]]


def test_a_state_can_be_resumed_from_twice(recipe, series_of, walk, whole):
    series = series_of(recipe.data, walk(120, 2))
    first = next(train(recipe, series)).state
    before = copied(first.optimizer)
    next(train(recipe, series, first))
    assert same(first.optimizer, before)
    assert [measured(e) for e in train(recipe, series, first)] == [measured(e) for e in whole(recipe)[1:]]


def test_states_of_earlier_epochs_do_not_change_as_training_goes_on(recipe, series_of, walk):
    epochs = train(recipe, series_of(recipe.data, walk(120, 2)))
    first = next(epochs).state
    before = copied([first.model, first.optimizer, first.schedule, first.best_weights])
    next(epochs)
    assert same([first.model, first.optimizer, first.schedule, first.best_weights], before)


def test_one_seed_gives_one_training_and_another_another(recipe, series_of, walk, whole):
    series = series_of(recipe.data, walk(120, 2))
    other = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": 2})})
    first, again, different = whole(recipe), list(train(recipe, series)), list(train(other, series))
    assert [measured(e) for e in first] == [measured(e) for e in again]
    assert same(first[-1].state.model, again[-1].state.model)
    assert all(a.value != b.value for a, b in zip(first, different, strict=True))


def test_trainings_that_take_turns_do_not_touch_each_other(trial_config, series_of, walk):
    config = trial_config({}, {"num_layers": 2, "dropout": 0.4})
    series = series_of(config.data, walk(120))
    alone = [measured(e) for e in train(config, series)]
    turns = list(zip(train(config, series), train(config, series), strict=True))
    assert [measured(a) for a, _ in turns] == [measured(b) for _, b in turns] == alone


def test_each_pass_sees_every_window_once_in_another_order(trial_config, series_of, walk):
    config = trial_config(training={"steps_per_epoch": 3, "batch_size": 25})
    series = series_of(config.data, walk(120))
    run = loop.Run(config, series, "cpu")
    assert run.feed.items == 62  # three batches of 25, 25 and 12 are a pass
    passes = [torch.cat(list(run.batches(number))).tolist() for number in (1, 2)]
    assert passes[0] != passes[1]
    assert sorted(passes[0]) == sorted(passes[1]) == series.train_origins(config.data).tolist()
    run.steps_per_epoch = 2  # epochs that a pass is no multiple of leave nothing out
    batches = [batch for number in (1, 2, 3) for batch in run.batches(number)]
    assert [len(batch) for batch in batches] == [25, 25, 12] * 2
    assert torch.cat(batches).tolist() == passes[0] + passes[1]


def test_the_warm_up_builds_the_state_and_no_gradient(trial_config, series_of, walk):
    plain, warm = (trial_config(training={"warmup_steps": steps}) for steps in (0, 5))
    series = series_of(plain.data, walk(120))
    torch.manual_seed(1)
    whole = build(plain, series)
    network = build(warm, series)
    network.load_state_dict(whole.state_dict())
    past = torch.randn(4, 8, 1, requires_grad=True)
    ahead = torch.zeros(4, 3, 0)
    torch.testing.assert_close(network(past, ahead), whole(past, ahead))
    network(past, ahead).square().sum().backward()
    assert (past.grad[:, :5] == 0).all()
    assert (past.grad[:, 5:] != 0).all()


def test_a_warm_up_leaves_a_step_of_the_shortest_look_back_that_a_search_draws(trial_config, series_of, walk):
    config = trial_config({"lookback": 4}, training={"warmup_steps": 30, "max_epochs": 1})
    (epoch,) = train(config, series_of(config.data, walk(120), reach=40))
    assert np.isfinite(epoch.value)


def test_noise_is_in_training_alone_and_as_large_as_asked_for(trial_config, series_of, walk):
    config = trial_config(training={"input_noise": 0.3})
    series = series_of(config.data, walk(120))
    feed, seen = forecast.Feed(series, config, "cpu"), []

    class Spy(torch.nn.Module):
        def forward(self, past, ahead):
            seen.append(past)
            return torch.zeros(len(past), 3, 1)

    torch.manual_seed(1)
    origins = torch.from_numpy(series.train_origins(config.data))
    feed.loss(Spy(), origins)
    feed.loss(Spy(), origins)
    clean, _, _ = Windows(series, config.data, "cpu").at(origins)
    noise = [past - clean for past in seen]
    assert noise[0].std().item() == pytest.approx(0.3, rel=0.1)
    assert not torch.equal(*noise), "drawn anew"
    network, quiet = build(config, series), trial_config()
    known = forecast.Feed(series, quiet, "cpu").evaluate(network, "validation")
    assert feed.evaluate(network, "validation") == known


# --- Stopping ---------------------------------------------------------------------------------------------


def test_it_ends_at_max_epochs(trial_config, series_of, walk):
    config = trial_config()
    epochs = list(train(config, series_of(config.data, walk(120))))
    assert [e.stop for e in epochs] == [None, None, None, "max_epochs"]
    assert [e.number for e in epochs] == [1, 2, 3, 4]


def test_it_ends_when_nothing_gets_better(trial_config, series_of, walk, scripted):
    scripted(3.0, 2.0, 2.5, 2.0, 1.0)
    config = trial_config(training={"patience": 2, "max_epochs": 9})
    epochs = list(train(config, series_of(config.data, walk(120))))
    assert [e.stop for e in epochs] == [None, None, None, "patience"]
    assert (epochs[-1].state.best_epoch, epochs[-1].state.best_value) == (2, 2.0)


def test_patience_starts_anew_at_each_better_value(trial_config, series_of, walk, scripted):
    scripted(3.0, 3.5, 2.0, 2.5, 1.0, 1.5, 1.5)
    config = trial_config(training={"patience": 2, "max_epochs": 9})
    assert [e.stop for e in train(config, series_of(config.data, walk(120)))] == [None] * 6 + ["patience"]


def test_it_ends_at_the_target_loss(trial_config, series_of, walk, scripted):
    scripted(3.0, 0.5, 0.1)
    config = trial_config(training={"target_loss": 0.5})
    assert [e.stop for e in train(config, series_of(config.data, walk(120)))] == [None, "target_loss"]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_it_as_diverged(trial_config, series_of, walk, scripted, loss):
    scripted(3.0, loss)
    config = trial_config(training={"patience": 1, "target_loss": 1.0})
    epochs = list(train(config, series_of(config.data, walk(120))))
    assert [e.stop for e in epochs] == [None, "diverged"]
    assert epochs[-1].state.best_epoch == 1


def test_a_learning_rate_far_too_high_diverges(trial_config, series_of, walk):
    config = trial_config(training={"optimizer": "sgd", "gradient_clip": None, "max_epochs": 50})
    wild = config.training.model_copy(update={"learning_rate": 1e4})  # beyond what a spec may say
    config = config.model_copy(update={"training": wild})
    epochs = list(train(config, series_of(config.data, walk(120))))
    assert epochs[-1].stop == "diverged"
    assert len(epochs) < 50
    assert np.isfinite(epochs[-1].state.best_value) == (epochs[-1].state.best_epoch > 0)


def test_infinite_data_diverge_at_once_and_leave_no_best_weights(trial_config, series_of, walk):
    config = trial_config()
    series = series_of(config.data, walk(120))
    values = series.values.copy()
    values[10] = np.inf
    [epoch] = train(config, replace(series, values=values))
    assert epoch.stop == "diverged"
    assert epoch.state.best_epoch == 0
    assert epoch.state.best_weights == {}


def test_a_training_that_has_ended_does_not_go_on(trial_config, series_of, walk):
    config = trial_config()
    series = series_of(config.data, walk(120))
    [*_, last] = train(config, series)
    assert list(train(config, series, last.state)) == []


def test_whoever_iterates_may_stop_at_any_time(trial_config, series_of, walk):
    config = trial_config()
    epochs = train(config, series_of(config.data, walk(120)))
    next(epochs)
    epochs.close()
    assert list(epochs) == []


# --- The best epoch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["val/loss", "val/mase", "val/mae_original"])
def test_the_best_epochs_weights_give_the_best_value(trial_config, series_of, walk, metric):
    config = trial_config(training={"learning_rate": 0.5, "max_epochs": 8}, metric=metric)
    series = series_of(config.data, walk(120))
    epochs = list(train(config, series))
    state = epochs[-1].state
    assert state.best_value == min(e.value for e in epochs) == epochs[state.best_epoch - 1].metrics[metric]
    assert state.best_epoch < 8  # else the last weights would do as well
    network = build(config, series)
    network.load_state_dict(state.best_weights)
    found = evaluate(network, Windows(series, config.data, "cpu"), series, config.data, "validation")
    assert found[metric.removeprefix("val/")] == state.best_value


def test_the_best_epoch_is_the_highest_where_more_is_better(trial_config, series_of, walk, scripted):
    scripted(1.0, 3.0, 2.0, 2.5)
    config = trial_config(direction="maximize")
    assert list(train(config, series_of(config.data, walk(120))))[-1].state.best_epoch == 2


# --- Steps ------------------------------------------------------------------------------------------------


def step_sizes(config, series):
    """The gradient's norm of the second step, and how far it moved the weights."""
    first, second = train(config, series)
    moved = [second.state.model[k] - first.state.model[k] for k in first.state.model]
    return second.metrics["grad_norm"], torch.cat([m.flatten() for m in moved]).norm().item()


def test_clipping_bounds_the_step_and_tells_the_norm_before(trial_config, series_of, walk):
    steps = {"optimizer": "sgd", "learning_rate": 1.0, "steps_per_epoch": 1, "max_epochs": 2}
    free = trial_config(training=steps | {"gradient_clip": None})
    series = series_of(free.data, walk(120))
    norm, moved = step_sizes(free, series)
    assert moved == pytest.approx(norm, rel=1e-4)
    norm, moved = step_sizes(trial_config(training=steps | {"gradient_clip": 0.01}), series)
    assert moved == pytest.approx(0.01, rel=1e-3)
    assert norm > 0.05


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, [0.1, 0.1, 0.1, 0.1]),
        ({"schedule": "exponential", "schedule_gamma": 0.5}, [0.1, 0.05, 0.025, 0.0125]),
        ({"schedule": "exponential"}, [0.1, 0.095, 0.09025, 0.0857375]),
        ({"schedule": "cosine"}, [0.1 * (1 + np.cos(np.pi * i / 4)) / 2 for i in range(4)]),
        ({"schedule": "linear"}, [0.1, 0.075, 0.05, 0.025]),
        ({"schedule": "plateau", "schedule_patience": 0, "schedule_gamma": 0.1}, [0.1, 0.1, 0.01, 0.001]),
    ],
)
def test_the_learning_rate_follows_its_schedule(trial_config, series_of, walk, scripted, options, rates):
    scripted(1.0, 2.0, 3.0, 4.0)
    config = trial_config(training={"learning_rate": 0.1} | options)
    found = [e.metrics["lr"] for e in train(config, series_of(config.data, walk(120)))]
    assert found == pytest.approx(rates)


@pytest.mark.parametrize("patience", [0, 1, 3, None])
def test_plateau_lowers_the_rate_within_the_epochs_where_its_rule_says_so(patience):
    own = {"schedule": "plateau"} | ({} if patience is None else {"schedule_patience": patience})
    for epochs in range(1, 9):
        made = TrainingConfig(**own, learning_rate=0.1, max_epochs=epochs)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule, rates = optimizers.schedule_of(made, optimizer), []
        for _ in range(epochs):
            rates.append(optimizer.param_groups[0]["lr"])
            schedule.step(1.0)  # never better
        acts = 3 if patience is None else patience  # the default, as the field's sentence says
        assert (rates[-1] < 0.1) == (epochs >= acts + 3)
        idle = [fault for fault in faults(None, None, made) if fault.path == "training.schedule_patience"]
        assert bool(idle) == (patience is not None and epochs < acts + 3)


def test_bfloat16_trains_near_to_float32_with_weights_in_float32(trial_config, series_of, walk):
    config = trial_config(training={"precision": "bfloat16"})
    series = series_of(config.data, walk(120))
    rough, exact = list(train(config, series)), list(train(trial_config(), series))
    assert rough[-1].metrics["train/loss"] != exact[-1].metrics["train/loss"]
    assert rough[-1].metrics["train/loss"] == pytest.approx(exact[-1].metrics["train/loss"], rel=0.05)
    assert all(weight.dtype == torch.float32 for weight in rough[-1].state.model.values())


def test_the_loss_of_a_window_is_the_mean_over_the_windows(trial_config, series_of, walk):
    config = trial_config(training={"optimizer": "sgd", "learning_rate": 1e-10, "max_epochs": 2})
    series = series_of(config.data, walk(120))
    first, second = train(config, series)
    network = build(config, series)
    network.load_state_dict(first.state.model)
    past, ahead, target = Windows(series, config.data, "cpu").at(torch.from_numpy(series.train_origins(config.data)))
    with torch.no_grad():
        wanted = (network(past, ahead) - target).square().mean().item()
    assert second.metrics["train/loss"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("model", [{"cell": "lstm"}, {"cell": "gru"}, {"variant": "vanilla"}], ids=str)
def test_it_learns_a_wave_that_the_naive_forecast_misses(trial_config, series_of, model):
    wave = np.sin(2 * np.pi * np.arange(500) / 17.3) * 40 + 1000
    options = {"max_epochs": 15, "learning_rate": 0.02}
    config = trial_config({"lookback": 18, "horizon": 6}, model | {"hidden_size": 12}, options)
    series = series_of(config.data, wave)
    [*_, last] = train(config, series)
    assert last.state.best_value < 0.1 * naive_metrics(series, config.data, "validation")["loss"]
    assert last.state.best_value < 0.05  # forecasting the mean gives 1


# --- Estimates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps_per_epoch", [None, 1, 1000])
def test_an_epochs_time_is_estimated_from_a_few_steps(trial_config, series_of, walk, monkeypatch, steps_per_epoch):
    clock = SimpleNamespace(now=0.0)
    step = loop.Run.step

    def slow(run, origins):
        clock.now += 0.1
        return step(run, origins)

    monkeypatch.setattr(loop.Run, "step", slow)
    monkeypatch.setattr(estimates, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    config = trial_config(training={"steps_per_epoch": steps_per_epoch})
    series = series_of(config.data, walk(120))
    found = seconds_per_epoch(config, series)
    assert found == pytest.approx(0.1 * (steps_per_epoch or 2))  # 62 windows are two batches of 32
    assert clock.now == pytest.approx(0.5)


def test_memory_holds_the_weights_the_series_and_what_a_batch_leaves(trial_config, series_of, walk):
    config = trial_config()
    series = series_of(config.data, walk(120))
    small = memory_bytes(config, series)
    assert small > 4 * 5 * parameter_count(config, series) + series.values.nbytes
    for larger in (
        trial_config({"lookback": 30}),
        trial_config(model={"hidden_size": 64}),
        trial_config(model={"num_layers": 4}),
        trial_config(model={"bidirectional": True}),
        trial_config(training={"batch_size": 64}),
    ):
        assert memory_bytes(larger, series) > small


def test_variants_keep_more_than_torchs_own(trial_config, series_of, walk):
    config = trial_config()
    series = series_of(config.data, walk(120))
    wide = [{"hidden_size": 64} | more for more in ({}, {"variant": "vanilla"}, {"variant": "full_gate_recurrence"})]
    few, more, most = (memory_bytes(trial_config(model=model, training={"batch_size": 4096}), series) for model in wide)
    assert few < more < most


@pytest.mark.faults  # in each run of the tests tests/cluster/ray_backend/test_actor.py holds it of a worker
def test_training_imports_no_compiler(trial_config, series_of, walk):
    config = trial_config({}, {}, {"schedule": "plateau", "max_epochs": 1})
    series = series_of(config.data, walk(120))
    code = (
        "import pickle, sys; from lstm.training.loop import train; config, series = pickle.load(sys.stdin.buffer); "
        "list(train(config, series, None, device='cpu')); sys.exit('torch._dynamo' in sys.modules)"
    )
    work = pickle.dumps((config, series))
    subprocess.run([sys.executable, "-c", code], input=work, timeout=300, check=True)
