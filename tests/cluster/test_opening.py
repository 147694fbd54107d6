"""Whether a study's trials were trained on what is read today."""

from types import SimpleNamespace

import pytest

from cluster import opening
from cluster.study.stored import COMPARABLE

ORDER = SimpleNamespace(comparable={})
READ = {"rows": 9, "first": "2022-01-01 00:00:00", "values": "aa", "times": "bb"}


def changed(facts, **data):
    series = SimpleNamespace(fingerprint="f", **data)
    known = {COMPARABLE: {}, "data_fingerprint": "f", **facts}
    return [(each.code, each.values.get("what")) for each in opening.changes(known, ORDER, series)]


@pytest.mark.parametrize(
    ("before", "now", "otherwise", "what"),
    [
        (None, READ, (), None),
        (None, READ, ("times-by-wall-clock",), ["times-by-wall-clock"]),
        (READ, READ, ("times-by-wall-clock",), None),
        (READ, {**READ, "first": "2021-12-31 23:00:00", "times": "cc"}, (), ["first"]),
        (READ, {**READ, "values": "dd"}, (), ["values"]),
        (READ, {**READ, "step": "1D"}, (), ["step"]),
    ],
)
def test_what_is_read_otherwise_is_another_data_set(before, now, otherwise, what):
    found = changed({} if before is None else {opening.READING: before}, reading=now, otherwise=otherwise)
    if what is None:
        assert found == []
        return
    [(code, told)] = found
    assert code == "data-read-otherwise"
    assert [each.partition(":")[0] for each in told] == what


def test_data_of_a_task_that_says_no_reading_are_compared_by_their_bytes():
    assert changed({}) == []
    assert changed({"data_fingerprint": "g"}) == [("data-changed", None)]
