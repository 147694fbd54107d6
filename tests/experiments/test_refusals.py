"""Wrong specs, wrong data and wrong words: each is told in a line, ends with code 2, and starts and writes nothing."""

import http.server
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

import cluster.driver

PRIVATE = "hunter2-private"

# What is wrong: a text of the tiny spec and what stands there instead, and what is told about it: each of several.
SPECS = {
    "a tab": ("model: {", "\tmodel: {", ("tiny.yaml:9: column 1: ", "tab")),
    "a key twice": ("horizon: 7", "horizon: 7\n  horizon: 8", ("tiny.yaml:8: data.horizon: ", "line 7")),
    "an anchor": ("lookback: 14", "lookback: &a 14", ("tiny.yaml:6: data.lookback: ", "&a")),
    "an alias": ("lookback: 14", "lookback: *a", ("tiny.yaml:6: data.lookback: ", "*a")),
    "a merge key": ("model: {h", "model: {<<: {num_layers: 2}, h", ("tiny.yaml:9: model.<<: ", "merge key")),
    "a tag": ("lookback: 14", "lookback: !!int 14", ("data.lookback: ", "tag:yaml.org,2002:int")),
    "a python tag": (
        "name: tiny",
        "name: !!python/name:os.system x",
        ("tiny.yaml:1: name: ", "tag:yaml.org,2002:python/name:os.system"),
    ),
    "two documents": ("name: tiny", "name: tiny\n---\nname: other", ("tiny.yaml:2: ", "second document")),
    "a NUL": ("name: tiny", "name: ti\0ny", ("tiny.yaml:1: ", "U+0000")),
    "latin-1": ("name: tiny", b"name: tiny # \xe9", ("tiny.yaml:1: ", "UTF-8", "0xe9")),
    "1 MiB and more": ("name: tiny", "#" * 2**20 + "\nname: tiny", "1,048,576"),
    "an open bracket": ("hidden_size: 5}", "hidden_size: 5", "bracket"),
    "an unknown key": (
        "hidden_size: 5",
        "hiden_size: 4",
        ("tiny.yaml:9: model.hiden_size: ", " hidden_size?"),
    ),
    "a key elsewhere": ("lookback: 14", "lookback: 14\n  batch_size: 3", ("data.batch_size: ", " training")),
    "another's name": (
        "hidden_size: 5",
        "hidden_size: 4, lr: 3",
        ("model.lr: ", "learning_rate", " training"),
    ),
    "an unknown section": (
        "name: tiny",
        "name: tiny\nserach: {}",
        ("tiny.yaml:2: serach: ", " search?"),
    ),
    "a missing key": ("  horizon: 7\n", "", ("data.horizon: ", "Steps that the network forecasts.")),
    "text for a number": ("lookback: 14", "lookback: two weeks", ('"two weeks"', "a whole number")),
    "a quoted number": ("lookback: 14", 'lookback: "14"', ('"14"', "a whole number", "quotes")),
    "a fraction": ("lookback: 14", "lookback: 14.5", ("data.lookback: ", "14.5", "a whole number")),
    "a list for one": ("lookback: 14", "lookback: [14]", ("data.lookback: ", "a list", "a whole number")),
    "null": ("horizon: 7", "horizon:", ("data.horizon: ", "empty", "a whole number")),
    "out of range": ("lookback: 14", "lookback: 0", ("tiny.yaml:6: data.lookback: ", " 0", "at least 1")),
    "infinity": ("learning_rate: 1e-2", "learning_rate: .inf", ("training.learning_rate: ", " inf", "at most 10")),
    "no such variable": ("tiny.csv", "${NO_SUCH_FILE}", ("tiny.yaml:3: data.path: ", " NO_SUCH_FILE")),
    "a wrong variable": ("lookback: 14", "lookback: ${PRIVATE}", ("${PRIVATE}", "text", "a whole number")),
    "a private file": ("tiny.csv", "${PRIVATE}.csv", "${PRIVATE}.csv: does not exist"),
    "no such parameter": ("model.hidden_size: {t", "model.hiden_size: {t", "did you mean model.hidden_size?"),
    "ends the wrong way": ("low: 2, high: 8", "low: 8, high: 2", "tiny.yaml:15: search.space.model.hidden_size"),
    "an end that is invalid": (
        "low: 2, high: 8",
        "low: 0, high: 8",
        ("search.space.model.hidden_size.low: ", " 0", "equal to 1"),
    ),
    "a space of another kind": (
        "{type: int, low: 2, high: 8}",
        "{type: int, low: 2.5, high: 8}",
        ("search.space.model.hidden_size.low: ", "2.5", "a whole number"),
    ),
    "a type that is none": ("type: int, low", "type: integer, low", "did you mean int?"),
    "log and step": ("high: 8}", "high: 8, log: true, step: 2}", "search.space.model.hidden_size"),
    "choices that are wrong": ("{type: int, low: 2, high: 8}", "{type: categorical, choices: [4, many]}", "many"),
    "when of what is not searched": ("high: 8}", "high: 8, when: {model.cell: gru}}", "model.cell"),
    "when of itself": ("high: 8}", "high: 8, when: {model.hidden_size: 3}}", "model.hidden_size"),
    "when with a grid": ("random, seed: 3}", "grid}", ("search.space.training.learning_rate: ", "instead of log")),
    "first of what is not searched": ("n_trials: 4", "n_trials: 4\n  first: [{model.cell: gru}]", "search.first.0"),
    "first outside the space": ("n_trials: 4", "n_trials: 4\n  first: [{model.hidden_size: 99}]", "99"),
    "an option without effect": ("hidden_size: 5", "hidden_size: 4, dropout: 0.1", ("model.dropout: ", "num_layers")),
    "another option without effect": ("max_epochs: 2", "max_epochs: 2, momentum: 0.5", ("training.momentum: ", "adam")),
    "a pruner that can't act": (
        "n_trials: 4",
        "n_trials: 4\n  pruner: {type: hyperband, min_resource: 9}",
        ("search.pruner.min_resource: ", "epoch 9", "epoch 2"),
    ),
    "a metric that is none": ("n_trials: 4", "n_trials: 4\n  metric: val/los", "did you mean val/loss?"),
    "the wrong direction": (
        "n_trials: 4",
        "n_trials: 4\n  direction: maximize",
        ("search.direction: ", "val/loss", "minimize"),
    ),
    "a reserved name": ("name: tiny", "name: sweeps", ("tiny.yaml:1: name: ", "sweeps")),
    "a name with a slash": ("name: tiny", "name: a/b", ("tiny.yaml:1: name: ", '"a/b"', "The sweep's name")),
    "a name with dots": ("name: tiny", "name: a..b", ("name: ", "a..b", "'..'")),
    "shares above one": ("validation: 0.2", "validation: 0.9", ("data.split: ", "1.1")),
    "a split of two kinds": ("validation: 0.2", "validation: 20", ("data.split: ", "kinds")),
    "half a GPU too many": (
        "name: tiny",
        "name: tiny\nresources: {gpus_per_trial: 1.5}",
        ("resources.gpus_per_trial: ", "1.5", "auto or a number (at least 0 and at most 1)"),
    ),
    "an empty file": (None, "", ("tiny.yaml:1: ", "empty")),
    "a list": (None, "- a\n", ("tiny.yaml:1: ", "mapping")),
}

