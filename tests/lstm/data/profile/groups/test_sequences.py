"""Which tables are labelled sequences, and which are one series that only looks like some."""

import numpy as np
import pandas as pd
import pytest

from lstm.data.profile.files import GivenFile


def frame(count=12, steps=10, **more):
    """Sequences one after another."""
    made = pd.DataFrame(
        {"run": np.repeat(np.arange(count), steps), "x": np.random.default_rng(0).normal(size=count * steps)}
    )
    return made.assign(kind=np.where(made.run % 2, "a", "b"), **more)


def daily(length, **more):
    """One series of days that a column cuts into pieces of a length, each with a flag."""
    rows = np.arange(400)
    flags = np.where(rows // length % 4, "no", "yes")
    made = pd.DataFrame({"date": pd.date_range("2020-01-06", periods=400), "block": rows // length, "promo": flags})
    return made.assign(sales=np.random.default_rng(1).normal(size=400), **more)


@pytest.fixture
def found(tmp_path):
    """The ways to read a frame as labelled sequences: id, labels, times."""

    def found(frame):
        frame.to_csv(tmp_path / "a.csv", index=False)
        return [(way.id, way.labels, way.times) for way in GivenFile(tmp_path / "a.csv").groupings]

    return found


TWELVE = np.tile(np.arange(10), 12)
SEQUENCES = {
    "blocks": (frame(), ()),
    "a time of its own each": (frame(when=pd.Timestamp("2024-01-01") + pd.to_timedelta(TWELVE, unit="s")), ("when",)),
    "days that lie apart": (
        frame(when=pd.date_range("2024-01-01", periods=12).repeat(10) + pd.to_timedelta(TWELVE, unit="s")),
        ("when",),
    ),
    "years": (frame(year=1990 + TWELVE), ("year",)),
    "in turns": (
        frame(when=pd.Timestamp("2024-01-01") + pd.to_timedelta(TWELVE, unit="D")).sort_values("when", kind="stable"),
        ("when",),
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_found(found, name):
    table, times = SEQUENCES[name]
    assert found(table) == [("run", ("kind",), times)]


def test_sequences_in_turns_are_found_by_what_counts_their_steps(found):
    table = frame(count=40).assign(place=np.tile(np.arange(10), 40)).sort_values("place", kind="stable")
    assert found(table) == [("run", ("kind",), ())]
    assert found(table.rename(columns={"run": "Wochentag"})) == []


def test_a_cut_that_is_no_part_of_the_calendar_is_found(found):
    assert found(daily(10)) == [("block", ("promo",), ("date",))]


NONE = {
    "weeks": daily(7),
    "in turns without times": frame().sample(frac=1, random_state=1),
    "an id that comes back later": pd.concat([frame(), frame()]),
    "one class": frame().assign(kind="a"),
    "each its own class": frame().assign(kind=lambda f: f.run + 100),
    "too few": frame(count=5),
    "one row each": frame(count=120, steps=1),
    "months": frame().rename(columns={"run": "month_number"}),
    "days that could not be read": frame().assign(run=lambda f: [f"{1 + r}-Aug-2020" for r in f.run]),
    "years in any language": frame(count=30).assign(Jahr=lambda f: f.run + 1990).drop(columns="run"),
    "days as whole numbers": frame().assign(run=lambda f: 20200801 + f.run),
    "a label that changes": frame().assign(kind=lambda f: np.where(f.index % 2, "a", "b")),
    "measured alone": frame()[["x"]],
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_none_is_not_taken_for_it(found, name):
    assert found(NONE[name]) == []


def test_two_ways_are_two_and_a_second_name_is_none(found):
    two = frame(count=24).assign(part=lambda f: f.run // 2, kind=lambda f: np.where(f.run // 2 % 2, "a", "b"))
    assert [way[0] for way in found(two)] == ["run", "part"]
    assert found(frame().assign(name=lambda f: f.run.map("r{}".format))) == [("run", ("kind",), ())]
    assert found(frame().assign(hand=lambda f: np.where(f.run % 3, "l", "r")))[0][1] == ("kind", "hand")
