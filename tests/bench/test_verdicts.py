"""The table of verdicts, from verdicts as `best --json` gives them; no sweep is run."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import verdicts
from verdicts import BEGIN, END, SPECS, document, keep, main, row, swept

from lstm.records.errors import BadInput


def difference(low: float | None, value: float, high: float | None, why: str = "") -> dict[str, Any]:
    """How much better the network is, in per cent."""
    return {"metric": "loss", "unit": "%", "value": value, "low": low, "high": high, "blocks": 9, "length": 8,
            "why": why, "left_out": 0}  # fmt: skip


def one(name: str, role: str, test: float | None, against: Mapping[str, Any] | None = None, **more: Any):
    """A row of a verdict."""
    return {"name": name, "role": role, "validation": test, "test": test, "difference": against, "gain": None,
            "gain_unit": "%", "trial": None, "rivals": [name] if role == "rival" else [], "second": None, "why": "",
            "note": "", **more}  # fmt: skip


def best_of(name: str, against: Mapping[str, Any], answer: str) -> dict[str, Any]:
    """What `sweep best --json` says, as far as it is used."""
    rows = [
        one("trial 7", "network", 0.0876, trial=7),
        one("base", "base", 0.1, difference(1, 12.4, 20), trial=0),
        one("last value", "rival", 0.5, difference(80, 82, 85)),
        one("ridge", "rival", 0.1234, against),
        one("LightGBM", "rival", None, why="not installed"),
    ]
    verdict = {"metric": "loss", "direction": "minimize", "judged_by": "loss", "length": 8, "searched": True,
               "rows": rows, "best": "ridge", "best_on_test": "", "no_base": "", "answer": answer,
               "lines": ["as people see it"]}  # fmt: skip
    config = {"data": {"split": {"validation": 0.15, "test": 0.2, "train": None}}}
    return {"sweep": name, "n_trials": 16, "states": {"COMPLETE": 8, "PRUNED": 8}, "verdict": verdict,
            "best": {"trial": 7, "parameters": {"model.hidden_size": 9}, "config": config}}  # fmt: skip


STATUS = {"complete": True, "goodput": {"worker_s": 99.6}}
COMPARE = {"sweeps": [{"epochs": 123}]}
BETTER, ALIKE, WORSE = difference(20, 29, 38), difference(-4, 1, 6), difference(-9, -5, -1)


def kept(spec: str, seed: int, against: Mapping[str, Any] = BETTER, answer: str = "better") -> dict[str, Any]:
    """A row as the script keeps it."""
    name = str(verdicts.yaml_file.read(verdicts.shipped.FOLDER / f"{spec}.yaml", whole=False).filled["name"])
    made = row(best_of(f"{name}-seed-{seed}", against, answer), STATUS, COMPARE)
    return {"spec": spec, "seed": seed, **made, **verdicts.circumstances(name)}


class Sweeps:
    """Stands for `sweep`: what was asked of it, and a verdict, unless it is to fail."""

    def __init__(self, fails: Mapping[str, int]) -> None:
        self.runs: list[tuple[str, ...]] = []
        self.fails = fails

    def __call__(self, verb: str, named: str, *words: str) -> tuple[int, str]:
        if verb == "run":
            self.runs.append((named, *words))
            return next((code for part, code in self.fails.items() if f"name={part}" in words), 0), ""
        complete = named not in self.fails
        found = {
            "best": best_of(named, BETTER, "better"),
            "status": STATUS | {"complete": complete},
            "compare": COMPARE,
        }
        return 0, json.dumps(found[verb])


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Runs the script over sweeps that do nothing; its exit code, what it asked for, its rows and its table."""

    def run(*words: str, fails: Mapping[str, int] | None = None):
        sweeps = Sweeps(fails or {})
        monkeypatch.setattr(verdicts, "_verb", lambda _: sweeps)
        code = main([*words, "--json", str(tmp_path / "v.json"), "--table", str(tmp_path / "docs" / "v.md")])
        rows = json.loads((tmp_path / "v.json").read_text()) if (tmp_path / "v.json").exists() else []
        return code, sweeps.runs, rows

    return run


def test_a_row_is_the_verdict_and_what_it_cost():
    made = row(best_of("x", BETTER, "better"), STATUS, COMPARE)
    assert (made["answer"], made["trials"], made["epochs"], made["core_s"]) == ("better", 16, 123, 100)
    assert made["sentence"].startswith("29 % [20, 38] better")
    assert made["split"] == {"validation": 0.15, "test": 0.2, "train": None}
    names = [each["name"] for each in made["verdict"]["rows"]]
    assert names == ["trial 7", "base", "ridge", "LightGBM"]  # weaker rivals are not kept, absent ones are
    json.dumps(made)


