"""What is drafted for labelled sequences: which column is what, what is left out, what is asked."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lstm.data.profile import labelled
from lstm.data.profile.files import GivenFile
from lstm.records.errors import BadInput
from lstm.tasks.drafts import classify
from lstm.tasks.drafts.draft import Line


def sequences(count=40, steps=12, classes=("ok", "bad")):
    """Sequences one after another: run, step, x, y, kind."""
    dice = np.random.default_rng(0)
    frame = pd.DataFrame({"run": np.repeat(np.arange(count), steps), "step": np.tile(np.arange(steps), count)})
    frame["x"], frame["y"] = dice.normal(size=len(frame)), dice.normal(size=len(frame))
    return frame.assign(kind=np.array(classes)[frame.run % len(classes)])


@pytest.fixture(params=["csv", "parquet"])
def file(request, tmp_path):
    """A file of a frame."""

    def file(frame):
        path = tmp_path / f"a.{request.param}"
        frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path, index=False)
        return GivenFile(path)

    return file


def refused(file):
    with pytest.raises(BadInput) as error:
        classify.draft(file)
    [wrong] = error.value.faults
    return wrong


def named(lines):
    return {line.key: line.value for line in lines if isinstance(line, Line)}


BASE = sequences()


@pytest.mark.parametrize(
    "frame",
    [
        BASE,
        BASE.assign(run=BASE.run.map("r{:03}".format)),
        BASE.assign(kind=(BASE.kind == "bad").astype(int)),
        BASE.assign(kind=BASE.kind == "bad"),
        BASE[["kind", "y", "x", "step", "run"]],
        BASE.sample(frac=1, random_state=3).sort_values("run", kind="stable"),
        BASE.sample(frac=1, random_state=3),
    ],
    ids=["whole numbers", "texts", "label of numbers", "yes and no", "other order", "steps shuffled", "rows shuffled"],
)
def test_id_label_time_and_columns_are_found(file, frame):
    made = classify.draft(file(frame))
    data = named(made.data)
    assert (data["id"], data["label"], data["time"], sorted(data["columns"])) == ("run", "kind", "step", ["x", "y"])
    assert "missing" not in data
    assert (made.facts["sequences"], made.facts["longest"], len(made.facts["classes"])) == (40, 12, 2)


def test_without_a_column_that_counts_the_rows_are_in_order(file):
    made = classify.draft(file(BASE.drop(columns="step")))
    assert "time" not in named(made.data)
    assert "order" in made.found["time"]


def test_fractions_that_order_the_steps_are_left_out_and_rows_in_another_order_refused(file):
    frame = BASE.assign(step=BASE.step * 0.02).rename(columns={"step": "timestamp"})
    made = classify.draft(file(frame))
    assert named(made.data)["columns"] == ["x", "y"]
    assert "timestamp" in made.facts["left_out"]
    wrong = refused(file(frame.sample(frac=1, random_state=3).sort_values("run", kind="stable")))
    assert (wrong.code, wrong.values) == ("steps-in-another-order", {"column": "timestamp"})


def test_what_is_left_out_is_named_with_its_reason(file):
    more = {"constant": 1.0, "note": "n", "weight": BASE.run + 0.5, "flag": BASE.x > 0, "Unnamed: 0": range(len(BASE))}
    made = classify.draft(file(BASE.assign(**more, name=BASE.run.map("r{}".format))))
    assert set(made.facts["left_out"]) == {"constant", "note", "weight", "Unnamed: 0", "name"}
    assert named(made.data)["columns"] == ["x", "y", "flag"]
    remarks = [line.text for line in made.data if not isinstance(line, Line)]
    assert [name for name in made.facts["left_out"] if not any(name in text for text in remarks)] == []


@pytest.mark.parametrize(
    ("frame", "ways"),
    [
        (BASE.assign(hand=np.where(BASE.run % 3 == 0, "l", "r")), [["run", "hand"], ["run", "kind"]]),
        (
            BASE.assign(block=BASE.run // 4, kind=np.where(BASE.run // 4 % 2, "a", "b")),
            [["block", "kind"], ["run", "block"], ["run", "kind"]],
        ),
    ],
    ids=["two labels", "two ids"],
)
def test_two_columns_that_could_be_it_are_named_with_how_to_write_it(file, frame, ways):
    assert classify.recognise([file(frame)]).fits
    wrong = refused(file(frame))
    assert (wrong.code, sorted(wrong.values["ways"])) == ("several-ids-or-labels", ways)
    assert (wrong.values["id"], wrong.values["time"], wrong.values["columns"]) == ("run", "step", ["x", "y"])
    for part in ("task: classify", "id: run", "label: ", "split: "):
        assert part in wrong.mend


def test_a_row_without_a_label_is_told_with_its_place(file):
    frame = BASE.assign(kind=BASE.kind.where(BASE.run != 5))
    path, wrong = file(frame).path, refused(file(frame))
    assert (wrong.code, wrong.place) == (
        "ids-or-labels-missing",
        f"{path}:{5 * 12 + (2 if path.suffix == '.csv' else 1)}",
    )
    assert wrong.values == {"column": "kind", "role": "label", "count": 12, "id": "run", "label": "kind"}


@pytest.mark.parametrize(("where", "how"), [(BASE.index % 12 != 5, "forward_fill"), (BASE.step != 0, "zero")])
def test_missing_values_are_repeated_where_there_is_one_before(file, where, how):
    made = classify.draft(file(BASE.assign(x=BASE.x.where(where))))
    assert named(made.data)["missing"] == how
    assert made.found["gaps"].startswith(str((~where).sum()))


@pytest.mark.parametrize(
    ("frame", "metric", "direction"),
    [
        (BASE, "val/loss", "minimize"),
        (sequences(600, 4), "val/accuracy", "maximize"),
        (sequences(1000, 4, ("a",) * 9 + ("b",)), "val/f1", "maximize"),
    ],
    ids=["few", "many", "uneven"],
)
def test_the_metric_follows_the_sequences(file, frame, metric, direction):
    made = classify.draft(file(frame))
    assert (made.metric.value, made.direction) == (metric, direction)
    assert made.metric.why


def test_long_sequences_make_short_epochs(file):
    found = labelled.profile(file(BASE))
    more = replace(found, lengths=np.full(20_000, 200), classes={"bad": 10_000, "ok": 10_000})
    short, long = classify.Choice(found), classify.Choice(more)
    assert short.steps_per_epoch is None
    assert long.steps_per_epoch
    assert long.steps_per_epoch * 200 <= 10_000
    assert (short.batch_size, short.max_epochs, long.batch_size, long.max_epochs) == (16, 60, 64, 20)


def test_each_setting_that_is_tried_first_has_all_that_is_searched(file):
    made = classify.draft(file(BASE))
    assert all(set(setting) == {line.key for line in made.space} for setting in made.first)


@pytest.mark.parametrize(
    ("count", "classes", "folds"),
    [(50, ("ok", "bad"), 4), (48, ("ok", "bad"), 0), (75, ("ok", "ok", "bad"), 4), (72, ("ok", "ok", "bad"), 0)],
)
def test_folds_are_drafted_where_each_can_have_five_of_the_rarest_class(file, count, classes, folds):
    """Of 25 sequences of the rarest class, 20 are outside the test part; of 24, 19 are."""
    made = classify.draft(file(sequences(count=count, steps=3, classes=classes)))
    data = named(made.data)
    assert data.get("backtest") == ({"folds": folds} if folds else None)
    assert data["split"] == ({"test": 0.2, "seed": 1} if folds else {"validation": 0.2, "test": 0.2, "seed": 1})
    if folds:
        (why,) = (line.why for line in made.data if isinstance(line, Line) and line.key == "backtest")
        assert "4 trainings a trial" in why


def test_of_many_sequences_one_validation_part_is_drafted_and_the_comment_says_why(file):
    made = classify.draft(file(sequences(count=5_000, steps=2)))
    assert "backtest" not in named(made.data)
    (said,) = (line for line in made.data if not isinstance(line, Line) and "backtest" in line.text)
    assert said.text == "backtest: {folds: 4}"
    assert "one validation part of 1,000 sequences is sure enough" in said.why