# What is written on the command line behind the verb, and what is told about it, in parts.
WORDS = {
    "no spec": (["tinny.yaml"], ("tinny.yaml: ", " tiny.yaml?")),
    "no folder": (["specs/tiny"], "specs/tiny: "),
    "no name": (["nothing"], "nothing: ", "HOME", "NAME", "SPEC"),
    "an empty name": ([""], '"": '),
    "a long name": (["x" * 300], f"{'x' * 57}...: ", "HOME", "NAME", "SPEC"),
    "a set without a value": (["tiny.yaml", "--set", "training"], ("--set training: ", "path=value", "--set ")),
    "a set of nothing": (["tiny.yaml", "--set", "=3"], ("--set =3: ", "path=value")),
    "a set of no field": (
        ["tiny.yaml", "--set", "training.max_epoch=3"],
        ("--set training.max_epoch=3: training.max_epoch: ", " max_epochs?"),
    ),
    "a set out of range": (["tiny.yaml", "--set", "training.max_epochs=0"], (" 0", "at least 1")),
    "a set of a block": (["tiny.yaml", "--set", "model=a: 1"], ("--set model=a: 1: model: ", "[a, b]", "{a: 1}")),
    "a home that is a file": (["tiny.yaml", "--home", "tiny.csv"], "--home ", "tiny.csv: ", "folder"),
    "a home below a file": (["tiny.yaml", "--home", "tiny.csv/x"], "--home ", "tiny.csv/x: ", "tiny.csv is", "folder"),
    "a long home": (["tiny.yaml", "--home", "x" * 300], "--home ", "x" * 300, "File name too long"),
    "an unknown flag": (["tiny.yaml", "--home-x", "x"], "No such option '--home-x'. Did you mean '--home'?"),
    "nothing": ([], "Missing argument 'NAME|SPEC'. (try: sweep"),
    "too much": (["tiny.yaml", "other.yaml"], "Got unexpected extra argument (other.yaml) (try: sweep"),
}
ADDRESSES = {
    "ray://head:10001": "Ray Client is not offered, a sweep would end with its connection; run the sweep on the clu",
    "head": "is no address; write HOST:PORT (6379 by default), or auto on a node",
    "127.0.0.1:99999": "is no address",
    "127.0.0.1:1": "--address 127.0.0.1:1: nothing answers there (Connection refused)",
    "no-such-host.invalid:6379": "--address no-such-host.invalid:6379: nothing answers there",
}


