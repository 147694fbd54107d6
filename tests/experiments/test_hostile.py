"""Hostile input: whatever a file holds, `sweep` answers 2 in plain words and writes nothing, or it runs aright."""

import gzip
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
from collections import Counter

import hostile
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from experiments.spec import schema

PRIVATE = "hunter2/private"  # no name of a sweep: that one would be shown, wherever it came from


def counts(quick, full):
    """So many examples in every run of the tests, and so many with `-m faults`."""
    return pytest.mark.parametrize("count", [quick, pytest.param(full, marks=pytest.mark.faults)])


def drawn(count):
    """So many examples, without an explanation of a failure, which takes long."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    phases = [Phase.generate, Phase.shrink]
    return settings(
        max_examples=count,
        phases=phases,
        suppress_health_check=[*checks, HealthCheck.filter_too_much],
    )


def listing(folder):
    """Every file of a folder with its bytes, and every folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.fixture
def answered(folder, sweep):
    """Expects 0 or 2 of a verb: nothing was written (on 0, only what `writes` names), and on 2 it is told in words."""

    def answered(*words, writes=None):
        before = listing(folder)
        answer = sweep(*words, PRIVATE=PRIVATE)  # raises what the verb raised
        assert answer.code in (0, 2), answer
        assert "Traceback" not in answer.out + answer.err
        assert PRIVATE not in answer.out + answer.err
        after = listing(folder)
        if answer.code == 0 and writes:
            assert after.pop(folder / writes)
        assert after == before
        if answer.code == 2:
            assert answer.out == ""
            check_words(answer.err)
        return answer

    return answered


def check_words(told):
    """A line for each fault: where, and what to do; nothing that a terminal would obey, and not without end."""
    lines = told.splitlines()
    assert 1 <= len(lines) <= 51, told
    for line in lines:
        assert re.match(r".+?: .*\w{2}|… and \d", line), line
        assert line.isprintable(), line
        assert len(line) <= 2100, line


@pytest.fixture
def trained(folder, sweep):
    """Trains an epoch and checks what comes of it: 0 and finite, or 1 and said to have diverged; answers val/loss."""

    def trained(spec, *more):
        words = ["train", spec, "--set", "training.max_epochs=1", *more]
        answer = sweep(*words, "--json", PRIVATE=PRIVATE)
        assert PRIVATE not in answer.out + answer.err
        if answer.code == 2:  # patience in a single epoch, as an example
            assert "would do nothing" in answer.err or "diverge" in answer.err, answer
            assert not (folder / "runs").exists()
            return None
        document = json.loads(answer.out)
        if answer.code == 1:
            shown = sweep(*words, PRIVATE=PRIVATE).out
            assert "(diverged)" in shown
            assert PRIVATE not in shown
        shutil.rmtree(folder / "runs", ignore_errors=True)
        shutil.rmtree(folder / "kept", ignore_errors=True)
        epochs = document["history"]  # one, or one of each window of a backtest and one for the test part
        assert len({epoch.get("window") for epoch in epochs}) == len(epochs) >= 1
        if answer.code == 1:
            assert document["states"] == {"FAIL": 1}
            return None
        assert answer.code == 0, answer
        assert all(math.isfinite(epoch["train/loss"]) for epoch in epochs)
        assert math.isfinite(document["best"]["metrics"]["test/loss"])
        value = statistics.fmean(epoch["val/loss"] for epoch in epochs if "val/loss" in epoch)
        assert document["best"]["value"] == pytest.approx(value, rel=1e-12) or document["metric"] != "val/loss"
        return value

    return trained


# --- At large -----------------------------------------------------------------------------------------------


@pytest.fixture
def plans(folder, answered, trained):
    """Plans specs, trains some of those that are right; answers how often it was told what."""

    def plans(specs, count, train_every):
        told = Counter()

        @drawn(count)
        @given(spec=specs)
        def check(spec):
            (folder / "tiny.yaml").write_bytes(spec)
            answer = answered("plan", "tiny.yaml")
            told[answer.code] += 1
            if answer.code == 0 and told[0] % train_every == 0:
                assert json.loads(answered("plan", "tiny.yaml", "--json").out)["sweep"]
                told["trained"] += trained("tiny.yaml") is not None

        check()
        return told

    return plans


