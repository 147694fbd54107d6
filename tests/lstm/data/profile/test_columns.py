import numpy as np
import pandas as pd
import pytest
from waves import save

from lstm.data.profile import columns
from lstm.data.profile.columns import Column
from lstm.messages.message import note
from lstm.records.errors import BadInput


def hourly(rows=500):
    return pd.DataFrame({"when": pd.date_range("2024-01-01", periods=rows, freq="h"), "kw": np.arange(rows) / 7})


def described(path):
    return columns.describe(path, columns.read(path)[0])


def refused(path):
    with pytest.raises(BadInput) as error:
        columns.read(path)
    [wrong] = error.value.faults
    return wrong


@pytest.mark.parametrize(("name", "line"), [("a.csv", 9), ("a.parquet", 8)])
def test_what_each_column_holds(tmp_path, name, line):
    frame = hourly().assign(text="x")
    frame.loc[[7, 9], "kw"] = np.nan
    path = save(tmp_path / name, frame)
    assert described(path) == (
        Column("when", "time", 0, ""),
        Column("kw", "number", 2, f"{path}:{line}"),
        Column("text", "other", 0, ""),
    )


def test_texts_that_are_all_numbers_are_numbers(tmp_path):
    frame = pd.DataFrame({"whole": ["1", "2", None], "broken": ["1", "x", "2"], "real": ["1.5", "2", "1e3"]})
    raw, notes = columns.read(save(tmp_path / "a.parquet", frame))
    assert [str(kind) for kind in raw.schema.types] == ["int64", raw.schema.field("broken").type, "double"]
    assert columns.is_text(raw.schema.field("broken").type)
    assert notes == []


def test_columns_without_a_name_of_their_own_are_left_out_and_told(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,b,,c\n1,2,3,4,5\n")
    raw, notes = columns.read(tmp_path / "a.csv")
    assert raw.column_names == ["a", "c"]
    assert notes == [note("columns-without-own-name", count=3, twice="b")]


def test_a_file_with_bad_numbers_far_down_keeps_its_other_columns(tmp_path):
    frame = hourly(60_000).assign(other=lambda f: f.kw.round(3).astype(str))
    frame.loc[59_000, "other"] = "broken"
    assert [c.kind for c in described(save(tmp_path / "a.csv", frame))] == ["time", "number", "number"]


@pytest.mark.parametrize(
    ("name", "content", "line", "code", "values"),
    [
        ("a.csv", b"", ":1", "empty-table", {}),
        ("a.csv", b"\n\n", ":1", "empty-table", {}),
        ("a.csv", b"\x89PNG\r\n\x1a\n\xff\xfe" * 20, ":1", "not-utf8", {}),
        ("a.csv", b"a,b\0\n1,2\n", ":1", "nul-bytes-in-table", {}),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", ":3", "too-many-or-few-fields", {"found": 3, "wanted": 2}),
        ("a.csv", b",\n1,2\n", ":1", "no-column-with-own-name", {}),
        ("a.csv", b"1.5,2.5\n1,2\n", ":1", "numbers-instead-of-names", {}),
        ("a.csv", b"a,b\n", "", "no-rows", {}),
        ("a.parquet", b"no parquet", "", "table-unreadable", {"kind": "Parquet"}),
        ("a.parquet", b"", "", "table-unreadable", {"kind": "Parquet"}),
        ("a.yaml", b"name: x\n", "", "spec-instead-of-data", {}),
    ],
)
def test_refuses_what_is_no_table(tmp_path, name, content, line, code, values):
    (tmp_path / name).write_bytes(content)
    wrong = refused(tmp_path / name)
    assert (wrong.code, wrong.place) == (code, f"{tmp_path / name}{line}")
    assert wrong.values.items() >= values.items()


def test_refuses_a_file_that_is_not_there_and_names_the_nearest(tmp_path):
    save(tmp_path / "data.csv", hourly())
    wrong = refused(tmp_path / "dat.csv")
    assert (wrong.code, wrong.values) == ("no-such-file", {"near": "data.csv"})
    assert refused(tmp_path).code == "not-a-file"


def test_dated_texts_that_are_no_times_are_other(tmp_path):
    frame = hourly().assign(ip="10.0.0.1", code="A-12", version="1.2.3.4")
    assert [c.kind for c in described(save(tmp_path / "a.csv", frame))] == ["time", "number", "other", "other", "other"]
