from pathlib import Path

import company
import company_cells
import pytest
from company import BEGIN, END, FIELDS, KINDS, METHODS, MOST, Case, cases, document, recorded, table, worst
from company_cells import NAMES, SEEDS, WINDOWS, spreads

RECORDED = Path(company.__file__).with_suffix(".csv")
PAGE = Path(company.__file__).parents[2] / "docs" / "explanation" / "search.md"


def test_the_recorded_table_is_of_all_cases_and_ours_keeps_its_promise_in_each():
    rows = recorded(RECORDED)
    assert list(rows[0]) == list(FIELDS)
    ours = {(r["data"], r["windows"], int(r["count"]), int(r["seeds"]), r["process"]): r
            for r in rows if r["method"] == "ours"}  # fmt: skip
    assert ours.keys() == {(c.data, c.kind, c.count, c.seeds, c.process) for c in cases()}
    assert 0 < worst(rows) <= MOST
    alone = [float(row["better"]) for row in rows if row["method"] == "alone"]
    assert min(alone) > 0.04  # without the correction the promise is not kept


def test_the_page_has_the_recorded_table():
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == document(recorded(RECORDED))


def test_the_whole_way_is_drawn_again_with_the_same_numbers_and_few_are_called_better():
    some = [Case(data, kind, 4, 3) for data in NAMES.values() for kind in KINDS]
    rows = list(table(60, 5, some))
    assert rows == list(table(60, 5, some))
    assert {row["method"] for row in rows} == set(METHODS)
    assert rows != list(table(60, 6, some))
    ours = [row for row in rows if row["method"] == "ours"]
    assert max(float(row["better"]) for row in ours) <= MOST
    fresh, searched = ({row["data"]: float(row["found"]) for row in ours if row["windows"] == kind} for kind in KINDS)
    assert all(fresh[data] < searched[data] for data in NAMES.values())


def test_more_windows_find_less():
    few, many = (float(next(table(100, 1, [Case("co2", "fresh", count, 3)]))["found"]) for count in (4, 12))
    assert 0 < many < few / 2


@pytest.mark.parametrize("name", NAMES)
def test_the_spreads_are_of_whole_recordings(name):
    kept = {key: losses for key, losses in company_cells.read().items() if key[0] == name}
    assert len(kept) == company_cells.CELLS * len(SEEDS)
    assert {len(losses) for losses in kept.values()} == {WINDOWS}
    found = spreads(name)
    assert 0 <= found.setting < 1
    assert all(0 < spread < 1 for spread in (found.window, found.interaction, found.seed))