@counts(25, 2500)
def test_specs_in_which_something_slipped(count, plans, tiny):
    told = plans(hostile.slipped_specs(tiny.spec), count, train_every=2)
    assert told[0] + told[2] >= count
    assert told[0] >= count / 20, told  # else it would show little: that all is refused, for one thing
    assert told["trained"] >= 1, told


@counts(30, 2500)
def test_specs_that_look_right(count, plans):
    told = plans(hostile.schema_specs(schema.schema()), count, train_every=4)
    assert told[0] + told[2] >= count
    assert told[0] >= count / 10, told
    assert told["trained"] >= 1, told


@counts(20, 2000)
def test_files_of_data(count, folder, answered, trained):
    told = Counter()

    @drawn(count)
    @given(file=hostile.data_files, data=st.data())
    def check(file, data):
        for old in folder.iterdir():
            old.unlink()
        (folder / file.name).write_bytes(file.content)
        (folder / "tiny.yaml").write_text(data.draw(hostile.data_specs(file)), encoding="utf-8")
        planned = answered("plan", "tiny.yaml")
        told["plan", planned.code] += 1
        if planned.code == 0 and told["plan", 0] % 3 == 0:
            told["trained"] += trained("tiny.yaml") is not None
        drafted = answered("new", file.name, "--output", "a.yaml", writes="a.yaml")
        told["new", drafted.code] += 1
        if drafted.code == 0:  # what `new` writes, runs
            assert answered("plan", "a.yaml").code == 0

    check()
    assert told["plan", 0] + told["plan", 2] >= count
    assert min(told["plan", 0], told["new", 0]) >= count / 20, told
    assert told["trained"] >= 1, told


# --- By name: specs -----------------------------------------------------------------------------------------