# Addresses of stores in a spec, and the mend.
STORES = [
    ("tracking.uri", "localhost:5000", "http://localhost:5000"),
    ("tracking.uri", "nonsense", "http://localhost:5000"),
    ("tracking.uri", "./mlruns", "sqlite:///FILE"),
    ("tracking.uri", "file:///tmp/mlruns", "sqlite:///FILE"),
    ("tracking.uri", "mysql://ann:word@host/db", "mysql is not offered"),
    ("tracking.uri", "http://localhost:5000/#/experiments/1", "http://HOST:5000"),
    ("tracking.uri", "sqlite:///a?b/mlflow.db", "?"),
    ("tracking.uri", "sqlite:///no-folder/mlflow.db", "no-folder"),
    ("storage.study", "study.db", "sqlite:///FILE"),
    ("storage.study", "mysql://ann:word@host/db", "mysql is not offered"),
    ("storage.study", "sqlite://study.db", "sqlite:///FILE"),
    ("storage.study", "sqlite:///a?b/study.db", "?"),
    ("storage.study", "sqlite:///no-folder/study.db", "no-folder"),
    ("storage.study", "postgresql://host:99999/db", "postgresql://"),
    ("storage.checkpoints", "s3:/bucket/x", "s3://"),
    ("storage.checkpoints", "s3:///x", "BUCKET"),
    ("storage.checkpoints", "s3://bucket/a b", "%20"),
    ("storage.checkpoints", "s3://bucket/a#b", "may not"),
    ("storage.checkpoints", "file://host/x", "file:///FOLDER"),
    ("storage.checkpoints", "file:///tmp/a#b", "may not"),
    ("storage.checkpoints", "http://host/x", "s3"),
]


# The data's bytes, made of the tiny file's text; what is told; settings that are needed to see it.
DATA = {
    "missing": (None, "tiny.csv: does not exist"),
    "empty": (lambda t: "", "tiny.csv:1: is empty"),
    "a header alone": (lambda t: "day,load\n", "tiny.csv: has a header but no rows"),
    "a header without an end": (lambda t: "day,load", "tiny.csv: has a header but no rows"),
    "one row": (lambda t: t.rows(1), "tiny.csv: has one row"),
    "text in numbers": (lambda t: t.data.replace(",50.000", ",much", 1), "tiny.csv:2: column 'load': 'much' is not"),
    "a time twice": (lambda t: t.data.replace("2020-01-05", "2020-01-04"), "2020-01-04 00:00:00 occurs 2 times"),
    "irregular times": (lambda t: t.data.replace("2020-01-05", "2020-01-04 07:13:01"), "the times are irregular"),
    "a gap": (lambda t: re.sub("2020-01-05.*\n", "", t.data), "1 of 300 steps of 1D are missing, first 2020-01-05"),
    "a value missing": (lambda t: re.sub("(2020-01-05,).*", r"\1", t.data), "1 steps have missing values, the first"),
    "all constant": (lambda t: t.rows(value=lambda _: 5), "column 'load' is constant (5) over the training"),
    "nothing but NaN": (lambda t: t.rows(value=lambda _: np.nan), "column 'load' has no value at all"),
    "infinite": (lambda t: t.data.replace(",50.000", ",inf", 1), "tiny.csv:2: column 'load': inf is infinite or too"),
    "binary": (lambda t: bytes(range(256)) * 9, "tiny.csv:1: has NUL bytes"),
    "NUL": (lambda t: "day\0,load\n1,2\n", "tiny.csv:1: has NUL bytes"),
    "latin-1": (lambda t: t.data.replace("day,", "d\xe4y,").encode("latin-1"), "tiny.csv:1: is not UTF-8"),
    "ragged": (lambda t: t.data.replace("2020-01-05,", "2020-01-05,1,"), "tiny.csv:6: has 3 fields, but the"),
    "too short": (lambda t: t.rows(30), "tiny.yaml:2: data: the train part has 18 rows (of 30), in which no"),
    "no such column": (lambda t: t.data.replace("load", "laod"), "has no column 'load', did you mean laod? (col"),
    "a column twice": (lambda t: re.sub("(,.*)", r"\1\1", t.data), "tiny.csv:1: column 'load' occurs twice"),
    "no times": (lambda t: t.data.replace("2020-01-05", "a monday"), "tiny.csv:6: column 'day': 'a monday' is not a"),
    "a time missing": (lambda t: t.data.replace("2020-01-05", ""), "tiny.csv:6: column 'day' has no time"),
    "fractions for times": (lambda t: re.sub("^2020-(..)-(..)", r"1.\1\2", t.data, flags=re.M), "'day' has fractions"),
    "broken parquet": (lambda t: b"PAR1 and no more", "tiny.parquet: can't be read as Parquet: ", "tiny.parquet"),
}  # fmt: skip


