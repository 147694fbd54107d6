from told import all_told

from experiments.spec.errors import MAX_MESSAGES, refusal
from experiments.spec.yaml_document import read
from lstm.records.errors import fault


def test_faults_come_in_the_order_of_the_file_overrides_last(write):
    document = read(write("a: 1\nb: 2\nc: 3\n"), ["a=5"])
    three = fault("name-reserved", "c", name="three")
    error = document.refuse(
        [fault("name-reserved", "a", name="one"), three, fault("name-reserved", "b.x", name="two"), three]
    )
    assert all_told(error.faults) == [
        ("2: b.x", "name-reserved", {"name": "two"}),
        ("3: c", "name-reserved", {"name": "three"}),
        ("--set a=5: a", "name-reserved", {"name": "one"}),
    ]
    assert error.messages[0].startswith("a.yaml:2: b.x: ")


def test_all_faults_of_the_yaml_come_at_once(write, unread):
    told = unread(write("a: &x 1\nb: *x\na: ${NO}\n2: 3\n"), "nonsense")
    assert [where.split(": ")[0] for where, _, _ in told] == ["1", "2", "3", "4", "--set nonsense"]


def test_nothing_unseen_reaches_the_terminal(write, unread):
    assert unread(write('"a\\e[31m\\n": &x 1\n')) == [
        (r"1: a\x1b[31m\n", "control-character", {}),
        (r"1: a\x1b[31m\n", "yaml-anchor", {"name": "x"}),
    ]
    [unseen] = refusal("a.yaml", [(1, (), fault("name-reserved", name="\x1b[31m"))]).messages
    assert unseen.isprintable()
    assert r"\x1b[31m" in unseen


def test_many_faults_are_cut_to_the_first_and_counted(write, unread, refused):
    assert MAX_MESSAGES == 50
    lines = "".join(f"k{n}: ${{NO}}\n" for n in range(60))
    told = unread(write(lines), "nonsense")
    assert [where.split(": ")[0] for where, _, _ in told[:-1]] == [f"{n}" for n in range(1, 51)]
    assert told[-1] == ("a.yaml", "and-more", {"count": 11})
    unknown = ", ".join(f"zzz{n}: 1" for n in range(51))
    told = refused("dropout: 0.0", f"dropout: 0.0, {unknown}")
    assert len(told) == 51
    assert told[-1] == ("a.yaml", "and-more", {"count": 1})


def test_as_many_faults_as_are_told_are_told_whole():
    wrong = [(n, (), fault("search-empty")) for n in range(1, 51)]
    told = all_told(refusal("a.yaml", [*wrong, *wrong]).faults)
    assert told == [(f"{n}", "search-empty", {}) for n in range(1, 51)]
