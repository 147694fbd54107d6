"""Nodes that join later are judged by what the first worker there sees; tests/cluster/test_growing.py has real ones."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import ray.util.scheduling_strategies
from ray.tune import PlacementGroupFactory

from cluster.config import ResourcesConfig
from cluster.interrupts import Stop
from cluster.protocol import FINISHED
from cluster.ray_backend import actor as actors
from cluster.ray_backend import admission as admissions
from cluster.ray_backend import nodes, tune
from cluster.ray_backend.actor import TrialActor
from cluster.ray_backend.admission import PATIENCE, Admission, Entry, Seen, placing, see
from cluster.ray_backend.room import Growth, NodeType
from lstm.records.errors import fault
from lstm.records.goodput import NOTHING

HERE = nodes._versions()


@pytest.fixture
def on(monkeypatch):
    """Lets this process be a worker on a node, with so many GPUs of which PyTorch can use some."""

    def act(node, *, given=0, usable=0, why=""):
        here = SimpleNamespace(get_node_id=lambda: node, current_actor="the actor")
        monkeypatch.setattr(ray, "get_runtime_context", lambda: here)
        monkeypatch.setattr(ray, "get_gpu_ids", lambda: [*range(given)])
        monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.7")
        monkeypatch.setattr(admissions, "usable_gpus", lambda: (usable, why))

    return act


@pytest.fixture
def admission(monkeypatch, tmp_path):
    """Makes the admission of a sweep whose node `old` was checked; what it told, and where it cleaned up."""
    cleaned = []
    task = SimpleNamespace(options=lambda scheduling_strategy: SimpleNamespace(remote=lambda *_: None))
    monkeypatch.setattr(ray, "remote", lambda **_: lambda _: task)
    strategy = ray.util.scheduling_strategies
    monkeypatch.setattr(strategy, "NodeAffinitySchedulingStrategy", lambda node, **_: cleaned.append(node))

    def make(packages=(), *, gpus="auto"):
        told, resources = [], ResourcesConfig(gpus_per_trial=gpus)
        return Admission(["old"], str(tmp_path), packages, told.append, resources, 0.0), told, cleaned

    return make


def test_a_node_that_was_checked_is_not_looked_at(on, admission):
    made, _, _ = admission()
    on("old")
    assert see(made.entry()) is None
    assert see(None) is None, "a local Ray"


def test_a_sound_node_is_let_in_and_then_known(on, admission, tmp_path):
    made, told, cleaned = admission()
    on("new")
    seen = see(made.entry())
    assert (seen.node, seen.versions, seen.trouble, seen.lacking) == ("new", HERE, "", ())
    assert len([*tmp_path.iterdir()]) == 1
    assert made.judge(seen) == ""
    assert [*tmp_path.iterdir()] == [], "its file is gone"
    assert see(made.entry()) is None
    assert (told, cleaned, made.unfit) == ([], [], {})


def test_nodes_that_join_at_once_are_each_let_in(on, admission, tmp_path):
    """What one has written must still be there when it is judged, and is gone when its last worker was."""
    made, told, _ = admission()
    seen = []
    for node in ("one", "two", "one"):  # the last is another worker of a node that is not judged yet
        on(node)
        seen.append(see(made.entry()))
    assert [made.judge(each) for each in seen[:2]] == ["", ""]
    on("one")
    nodes.look(made.entry().checkpoints, made.entry().probe)  # a slow worker of that node
    assert (made.judge(seen[2]), told, [*tmp_path.iterdir()]) == ("", [], [])


WRONG = {
    "versions-differ": {"versions": ("3.1.0", HERE[1])},
    "checkpoints-unwritable": {"trouble": "PermissionError: no"},
    "folder-not-shared": {},
    "packages-missing": {"lacking": ("einops",)},
}


@pytest.mark.parametrize("code", WRONG)
def test_what_is_wrong_with_a_node_is_told_once_and_no_trial_is_placed_there(admission, tmp_path, code):
    made, told, cleaned = admission(packages=["einops"])
    given = {"versions": HERE, "trouble": "", "lacking": ()} | WRONG[code]
    if code != "folder-not-shared":
        Path(tmp_path, f"{made.entry().probe}-new").touch()
    seen = Seen("new", "10.0.0.7 (host7)", gpus=(0, 0, ""), **given)
    why = made.judge(seen)
    assert why
    assert made.judge(seen) == why
    [only] = told
    assert (only.code, only.place) == ("node-left-out", "10.0.0.7 (host7)")
    assert only.values["why"] == why
    assert only.values["mend"]
    assert (cleaned, [*made.unfit]) == (["new"], ["new"])
    order = {"nodes": made.entry()}
    takes = placing({"cpu": 2, "gpu": 0.5})
    elsewhere = [{"ray.io/node-id": "!in(new)"}]
    assert takes(order) == PlacementGroupFactory([{"CPU": 2, "GPU": 0.5}], bundle_label_selector=elsewhere)


@pytest.mark.parametrize("order", [{}, {"nodes": Entry(("old",), (), "", "", ())}])
def test_a_trial_may_be_placed_on_any_node_that_nothing_is_wrong_with(order):
    assert placing({"cpu": 1, "gpu": 0.0})(order) == PlacementGroupFactory([{"CPU": 1}])


def test_gpus_that_can_not_be_used(on, admission):
    made, told, _ = admission(gpus=1)
    on("new", given=1, usable=0, why="a build for the CPU")
    assert "a build for the CPU" in made.judge(see(made.entry()))
    assert [each.code for each in told] == ["node-left-out"]
    made, told, _ = admission()
    assert made.judge(see(made.entry())) == ""
    assert [each.code for each in told] == ["gpus-unused"]


def test_after_several_useless_nodes_in_a_row_no_more_are_asked_for(admission):
    made, told, _ = admission()

    def judge(node, versions):
        Path(made.entry().checkpoints, f"{made.entry().probe}-{node}").touch()
        made.judge(Seen(node, node, versions, "", (), (0, 0, "")))
        return made.is_hopeless

    assert not any(judge(f"bad{n}", ("3.1.0", HERE[1])) for n in range(PATIENCE - 1))
    assert not judge("good", HERE)
    assert [judge(f"bad{n}", ("3.1.0", HERE[1])) for n in range(10, 10 + PATIENCE)] == [False] * (PATIENCE - 1) + [True]
    assert told[-1].code == "no-more-nodes-asked"


def test_room_on_nodes_that_are_left_out_does_not_count(admission, monkeypatch):
    made, _, _ = admission()
    made.unfit["bad"] = "why"
    rows = [{"Alive": True, "NodeID": id_, "Resources": {"CPU": 2.0}} for id_ in ("old", "bad")]
    monkeypatch.setattr(ray, "nodes", lambda: rows)
    assert made.slots() == 2


# --- the worker, and what the driver does with its word


class Noting:
    def __init__(self, *_, **__):
        self.told = []

    def __getattr__(self, name):
        return lambda *order: self.told.append((name, *order)) or {"epochs": (), "done": False}


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(actors, "TrialWorker", Noting)
    made = TrialActor.__new__(TrialActor)
    made.setup({"number": 0, "nodes": "entry"}, "the series")
    return made


@pytest.fixture
def unknown(monkeypatch):
    seen = Seen("new", "host", HERE, "", (), (0, 0, ""))
    monkeypatch.setattr(actors, "see", lambda _: seen)
    return seen


def test_a_worker_reports_an_unknown_node_before_it_begins_its_trial(unknown, worker):
    assert worker.step() == {"node": unknown, "epochs": (), "done": False}
    assert worker._worker.told == []
    worker.step(), worker.step()
    assert worker._worker.told == [("begin", {"number": 0, "nodes": "entry"}), ("step",), ("step",)]
    assert worker.reset_config({"number": 1})
    assert worker._worker.told[-1] == ("take", {"number": 1})


def test_a_trial_that_ends_before_it_began_leaves_its_worker_to_the_next(unknown, worker):
    worker.step()
    assert worker.reset_config({"number": 1})
    worker.step()
    assert worker._worker.told == [("begin", {"number": 1}), ("step",)]


@pytest.mark.parametrize("why", ["", "has torch 1.0"])
def test_a_worker_on_a_useless_node_is_ended_and_its_trial_tried_elsewhere(monkeypatch, unknown, why):
    results, killed = [], []
    queue = SimpleNamespace(count=1)
    controller = SimpleNamespace(result=lambda *given: results.append(given), queue=queue)
    monkeypatch.setattr(actors.ActorHandle, "kill", lambda handle: killed.append(handle.actor))
    unknown.actor.append("the actor")
    judged = SimpleNamespace(judge=lambda _: why)
    told = {"node": unknown, "epochs": (), "done": False}
    scheduler = tune.StudyScheduler(controller, judged)
    trial, inner = SimpleNamespace(trial_id="a"), SimpleNamespace(_actor_cache=SimpleNamespace())
    assert scheduler.on_trial_result(inner, trial, told) == "CONTINUE"
    assert unknown.actor == []
    if not why:
        assert (results, killed) == ([], [])
        return
    [(named, result)] = results
    assert (named, result["failure"].kind, killed) == ("a", "node", ["the actor"])
    assert result["failure"].text == "host: has torch 1.0"


def test_idle_workers_are_let_go_as_soon_as_no_trial_waits_for_one(unknown):
    queue = SimpleNamespace(count=1)
    controller = SimpleNamespace(result=lambda *_: True, queue=queue)
    inner, cache = SimpleNamespace(_actor_cache=None), SimpleNamespace(_may_keep_one=True)
    inner._actor_cache = cache
    scheduler = tune.StudyScheduler(controller, SimpleNamespace())
    trial = SimpleNamespace(trial_id="a")
    assert scheduler.on_trial_result(inner, trial, {"spent": NOTHING}) == "STOP"
    assert cache._may_keep_one
    queue.count = 0
    scheduler.on_trial_complete(inner, trial, {})
    assert not cache._may_keep_one
    cache._may_keep_one = True
    tune.StudyScheduler(controller).on_trial_complete(inner, trial, {})
    assert cache._may_keep_one, "a local Ray has one node, which nobody waits for"


def test_each_order_says_which_nodes_are_known(admission):
    made, _, _ = admission()
    controller = SimpleNamespace(suggest=lambda _: {"number": 0})
    assert tune.StudySearcher(controller, made).suggest("a") == {"number": 0, "nodes": made.entry()}
    assert tune.StudySearcher(controller).suggest("a") == {"number": 0}
    controller.suggest = lambda _: FINISHED
    assert tune.StudySearcher(controller, made).suggest("a") == tune.Searcher.FINISHED


def test_a_silent_node_of_a_cluster_that_grows_is_left_for_later_if_another_answers():
    late, wrong = fault("node-silent", at="a", seconds=90.0), fault("versions-differ", at="b")
    assert nodes._told([("a", late)], None, 2) == [late], "a cluster that can't grow"
    assert nodes._told([("a", late), ("b", late)], silent := set(), 2) == [late, late]
    assert silent == set()
    assert nodes._told([("a", late), ("b", wrong)], silent, 3) == [wrong]
    assert silent == {"a"}


def test_only_nodes_that_were_checked_count_as_such(monkeypatch, tmp_path):
    rows = [{"Alive": True, "NodeID": id_, "NodeManagerAddress": id_, "Resources": {"CPU": 1.0}} for id_ in "ab"]

    def check(_, there, folder, silent):
        rows.append({**rows[0], "NodeID": "c"})  # it joins meanwhile
        silent.add("b")

    monkeypatch.setattr(ray, "nodes", lambda: rows)
    monkeypatch.setattr(nodes, "_check_nodes", check)
    grows = Growth((NodeType("small", 1, 0, 3),), 3)
    assert nodes.check(ray, "auto", ResourcesConfig(), str(tmp_path), (), grows).nodes == ("a",)


@pytest.mark.parametrize(("live", "slots", "given"), [(1, 2, {"number": 0}), (2, 2, None), (0, 0, "FINISHED")])
def test_where_new_nodes_are_of_no_use_no_trial_waits_for_one(live, slots, given):
    stop = Stop()

    def suggest(_):
        return FINISHED if stop.reason else {"number": 0}

    running = {str(n): SimpleNamespace(ended=False) for n in range(live)}
    controller = SimpleNamespace(suggest=suggest, live=running, stop=stop)
    hopeless = SimpleNamespace(is_hopeless=True, slots=lambda: slots, entry=lambda: "entry")
    found = tune.StudySearcher(controller, hopeless).suggest("a")
    assert found == (given and (tune.Searcher.FINISHED if given == "FINISHED" else given | {"nodes": "entry"}))
    assert (stop.code, "no node is left" in stop.reason) == ((1, True) if not slots else (0, False))
