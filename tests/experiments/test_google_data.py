"""Data and checkpoints at `gs://` addresses, in fake-gcs-server, which speaks as Google's store does."""

import hashlib
from pathlib import Path

import google_store
import inside
import numpy as np
import pandas as pd
import pytest
import twin

from cluster.launch import bring
from lstm.records.errors import BadInput
from lstm.storage import files, objects

SPEC = """\
name: tiny
data: {path: "gs://lab/data/tiny.csv", target: load, lookback: 14, horizon: 7, split: {validation: 0.2, test: 0.2}}
model: {hidden_size: 4}
training: {max_epochs: 2, batch_size: 32, learning_rate: 1e-2}
search:
  n_trials: 1
  sampler: {type: random}
  pruner: {type: none}
  space:
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
storage: {checkpoints: "gs://lab/sweeps"}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The store, with a bucket `lab`."""
    if why := google_store.missing():
        pytest.skip(why)
    with google_store.store(tmp_path_factory.mktemp("gs")) as made:
        made.make_bucket("lab")
        yield made


@pytest.fixture
def store(made, tmp_path, monkeypatch):
    """The store with a table of data, and the variables of a client that may read and write."""
    monkeypatch.chdir(tmp_path)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    pd.DataFrame({"load": np.sin(np.arange(200) / 3).round(3)}).to_csv("tiny.csv", index=False)
    made.put("lab", "data/tiny.csv", (tmp_path / "tiny.csv").read_bytes())
    return made


def test_a_sweep_reads_its_data_and_keeps_its_checkpoints_there_and_its_study_is_made_again_from_them(
    store, tmp_path, near
):
    (tmp_path / "tiny.yaml").write_text(SPEC)
    assert twin.run(tmp_path, "tiny.yaml", "runs") == 0, (tmp_path / "driver.log").read_text()
    told = inside.call(["predict", "tiny"], tmp_path)
    assert told.code == 0, told.err
    assert told.out == inside.call(["predict", "tiny", "--input", "tiny.csv"], tmp_path).out
    [study] = files.names("gs://lab/sweeps/tiny")
    assert {"trial-0000", "trial-0001"} <= {*files.names(f"gs://lab/sweeps/tiny/{study}/")}
    assert [name for name in files.names(f"gs://lab/sweeps/tiny/{study}/trial-0000") if name.endswith(".pt")] != []
    (tmp_path / "runs" / "study.db").unlink()
    again = near("rebuild", "tiny.yaml", "--study", cwd=tmp_path, **store.environment())
    assert again.code == 0, again.err
    assert inside.call(["predict", "tiny"], tmp_path).out == told.out


@pytest.mark.parametrize(
    ("address", "key", "code"),
    [
        ("gs://lab/data/tin.csv", "good", "no-such-object"),
        ("gs://lab/data", "good", "object-is-folder"),
        ("gs://nowhere/tiny.csv", "good", "no-such-bucket"),
        ("gs://lab/data/tiny.csv", "revoked", "store-denies"),
    ],
)
def test_what_the_store_refuses_is_one_message(store, tmp_path, monkeypatch, address, key, code):
    for name, value in store.environment(key).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("gs://lab/data/tiny.csv", address))
    told = inside.call(["plan", "tiny.yaml", "--json"], tmp_path)
    assert told.code == 2
    assert f'"code": "{code}"' in told.out
    assert address in told.err
    assert google_store.SECRET not in told.out + told.err
    assert not (tmp_path / "runs").exists()


def test_data_are_uploaded_there_once_under_their_digest(store, tmp_path):
    digest = hashlib.sha256((tmp_path / "tiny.csv").read_bytes()).hexdigest()
    found = bring.uploads({"data.path": str(tmp_path / "tiny.csv")}, "gs://lab/up")
    assert [each.address for each in found] == [f"gs://lab/up/{digest}/tiny.csv"]
    bring.send(found)
    with objects.local([found[0].address]) as copies:
        [copy] = copies.values()
        assert objects.digest_of(Path(copy)) == digest
    system, path = files.remote(found[0].address)
    first = system.get_file_info(path).mtime_ns
    bring.send(found)
    assert system.get_file_info(path).mtime_ns == first, "it was there"
    with pytest.raises(BadInput) as error, objects.local([f"gs://lab/up/{digest}/tin.csv"]):
        pass
    assert [each.values for each in error.value.faults] == [{"near": "tiny.csv"}]
