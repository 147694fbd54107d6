"""What is asked of an autoscaler, with a small fake of the cluster; tests/cluster/test_growing.py has a real one."""

import time
from types import SimpleNamespace

import pytest
import ray
from ray.tune.execution.tune_controller import TrialRunnerWrapper
from ray.tune.utils.object_cache import _ObjectCache

from cluster.config import ResourcesConfig
from cluster.executors.executor import limit
from cluster.interrupts import Stop
from cluster.ray_backend import demand, private_patches, tune
from cluster.ray_backend.admission import Admission
from cluster.ray_backend.demand import Demand, Waiting, kept_asking, most_at_once, room_awaited
from cluster.ray_backend.room import NO_BOUND, Growth, NodeType
from lstm.records.errors import BadInput

SMALL = Growth((NodeType("small", 2, 0, 3),), 8)


class Cluster:
    """A cluster of nodes with two CPUs, by their ids, and the placement groups that wait for it."""

    def __init__(self, *ids):
        self.ids, self.asked, self.head = list(ids), [], {"CPU": 0.0}
        self.on_look = lambda: None

    def nodes(self):
        head = {"Alive": True, "NodeID": "head", "Resources": self.head}
        gone = {"Alive": False, "NodeID": "gone", "Resources": {"CPU": 2.0}}
        return [head, gone, *({"Alive": True, "NodeID": id_, "Resources": {"CPU": 2.0}} for id_ in self.ids)]

    def place(self, bundles, bundle_label_selector=None):
        made = SimpleNamespace(bundles=bundles, where=bundle_label_selector)
        self.asked.append(made)
        return made


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(ray, "nodes", made.nodes)
    monkeypatch.setattr(ray.util, "placement_group", made.place)
    monkeypatch.setattr(ray.util, "remove_placement_group", made.asked.remove)

    def sleep(_):
        made.on_look()

    monkeypatch.setattr(demand, "time", SimpleNamespace(sleep=sleep))
    return made


def test_places_are_asked_for_elsewhere_than_on_the_known_nodes(cluster):
    asks = Demand(ray, 2, 0.5)
    asks.ask(3)
    assert [each.bundles for each in cluster.asked] == [[{"CPU": 2.0, "GPU": 0.5}]] * 3
    assert cluster.asked[0].where == [{"ray.io/node-id": "!in(head)"}]
    asks.ask(2)
    assert len(cluster.asked) == 2
    cluster.ids.append("a")
    before = [*cluster.asked]
    asks.ask(2)
    assert not any(each in before for each in cluster.asked), "they might be on the new node"
    assert {each.where[0]["ray.io/node-id"] for each in cluster.asked} == {"!in(a,head)"}
    asks.ask(-3)
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("growth", "asked", "most"),
    [(SMALL, "auto", 6), (SMALL, 4, 4), (SMALL, 99, 6), (Growth((), NO_BOUND, "no"), "auto", 12)],
)
def test_the_most_trials_at_once(cluster, growth, asked, most):
    cluster.ids.append("a")
    assert most_at_once(ray, ResourcesConfig(max_concurrent=asked), 0.0, growth) == most


def test_the_first_node_is_waited_for_and_held_while_it_is_checked(cluster):
    told, looks = [], []

    def look():
        looks.append(len(cluster.asked))
        if len(looks) == 3:
            cluster.ids.append("a")

    cluster.on_look = look
    waiting = Waiting(lambda: 5, told.append, Stop())
    with room_awaited(ray, ResourcesConfig(), SMALL, waiting, "a:1"):
        assert (looks, len(cluster.asked)) == ([5, 5, 5], 5)
    assert cluster.asked == []
    [only] = told
    assert (only.code, only.place, only.values["places"]) == ("node-awaited", "--address a:1", 5)
    assert only.values["types"] == ["small with 2 CPUs"]


def test_where_there_is_room_nothing_is_asked_or_told(cluster):
    cluster.ids.append("a")
    with room_awaited(ray, ResourcesConfig(), SMALL, Waiting(lambda: 5, pytest.fail, Stop()), ""):
        assert cluster.asked == []


@pytest.mark.parametrize("resources", [{"cpus_per_trial": 3}, {"gpus_per_trial": 1}])
def test_what_no_type_can_give_is_refused_with_what_there_is(cluster, resources):
    waiting = Waiting(lambda: 5, pytest.fail, Stop())
    with (
        pytest.raises(BadInput) as refused,
        room_awaited(ray, ResourcesConfig(**resources), SMALL, waiting, ""),
    ):
        pytest.fail("went on")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.path, refused.value.code) == ("trial-fits-no-node-type", "resources", 2)
    assert wrong.values["types"] == ["small with 2 CPUs"]
    assert "small with 2 CPUs" in wrong.text
    assert cluster.asked == []


