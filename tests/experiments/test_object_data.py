"""Data in an object store are the same data: for each task, in each verb, to the same digest; and each fault is told.

The store is SeaweedFS; a test that needs it skips with the reason where it is missing.
"""

import gzip
import hashlib
import http.server
import random
import threading
from pathlib import Path

import inside
import numpy as np
import object_store
import pandas as pd
import pytest
import twin
from told import all_told

from cluster.launch import bring
from cluster.launch.record import Launched
from experiments.launching import submitting
from experiments.operations.drafting import new
from experiments.spec import loader
from lstm.records.errors import BadInput, may_pass
from lstm.storage import files, objects
from lstm.tasks import registry

SPEC = """\
name: tiny
data: {path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {validation: 0.2, test: 0.2}}
model: {hidden_size: 4}
training: {max_epochs: 1, batch_size: 32, learning_rate: 1e-2}
search:
  n_trials: 1
  sampler: {type: random}
  pruner: {type: none}
  space:
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
"""
WORDS = ["the tree", "a house", "my dog", "your cat", "the old man", "a small bird", "the sea", "her book"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The store."""
    if why := object_store.missing():
        pytest.skip(why)
    with object_store.store(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def bucket(address, tmp_path, monkeypatch):
    """Puts files of the working folder into a bucket of the store, whose address it returns."""
    monkeypatch.chdir(tmp_path)
    for name, value in object_store.environment(address).items():
        monkeypatch.setenv(name, value)

    def put(*names):
        for name in names:
            files.put("s3://lab/data", name, Path(name).read_bytes())
        return "s3://lab/data"

    return put


def table(folder, rows=200):
    values = np.sin(np.arange(rows) / 3).round(3)
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=rows), "load": values, "other": values[::-1]})
    frame.to_csv(folder / "tiny.csv", index=False)
    return "tiny.csv"


def packed(folder):
    (folder / "tiny.csv.gz").write_bytes(gzip.compress((folder / table(folder)).read_bytes()))
    return "tiny.csv.gz"


def parquet(folder):
    pd.read_csv(folder / table(folder), parse_dates=["day"]).to_parquet(folder / "tiny.parquet")
    return "tiny.parquet"


def sequences(folder):
    draw = random.Random(0)
    rows = [f"{run},{step},{draw.random():.3f},{'ab'[run % 2]}" for run in range(60) for step in range(8)]
    (folder / "runs.csv").write_text("\n".join(["run,step,x,kind", *rows]) + "\n")
    return "runs.csv"


def text(folder):
    draw = random.Random(0)
    words = ["sea", "tree", "bird", "house", "stone", "river"]
    (folder / "text.txt").write_text("\n".join(" ".join(draw.choices(words, k=8)) + "." for _ in range(400)))
    return "text.txt"


def pairs(folder):
    draw = random.Random(0)
    lines = [" and ".join(draw.sample(WORDS, 3)) + f" {number}" for number in range(300)]
    (folder / "a.en").write_text("\n".join(lines) + "\n")
    (folder / "a.xx").write_text("\n".join(line[::-1] for line in lines) + "\n")
    return "a.en", "a.xx"


def frames(folder):
    values = np.random.default_rng(0).integers(0, 255, (40, 12, 8, 8), dtype=np.uint8)
    np.save(folder / "frames.npy", np.cumsum(values, axis=1, dtype=np.uint8))
    return "frames.npy"


def loaded(spec):
    """The data of a spec, as `sweep run` loads them."""
    found = loader.load(spec)
    return found, registry.load(found.experiment.widest, found.location, found.experiment.reach)


@pytest.mark.parametrize(
    "make", [table, packed, parquet, sequences, text, pairs, frames], ids=lambda make: make.__name__
)
def test_an_object_is_the_same_data_as_the_file(make, bucket, tmp_path):
    names = made if isinstance(made := make(tmp_path), tuple) else (made,)
    there = bucket(*names)
    here = new(names, "here.yaml")
    away = new([f"{there}/{name}" for name in names], "there.yaml")
    assert (away.task, away.windows, {*away.found}) == (here.task, here.windows, {*here.found})
    written = [*zip(here.path.read_text().splitlines(), away.path.read_text().splitlines(), strict=True)]
    differ = [(one, two) for one, two in written if one != two and not one.startswith("name:")]
    assert len(differ) == len(names)  # the lines with the paths
    for (one, two), name in zip(differ, names, strict=True):
        assert f": {name}" in one
        assert f'"{there}/{name}"' in two
        assert "relative to" not in two
    assert "lstm-sweeps-" not in f"{away.document()}"
    (one, mine), (two, theirs) = loaded(here.path), loaded(away.path)
    assert theirs.fingerprint == mine.fingerprint
    same = (loader.comparable(each) | {"name": ""} for each in (one, two))
    assert next(same) == next(same)
    assert two.shown_location == f"{there}/{names[0]}"
    if make is frames:  # mapped into memory: still readable when the copy is gone
        assert np.array_equal(theirs.values, mine.values)


def test_a_sweep_begun_with_a_copy_goes_on_with_the_object_and_predicts_from_it(bucket, tmp_path):
    table(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    log = tmp_path / "driver.log"

    def run(*more):
        log.unlink(missing_ok=True)
        return twin.run(tmp_path, "tiny.yaml", "runs", more=more)

    assert run() == 0, log.read_text()
    there = bucket("tiny.csv")
    (tmp_path / "tiny.csv").rename(tmp_path / "other.csv")
    away = ("--set", f"data.path={there}/tiny.csv")
    assert run("--set", "search.n_trials=2", *away) == 0, log.read_text()
    told = inside.call(["predict", "tiny", "--input", f"{there}/tiny.csv"], tmp_path)
    assert told.code == 0, told.err
    assert told.out == inside.call(["predict", "tiny", "--input", "other.csv"], tmp_path).out
    assert told.out == inside.call(["predict", "tiny"], tmp_path).out  # the spec's own data: the object
    shown = inside.call(["plan", "tiny", "--json"], tmp_path)
    assert f"{there}/tiny.csv" in shown.out
    (tmp_path / "tiny.csv").write_text((tmp_path / "other.csv").read_text().replace("0.327", "0.328"))
    bucket("tiny.csv")
    assert run("--set", "search.n_trials=3", *away) == 2, log.read_text()
    assert "data" in log.read_text()
    assert "lstm-sweeps-" not in log.read_text()


def test_what_is_wrong_in_an_object_is_told_with_its_address(bucket, tmp_path):
    lines = (tmp_path / table(tmp_path)).read_text().splitlines()
    (tmp_path / "tiny.csv").write_text("\n".join([*lines[:9], "2020-01-09,oops,1", *lines[10:]]))
    there = bucket("tiny.csv")
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("tiny.csv", f'"{there}/tiny.csv"'))
    told = inside.call(["plan", "tiny.yaml"], tmp_path)
    assert told.code == 2
    assert f"{there}/tiny.csv:10" in told.err
    assert "lstm-sweeps-" not in told.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("sales.csv", {}, "no-such-object"),
        ("data", {}, "object-is-folder"),
        ("tiny.csv", {"AWS_SECRET_ACCESS_KEY": "another-secret"}, "store-denies"),
        ("tiny.csv", {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "store-denies"),
        ("tiny.csv", dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), object_store.STRANGER, strict=True)),
         "store-denies"),
    ],
    ids=["absent", "a folder", "a wrong secret", "no key", "a key without the right"],
)  # fmt: skip
def test_what_a_store_refuses_is_one_message(name, given, code, bucket, tmp_path, monkeypatch):
    table(tmp_path)
    place = bucket("tiny.csv").removesuffix("/data") if name == "data" else bucket("tiny.csv")
    for variable, value in given.items():
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("tiny.csv", f'"{place}/{name}"'))
    told = inside.call(["plan", "tiny.yaml", "--json"], tmp_path)
    assert told.code == 2
    assert f'"code": "{code}"' in told.out
    assert f"{place}/{name}" in told.err
    for secret in (object_store.SECRET, object_store.STRANGER[1], "another-secret"):
        assert secret not in told.out + told.err
    assert not (tmp_path / "runs").exists()


class Recording:
    """A system in Slurm's place that submits to nobody, and keeps what it was given."""

    def __init__(self):
        self.requests = []

    def render(self, request):
        return f"{request.overrides}"

    def check(self, request, text):
        return []

    def intend(self, request):
        return Launched("slurm", "a name", request.name)

    def submit(self, request, text, intent):
        self.requests.append(request)
        return Launched("slurm", "1", request.name)


@pytest.fixture
def recording(monkeypatch):
    """The system on which sweeps are launched."""
    made = Recording()
    monkeypatch.setattr(submitting, "system", lambda name: made)
    monkeypatch.setattr(inside, "LOOKS", (*inside.LOOKS, "launch"))
    return made


def test_launch_uploads_the_data_once_and_the_sweep_there_reads_the_same(bucket, tmp_path, recording):
    place, there = bucket(table(tmp_path)).replace("/data", "/up"), ["launch", "tiny.yaml", "--on", "slurm"]
    (tmp_path / "tiny.yaml").write_text(SPEC)
    dry = inside.call([*there, "--upload", place, "--dry-run", "--json"], tmp_path)
    assert dry.code == 0, dry.err
    assert files.names(place) == []  # nothing was written
    assert not (tmp_path / "runs").exists()
    done = inside.call([*there, "--upload", place], tmp_path)
    assert done.code == 0, done.err
    [request] = recording.requests
    [digest] = files.names(place)
    assert digest == hashlib.sha256((tmp_path / "tiny.csv").read_bytes()).hexdigest()
    assert request.overrides == (f"data.path={place}/{digest}/tiny.csv",)
    assert "data" not in {need for need, _ in request.needs}
    assert f"{place}/{digest}/tiny.csv" in dry.out
    there = loader.load(tmp_path / "tiny.yaml", request.overrides)
    mine = registry.load(there.experiment.widest, there.location, there.experiment.reach)
    assert mine.fingerprint == loaded(tmp_path / "tiny.yaml")[1].fingerprint
    before = files.remote(f"{place}/{digest}/tiny.csv")
    first = before[0].get_file_info(before[1]).mtime_ns
    bring.send(bring.uploads({"data.path": str(tmp_path / "tiny.csv")}, place))
    assert before[0].get_file_info(before[1]).mtime_ns == first  # it was there


def test_a_bucket_that_does_not_take_the_data_submits_nothing(bucket, tmp_path, recording, monkeypatch):
    place = bucket(table(tmp_path)).replace("/data", "/up")
    (tmp_path / "tiny.yaml").write_text(SPEC)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    told = inside.call(["launch", "tiny.yaml", "--on", "slurm", "--upload", place, "--json"], tmp_path)
    assert told.code == 2
    assert '"code": "store-denies"' in told.out
    assert recording.requests == []


@pytest.mark.parametrize("while_it_is_sent", [False, True])
def test_a_file_that_changes_after_its_digest_was_taken_is_not_published(
    while_it_is_sent, bucket, tmp_path, monkeypatch
):
    place = bucket(table(tmp_path, 150 + while_it_is_sent)).replace("/data", "/up")
    found = bring.uploads({"data.path": str(tmp_path / "tiny.csv")}, place)
    (tmp_path / "tiny.csv").write_text("other\n")
    if while_it_is_sent:
        monkeypatch.setattr(objects, "digest_of", lambda path: found[0].digest)
    with pytest.raises(BadInput) as error:
        bring.send(found)
    assert [each.code for each in error.value.faults] == ["file-changed"]
    with pytest.raises(BadInput) as error, objects.local([found[0].address]):
        pass
    assert [each.code for each in error.value.faults] == ["no-such-object"]


def test_a_near_name_is_told(bucket, tmp_path):
    table(tmp_path)
    with pytest.raises(BadInput) as error, objects.local([f"{bucket('tiny.csv')}/tin.csv"]):
        pass
    assert [each.values for each in error.value.faults] == [{"near": "tiny.csv"}]


def test_a_bucket_that_is_not_there(bucket):
    bucket()
    with pytest.raises(BadInput) as error, objects.local(["s3://nowhere/tiny.csv"]):
        pass
    assert [each.code for each in error.value.faults] == ["no-such-bucket"]


class Changing(http.server.BaseHTTPRequestHandler):
    """An object that another process replaces while it is read."""

    asked = 0

    def do_HEAD(self):
        type(self).asked += 1
        self._head(f"{10 + self.asked}")

    def do_GET(self):
        self._head("12")
        self.wfile.write(b"a" * 4)

    def _head(self, second):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.send_header("Last-Modified", f"Mon, 30 Nov 2026 10:00:{second} GMT")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def served(monkeypatch):
    """A store of one's own; `serve(handler)`."""
    servers = []

    def serve(handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        for name, value in object_store.environment(f"http://127.0.0.1:{server.server_port}").items():
            monkeypatch.setenv(name, value)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def code_of(*addresses):
    with pytest.raises(BadInput) as error, objects.local(addresses):
        pass
    return [each.code for each in error.value.faults]


def test_an_object_that_changes_while_it_is_read_is_refused(served):
    served(Changing)
    assert code_of("s3://lab/tiny.csv") == ["object-changed"]


def test_a_server_that_is_no_store_has_no_such_bucket(served):
    class Nothing(Changing):
        def do_HEAD(self):
            self.send_error(404)

        def do_GET(self):
            self.send_error(404)

    served(Nothing)
    assert code_of("s3://lab/tiny.csv") == ["no-such-bucket"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "store-denies"),
        ("AWS Error SIGNATURE_DOES_NOT_MATCH during GetObject operation: any not-to-be-shown", "store-denies"),
        (
            "AWS Error NETWORK_CONNECTION during HeadObject: curlCode: 6, Could not resolve",
            "store-unreachable",
        ),
        ("google::cloud::Status(UNAVAILABLE: Could not create a OAuth2 access token to", "store-denies"),
        ("google::cloud::Status(UNAVAILABLE: PerformWork() - CURL error [7]=Could not connect", "store-unreachable"),
        ("AWS Error INTERNAL_FAILURE during GetObject operation: it broke", "object-unread"),
    ],
)
def test_what_stores_say_is_sorted_and_shows_no_key(said, code, monkeypatch):
    for name, value in object_store.environment("http://me:pass@store:1").items():
        monkeypatch.setenv(name, value)
    is_google = said.startswith("google")
    text = said if is_google else f"When getting information for key 'a' in bucket 'lab': {said}"
    refusal = objects.refusal("gs://lab/a" if is_google else "s3://lab/a", OSError(text))
    assert [each.code for each in refusal.faults] == [code]
    assert object_store.SECRET not in str(refusal)
    assert "pass" not in str(refusal)
    assert ("Google Cloud Storage" if is_google else "http://store:1") in str(refusal)
    assert ("AWS_" in str(refusal)) == (not is_google and code != "object-unread")
    assert "google::" not in str(refusal)


