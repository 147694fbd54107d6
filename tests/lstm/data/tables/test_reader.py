import decimal
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from lstm.data.tables import reader
from lstm.messages.message import note
from lstm.records.errors import BadInput

DAYS = pd.date_range("2016-01-01", periods=12)


def daily():
    return "t,y\n" + "".join(f"{day:%Y-%m-%d},{n}\n" for n, day in enumerate(DAYS))


@pytest.fixture
def path(tmp_path):
    """Writes a file and tells its path."""

    def write(content, name="a.csv"):
        if isinstance(content, dict):
            pa.parquet.write_table(pa.table(content), tmp_path / name)
        else:
            (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


# --- What is read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "-", "?", '""'])
def test_what_stands_for_a_missing_value(reads, text):
    found = reads(daily().replace("05,4\n", f"05,{text}\n"), missing="skip")
    assert np.flatnonzero(np.isnan(found.values[:, 0])).tolist() == [4]
    told = {"count": 1, "steps": 12, "missing": "skip"}
    assert note("steps-with-missing-values", "data.missing", **told) in found.notes


def test_in_a_single_column_an_empty_line_is_a_missing_value(reads, refuses):
    assert np.isnan(reads("y\n1\n\n3\n", time=None).values[1, 0])
    [wrong] = refuses("y\n1\n\nx\n", time=None)
    assert (wrong.code, wrong.place, wrong.values) == (
        "not-a-number",
        "a.csv:4",
        {"column": "y", "value": "x", "line": None},
    )


def test_columns_come_in_the_configurations_order(reads):
    found = reads(
        "f,b,t,a,p\n1,2,2016-01-01,3,4\n5,6,2016-01-02,7,8\n",
        target=["b", "a"],
        past_covariates=["p"],
        future_covariates=["f"],
    )
    assert found.columns == ("b", "a", "p", "f")
    assert found.values.tolist() == [[2, 3, 4, 1], [6, 7, 8, 5]]


def test_columns_keep_the_types_that_their_values_suggest(path):
    content = "t,n,x,s,e\n2016-01-01,1,1.5,a,\n2016-01-02,2,?,b,\n"
    found = reader.read(path(content), ["s", "x", "n", "t", "e"])
    assert [str(kind) for kind in found.schema.types] == ["string", "double", "int64", "date32[day]", "null"]
    assert found.column("x").to_pylist() == [1.5, None]


def test_a_text_far_down_makes_a_column_of_texts_or_is_told_where_numbers_are_asked_for(path):
    name = path("n,m\n" + "1,1\n" * 300_000 + "x,1\n")
    assert [str(kind) for kind in reader.read(name, ["n", "m"]).schema.types] == ["string", "int64"]
    with pytest.raises(BadInput) as error:
        reader.read(name, ["n", "m"], numbers=["n"])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("not-a-number", f"{name}:300002")
    assert wrong.values == {"column": "n", "value": "x", "line": None}


@pytest.mark.parametrize("rows", ["1,1\n", "2020-01-01 00:00:00,0.1\n", "1,\n"])
def test_a_long_file_reads_as_a_short_one(path, monkeypatch, rows):
    name = path("t,x\n" + rows * 100_000)
    once = reader.read(name, ["t", "x"], numbers=["x"])
    monkeypatch.setattr(reader, "LONG", 1)
    assert reader.read(name, ["t", "x"], numbers=["x"]).equals(once)
    path("t,x\n" + rows * 100_000 + "1,?\nx,1\n", name.name)
    assert str(reader.read(name, ["t", "x"], numbers=["x"]).schema.field("t").type) == "string"
    path("t,x\n" + rows * 100_000 + "1,x\n", name.name)
    with pytest.raises(BadInput) as error:
        reader.read(name, ["t", "x"], numbers=["x"])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("not-a-number", f"{name}:100002")
    assert wrong.values == {"column": "x", "value": "x", "line": None}


def test_numbers_are_float64_with_nan_for_none(path):
    name = path("n,x\n1,1.5\n,2.5\n")
    values = reader.numbers(name, reader.read(name, ["n", "x"]), ["x", "n"])
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [[1.5, 1], [2.5, np.nan]])


