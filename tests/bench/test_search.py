import pytest
from curves import TABLES
from search import Ours, Peer, replay


@pytest.mark.parametrize("make", [lambda table: Ours(table, table.search, 1), lambda table: Peer(table, 1)])
def test_a_replay_searches_the_table_until_it_has_found(make):
    table = TABLES["seattle"]
    best = min(min(curve.values) for curve in table.curves.values())
    found = replay(table, make(table), workers=2, near=1.2)
    assert found.trials <= 200
    assert found.steps[-1][:2] == (found.trials, found.epochs)
    assert found.steps[-1][2] <= 1.2 * best
    values = [value for *_, value in found.steps]
    assert values == sorted(values, reverse=True)
