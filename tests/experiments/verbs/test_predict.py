import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lstm import checkpoint, ownership
from lstm.tasks import registry as tasks


@pytest.fixture
def there(finished, monkeypatch):
    """Stands in the finished sweep's folder."""
    monkeypatch.chdir(finished.folder)
    return finished


def test_a_forecast_is_what_the_best_trial_says(there, sweep):
    answer = sweep("predict", "tiny")
    assert (answer.code, answer.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["day"] for row in rows] == ["2020-10-27", "2020-10-28", "2020-10-29", "2020-10-30", "2020-10-31",
                                            "2020-11-01", "2020-11-02"]  # fmt: skip
    best = json.loads(sweep("best", "tiny", "--json").out)["best"]
    loaded = checkpoint.load(best["checkpoint"])
    expected = tasks.predict(loaded, "tiny.csv", there.folder)
    assert [float(row["load"]) for row in rows] == expected["load"]
    document = json.loads(sweep("predict", "tiny.yaml", "--json").out)
    assert document == {"sweep": "tiny", "trial": best["trial"], "output": None, "forecast": expected}


def test_other_rows_and_another_trial(there, sweep, tmp_path):
    text = (there.folder / "tiny.csv").read_text().splitlines(keepends=True)
    (tmp_path / "later.csv").write_text("".join([text[0], *text[200:250]]))
    others = {}
    for trial in range(4):
        answer = sweep("predict", "tiny", "--input", tmp_path / "later.csv", "--trial", trial)
        assert answer.out.splitlines()[1].startswith("2020-09-06,")
        others[answer.out] = trial
    assert len(others) == 4


def test_into_a_file(there, sweep, tmp_path):
    answer = sweep("predict", "tiny", "--output", tmp_path / "a.csv", "--trial", 0)
    assert answer.out == f"{tmp_path}/a.csv: 7 steps by trial 0 of tiny\n"
    assert (tmp_path / "a.csv").read_text() == sweep("predict", "tiny", "--trial", 0).out
    again = ["predict", "tiny", "--output", tmp_path / "a.csv", "--json"]
    refused = sweep(*again)
    [wrong] = json.loads(refused.out)["errors"]
    assert (refused.code, wrong["code"]) == (2, "output-exists")
    assert refused.err.startswith(f"--output {tmp_path}/a.csv: ")
    assert "--force" in refused.err
    document = json.loads(sweep(*again, "--force").out)
    assert document["output"] == f"{tmp_path}/a.csv"
    assert sweep("predict", "tiny", "--output", "-").out == sweep("predict", "tiny").out
    assert "--force: has no effect: nothing is written without --output" in sweep("predict", "tiny", "--force").err


def test_the_data_of_the_sweep_are_not_overwritten(copied, sweep):
    data = copied.folder / "tiny.csv"
    before = data.read_bytes()
    (copied.folder / "newer.csv").write_bytes(before)
    for words in ([], ["--input", "newer.csv"]):
        answer = sweep("predict", "tiny.yaml", *words, "--output", "tiny.csv", "--force")
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("--output tiny.csv: is the data itself")
        assert data.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trial", "best"], "Invalid value for '--trial'"),
        (["--input", "nope.csv"], "did you mean tiny.csv?"),
        (
            ["--input", "tiny.yaml"],
            "tiny.yaml: has no column 'day' (columns: 'name: tiny'); name a column of the file\n"
            "tiny.yaml: has no column 'load'",
        ),
        (["--temperature", "200"], "200.0 is not in the range 0<=x<=100"),
    ],
)
def test_wrong_words(there, sweep, words, told):
    answer = sweep("predict", "tiny", *words)
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err
    assert answer.err.count("\n") == 1 + told.count("has no") // 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--input", "{tmp}/hours.csv"], ["hours.csv: ", " 1h", " 1D"]),
        (["--input", "{tmp}/short.csv"], ["short.csv: ", " 9 rows", " look-back "]),
        (["--steps", "5"], ["--steps: ", " forecast"]),
        (["--input", "tiny.csv", "--seed", "5"], ["--seed: ", " forecast"]),
    ],
)
def test_what_the_trials_task_can_not_do(there, sweep, tiny, tmp_path, words, told):
    hours = [f"2020-01-{1 + hour // 24:02} {hour % 24:02}:00,{hour % 7}\n" for hour in range(100)]
    (tmp_path / "hours.csv").write_text("day,load\n" + "".join(hours))
    (tmp_path / "short.csv").write_text(tiny.rows(9))
    answer = sweep("predict", "tiny", *(word.format(tmp=tmp_path) for word in words))
    assert (answer.code, answer.out) == (2, "")
    assert [part for part in told if part not in answer.err] == []
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "value", "named"),
    [
        ("--trial", "99", ["tiny", "trial 99", "5: 0, 1, 2, 3, 4"]),
        ("--trial", "-1", ["tiny", "trial -1", "5: 0, 1, 2, 3, 4"]),
        ("--output", "no/a.csv", ["/no "]),
        ("--output", ".", ["folder"]),
        ("--output", "/dev/full", ["No space left on device"]),
    ],
)
def test_wrong_trials_and_outputs(there, sweep, flag, value, named):
    answer = sweep("predict", "tiny", flag, value)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"{flag} {value}: ")
    assert [part for part in named if part not in answer.err] == []
    assert answer.err.count("\n") == 1