def test_a_specs_line_counts_the_answers_and_spans_the_seeds():
    rows = [kept("co2", 1), kept("co2", 2, ALIKE, "alike"), kept("co2", 3, WORSE, "worse")]
    cells = [cell.strip() for cell in verdicts.summary("co2", rows).strip("|").split("|")]
    assert cells[0] == "co2"
    assert cells[1:4] == ["validation 0.15, test 0.2", "9", "1 2 3"]
    assert [cells[4].count(told) for told in ("better 1 of 3", "told apart 1 of 3", "worse 1 of 3")] == [1, 1, 1]
    assert [number in cells[5] for number in ("8 %", "-5", "29")] == [True] * 3
    assert cells[6] == "ridge"


def test_a_sweeps_line_has_the_figures_of_the_test_part():
    line = verdicts.line(kept("text", 2))
    assert [told in line for told in ("0.0876", "0.1234 ridge", "| 12 % [1, 20] better |", "| 123 | 100 |")] == [
        True
    ] * 4


def test_without_an_interval_that_is_the_answer():
    few = difference(None, 4, None, "4 blocks")
    assert "too few blocks to tell 1 of 1" in verdicts.summary("co2", [kept("co2", 1, few, "unknown")])


def test_every_spec_is_run_from_every_seed_the_first_seed_first(ran):
    code, runs, rows = ran("--seeds", "4", "5", "--specs", "co2", "shakespeare", "--concurrency", "2")
    assert code == 0
    assert [(each["spec"], each["seed"]) for each in rows] == [
        ("co2", 4), ("co2", 5), ("shakespeare", 4), ("shakespeare", 5)]  # fmt: skip
    assert [words[0].rpartition("/")[2] for words in runs] == ["co2.yaml", "shakespeare.yaml"] * 2
    assert {"name=mauna-loa-co2-seed-4", "training.seed=4", "search.sampler.seed=4"} < set(runs[0])
    assert "resources.max_concurrent=2" in runs[0]
    assert not [word for word in runs[1] if word.startswith(("search.", "resources."))]  # it has no search


def test_another_call_adds_its_rows(ran, tmp_path):
    ran("--seeds", "1", "--specs", "digits")
    code, runs, rows = ran("--seeds", "1", "2", "--specs", "digits", "co2", fails={"digits-seed-2": 1})
    assert code == 1
    assert len(runs) == 4  # `sweep run` itself sees what is there
    assert [(each["spec"], each["seed"]) for each in rows] == [("co2", 1), ("co2", 2), ("digits", 1)]
    assert (tmp_path / "docs" / "v.md").read_text().count("| digits | 1 |") == 1


def test_an_interruption_keeps_what_is_there_and_starts_nothing_more(ran):
    code, runs, rows = ran("--seeds", "1", "--specs", "co2", "digits", "text", fails={"digits-seed-1": 130})
    assert code == 130
    assert [each["spec"] for each in rows] == ["co2"]
    assert len(runs) == 2


@pytest.mark.parametrize(("code", "complete", "verdict", "rows"), [
    (0, True, True, 1), (1, True, True, 1), (1, False, True, 0), (0, True, False, 0), (2, True, True, 0)])  # fmt: skip
def test_a_row_needs_a_sweep_that_is_complete_and_has_a_verdict(code, complete, verdict, rows):
    def verb(name: str, *_: str) -> tuple[int, str]:
        best = best_of("x", BETTER, "better")
        found = {"best": best if verdict else best | {"verdict": None}, "status": STATUS | {"complete": complete}}
        return (code, "") if name == "run" else (0, json.dumps({**found, "compare": COMPARE}[name]))

    ended, made = swept(verb, "co2", 1)
    assert (ended, len(made)) == (max(code, 1 - rows), rows)


def test_an_older_version_is_left_out_of_the_table_and_named():
    old = kept("co2", 1) | {"version": "of an older spec"}
    told = document([old, kept("digits", 1)])
    assert "| co2 |" not in told
    assert "older version of the spec, and left out: co2 from seed 1" in told
    assert f"Not run: {', '.join(spec for spec in SPECS if spec != 'digits')}." in told


def test_the_table_stands_between_its_lines(tmp_path):
    file, table = tmp_path / "v.json", tmp_path / "accuracy.md"
    table.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        keep(file, table, [kept("co2", 1)])
    text = table.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count(BEGIN) == 1
    table.write_text("a text that has no place for it")
    with pytest.raises(BadInput, match=r"accuracy\.md"):
        keep(file, table, [])
    assert table.read_text() == "a text that has no place for it"