def test_a_store_that_takes_no_checkpoints_is_told_as_a_store(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:1")
    text = "OSError: When initiating multiple part upload for key 'a': AWS Error NETWORK_CONNECTION: curlCode: 7"
    away = objects.unwritable("s3://lab/x", text, at="host")
    assert (away.code, away.place, may_pass(BadInput(away))) == ("store-unreachable", "host", True)
    assert away.values["why"] == "AWS Error NETWORK_CONNECTION: curlCode: 7"
    for said in ("AWS Error SLOW_DOWN during PutObject", "AWS Error UNKNOWN (HTTP status 503) during PutObject"):
        busy = objects.unwritable("s3://lab/x", f"OSError: {said}", at="host")
        assert (busy.code, may_pass(BadInput(busy))) == ("object-unread", True)
    for folder, said in (("/x", "OSError: No space left on device"), ("s3://lab/x", "OSError: NO_SUCH_BUCKET")):
        other = objects.unwritable(folder, said, at="host")
        assert (other.code, other.values, may_pass(BadInput(other))) == (
            "checkpoints-unwritable",
            {"folder": folder, "why": said},
            False,
        )


def test_an_object_that_has_no_room_is_refused_before_it_is_read(bucket, tmp_path, monkeypatch):
    table(tmp_path)
    there = bucket("tiny.csv")
    usage = objects.shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(objects.shutil, "disk_usage", lambda _: usage)
    assert code_of(f"{there}/tiny.csv") == ["no-room-for-object"]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("s3://key:secret@lab/a.csv", "address-with-keys"),
        ("s3://lab/a.csv?region=x", "address-with-options"),
        ("s3:///a.csv", "address-without-bucket"),
        ("s3://lab", "address-without-file"),
        ("s3://lab/data/", "address-without-file"),
        ("s3://lab/a b.csv", "address-character"),
        ("http://lab/a.csv", "address-of-unknown-scheme"),
        ("file://host/a.csv", "address-without-folder"),
    ],
)
def test_a_wrong_address_is_refused_when_the_spec_is_read(written, code, tmp_path):
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("tiny.csv", f'"{written}"'))
    with pytest.raises(BadInput) as error, objects.local([written]):  # as `predict --input` and `new` get it
        pass
    assert [(each.code, each.path) for each in error.value.faults] == [(code, "")]
    assert "secret" not in str(error.value)
    with pytest.raises(BadInput) as error:
        loader.load(tmp_path / "tiny.yaml")
    assert [told[:2] for told in all_told(error.value.faults)] == [(f"{tmp_path}/tiny.yaml:2: data.path", code)]
    assert "secret" not in str(error.value)


def test_a_file_may_be_given_as_an_address(tmp_path):
    table(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("tiny.csv", (tmp_path / "tiny.csv").as_uri()))
    (tmp_path / "path.yaml").write_text(SPEC)
    assert loaded(tmp_path / "tiny.yaml")[1].fingerprint == loaded(tmp_path / "path.yaml")[1].fingerprint
