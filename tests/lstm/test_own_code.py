"""A user's own file: read, executed once for its content, found by its digest, carried to another process."""

import pickle
import subprocess
import sys

import pytest

from lstm import own_code as code
from lstm.records.errors import BadInput


@pytest.fixture
def read(tmp_path):
    def read(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return code.read(tmp_path / name, name)

    return read


def test_one_name_with_two_contents_are_two_classes(read):
    first, second = read("class A:\n    x = 1\n"), read("class A:\n    x = 2\n")
    code.execute(first)
    code.execute(second)
    found = [code.find("mine.py:A", {"mine.py": each.digest}).x for each in (first, second)]
    assert found == [1, 2]
    assert code.latest("mine.py:A").x == 2
    code.execute(first)
    assert code.latest("mine.py:A").x == 1, "that of the spec which is being read"


def test_a_file_is_executed_once(read, tmp_path):
    made = read(f"import os\nos.mkdir({str(tmp_path / 'made')!r})\n")
    code.execute(made)
    code.execute(made)  # a second time it would raise
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("x = 1\ny = \n", "code-no-python", 2),
        ("x = 1\nfrom .other import y\n", "code-imports-neighbour", 2),
        ("x = '\0'\n", "code-no-python", 1),
    ],
)
def test_what_can_not_be_executed_is_refused_with_its_line(read, tmp_path, text, code, line):
    with pytest.raises(BadInput) as error:
        read(text)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == (code, f"{tmp_path}/mine.py:{line}")


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("1 / 0", "ZeroDivisionError", "division by zero"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("import nothing_of_that_name", "ModuleNotFoundError", "No module named 'nothing_of_that_name'"),
    ],
)
def test_what_raises_is_told_with_its_line_and_leaves_nothing(read, text, kind, why):
    made, before = read(f"x = 1\n\n{text}\n"), set(sys.modules)
    with pytest.raises(BadInput) as error:
        code.execute(made)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values) == ("code-raises", "mine.py:3", {"kind": kind, "why": why})
    assert {name for name in set(sys.modules) - before if name.startswith("user_code")} == set()


def test_what_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(BadInput) as error:
        code.read(tmp_path / "no.py", "no.py")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("code-unreadable", f"{tmp_path}/no.py")
    assert wrong.values == {"why": "no such file or directory"}
    (tmp_path / "large.py").write_bytes(b"#" * (code.MOST_BYTES + 1))
    with pytest.raises(BadInput) as error:
        code.read(tmp_path / "large.py", "large.py")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("code-too-large", f"{tmp_path}/large.py")
    assert wrong.values == {"size": code.MOST_BYTES + 1, "most": code.MOST_BYTES}


def test_a_class_that_is_not_in_its_file_is_refused(read):
    made = read("class A:\n    pass\n\nB = 1\n")
    code.execute(made)
    for name in ("B", "C"):
        with pytest.raises(BadInput) as error:
            code.find(f"mine.py:{name}", {"mine.py": made.digest})
        [wrong] = error.value.faults
        assert (wrong.code, wrong.place, wrong.values) == ("code-without-class", "mine.py", {"name": name})


def test_packages_are_named_by_their_first_name(read):
    made = read("import numpy.linalg\nfrom torch import nn\n\ndef f():\n    import json\n")
    assert code.imports(made) == ["json", "numpy", "torch"]


def test_an_object_of_its_classes_comes_to_another_process(read, tmp_path):
    made = read("class Data:\n    def __init__(self, x):\n        self.x = x\n")
    code.execute(made)
    data = code.find("mine.py:Data", {"mine.py": made.digest})(7)
    (tmp_path / "carried").write_bytes(pickle.dumps(code.Carried(data, [made])))
    there = f"import pickle; print(pickle.load(open({str(tmp_path / 'carried')!r}, 'rb')).x)"
    assert subprocess.check_output([sys.executable, "-W", "ignore", "-c", there], text=True).strip() == "7"
