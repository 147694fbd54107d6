import json
import re
import shutil

import optuna
import pytest


@pytest.fixture
def two(copied):
    """A second sweep beside the first: the same trials under another name."""
    optuna.copy_study(from_study_name="tiny", from_storage=copied.url, to_storage=copied.url, to_study_name="other")
    shutil.copytree(copied.home / "tiny", copied.home / "other")
    return copied


def test_one_sweep(copied, sweep):
    answer = sweep("compare", "tiny")
    assert (answer.code, answer.err) == (0, "")
    heads = [line.split() for line in answer.out.splitlines() if line.strip()]
    assert heads[0] == ["sweep", "trials", "best", "trial", "median", "middle", "half", "epochs", "time"]
    assert max(len(line.rstrip()) for line in answer.out.splitlines()) <= 80
    assert heads[1][:3] == ["tiny", "4", "complete"]
    assert heads[2] == ["trial", "state", "val/loss", "epoch", "time", "hidden_size", "learning_rate"]
    values = [float(row[3 if row[0] == "base" else 2]) for row in heads[3:]]
    assert len(values) == 5, "the base's, too"
    assert values == sorted(values)


def test_two_sweeps_by_name_and_spec(two, sweep):
    document = json.loads(sweep("compare", "tiny.yaml", "other", "tiny", "--json").out)
    assert {row["sweep"] for row in document["sweeps"]} == {"tiny", "other"}
    assert len(document["sweeps"]) == 2, "each once"
    assert len({json.dumps({**row, "sweep": ""}) for row in document["sweeps"]}) == 1
    told = sweep("compare", "tiny", "other", "--trials", "3").out
    assert told.splitlines()[-1] == "… and 7 more (--trials 0 shows all)"
    assert "more" not in sweep("compare", "tiny", "other", "--trials", "0").out


def test_wrong_words(copied, sweep):
    assert sweep("compare").err == "Missing argument 'NAME|SPEC...'. (try: sweep compare --help)\n"
    assert "did you mean tiny?" in sweep("compare", "tiny", "tinny").err
    for number in ("-3", "x"):
        answer = sweep("compare", "tiny", "--trials", number)
        assert (answer.code, answer.out) == (2, "")
        assert "Invalid value for '--trials'" in answer.err


def test_one_page_with_the_numbers_of_json(two, sweep):
    answer = sweep("compare", "tiny", "other", "--html", "all.html", "--json")
    document = json.loads(answer.out)
    page = two.folder / "all.html"
    assert (answer.code, answer.err, document["html"]) == (0, "", str(page))
    text = page.read_text()
    (data,) = re.findall(r'id="data-of-trials">(.*?)</script>', text, re.DOTALL)
    shown = json.loads(data)
    columns = {name: shown["trials"][name] for name in ("trial", "rank", "value", "best_epoch", "epochs", "seconds")}
    coded = shown["trials"]["sweep"]
    names = [coded["choices"][code] for code in coded["codes"]]
    rows = {(name, row[0]): row for name, row in zip(names, zip(*columns.values(), strict=True), strict=True)}
    said = {(r["sweep"], r["trial"]): tuple(r[name] for name in columns) for r in document["trials"]}
    assert rows == said
    assert shown["importances"] == {}
    assert "other: too few completed trials to say: 4, and PED-ANOVA needs 11." in text
    assert "sweep rivals tiny" in text, "what to do for a verdict"
    assert [path.name for path in two.folder.glob(".*.part")] == []


def test_a_page_is_not_overwritten_unless_asked(copied, sweep):
    page = copied.folder / "all.html"
    page.write_text("mine")
    answer = sweep("compare", "tiny", "--html", "all.html")
    assert (answer.code, answer.out) == (2, "")
    assert (
        answer.err == "--html all.html: exists already; overwrite the file with --force, or name another with --html\n"
    )
    assert page.read_text() == "mine"
    answer = sweep("compare", "tiny", "--html", "all.html", "--force")
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(
        r"all\.html: all trials on one page of 5\.\d MB, to open in a browser", answer.out.splitlines()[-1]
    )
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_no_other_file_is_overwritten(copied, sweep):
    files = ("tiny.csv", "tiny.yaml", "runs/study.db", "link.html", "note.txt")
    (copied.folder / "link.html").symlink_to("tiny.csv")
    (copied.folder / "note.txt").write_text("mine")
    for name in files:
        before = (copied.folder / name).read_bytes()
        for force in ([], ["--force"]):
            answer = sweep("compare", "tiny", "--html", name, *force)
            assert (answer.code, answer.out) == (2, "")
            assert answer.err.startswith(
                f"--html {name}: exists already, and --force overwrites only pages for a browser"
            )
        assert (copied.folder / name).read_bytes() == before
    assert (
        "name a file that ends in .html, as in --html runs/study.html"
        in sweep("compare", "tiny", "--html", files[2]).err
    )


def test_a_page_of_ours_or_an_empty_file_is_overwritten_whatever_its_name(copied, sweep):
    page = copied.folder / "page"
    for text in (None, ""):
        if text is not None:
            page.write_text(text)
        assert sweep("compare", "tiny", "--html", "page").code == (0 if text is None else 2)
        assert sweep("compare", "tiny", "--html", "page", "--force").code == 0
        assert page.stat().st_size > 1e6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["tiny", "--html", "no/all.html"],
            "no does not exist; make the folder first, or write to another with --html",
        ),
        (["tiny", "--html", "."], "--html .: is a folder, must be a file"),
        (["tiny", "--html", "new/"], "--html new/: is a folder, must be a file"),
        (["tiny", "tinny", "--html", "all.html"], "did you mean tiny?"),
        (["tiny", "--force"], "--force: has no effect: nothing is written without --html"),
    ],
)
def test_a_page_that_can_not_be(copied, sweep, words, told):
    answer = sweep("compare", *words)
    assert (answer.code, answer.out, told in answer.err) == (2, "", True)
    assert not (copied.folder / "all.html").exists()


def test_sweeps_that_search_for_different_things_have_no_page(two, sweep):
    study = optuna.load_study(study_name="other", storage=two.url)
    study.set_user_attr("base", study.user_attrs["base"] | {"metric": "val/mae"})
    assert sweep("compare", "tiny", "other").code == 0, "they are shown, each in its own order"
    answer = sweep("compare", "tiny", "other", "--html", "all.html")
    assert (answer.code, answer.out) == (2, "")
    assert (
        "search for different things (tiny: minimize val/loss, other: minimize val/mae); make a page for" in answer.err
    )
    assert not (two.folder / "all.html").exists()


def test_without_a_trial_there_is_no_page(copied, sweep):
    study = optuna.create_study(study_name="empty", storage=copied.url)
    for name, value in optuna.load_study(study_name="tiny", storage=copied.url).user_attrs.items():
        study.set_user_attr(name, value)
    shutil.copytree(copied.home / "tiny", copied.home / "empty")
    answer = sweep("compare", "empty", "--html", "all.html")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "--html all.html: there is no trial to compare; run a spec first with `sweep run`\n"
    assert not (copied.folder / "all.html").exists()


def test_a_full_disk_leaves_the_page_that_was_there(copied, sweep, monkeypatch):
    page = copied.folder / "all.html"
    page.write_text("mine")

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    answer = sweep("compare", "tiny", "--html", "all.html", "--force")
    assert (answer.code, answer.out) == (2, "")
    assert (
        answer.err == "--html all.html: can't be written: No space left on device; name a file elsewhere with --html\n"
    )
    assert page.read_text() == "mine"