DATA = (
    "data: {path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {validation: 0.2, test: 0.2}}\n"
)
LAUGHS = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'ha'] * 9)}]\n" for n in range(9))
# What the file holds, and what is told about it.
SPECS = {
    "an alias bomb": (LAUGHS, "&a0"),
    "an alias of itself": ("name: &a [*a]\n", " *a"),
    "merged maps": ("name: x\n<<: &b {a: 1}\ndata: {<<: [*b, *b]}\n", "merge key"),
    "an object": ("name: !!python/object/apply:os.system ['touch here']\n" + DATA, "tag:yaml.org"),
    "brackets": ("name: " + "[" * 500_000, "nested deeper than 20 levels"),
    "braces": ("name: " + "{a: " * 200_000, "nested deeper than 20 levels"),
    "dashes": ("- " * 300_000, "nested deeper than 20 levels"),
    "questions": ("? " * 300_000, "nested deeper than 20 levels"),
    "many values": ("name: [" + "1, " * 30_000 + "]", "more than 20,000 values"),
    "many keys": (DATA + "".join(f"key{n}: 1\n" for n in range(300)), "251 more"),
    "the same key often": (DATA + "name: x\n" * 300, "249 more"),
    "a long key": (f"{'k' * 900_000}: 1\n", "a second ': ' on the line"),
    "a long text": (f"name: {'n' * 900_000}\n" + DATA, "at most 100 characters long"),
    "a million digits": (f"name: {'9' * 1_000_000}\n" + DATA, "is a number of more than 30 digits"),
    "a fraction of a million digits": (f"name: x\nmodel: {{dropout: 0.{'9' * 10**6}}}\n" + DATA, "at least 0"),
    "1e400": ("name: x\nmodel: {hidden_size: 1e400}\n" + DATA, "is inf"),
    "an exponent of a million digits": (f"name: x\nmodel: {{dropout: 1e{'9' * 900_000}}}\n" + DATA, "is inf"),
    "variables": ("name: " + "${A:-" * 10_000 + "\n", "${NAME:-default}"),
    "NUL": ("name: x\0\n", "holds a control character (U+0000)"),
    "escapes": ('name: "\\e[2J\\0"\n' + DATA, "holds a control character"),
    "half a pair": ('name: "\\ud800"\n' + DATA, "tiny.yaml:1: "),
    "UTF-16": ("name: x\n".encode("utf-16"), "is not UTF-8 text"),
    "UTF-32": ("name: x\n".encode("utf-32"), "is not UTF-8 text"),
    "Latin-1": ("name: caf\xe9\n".encode("latin-1"), "is not UTF-8 text (byte 0xe9)"),
    "a mark alone": (b"\xef\xbb\xbf", "tiny.yaml:1: is empty"),
    "another YAML": ("%YAML 9.9\n---\nname: x\n", "tiny.yaml:1: "),
    "a Parquet file": (b"PAR1" + bytes(range(256)), "is not UTF-8 text"),
    "a megabyte and more": ("#" * 2**20 + "\n", "1,048,576"),
    "the data": ("day,load\n2020-01-01,1\n", "no mapping"),
    "a path that turns a terminal": ('name: x\ndata: {path: "\\u202e\\u2028x", ' + DATA[22:], "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPECS)
def test_specs_that_are_refused(case, folder, answered):
    content, expected = SPECS[case]
    (folder / "tiny.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = answered("plan", "tiny.yaml")
    assert answer.code == 2
    assert expected in answer.err


# --- By name: the same in another form ----------------------------------------------------------------------


def reformed(text, lines):
    """A CSV whose data lines were changed."""
    head, *rest = text.splitlines()
    return "\n".join([head, *lines(rest)]) + "\n"


# Forms that mean the same: of the spec, and of the data.
SAME_SPEC = {
    "a mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
    "CRLF": lambda t: t.replace("\n", "\r\n").encode(),
    "CR": lambda t: t.replace("\n", "\r").encode(),
    "no end of line": lambda t: t.rstrip("\n").encode(),
    "JSON within": lambda t: t.replace("model: {hidden_size: 4}", 'model: {"hidden_size":4}').encode(),
}
SAME_DATA = {
    "a mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
    "CRLF": lambda t: t.replace("\n", "\r\n").encode(),
    "no end of line": lambda t: t.rstrip("\n").encode(),
    "empty lines": lambda t: (t.replace("\n", "\n\n") + "\n\n").encode(),
    "semicolons": lambda t: t.replace(",", ";").encode(),
    "tabs": lambda t: t.replace(",", "\t").encode(),
    "quotes": lambda t: re.sub("([^,\n]+)", r'"\1"', t).encode(),
    "backwards": lambda t: reformed(t, reversed).encode(),
    "unsorted": lambda t: reformed(t, lambda lines: lines[1::2] + lines[::2]).encode(),
    "a time of day": lambda t: re.sub("(2020-..-..)", r"\1 00:00:00", t).encode(),
    "in UTC": lambda t: re.sub("(2020-..-..)", r"\1T00:00:00Z", t).encode(),
    "american": lambda t: re.sub("2020-(..)-(..)", r"\1/\2/2020", t).encode(),
    "exponents": lambda t: re.sub(r",([0-9.]+)", r",+\1e0", t).encode(),
    "another column": lambda t: re.sub("(.*),", r"\1,é,", t).encode(),
    "columns of one name": lambda t: re.sub("(.*)\n", r"\1,a,a\n", t).encode(),
}


@pytest.fixture
def meaning(folder, sweep):
    """What the spec and its data mean now: the windows, and the loss after an epoch."""

    def meaning():
        planned = json.loads(sweep("plan", "tiny.yaml", "--json").out)
        quick = ["--set", "training.max_epochs=1", "--set", "training.batch_size=32"]
        trained = json.loads(sweep("train", "tiny.yaml", *quick, "--json").out)
        shutil.rmtree(folder / "runs")
        return planned["windows"], trained["best"]["value"]

    return meaning


PLAIN = []


@pytest.fixture
def plain(meaning):
    """The meaning of the tiny spec and its data as they are, found by the first test that asks."""
    if not PLAIN:
        PLAIN.append(meaning())
    (found,) = PLAIN
    assert math.isfinite(found[1])
    return found


@pytest.mark.parametrize("form", SAME_SPEC)
def test_the_same_spec_in_another_form(form, folder, tiny, meaning, plain):
    (folder / "tiny.yaml").write_bytes(SAME_SPEC[form](tiny.spec))
    assert meaning() == plain


@pytest.mark.parametrize("form", SAME_DATA)
def test_the_same_data_in_another_form(form, folder, tiny, meaning, plain):
    (folder / "tiny.csv").write_bytes(SAME_DATA[form](tiny.data))
    assert meaning() == plain


# --- By name: data ------------------------------------------------------------------------------------------

# The file's bytes, made of the tiny one's text, and what `plan` tells about it.
FILES = {
    "UTF-16 cut": (lambda t: t.encode("utf-16")[:-1], "is not UTF-8"),
    "UTF-16 without a mark": (lambda t: t.encode("utf-16-le"), "has NUL bytes"),
    "old Mac": (lambda t: t.replace("\n", "\r").encode(), "the line ends of Unix or Windows"),
    "one column": (lambda t: re.sub(".*,", "", t).encode(), "has no column 'day'"),
    "one row": (lambda t: t[: t.index("\n", 9) + 1].encode(), "has one row"),
    "packed": (lambda t: gzip.compress(t.encode())[:-9], "can't be unpacked"),
    "a header of a megabyte": (lambda t: b"c" * 2**21 + b"\n1\n", "is longer than 1,048,576 bytes"),
    "many columns": (lambda t: ",".join(["a"] * 200_000).encode() + b"\n" + b"1," * 200_000, "has no column 'day'"),
    "a cell of a megabyte": (lambda t: t.replace(",50.000", "," + "9" * 2**21, 1).encode(), "a line of a megabyte or"),
    "an open quote": (lambda t: t.replace(",50.000", ',"50.000', 1).encode(), "tiny.csv"),
    "a quote without an end": (lambda t: t.encode() + b'2020-12-01,"' + b"x\n" * 2**20, "over several lines"),
    "a number of many digits": (lambda t: t.replace(",50.000", "," + "9" * 400, 1).encode(), "inf is infinite or too"),
    "1e400": (lambda t: t.replace(",50.000", ",1e400", 1).encode(), "inf is infinite or too large"),
    "escapes for a terminal": (lambda t: t.replace("load", "\x1b[2J").encode(), r"(columns: 'day', '\x1b[2J')"),
    "long names": (lambda t: t.replace("load", "x" * 9999).encode(), "..."),
    "a mark twice": (lambda t: b"\xef\xbb\xbf" * 2 + t.encode(), r"did you mean \ufeffday?"),
    "two kinds": (lambda t: t.replace(",50.000", ",true", 1).encode(), "'true' is not a number"),
    "two zones": (lambda t: re.sub("(2020-0[1-6]-..)", r"\1T00:00+05:30", t).encode(), "the times are irregular"),
    "centuries apart": (lambda t: t.encode() + b"9999-12-31,1\n", "steps of 1D would make"),
    "all the same time": (lambda t: re.sub("2020-..-..", "2020-01-01", t).encode(), "occurs 300 times"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_refused(case, folder, tiny, answered):
    make, expected = FILES[case]
    (folder / "tiny.csv").write_bytes(make(tiny.data))
    answer = answered("plan", "tiny.yaml")
    assert answer.code == 2
    assert expected in answer.err
    answered("new", "tiny.csv", "--output", "a.yaml", writes="a.yaml")


# --- Memory -------------------------------------------------------------------------------------------------

MORE_MB = 100  # what a hostile file may cost beyond a harmless one

# A process of its own, and the peak of its own memory: a child's ru_maxrss begins at what its parent held.
MEASURED = """
import json, pathlib, re, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))  # spares the machine where the bound does not hold
from click.testing import CliRunner
from experiments.cli import main
for line in sys.stdin:
    done = CliRunner().invoke(main, json.loads(line), prog_name="sweep")
    peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
    failed = done.exception and not isinstance(done.exception, SystemExit)
    print(json.dumps([done.exit_code, repr(done.exception) if failed else done.stderr, peak_kb / 1000]), flush=True)
"""


@pytest.fixture
def measured(folder):
    """Calls the command line one after another; answers the code, what was told, and the peak in MB so far."""

    def measured(*calls):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED],
            input="".join(json.dumps(call) + "\n" for call in calls),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(calls), (answers, done.stderr)  # else the process was ended: it has no memory left
        return answers

    return measured


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is read from /proc")


@needs_proc
def test_what_is_refused_costs_no_memory(folder, tiny, measured):
    def spec(name, data):
        (folder / f"{name}.yaml").write_text(f"name: x\n{DATA.replace('tiny.csv', data).replace('time: day, ', '')}")
        return f"{name}.yaml"

    (folder / "laughs.yaml").write_text(LAUGHS)
    (folder / "brackets.yaml").write_text("[" * 1_000_000)
    (folder / "values.yaml").write_text("name: [" + "1, " * 300_000 + "]")
    (folder / "digits.yaml").write_text(f"name: {'9' * 1_000_000}\n{DATA}")
    (folder / "cell.csv").write_text(tiny.data + "2021-01-01," + "9" * 50_000_000 + "\n")
    (folder / "line.csv").write_text("x" * 50_000_000)
    (folder / "rows.parquet").write_bytes(hostile.million_nulls(101))
    assert (folder / "rows.parquet").stat().st_size < 1_000_000
    harmless, *bombs = measured(
        ["plan", "tiny.yaml", "--set", "data.lookback=299"],
        *(["plan", f"{name}.yaml"] for name in ("laughs", "brackets", "values", "digits")),
        ["plan", spec("cell", "cell.csv")],
        ["plan", spec("line", "line.csv")],
        ["plan", spec("rows", "rows.parquet")],
        ["new", "cell.csv", "--output", "n1.yaml"],
        ["new", "rows.parquet", "--output", "n2.yaml"],
        ["plan", "tiny.yaml", "--set", "data.lookback=100000"],
        ["plan", "tiny.yaml", "--set", "search.n_trials=100001"],
        ["plan", "tiny.yaml", "--set", "data.step=1ns"],
    )
    assert harmless[0] == 2
    for code, told, peak_mb in bombs:
        assert code == 2, told
        check_words(told)
        assert peak_mb <= harmless[2] + MORE_MB, told


@needs_proc
def test_what_is_large_and_right_costs_no_memory_and_training_too_big_for_it_is_not_begun(folder, measured):
    before = listing(folder)
    large = ["search.n_trials=100000", "training.batch_size=1000000", "training.max_epochs=1000000"]
    seed = "search.space={training.seed: {type: int, low: 0, high: 2147483647}}"
    plans = [["plan", "tiny.yaml"], *(["plan", "tiny.yaml", "--set", value] for value in (*large, seed))]
    wide = ["--set", "model.hidden_size=8192", "--set", "model.num_layers=16"]
    searched = ["--set", "search.space={model.hidden_size: {type: int, low: 2, high: 8192}}"]
    answers = measured(*plans, ["train", "tiny.yaml", *wide], ["plan", "tiny.yaml", *searched, *wide[2:]])
    harmless, right, too_big = answers[0], answers[: len(plans)], answers[len(plans) :]
    for code, told, peak_mb in right:
        assert code == 0, told
        assert peak_mb <= harmless[2] + MORE_MB, told
    for code, told, peak_mb in too_big:
        assert code == 2, told
        assert re.fullmatch(
            r"tiny\.yaml:9: model: .* [\d,.]+ GB .*, .* [\d,.]+ GB left for it; .*model\.hidden_size.*\n", told
        ), told
        assert peak_mb <= harmless[2] + MORE_MB
    assert listing(folder) == before
