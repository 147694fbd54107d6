"""What is read twice is read the same: by `new`, by `plan`, by workers and by `predict --input`; an old sweep, too."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from cluster.study import stored
from experiments.home import Home
from lstm import checkpoint

pytestmark = pytest.mark.usefixtures("blank_pages")

SPEC = """\
name: {name}
data: {{path: {name}.csv, {fields}, target: v, lookback: 14, horizon: 7, split: {{validation: 0.2, test: 0.2}}}}
model: {{hidden_size: 3}}
training: {{max_epochs: 1, batch_size: 64, learning_rate: 1e-2}}
search:
  n_trials: 1
  sampler: {{type: random, seed: 3}}
  space: {{model.hidden_size: {{type: int, low: 2, high: 3}}}}
"""
DAYS = pd.date_range("2021-01-01", periods=260)
VALUES = (1000 + 300 * np.sin(2 * np.pi * np.arange(260) / 7) + np.random.default_rng(0).normal(size=260)).round(2)


def german(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def made(folder, near, name, frame, fields="time: t", **form):
    frame.to_csv(folder / f"{name}.csv", index=False, **form)
    (folder / f"{name}.yaml").write_text(SPEC.format(name=name, fields=fields))
    done = near("run", f"{name}.yaml", cwd=folder)
    assert done.code == 0, done.err
    return folder / f"{name}.yaml"


def forecast(sweep, *arguments):
    done = sweep("predict", *arguments)
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.out)))


def test_a_few_rows_are_read_as_the_training_file_was(tmp_path, monkeypatch, near, sweep):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"t": DAYS.strftime("%d/%m/%Y"), "v": [german(each) for each in VALUES]})
    made(tmp_path, near, "a", frame, "time: t, decimal: ',', thousands: '.'", sep=";")
    few = (DAYS >= "2021-06-20") & (DAYS <= "2021-07-12")  # from 1 July on, both orders would do
    late = (DAYS >= "2021-07-28") & (DAYS <= "2021-08-12")
    for chosen in (few, late):
        frame[chosen].to_csv("few.csv", sep=";", index=False)
        rows = forecast(sweep, "a", "--input", "few.csv")
        last = DAYS[chosen][-1]
        assert [row["t"] for row in rows] == [f"{last + pd.Timedelta(days=n):%Y-%m-%d}" for n in range(1, 8)]
        assert all(500 < float(row["v"]) < 1500 for row in rows)
    # All its days are up to 12, so that alone it could be read in two ways.
    early = pd.concat([frame[(f"2021-0{m}-01" <= DAYS) & (f"2021-0{m}-12" >= DAYS)] for m in (7,)])
    early.to_csv("few.csv", sep=";", index=False)
    assert "look" in sweep("predict", "a", "--input", "few.csv").err


def test_a_sweep_of_an_earlier_version_whose_file_is_read_otherwise_is_refused(tmp_path, monkeypatch, near, sweep):
    monkeypatch.chdir(tmp_path)
    times = [each.isoformat() for each in DAYS.tz_localize("Europe/Berlin")]
    spec = made(tmp_path, near, "b", pd.DataFrame({"t": times, "v": VALUES}))
    assert forecast(sweep, "b")[0]["t"] == "2021-09-18"
    assert sweep("run", spec, "--in-process").code == 0
    _as_earlier(tmp_path, "b")
    for words in (["run", spec, "--in-process"], ["predict", "b"], ["predict", "b", "--input", "b.csv"]):
        done = sweep(*words)
        assert (done.code, done.out) == (2, ""), words
        assert "times-by-wall-clock" in done.err
    assert "read otherwise" in sweep("plan", spec).err + sweep("plan", spec).out


def test_a_sweep_of_an_earlier_version_whose_file_is_read_as_before_goes_on(tmp_path, monkeypatch, near, sweep):
    monkeypatch.chdir(tmp_path)
    spec = made(tmp_path, near, "c", pd.DataFrame({"t": DAYS, "v": VALUES}))
    before = forecast(sweep, "c")
    _as_earlier(tmp_path, "c")
    assert sweep("run", spec, "--in-process").code == 0
    assert forecast(sweep, "c") == before


def _as_earlier(folder, name):
    """Takes from a study and its checkpoints what versions before 2026-11-30 did not keep."""
    url = Home(folder / "runs").study_url
    study = stored.load_study(url, name, to_write=True)
    study.set_user_attr("data_reading", None)
    sweep = stored.read(url, name)
    for trial in sweep.trials:
        loaded = checkpoint.load(trial.checkpoint)
        facts = {key: value for key, value in loaded.facts.items() if key not in ("reading", "found")}
        attempt = checkpoint.attempt(checkpoint.names(trial.checkpoint)[-1])
        made = checkpoint.Checkpoint(loaded.config, facts, loaded.state, loaded.spent, loaded.study, loaded.number)
        checkpoint.write(trial.checkpoint, attempt, made)


HOURS = pd.date_range("2022-02-01", periods=500, freq="h")


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"Date": HOURS.strftime("%d/%m/%Y"), "Time": HOURS.strftime("%H:%M"), "v": np.arange(500) % 24}),
        pd.DataFrame({"y": [f"{each:%Y%m%d}" for each in DAYS], "v": VALUES})[::-1],
    ],
)
def test_new_and_plan_read_the_same(tmp_path, monkeypatch, sweep, frame):
    monkeypatch.chdir(tmp_path)
    frame.to_csv("a.csv", index=False)
    drafted = json.loads(sweep("new", "a.csv", "--json").out)["data"]
    planned = json.loads(sweep("plan", "a.yaml", "--json").out)["data"]
    assert (planned["rows"], planned["step"]) == (drafted["steps"], drafted["step"])
    assert [pd.Timestamp(planned[end]) for end in ("first", "last")] == [
        pd.Timestamp(drafted[end]) for end in ("first", "last")
    ]
