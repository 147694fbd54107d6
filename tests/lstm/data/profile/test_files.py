"""Whether a file is a table or a text."""

import pytest

from lstm.data.profile.files import GivenFile
from lstm.records.errors import BadInput

NUMBERS = "\n".join(f"{n};{n / 7:.3f};{n / 3:.2f}" for n in range(50))
LINE = "Roses are red, violets are blue\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", LINE * 9, "table"),
        ("a.parquet", b"PAR1", "table"),
        ("a.txt", "day;v;w\n" + NUMBERS, "table"),
        ("a.dat", "day\tv\n" + "2024-01-01\t1\n" * 9, "table"),
        ("a", "day,v\n2024-01-01,1\n2024-01-02,2\n", "table"),
        ("a.txt", "v\n1\n2.5\n3\n", "table"),
        ("a.txt", "v\n1,5\n2,5\n3,5\n", "table"),
        ("a.txt", "day,v\n" + "2024-01-01,1\n" * 20 + "2024-01-01,1,1\n", "table"),
        ("a.txt", "hello\tbonjour\nyes\toui\nno\tnon\n", "table"),
        ("a.txt", LINE * 99, "text"),
        ("a.txt", "In 1609, he wrote\nsonnets, 154 of them\nand, later, plays\n", "text"),
        ("a.log", "".join(f"2024-01-01 12:{n:02}, anna: hi, there\n" for n in range(50)), "text"),
        ("a.txt", LINE * 9_999, "text"),
        ("a.txt", "one line and no more", "text"),
        ("a.txt", "", "text"),
        ("a.md", "größer, 数量\n" * 20_000, "text"),
        ("a.json", '{"a": 1}', "other"),
        ("a.txt", "café\n".encode("latin-1") * 9, "other"),
        ("a.txt", LINE.encode("utf-16"), "other"),
        ("a.bin", b"abc\0def", "other"),
    ],
)
def test_a_table_or_a_text_by_name_and_content(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    form = GivenFile(tmp_path / name).form
    assert form.kind == kind, form
    assert form.what


def test_a_file_that_is_not_there_is_told_with_the_nearest_name(tmp_path):
    (tmp_path / "sales.csv").write_text("v\n1\n")
    with pytest.raises(BadInput) as error:
        GivenFile(tmp_path / "sale.csv").checked()
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("no-such-file", str(tmp_path / "sale.csv"))
    assert wrong.values == {"near": "sales.csv"}
