"""What a bucket must get of a spec's data. Real uploads are in `tests/experiments/test_object_data.py`."""

import hashlib

import pytest

from cluster.launch import bring
from cluster.launch.profile import SlurmProfile
from cluster.launch.request import Request, Size
from lstm.records.errors import BadInput


@pytest.fixture
def request_of(tmp_path):
    """Makes a request that needs files of data."""

    def request_of(*paths):
        needs = (("spec", "/shared/a.yaml"), *(("data", path) for path in paths))
        size = Size(nodes=1, cpus=1, gpus=0, memory_mb=None, time_s=None)
        values = {"spec_text": "", "overrides": ("search.n_trials=3",), "code": None, "home": "/shared/runs"}
        more = {"size": size, "profile": SlurmProfile(), "python": "/usr/bin/python", "needs": needs}
        return Request(system="slurm", name="a", named="/shared/a.yaml", **values, **more)

    return request_of


def test_each_file_goes_under_its_digest_and_addresses_stay(request_of, tmp_path):
    (tmp_path / "a b.en").write_text("one")
    (tmp_path / "a.de").write_text("eins")
    paths = {"data.path": f"{tmp_path}/a b.en", "data.target_path": f"{tmp_path}/a.de", "data.test_path": "s3://x/t.en"}
    found = bring.uploads(paths, "s3://lab/up/")
    one, eins = (hashlib.sha256(text.encode()).hexdigest() for text in ("one", "eins"))
    assert [(each.field, each.address) for each in found] == [
        ("data.path", f"s3://lab/up/{one}/a%20b.en"),
        ("data.target_path", f"s3://lab/up/{eins}/a.de"),
    ]
    made = bring.rewritten(request_of(f"{tmp_path}/a b.en", f"{tmp_path}/a.de"), found)
    assert made.overrides == ("search.n_trials=3", *(f"{each.field}={each.address}" for each in found))
    assert made.needs == (("spec", "/shared/a.yaml"),)
    assert made.uploads == tuple((each.path, each.address) for each in found)


@pytest.mark.parametrize(
    ("bucket", "code"),
    [
        ("up", "upload-to-no-bucket"),
        ("", "upload-to-no-bucket"),
        ("file:///shared/up", "upload-to-no-bucket"),
        ("s3:lab", "address-without-slashes"),
        ("ftp://lab/up", "address-of-unknown-scheme"),
        ("s3://key:secret@lab/up", "address-with-keys"),
    ],
)
def test_what_is_no_bucket_is_refused(bucket, code, tmp_path):
    (tmp_path / "a.csv").write_text("one")
    with pytest.raises(BadInput) as error:
        bring.uploads({"data.path": f"{tmp_path}/a.csv"}, bucket)
    assert [(each.code, each.path) for each in error.value.faults] in ([(code, "--upload")], [(code, "")])
    assert "secret" not in str(error.value)


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(BadInput) as error:
        bring.uploads({"data.path": f"{tmp_path}/gone.csv"}, "s3://lab/up")
    assert [each.code for each in error.value.faults] == ["file-unread"]
