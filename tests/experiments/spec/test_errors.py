from experiments.spec.errors import MAX_MESSAGES, refusal
from experiments.spec.yaml_document import read
from lstm.records.errors import Fault


def test_faults_come_in_the_order_of_the_file_overrides_last(write):
    document = read(write("a: 1\nb: 2\nc: 3\n"), ["a=5"])
    assert document.refuse(
        [Fault("a", "one"), Fault("c", "three"), Fault("b.x", "two"), Fault("c", "three")]
    ).messages == (
        "a.yaml:2: b.x: two",
        "a.yaml:3: c: three",
        "--set a=5: a: one",
    )


def test_all_faults_of_the_yaml_come_at_once(write, unread):
    told = unread(write("a: &x 1\nb: *x\na: ${NO}\n2: 3\n"), "nonsense")
    assert [message.split(": ")[0] for message in told] == [
        "a.yaml:1",
        "a.yaml:2",
        "a.yaml:3",
        "a.yaml:4",
        "--set nonsense",
    ]


def test_nothing_unseen_reaches_the_terminal(write, unread):
    assert unread(write('"a\\e[31m\\n": &x 1\n')) == [
        r"a.yaml:1: a\x1b[31m\n: holds a control character",
        r"a.yaml:1: a\x1b[31m\n: anchors (&x) are not allowed; leave it out",
    ]


def test_many_faults_are_cut_to_the_first_and_counted(write, unread, refused):
    assert MAX_MESSAGES == 50
    lines = "".join(f"k{n}: ${{NO}}\n" for n in range(60))
    told = unread(write(lines), "nonsense")
    assert [message.split(": ")[0] for message in told[:-1]] == [f"a.yaml:{n}" for n in range(1, 51)]
    assert told[-1] == "… and 11 more"
    unknown = ", ".join(f"zzz{n}: 1" for n in range(51))
    told = refused("dropout: 0.0", f"dropout: 0.0, {unknown}")
    assert len(told) == 51
    assert told[-1] == "… and 1 more"


def test_as_many_faults_as_are_told_are_told_whole():
    wrong = [(n, (), "is wrong") for n in range(1, 51)]
    assert refusal("a.yaml", [*wrong, *wrong]).messages == tuple(f"a.yaml:{n}: is wrong" for n in range(1, 51))