@pytest.mark.parametrize(("why", "code"), [("interrupted", 130), ("the head is gone", 1)])
def test_the_wait_can_be_ended(cluster, why, code):
    stop = Stop()
    cluster.on_look = lambda: stop.now(why, code)
    with (
        pytest.raises(BadInput) as refused,
        room_awaited(ray, ResourcesConfig(), SMALL, Waiting(lambda: 5, lambda _: None, stop), "a:1"),
    ):
        pytest.fail("went on")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.values, refused.value.code) == ("wait-for-node-ended", {"why": why}, code)
    assert cluster.asked == []


def test_an_auto_trial_takes_a_gpu_where_a_type_has_one(cluster):
    large = Growth((NodeType("large", 8, 1, 2),), 8)
    told = []
    cluster.on_look = lambda: cluster.head.update(CPU=8.0, GPU=1.0)
    with room_awaited(ray, ResourcesConfig(), large, Waiting(lambda: 5, told.append, Stop()), ""):
        assert cluster.asked[0].bundles == [{"CPU": 1.0, "GPU": 1.0}]
    assert told[0].values["places"] == 2


def test_it_is_asked_again_and_again_and_for_nothing_at_the_end(cluster):
    counts = iter([RuntimeError("changed"), 4, 1])
    seen = []

    def missing():
        seen.append(len(cluster.asked))
        given = next(counts, 1)
        if isinstance(given, Exception):
            raise given
        return given

    monkey = pytest.MonkeyPatch()
    monkey.setattr(demand, "LOOK_S", 0.001)
    with monkey.context(), kept_asking(Demand(ray, 1, 0.0), missing):
        end = time.monotonic() + 30
        while len(seen) < 4 and time.monotonic() < end:
            pass
    monkey.undo()
    assert seen[:4] == [0, 0, 4, 1]
    assert cluster.asked == []


def attempts(*ended):
    return {str(n): SimpleNamespace(ended=each) for n, each in enumerate(ended)}


@pytest.mark.parametrize(
    ("nodes", "ended", "waiting", "resources", "missing"),
    [
        ([], (), 10, {}, 6),  # as many as the types have room for
        (["a"], (False, False), 10, {}, 4),
        (["a"], (False, False, False), 10, {}, 3),  # the third one asks for its own place
        (["a"], (False, True), 0, {}, -1),
        (["a"], (False, False), 1, {}, 1),  # no more than there are trials
        (["a"], (False, False), 10, {"max_concurrent": 3}, 1),
        (["a", "b"], (False,), 0, {}, -3),  # as trials run out nothing is asked for
    ],
)
def test_what_is_missing(cluster, monkeypatch, nodes, ended, waiting, resources, missing):
    asked = []
    monkeypatch.setattr(tune, "kept_asking", lambda _, counts: asked.append(counts()))
    cluster.ids += nodes
    controller = SimpleNamespace(live=attempts(*ended), queue=SimpleNamespace(count=waiting))
    admission = Admission(["a"], "", (), print, ResourcesConfig(), 0.0)
    tune._growing(controller, tune.Place(ResourcesConfig(**resources), 0.0, admission, SMALL))
    assert asked == [missing]


def test_nothing_is_asked_for_where_the_nodes_that_come_are_of_no_use(cluster, monkeypatch):
    asked = []
    monkeypatch.setattr(tune, "kept_asking", lambda _, counts: asked.append(counts()))
    controller = SimpleNamespace(live={}, queue=SimpleNamespace(count=9))
    hopeless = SimpleNamespace(is_hopeless=True)
    tune._growing(controller, tune.Place(ResourcesConfig(), 0.0, hopeless, SMALL))
    assert asked == [0]


@pytest.mark.parametrize(("fixed", "limits"), [("auto", [1, 3, 18]), (2, [1, 2, 2])])
def test_no_more_is_suggested_than_there_is_room_for_while_a_place_grows(monkeypatch, fixed, limits):
    clock, slots = SimpleNamespace(s=0.0), SimpleNamespace(n=0)
    monkeypatch.setattr("cluster.executors.executor.time", SimpleNamespace(monotonic=lambda: clock.s))
    place = SimpleNamespace(grows=True, slots=lambda: slots.n)
    now = limit(ResourcesConfig(max_concurrent=fixed), place)
    found = []
    for slots.n in (0, 2, 16):
        clock.s += 1.5
        found.append(now())
    assert found == limits


# --- while this passes, the patch fits the Ray that is installed


def test_tune_keeps_an_idle_worker_until_it_is_told_to_let_it_go():
    cache = _ObjectCache(may_keep_one=True)
    controller = TrialRunnerWrapper(SimpleNamespace(_actor_cache=cache), None)
    assert cache.cache_object("a trial's resources", "worker")
    assert [*cache.flush_cached_objects()] == [], "the patch is no longer needed"
    private_patches.let_idle_go(controller, go=True)
    assert [*cache.flush_cached_objects()] == ["worker"]
    assert not cache.cache_object("a trial's resources", "worker")
    private_patches.let_idle_go(controller, go=False)
    assert cache.cache_object("a trial's resources", "worker")