@pytest.mark.parametrize(
    ("content", "name", "line"),
    [
        ("t,y\n1,1\n2,2\n3,3\n", "a.csv", 4),
        ("t,y\n\n1,1\r\n\r\n\n2,2\n3,3\n", "a.csv", 7),  # empty lines are no rows
        ("y\n1\n\n3\n", "a.csv", 4),  # of one column they are missing values
        ({"y": [1, 2, 3]}, "a.parquet", 3),  # rows have no lines
    ],
)
def test_a_row_has_its_place(path, content, name, line):
    assert reader.place(path(content, name), 2) == f"{path(content, name)}:{line}"


@pytest.mark.parametrize(("name", "is_parquet"), [("a.parquet", True), ("a.PQ", True), ("a.csv", False), ("a", False)])
def test_parquet_is_known_by_its_name(name, is_parquet):
    assert reader.is_parquet(Path(name)) == is_parquet


# --- Files that are refused ---------------------------------------------------------------------------------


JAN = "2016-01-01,1\n2016-01-02,2\n"


@pytest.mark.parametrize(
    ("content", "place", "code", "values"),
    [
        ("", "a.csv:1", "empty-table", {}),
        ("\n\n", "a.csv:1", "empty-table", {}),
        ("t,y\n", "a.csv", "no-rows", {}),
        ("t,y", "a.csv", "no-rows", {}),
        ("t,y,y\n2016-01-01,1,2\n", "a.csv:1", "column-occurs-twice", {"column": "y"}),
        ("t,y\n" + JAN + "2016-01-03,abc\n", "a.csv:4", "not-a-number", {"column": "y", "value": "abc"}),
        ("t,y\n\n" + JAN + "\n2016-01-03,abc\n", "a.csv:6", "not-a-number", {"column": "y", "value": "abc"}),
        ("t;y\n2016-01-01;1,5\n2016-01-02;2,5\n", "a.csv:2", "not-a-number", {"column": "y", "value": "1,5"}),
        ("t,y\n" + JAN + "2016-01-03,1_000\n", "a.csv:4", "not-a-number", {"column": "y", "value": "1_000"}),
        ("t,y\n" + JAN + "2016-01-03,\0\n", "a.csv:4", "not-a-number", {"column": "y", "value": "\0"}),
        ("t,y\n" + JAN + "2016-01-03\n", "a.csv:4", "too-many-or-few-fields", {"found": 1, "wanted": 2}),
        ("t,y\n" + JAN + "2016-01-03,3,4\n", "a.csv:4", "too-many-or-few-fields", {"found": 3, "wanted": 2}),
        ("t,y\n" + JAN + "2016-01-03,inf\n", "a.csv:4", "number-too-large", {"column": "y", "value": "inf"}),
        ("t,y\n" + JAN + "2016-01-03,-1e308\n", "a.csv:4", "number-too-large", {"column": "y", "value": "-1e+308"}),
        ("t,y\n" + JAN + "2016-01-03,1e999\n", "a.csv:4", "number-too-large", {"column": "y", "value": "inf"}),
        (b"t,y\xe9\n" + JAN.encode(), "a.csv:1", "not-utf8", {}),
        (daily().encode("utf-16-le"), "a.csv:1", "nul-bytes-in-table", {}),
        (gzip.compress(daily().encode(), mtime=0)[:-9], "a.csv", "not-unpacked", None),
        ('t,y\n"2016-01-01,1\n2016-01-02,2\n', "a.csv:2", "too-many-or-few-fields", {"found": 1, "wanted": 2}),
        (f't,y\n2016-01-01,"{"x" * 3_000_000}"\n', "a.csv", "line-too-long", {}),
    ],
)
def test_a_file_that_can_not_be_right_is_told_where_and_why(refuses, content, place, code, values):
    [wrong] = refuses(content)
    assert (wrong.code, wrong.place) == (code, place)
    assert values is None or {name: wrong.values[name] for name in wrong.values if name != "line"} == values


