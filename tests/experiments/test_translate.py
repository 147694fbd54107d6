"""A translation from the spec to a translated file, as a user has it."""

import json

import pandas as pd
import pytest

from experiments import SpecError, load

WORDS = {"der": "the", "ein": "a", "hund": "dog", "mann": "man", "läuft": "runs", "sieht": "sees"}
SPEC = """\
name: pairs
task: translate
data: {path: a.de, target_path: a.en, split: {validation: 0.2, test: 0.2}, units: characters, beam_size: 2}
model: {hidden_size: 8}
training: {max_epochs: 2, batch_size: 16}
search:
  n_trials: 1
  metric: val/bleu
  direction: maximize
  sampler: {type: random, seed: 1}
  space:
    data.units: {type: categorical, choices: [words, bpe]}
"""


@pytest.fixture(scope="module")
def swept(near, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    names = [*WORDS]
    sources = [f"{names[n % 6]} {names[n // 6 % 6]} {names[n // 36 % 6]}" for n in range(120)]
    (folder / "a.de").write_text("".join(f"{source}\n" for source in sources))
    (folder / "a.en").write_text("".join(f"{' '.join(map(WORDS.get, source.split()))}\n" for source in sources))
    (folder / "pairs.yaml").write_text(SPEC)
    ran = near("run", "pairs.yaml", cwd=folder)
    assert ran.code == 0, ran.err
    return folder, ran


def test_a_file_is_translated_line_by_line(near, swept):
    folder, ran = swept
    assert "sweep predict pairs --input FILE" in ran.out
    (folder / "new.de").write_text("der hund\n\nein 漢\n")
    plain = near("predict", "pairs", "--input", "new.de", cwd=folder)
    assert plain.code == 0, plain.err
    assert plain.out.count("\n") == 3
    assert plain.out.split("\n")[1] == ""
    lines = json.loads(near("predict", "pairs", "--input", "new.de", "--json", cwd=folder).out)["lines"]
    assert lines["source"] == ["der hund", "", "ein 漢"]
    assert lines["translation"] == plain.out.split("\n")[:3]
    assert [score is None for score in lines["score"]] == [False, True, False]
    assert near("verify", "pairs", cwd=folder).code == 0


def test_losses_of_other_units_are_not_compared(near, swept):
    folder, _ = swept
    rows = {line.split()[0]: line for line in near("best", "pairs", cwd=folder).out.splitlines() if line.strip()}
    assert rows["loss"].rstrip().endswith("in other units")
    assert "other units" not in rows["character_nats"]
    base = json.loads(near("best", "pairs", "--json", cwd=folder).out)["base"]
    assert base["other_unit"] == ["test/loss"]


def test_without_a_file_the_test_part_is_translated_or_a_file_is_asked_for(near, swept):
    """The file of `data.path` has what the network was trained on."""
    folder, _ = swept
    refused = near("predict", "pairs", cwd=folder)
    assert (refused.code, refused.out) == (2, "")
    assert "--input: is needed" in refused.err
    assert "data.test_path" in refused.err
    with pytest.raises(SpecError, match="is needed"):
        load("pairs", home=folder / "runs").predict()
    kept = folder / "runs" / "pairs" / "spec.yaml"
    whole = kept.read_text()
    (folder / "test.de").write_text("der hund\nein mann\n")
    try:
        kept.write_text(whole.replace(", test: 0.2}", "}, test_path: test.de, test_target_path: test.en"))
        found = near("predict", "pairs", cwd=folder)
    finally:
        kept.write_text(whole)
    assert found.code == 0, found.err
    assert found.out.count("\n") == 2
    assert "data.test_path: predicts from the file of the test part, test.de" in found.err


def test_a_wrong_file_is_refused(near, swept):
    folder, _ = swept
    (folder / "bad.de").write_bytes(b"der\n\xff\n")
    refused = near("predict", "pairs", "--input", "bad.de", cwd=folder)
    assert (refused.code, refused.out) == (2, "")
    assert "bad.de:2" in refused.err


@pytest.mark.parametrize("data", [["der hund"], pd.Series(["der hund"])])
def test_from_python_a_list_is_refused_and_a_table_is_translated(near, swept, data):
    folder, _ = swept
    found = load("pairs", home=folder / "runs")
    with pytest.raises(SpecError, match="is no pandas table"):
        found.predict(data)
    made = found.predict(pd.DataFrame({"source": ["der hund", None]}))
    assert list(made["source"]) == ["der hund", ""]
    assert made["score"].isna().tolist() == [False, True]


@pytest.mark.faults
def test_it_is_confirmed_and_trained_on_all_pairs(near, swept):
    folder, _ = swept
    for words in (("confirm", "pairs", "--top", "1", "--seeds", "2"), ("refit", "pairs", "--seeds", "2")):
        done = near(*words, cwd=folder)
        assert done.code == 0, done.err
    together = near("predict", "pairs", "--input", "a.de", cwd=folder)
    assert together.out.count("\n") == 120
    assert "learnt from all 120 pairs" in together.err
    assert near("verify", "pairs", cwd=folder).code == 0