def test_a_private_path_is_not_told(copied, sweep):
    text = (copied.home / "tiny" / "spec.yaml").read_text().replace("path: tiny.csv", "path: ${WHERE}")
    (copied.home / "tiny" / "spec.yaml").write_text(text)
    answer = sweep("predict", "tiny", WHERE="hunter2.csv")
    assert answer.code == 2
    assert "${WHERE}: does not exist" in answer.err
    assert "hunter2" not in answer.err


def test_weights_that_were_not_kept(copied, sweep, monkeypatch, finished):
    (trial,) = (finished.home / "tiny").glob("*/trial-0000")
    found = checkpoint.load(str(trial))
    monkeypatch.setattr(ownership, "load", lambda *_: _without_weights(found))
    told = sweep("predict", "tiny", "--trial", "0").err
    assert told.startswith("--trial 0: ")
    assert "(storage.keep, or `sweep clean`)" in told
    monkeypatch.setattr(ownership, "load", lambda *_: None)
    told = sweep("predict", "tiny").err
    assert "/trial-000" in told.partition(": ")[0]
    assert "`sweep verify tiny`" in told


def _without_weights(found):
    from dataclasses import replace

    return replace(found, state=replace(found.state, best_weights=None))


def test_where_the_checkpoint_lies_is_told(there, sweep):
    best = json.loads(sweep("best", "tiny", "--json").out)["best"]
    assert Path(best["checkpoint"]).is_dir()


@pytest.fixture
def writer(there, monkeypatch, tmp_path):
    """As if the sweep's trials were language models."""
    from lstm.config.section import File
    from lstm.config.trial import TrialConfig
    from lstm.training.loop import train

    (tmp_path / "a.txt").write_text("To be, or not to be: that is the question.\n" * 20)
    settings = {"lookback": 8, "split": {"validation": 0.1, "test": 0.1}}
    training = {"max_epochs": 1, "batch_size": 4}
    config = TrialConfig.model_validate({"task": "language_model", "data": settings, "training": training})
    data = tasks.load(config, File(path=str(tmp_path / "a.txt")))
    (epoch,) = train(config, data)
    kept = checkpoint.Checkpoint(config, asdict(data.facts), epoch.state)
    monkeypatch.setattr(ownership, "load", lambda *_: kept)
    return kept


def test_a_text_is_gone_on_with(writer, sweep, tmp_path):
    words = ["predict", "tiny", "--input", tmp_path / "a.txt", "--trial", 0]
    plain = sweep(*words)
    assert (plain.code, plain.err) == (0, "")
    assert plain.out == tasks.predict(writer, "a.txt", tmp_path).text + "\n"
    assert len(plain.out) == 501
    chosen = sweep(*words, "--steps", 30, "--temperature", 0.5, "--seed", 9, "--json")
    made = tasks.predict(writer, "a.txt", tmp_path, steps=30, temperature=0.5, seed=9)
    wanted = {"sweep": "tiny", "trial": 0, "output": None, "prompt": made.prompt, "text": made.text}
    assert json.loads(chosen.out) == wanted
    into = sweep(*words, "--steps", 30, "--output", tmp_path / "b.txt")
    assert into.out == f"{tmp_path}/b.txt: 30 symbols at temperature 0.8, seed 1 by trial 0 of tiny\n"
    assert (tmp_path / "b.txt").read_text() == plain.out[:30] + "\n"
    assert "did you mean b.txt?" in sweep(*words[:3], tmp_path / "c.txt").err
    refused = sweep(*words, "--temperature", "nan")
    assert refused.code == 2
    assert [part for part in ("--temperature: ", "nan", "0 to 100") if part not in refused.err] == []