@pytest.mark.parametrize(
    ("content", "code", "why"),
    [
        (daily().replace("\n", "\r"), "old-line-ends", "new-line character seen in unquoted field"),
        (f'"{"x" * 200_000}",t,y\n', "table-unreadable", "field larger than field limit"),
    ],
)
def test_what_no_csv_can_be_is_told_in_the_librarys_words(refuses, content, code, why):
    [wrong] = refuses(content)
    assert (wrong.code, wrong.place) == (code, "a.csv:1")
    assert wrong.values["why"].startswith(why)


def test_a_file_that_is_not_there_is_told_with_the_nearest_name(refuses, tmp_path):
    (tmp_path / "prices.csv").write_text(daily())
    for name, near in {"pricse.csv": "prices.csv", "zzz": None, "no/folder/a.csv": None}.items():
        [wrong] = refuses(None, name)
        assert (wrong.code, wrong.place, wrong.values) == ("no-such-file", name, {"near": near})
    [wrong] = refuses(None, "x" * 300 + ".csv")
    assert wrong.code == "table-unreadable"
    assert "File name too long" in wrong.values["why"]


def test_a_folder_is_no_file(refuses, tmp_path):
    (tmp_path / "b.csv").mkdir()
    [wrong] = refuses(None, "b.csv")
    assert (wrong.code, wrong.place) == ("not-a-file", "b.csv")
    assert wrong.values == {"wanted": "a CSV or Parquet file"}


def test_every_wrong_column_is_told_at_once(refuses):
    wrong = refuses("date,temp,price\n" + JAN, time="dat", target="tmp", past_covariates=["prices"])
    assert {(each.code, each.place) for each in wrong} == {("column-not-in-file", "a.csv")}
    assert [each.values["near"] for each in wrong] == ["date", "temp", "price"]
    assert [each.values["column"] for each in wrong] == ["dat", "tmp", "prices"]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("t,yy", [("y", "yy", ["t", "yy"], None)]),
        ("time,value", [("t", None, ["time", "value"], None), ("y", None, ["time", "value"], None)]),
        (",".join(["t", *"abcdefghijklmn"]), [("y", None, ["t", *"abcdefghijk"], 3)]),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_files_columns(refuses, header, wanted):
    wrong = refuses(header + "\n" + JAN)
    assert {(each.code, each.place) for each in wrong} == {("column-not-in-file", "a.csv")}
    names = ("column", "near", "columns", "further")
    assert [tuple(each.values[name] for name in names) for each in wrong] == wanted


# --- Parquet ------------------------------------------------------------------------------------------------


def test_whole_numbers_beyond_float64s_are_rounded(reads):
    found = reads({"t": DAYS, "y": [2**60 + i for i in range(12)]}, "a.parquet")
    assert found.values[0, 0] == 2.0**60


@pytest.mark.parametrize("name", ["a.b", "ä", "y[0]"])
def test_columns_of_parquet_may_have_any_name(reads, name):
    assert reads({"t": DAYS, name: range(12)}, "a.parquet", target=name).values[3, 0] == 3


def test_a_folders_name_is_no_column(reads, tmp_path):
    (tmp_path / "y=3").mkdir()
    assert reads({"t": DAYS, "y": np.arange(12.0)}, "y=3/a.parquet").values[5, 0] == 5


@pytest.mark.parametrize(
    ("columns", "place", "code", "values"),
    [
        ({"t": DAYS, "y": ["1"] * 11 + ["x"]}, "a.parquet:12", "not-a-number", {"column": "y", "value": "x"}),
        ({"t": DAYS, "y": [b"1"] * 12}, "a.parquet", "column-without-numbers", {"column": "y", "type": "binary"}),
        ({"t": DAYS, "x": [1.0] * 12}, "a.parquet", "column-not-in-file", {"column": "y", "columns": ["t", "x"]}),
        ({"t": DAYS[:0], "y": pa.array([], pa.float64())}, "a.parquet", "no-rows", {}),
        ({"t": DAYS, "y": [1.0, np.inf] * 6}, "a.parquet:2", "number-too-large", {"column": "y", "value": "inf"}),
    ],
)
def test_wrong_types_in_parquet_are_told(refuses, columns, place, code, values):
    [wrong] = refuses(columns, "a.parquet")
    assert (wrong.code, wrong.place) == (code, place)
    assert wrong.values.items() >= values.items()


