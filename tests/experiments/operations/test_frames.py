import pandas as pd
import pytest

from experiments.operations import frames


@pytest.mark.parametrize(
    ("texts", "zone", "hours"),
    [
        (["2023-03-26T01:00:00+01:00", "2023-03-26T03:00:00+02:00"], "UTC", [0, 1]),
        (["2023-03-26T01:00:00.500000+01:00", "2023-03-26T03:00:00.500000+02:00"], "UTC", [0, 1]),
        (["2023-03-26T01:00:00+05:30", "2023-03-26T02:00:00+05:30"], "UTC+05:30", [1, 2]),
        (["2023-03-26T01:00:00Z", "2023-03-26T02:00:00Z"], "UTC", [1, 2]),
        (["2023-03-26T01:00:00", "2023-03-26T02:00:00"], "None", [1, 2]),
        (["2023-03-26", "2023-03-27"], "None", [0, 0]),
    ],
)
def test_times_of_a_forecast_become_datetimes_also_where_a_clock_changes(texts, zone, hours):
    found = frames.of_forecast({"t": texts, "v": [1.0, 2.0]}, "t")["t"]
    assert (str(found.dt.tz), found.dt.hour.tolist()) == (zone, hours)
    assert isinstance(found.iloc[0], pd.Timestamp)


def test_whole_numbers_stay_as_they_are():
    assert frames.of_forecast({"t": ["150", "151"], "v": [1.0, 2.0]}, "t")["t"].tolist() == ["150", "151"]
