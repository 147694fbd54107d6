from types import SimpleNamespace

from dashboards.tracking.known import WHOLE, Ended, Known


def run(end_time=None, **tags):
    tags = {f"sweep.{name}": value for name, value in tags.items()}
    return SimpleNamespace(info=SimpleNamespace(end_time=end_time), data=SimpleNamespace(tags=tags))


def known(*found):
    """The known, and the list that gets an entry for each search."""
    searches = []
    return Known(lambda: [searches.append(1), *found][1:]), searches


def test_what_there_was_and_what_was_added_since_is_known_from_one_search():
    there, searches = known(run(trial="3"), run(), run(trial="of a user"))
    there.add(4)
    assert [n for n in range(6) if there.may_have(n)] == [3, 4]
    assert there.ended() == []
    assert len(searches) == 1


def test_after_a_call_that_failed_the_store_may_have_a_run_of_any_trial():
    there, _ = known()
    assert not there.may_have(0)
    there.doubt()
    assert there.may_have(0)


def test_trials_are_merged_once_and_always_after_a_call_that_failed():
    there, _ = known()
    assert [there.begin_merge() for _ in range(3)] == [True, False, False]
    there.doubt()
    assert [there.begin_merge() for _ in range(2)] == [True, True]


def test_the_ends_of_complete_runs_are_in_their_order_without_refits_and_each_once():
    whole = {name.removeprefix("sweep."): value for name, value in WHOLE.items()}
    there, searches = known(
        run(90, trial="1", state="PRUNED", **whole),
        run(70, trial="2", state="COMPLETE", **whole),
        run(80, trial="3", state="COMPLETE"),
        run(60, trial="4", state="COMPLETE", fitted="all", **whole),
    )
    assert there.ended() == [Ended(70, 2, "COMPLETE"), Ended(90, 1, "PRUNED")]
    assert there.end(Ended(75, 3, "COMPLETE")) == there.end(Ended(75, 3, "COMPLETE"))
    assert [(end.number, end.state) for end in there.ended()] == [(2, "COMPLETE"), (3, "COMPLETE"), (1, "PRUNED")]
    assert len(searches) == 1