@pytest.fixture
def refused(folder, sweep, monkeypatch):
    """Expects a refusal of `plan` and of `run`, with a home and without one; answers what was told."""
    monkeypatch.setattr(cluster.driver, "run", lambda *_, **__: pytest.fail("a sweep was started"))

    def refused(*words, verbs=("plan", "run")):
        told = set()
        for verb in verbs:
            for home in ("no-home", "a-home"):
                (folder / "a-home").mkdir(exist_ok=True)
                (folder / "a-home" / "mine.txt").write_text("keep me")
                before = listing(folder)
                place = [] if "--home" in words else ["--home", home]
                answer = sweep(verb, *words, *place, PRIVATE=PRIVATE)
                assert answer.code == 2, answer
                assert answer.out == ""
                assert listing(folder) == before
                assert PRIVATE not in answer.err
                assert "Traceback" not in answer.err
                told.add(re.sub(r"\(try: sweep \w+", "(try: sweep VERB", answer.err.replace(home, "HOME")))
        assert len(told) == 1, told
        return told.pop()

    return refused


def listing(folder):
    """Every file of a folder with its bytes, and every folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def parts(expected):
    """What is told about a case: one text, or several."""
    return [expected] if isinstance(expected, str) else [part for each in expected for part in parts(each)]


@pytest.mark.parametrize("case", SPECS)
def test_wrong_specs(case, folder, tiny, refused):
    old, new, expected = SPECS[case]
    new = new if isinstance(new, bytes) else new.encode()
    if old is not None:
        assert tiny.spec.count(old) == 1, old
        new = tiny.spec.encode().replace(old.encode(), new)
    (folder / "tiny.yaml").write_bytes(new)
    told = refused("tiny.yaml")
    assert [part for part in parts(expected) if part not in told] == [], told
    assert told.count("\n") == 1, told


@pytest.mark.parametrize("case", WORDS)
def test_wrong_words(case, refused):
    words, *expected = WORDS[case]
    told = refused(*words)
    found = [part.replace("(try: sweep", "(try: sweep VERB") for part in parts(expected)]
    assert [part for part in found if part not in told] == [], told
    assert told.count("\n") == 1, told


@pytest.mark.parametrize("address", ADDRESSES)
def test_wrong_addresses(address, refused):
    assert ADDRESSES[address] in refused("tiny.yaml", "--address", address, verbs=["run"])


def test_an_address_where_no_cluster_listens(folder, sweep):
    before = listing(folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
        address = f"127.0.0.1:{web.server_address[1]}"
        answers = {
            "--address": sweep("run", "tiny.yaml", "--address", address),
            "RAY_ADDRESS": sweep("run", "tiny.yaml", "--address", "auto", RAY_ADDRESS=address),
        }
        web.shutdown()
    for named, answer in answers.items():
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.count("\n") == 1
        assert [part for part in (named, address, "web server (SimpleHTTP/") if part not in answer.err] == []
    assert listing(folder) == before


@pytest.mark.parametrize(("field", "address", "mend"), STORES)
def test_wrong_addresses_of_stores(field, address, mend, folder, tiny, refused):
    section, _, name = field.partition(".")
    (folder / "tiny.yaml").write_text(f'{section}: {{{name}: "{address}"}}\n{tiny.spec}')
    told = refused("tiny.yaml")
    assert told.startswith(f"tiny.yaml:1: {field}: ")
    assert mend in told
    assert "word@" not in told
    assert told.count("\n") == 1, told


@pytest.mark.parametrize(
    "address", ["${PRIVATE}", "${PRIVATE}:5000", "sqlite:///${PRIVATE}/a.db", "mysql://${PRIVATE}"]
)
@pytest.mark.parametrize("field", ["tracking.uri", "storage.study"])
def test_wrong_addresses_out_of_the_environment_are_not_shown(field, address, folder, tiny, refused):
    section, _, name = field.partition(".")
    (folder / "tiny.yaml").write_text(f'{section}: {{{name}: "{address}"}}\n{tiny.spec}')
    assert refused("tiny.yaml").startswith(f"tiny.yaml:1: {field}: ")


def test_one_database_for_study_and_mlflow(folder, tiny, refused):
    both = "storage: {study: sqlite:///one.db}\ntracking: {uri: sqlite:///one.db}\n"
    (folder / "tiny.yaml").write_text(both + tiny.spec)
    assert refused("tiny.yaml").startswith("tiny.yaml:2: tracking.uri: ")


@pytest.mark.parametrize("home", ["a?b", "a%41b", "a\udcffb", "what/a?b/runs"])
def test_a_home_that_is_no_piece_of_an_address(home, refused):
    for verbs in (["plan", "run"], ["status", "best", "verify", "rebuild", "ui"]):
        told = refused("tiny.yaml", "--home", home, verbs=verbs)
        assert told.startswith("--home ")
        assert told.isascii()
        assert told.count("\n") == 1, told


def test_a_store_that_says_no_is_refused_before_anything_is_started(folder, tiny, refused):
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        (folder / "tiny.yaml").write_text(f"tracking: {{uri: 'http://127.0.0.1:{server.server_port}'}}\n{tiny.spec}")
        told = refused("tiny.yaml", verbs=["run"])
        server.shutdown()
    assert told.startswith("tiny.yaml:1: tracking.uri: ")
    assert "MLFLOW_TRACKING_TOKEN" in told


@pytest.mark.parametrize("case", DATA)
def test_wrong_data(case, folder, tiny, refused):
    make, expected, *name = DATA[case]
    (folder / "tiny.csv").unlink()
    name = name[0] if name else "tiny.csv"
    if make:
        made = make(tiny)
        (folder / name).write_bytes(made if isinstance(made, bytes) else made.encode())
    told = refused("tiny.yaml", "--set", f"data.path={name}")
    assert expected in told
    assert told.count("\n") == 1, told


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
def test_a_home_that_cannot_be_made(refused):
    told = refused("tiny.yaml", "--home", "/proc/x", verbs=["run"])
    assert told.startswith("--home /proc/x: ")
    assert " /proc/x/tiny " in told or " /proc " in told


def test_all_that_is_wrong_is_told_at_once(folder, tiny, refused):
    wrong = tiny.spec.replace("lookback: 14", "lookback: 0").replace("hidden_size: 5", "hiden_size: 4")
    (folder / "tiny.yaml").write_text(wrong.replace("n_trials: 4", "n_trials: many"))
    lines = refused("tiny.yaml", "--set", "training.max_epochs=x").splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "tiny.yaml:6",
        "tiny.yaml:9",
        "tiny.yaml:12",
        "--set training.max_epochs=x",
    ]


def test_a_process_of_its_own_refuses_the_same(folder, command, tiny):
    (folder / "tiny.yaml").write_text(tiny.spec.replace("lookback: 14", "lookback: ${PRIVATE}"))
    answer = command("run", "tiny.yaml", cwd=folder, PRIVATE=PRIVATE)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("tiny.yaml:6: data.lookback: ")
    assert answer.err.count("\n") == 1
    assert [part for part in ("${PRIVATE}", "text", "a whole number") if part not in answer.err] == []
    assert PRIVATE not in answer.err
    assert sorted(p.name for p in folder.iterdir()) == ["tiny.csv", "tiny.yaml"]
