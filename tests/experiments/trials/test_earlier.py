"""`search.first: {from: …}`: what was chosen when a sweep began stays, and wrong names are refused."""

import json
import re
import shutil

import pytest

pytestmark = pytest.mark.usefixtures("blank_pages")

FIRST = "  first: {from: [tiny], top: 2}\n  space:\n"


@pytest.fixture
def later(copied, tiny):
    """The finished sweep's folder with a spec that begins with what was good there; `text` changes it."""

    def later(*replaced, name="later.yaml"):
        text = tiny.spec.replace("name: tiny", "name: later").replace("  space:\n", FIRST)
        for old, new in zip(replaced[::2], replaced[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        (copied.folder / name).write_text(text)
        return name

    return later


def planned(sweep, name):
    answer = sweep("plan", name, "--json")
    assert answer.code == 0, answer.out
    return json.loads(answer.out)


def test_what_was_good_is_tried_first_and_kept_with_the_sweep(copied, later, sweep, near):
    later()
    compared = json.loads(sweep("compare", "tiny", "--json").out)["trials"]
    best = [(row["trial"], row["value"]) for row in compared if not row["is_base"]][:2]
    plan = planned(sweep, "later.yaml")
    assert [(each["sweep"], each["trial"]) for each in plan["first_from"]] == [("tiny", number) for number, _ in best]
    assert plan["first"] == [each["settings"] for each in plan["first_from"]]
    assert re.search(rf"first +hidden_size=.*\(trial {best[0][0]} of tiny, rank 1\)", sweep("plan", "later.yaml").out)

    assert near("run", "later.yaml", "--set", "search.n_trials=2", cwd=copied.folder).code == 0
    values = {row["trial"]: row["value"] for row in json.loads(sweep("compare", "later", "--json").out)["trials"]}
    assert [values[1], values[2]] == [value for _, value in best]  # the base is trial 0

    shutil.rmtree(copied.home / "tiny")  # the sweep goes on without the one that it began from
    assert planned(sweep, "later.yaml")["first_from"] == plan["first_from"]
    again = near("run", "later.yaml", cwd=copied.folder)
    assert again.code == 0, again.err
    (copied.home / "study.db").unlink()
    assert sweep("rebuild", "later", "--study").code == 0
    rebuilt = {row["trial"]: row["value"] for row in json.loads(sweep("compare", "later", "--json").out)["trials"]}
    assert values.items() <= rebuilt.items()

    (copied.home / "study.db").unlink()  # neither the home nor the earlier sweep says what was chosen
    addresses = copied.home / "later" / "addresses.json"
    known = json.loads(addresses.read_text())
    assert known.pop("first_from")["first"] == plan["first_from"]
    addresses.write_text(json.dumps(known))
    assert "no more of it is tried first" in "".join(sweep("rebuild", "later", "--study", "--json").out)
    assert json.loads(sweep("compare", "later", "--json").out)["trials"] != []

    refused = near("run", "later.yaml", "--set", "search.first.top=1", cwd=copied.folder)
    assert refused.code == 2
    assert "search.first.top: was 2, is 1" in refused.err


@pytest.mark.parametrize(
    ("replaced", "wrong"),
    [
        (("[tiny]", "[tiny, tinny]"), [("from.1", "first-sweep-unknown", {"near": "tiny"})]),
        (("[tiny]", "[later]"), [("from.0", "first-sweep-itself", {})]),
        (
            ("[tiny]", "[tiny, later, x]"),
            [("from.1", "first-sweep-itself", {}), ("from.2", "first-sweep-unknown", {})],
        ),
        (("  first", "  metric: val/mae\n  first"), [("from.0", "first-sweep-of-another-metric", {})]),
        (("[tiny]", "[tiny, tiny]"), [("from.1", "sweep-named-twice", {"name": "tiny"})]),
        (("top: 2", "top: 5"), [("top", "more-first-than-trials", {"first": 5, "trials": 4})]),
        (("top: 2", "tpo: 2"), [("tpo", "unknown-field", {"near": "top"})]),
        (("[tiny]", "[]"), [("from", "out-of-bounds", {})]),
        (("from: [tiny], ", ""), [("from", "field-missing", {})]),
        (("{from: [tiny], top: 2}", "tiny"), [("", "wrong-type", {})]),
    ],
)
def test_what_can_not_be_first_is_refused(copied, later, sweep, replaced, wrong):
    answer = sweep("plan", later(*replaced), "--json")
    assert answer.code == 2
    found = [(each["path"], each["code"], each["values"]) for each in json.loads(answer.out)["errors"]]
    wanted = [(f"search.first.{path}".rstrip("."), code) for path, code, _ in wrong]
    assert [each[:2] for each in found] == wanted
    assert all(values.items() <= each[2].items() for each, (_, _, values) in zip(found, wrong, strict=True))
    assert not (copied.home / "later").exists()
