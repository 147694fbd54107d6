"""Lines that are left out above and below a table: a row of the table is never one of them in silence."""

import pytest

from lstm.config.forecast import ForecastData, Split
from lstm.data.tables import regular
from lstm.records.errors import BadInput

SPLIT = Split(validation=1, test=1)


@pytest.fixture
def read(tmp_path):
    def read(text, **fields):
        path = tmp_path / "a.csv"
        path.write_text(text)
        made = regular.read(ForecastData(target="v", lookback=1, horizon=1, split=SPLIT, **fields), path)
        return str(made.times[-1]), made.values[-1, 0]

    return read


WAYS = [
    ("{:02}.03.2021;1,5;a", {"decimal": ",", "time_format": "%d.%m.%Y"}),
    ("2021-03-{:02},2.5,a", {}),
    ("Mar {}, 2021|3|a", {"time_format": "%b %d, %Y"}),
    ("202103{:02}\t4e1\ta", {"time_format": "%Y%m%d"}),
]


@pytest.mark.parametrize(("row", "fields"), WAYS)
def test_a_last_row_is_not_left_out_as_a_total(read, row, fields):
    mark = next(each for each in ";|\t," if each in row.replace("Mar {}, ", ""))
    rows = "\n".join([mark.join(("day", "v", "w")), *(row.format(day) for day in range(10, 16))])
    total = mark.join(("Total", "99", ""))
    assert read(f"{rows}\n{total}\n", time="day", skip_last=1, **fields)[0] == "2021-03-15 00:00:00"
    assert read(f"{rows}\n\nmade by Bob in 2021\n", time="day", skip_last=1, **fields)[0] == "2021-03-15 00:00:00"
    with pytest.raises(BadInput, match=r"is left out by data\.skip_last, but is a row of the table"):
        read(f"{rows}\n", time="day", skip_last=1, **fields)
    with pytest.raises(BadInput, match="skip_last"):
        read(f"{rows}\n{total}\n", time="day", skip_last=2, **fields)


def test_a_total_of_a_date_is_no_row(read):
    rows = "\n".join(["day,v,w", *(f"2021-03-{day},2.5,7" for day in range(10, 16))])
    assert read(f"{rows}\n2021-03-15,Sum,42\n", time="day", skip_last=1) == ("2021-03-15 00:00:00", 2.5)


def test_months_by_name_and_a_total_of_a_year(read):
    rows = "\n".join(["y,m,v", *(f"2021,{month},{n}" for n, month in enumerate(("Jan", "Feb", "Mar", "Apr")))])
    given = {"time": ["y", "m"], "time_format": ["%Y", "%b"], "skip_last": 1}
    assert read(f"{rows}\n2021,Total,6\n", **given) == ("2021-04-01 00:00:00", 3)
    with pytest.raises(BadInput, match="'2021,Apr,3'"):
        read(f"{rows}\n", **given)


def test_a_first_row_is_not_left_out_as_a_line_of_units(read):
    rows = "\n".join(f"2021-03-{day},{day / 2}" for day in range(25, 19, -1))
    given = {"time": "day", "skip_rows": 2, "header": ["day", "v"]}
    assert read(f"day,v\n,kWh\n{rows}\n", **given) == ("2021-03-25 00:00:00", 12.5)
    with pytest.raises(BadInput, match=r"'2021-03-25,12\.5' of .*is left out by data\.skip_rows"):
        read(f"day,v\n{rows}\n", **given)