@pytest.mark.parametrize(("value", "kind"), [([1], "list<"), ({"a": decimal.Decimal("1.5")}, "struct<")])
def test_types_with_parameters_are_told_too(refuses, value, kind):
    [wrong] = refuses({"t": DAYS, "y": [value] * 12}, "a.parquet")
    assert (wrong.code, wrong.place, wrong.values["column"]) == ("column-without-numbers", "a.parquet", "y")
    assert wrong.values["type"].startswith(kind)


def test_parquet_with_a_column_twice_is_refused(refuses, tmp_path):
    twice = pa.table([pa.array([1, 2]), pa.array([1, 2]), pa.array([1, 2])], names=["t", "y", "y"])
    pa.parquet.write_table(twice, tmp_path / "a.parquet")
    [wrong] = refuses(None, "a.parquet")
    assert (wrong.code, wrong.values) == ("column-occurs-twice", {"column": "y"})


# --- What is hostile ----------------------------------------------------------------------------------------


def test_more_rows_than_memory_holds_are_refused_before_they_are_read(path, monkeypatch):
    source = path({"y": pa.nulls(101, pa.float64()), "x": pa.nulls(101, pa.float64())}, "a.parquet")
    monkeypatch.setattr(reader, "MOST_VALUES", 101)
    assert reader.read(source, ["y"]).num_rows == 101
    monkeypatch.setattr(pa.parquet, "read_table", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(BadInput) as error:
        reader.read(source, ["y", "x"])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("too-many-values", str(source))
    assert wrong.values == {"rows": 101, "columns": 2, "limit": 101}
    monkeypatch.setattr(reader, "MOST_VALUES", 23)
    with pytest.raises(BadInput) as error:
        reader.read(path(daily()), ["t", "y"])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("too-many-values", {"rows": 12, "columns": 2, "limit": 23})


def test_names_are_shown_on_one_line_and_not_at_length(path):
    with pytest.raises(BadInput) as error:
        reader.read(path("\x1b[2J," + "n" * 5000 + ",\ufeffy\n1,2,3\n"), ["y"])
    told, cut = str(error.value), "n" * 57 + "..."
    for words in (r"'y'", r" \ufeffy?", rf"'\x1b[2J', '{cut}', '\ufeffy'"):
        assert words in told
    assert told.isascii()
    assert told.isprintable()


@pytest.mark.parametrize(
    ("content", "place", "code", "values"),
    [
        ("y\n" + "9" * 2**21 + "\n", "", "line-too-long", {}),
        ("y" * 2**20 + "\n1\n", ":1", "first-line-too-long", {"limit": 1_048_576}),
        ('t,y\n1,"' + "x\n" * 2**20, "", "line-break-in-quotes", {}),
    ],
)
def test_lines_without_an_end_are_told_as_such(path, content, place, code, values):
    name = path(content)
    with pytest.raises(BadInput) as error:
        reader.read(name, ["y"])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values) == (code, f"{name}{place}", values)


def test_repeated_names_among_a_hundred_thousand_are_found_at_once(path):
    with pytest.raises(BadInput) as error:
        reader.read(path(",".join([*(f"c{n}" for n in range(100_000)), "y", "y"]) + "\n1\n"), ["y"])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("column-occurs-twice", {"column": "y"})


# --- A name is no address --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s3:a.parquet", "file:a.parquet", "a:b.pq", "%41?#[1]{b}.parquet"])
def test_a_name_that_looks_like_an_address_is_a_file(path, name, monkeypatch):
    monkeypatch.chdir(path({"y": [1.0, 2.0]}, name).parent)
    assert reader.header(Path(name)) == ["y"]
    assert reader.read(Path(name), ["y"]).num_rows == 2
    assert [block.num_rows for block in reader.blocks(Path(name), ["y"], numbers=["y"])] == [2]


@pytest.mark.parametrize("name", ["\udcff.csv", "\udcff.parquet", "\udcff/a.csv"])
def test_a_name_that_is_no_text_is_refused(tmp_path, name):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(daily())
    with pytest.raises(BadInput) as refused:
        reader.header(place)
    assert refused.value.faults[0].code == "name-not-utf8"
    assert str(refused.value).isascii()
