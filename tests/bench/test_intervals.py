import csv
from pathlib import Path

import intervals
from intervals import CASES, FIELDS, METHODS, MOST, PROCESSES, table

RECORDED = Path(intervals.__file__).with_suffix(".csv")


def test_the_recorded_table_is_of_all_cases_and_processes_and_ours_keeps_its_promise_in_each():
    with RECORDED.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(FIELDS)
    ours = {(row["case"], row["process"]): row for row in rows if row["method"] == "blocks"}
    wanted = [c for c in CASES if c.origins >= 2 * (c.horizon + c.season)]
    assert ours.keys() == {(case.name, process) for case in wanted for process in PROCESSES}
    assert max(float(row["better"]) for row in ours.values()) <= MOST
    assert max(float(row["worse"]) for row in ours.values()) <= MOST
    assert {(c.origins, c.horizon) for c in CASES} >= {(318, 26), (269, 7), (2857, 24), (2713, 168)}


def test_it_can_be_run_again_with_the_same_numbers():
    case = CASES[2]
    rows, again = (list(table(20, 5, (case,))) for _ in range(2))
    assert rows == again
    assert {row["method"] for row in rows} == set(METHODS)
    assert rows != list(table(20, 6, (case,)))
