import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from experiments.terminal.formats import console, duration, goodput_line, settings, short
from experiments.terminal.live import Screen
from lstm.messages.message import note
from lstm.records.epoch import Epoch
from lstm.records.events import EpochEnded, Notice, SweepEnded, SweepStarted, TrialEnded, TrialLost, TrialStarted

SETTINGS = {
    "data.lookback": 104,
    "model.hidden_size": 32,
    "model.residual": "last",
    "model.normalization": "window",
    "training.learning_rate": 0.0123456789,
}


def started(number, attempt=1, values=SETTINGS):
    return TrialStarted(number, attempt, values, {}, 0, checkpoint="", worker=f"192.0.2.2 (vm) pid {25900 + number}")


def ended(number, value, state="COMPLETE", reason=""):
    return TrialEnded(number, state, reason, value, 5, "", 0)


def epoch(number, count, value):
    return EpochEnded(number, Epoch(count, {"val/loss": value}, value, 0, None, None))


@pytest.fixture
def screen():
    """Makes a screen on a terminal (or none) of so many columns; its `text` is what it has printed."""

    def screen(columns=80, *, terminal=True, direction="minimize", n_trials=16):
        file = io.StringIO()
        where = Console(
            file=file,
            width=columns,
            height=40,
            force_terminal=terminal,
            color_system=None,
            markup=False,
            highlight=False,
        )
        made = Screen(where, "mauna-loa-co2", n_trials=n_trials, max_epochs=20, metric="val/loss", direction=direction)
        made.text = file.getvalue
        made.look = lambda: _look(made, columns)
        made(SweepStarted("mauna-loa-co2", n_trials, "val/loss", direction, 0))
        return made

    return screen


def _look(screen, columns):
    plain = Console(file=io.StringIO(), width=columns, color_system=None, force_terminal=True)
    plain.print(screen.render())
    return [line.rstrip() for line in plain.file.getvalue().splitlines()]


def test_before_the_first_trial(screen):
    lines = screen().look()
    assert lines[0].startswith("mauna-loa-co2  ")
    assert lines[0].endswith("  0/16")
    assert lines[1:] == ["starting workers …"]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_line_for_each_worker_at_any_width(screen, columns):
    made = screen(columns)
    for number in (2, 0, 1):
        made(started(number))
    made(epoch(1, 7, 0.0123456))
    lines = made.look()
    assert len(lines) == 6
    assert max(map(len, lines)) <= columns
    assert lines[1] == "running 3"
    assert lines[2].split()[:5] == ["trial", "epoch", "val/loss", "for", "worker"]
    assert [line.split()[:2] for line in lines[3:]] == [["0", "0/20"], ["1", "7/20"], ["2", "0/20"]]
    assert lines[4].split()[2] == "0.012346"
    assert "vm pid 25901" in lines[4]
    assert "lookback=104" in lines[4] or columns < 80


def test_what_is_found_and_how_far_it_is(screen):
    made = screen()
    for number in range(5):
        made(started(number))
    made(ended(0, 0.5))
    made(ended(1, 0.25))
    made(ended(2, 0.1, "PRUNED"))
    made(ended(3, None, "FAIL", "out of memory"))
    lines = made.look()
    assert "  4/16  about 0.0 s left" in lines[0]
    assert lines[1].startswith("complete 2  pruned 1  fail 1  running 1   ")
    assert lines[1].endswith(" trials/min")
    assert lines[2].startswith("best val/loss 0.25: trial 1, epoch 5   lookback=104  hidden_size=32")
    assert lines[2].endswith("…")
    made(started(4, attempt=2))
    made(ended(4, 0.3))
    assert made.look()[2].startswith("best val/loss 0.25: trial 1")


def test_the_end_is_seen(screen):
    made = screen()
    made(started(0))
    made(SweepEnded(False, "interrupted", 0))
    assert made.look()[-1] == "finishing the records …"


def test_better_is_higher_where_the_direction_says_so(screen):
    made = screen(direction="maximize")
    for number, value in enumerate((0.5, 0.9, 0.7)):
        made(started(number))
        made(ended(number, value))
    assert made.look()[2].startswith("best val/loss 0.9: trial 1")


def test_what_an_earlier_driver_did_counts(screen):
    made = screen()
    made.known({"COMPLETE": 3, "PRUNED": 2}, ended(2, 0.125))
    lines = made.look()
    assert "  5/16" in lines[0]
    assert lines[2] == "best val/loss 0.125: trial 2, epoch 5"
    made(started(5))
    made(ended(5, 0.5))
    assert made.look()[2] == "best val/loss 0.125: trial 2, epoch 5"


def test_plain_lines_where_there_is_no_terminal(screen):
    made = screen(40, terminal=False)
    made.known({"COMPLETE": 1}, None)
    made(started(1, values={"model.cell": "[bold]gru"}))
    made(epoch(1, 1, 0.5))
    made(ended(1, 0.5))
    made(started(2, values={}))
    made(TrialLost(2, 1, "its worker died", 0))
    made(started(2, attempt=2, values={}))
    made(ended(2, None, "FAIL", "its worker died 3 times"))
    made(ended(7, 0.1))  # an earlier driver's, sent again for the record
    made(Notice(note("rivals-not-judged", why="[with] brackets", sweep="a", flag="")))
    made(SweepEnded(True, "all trials have ended", 0))
    assert made.text().splitlines() == [
        "mauna-loa-co2: 16 trials",
        "trial 1 starts on 192.0.2.2 (vm) pid 25901: cell=[bold]gru",
        "[2/16] trial 1 COMPLETE val/loss 0.5 at epoch 5  ← best so far",
        "trial 2 starts on 192.0.2.2 (vm) pid 25902: the base configuration",
        "trial 2 lost in attempt 1: its worker died; it is tried again",
        "trial 2 starts on 192.0.2.2 (vm) pid 25902, attempt 2: the base configuration",
        "[3/16] trial 2 FAIL (its worker died 3 times)",
        "note: the rivals could not be judged: [with] brackets; run `sweep rivals a`",
    ]


def test_on_a_terminal_only_what_must_be_read_stays(screen):
    made = screen()
    with made:
        made(started(1))
        made(ended(1, 0.5))
        made(TrialLost(2, 1, "its worker died", 0))
        made(Notice(note("rows-sorted-by-time")))
    assert "trial 1 starts" not in made.text()
    assert "trial 2 lost in attempt 1: its worker died; it is tried again\n" in made.text()
    assert f"note: {note('rows-sorted-by-time')}\n" in made.text()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (47 * 3600, "47 h 0 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_settings_and_values_are_short():
    assert settings({}) == "the base configuration"
    assert settings(SETTINGS).endswith("normalization=window  learning_rate=0.01235")
    assert [short(v) for v in (True, None, 2, 1e-7, math.pi, "x")] == ["true", "null", "2", "1e-07", "3.142", "x"]


def test_peoples_names_are_no_markup():
    file = io.StringIO()
    console(file=file).print("[bold]/runs/:dog: " + "x" * 200)
    assert file.getvalue() == "[bold]/runs/:dog: " + "x" * 200 + "\n"


def test_where_workers_time_went_in_words():
    seconds = {"training": 86.7, "start": 6.8, "data": 1.4, "waiting": 3.9, "checkpoint": 0.9, "report": 0.3}
    text = goodput_line({"seconds": seconds, "worker_s": 100.0})
    assert text == (
        "goodput 87 % of 1 min 40 s worker time in training\n        start 7 %, data 1 %, waiting 4 %, checkpoint 1 %"
    )


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=7).filter(lambda seconds: sum(seconds) > 0))
def test_the_shares_add_up_to_the_whole(seconds):
    parts = {"training": seconds[0], **{f"part{i}": value for i, value in enumerate(seconds[1:])}}
    text = goodput_line({"seconds": parts, "worker_s": sum(seconds)})
    assert sum(map(int, re.findall(r"(\d+) %", text))) == 100


def numbers(text):
    return [float(word) for word in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)]


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 60, 70, 80, 100])
def test_no_number_is_cut_at_any_width(screen, columns):
    """What is shown at a width are whole numbers of those that are shown where there is room for all."""
    shown = []
    for width in (400, columns):
        made = screen(width)
        made.known({"COMPLETE": 1234, "PRUNED": 98765, "FAIL": 4321}, None)
        for number in (98765, 98766, 98767):
            made(started(number))
        made(epoch(98766, 7, 0.000123456))
        made(ended(98767, 0.0000123456))
        lines = made.look()
        assert max(map(len, lines)) <= width
        shown.append(numbers(re.sub(r"\d+(\.\d+)? (s|trials/min)\b", "", " ".join(lines))))
    everything, here = map(set, shown)
    assert here <= everything
    assert {1235.0, 98766.0, 7.0, 0.00012346, 1.2346e-05} <= here


def test_more_may_have_ended_than_are_asked_for_now(screen):
    made = screen(terminal=False, n_trials=1)
    made.known({"COMPLETE": 3}, None)
    made(SweepStarted("mauna-loa-co2", 1, "val/loss", "minimize", 0))
    made(started(3))
    made(ended(3, 0.5))
    first, second, _, last = made.text().splitlines()
    assert first == "mauna-loa-co2: 1 trial"
    assert "3 trials" in second
    assert last.startswith("[4/4] trial 3 ")
    assert " 4/4" in made.look()[0]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_plain_lines_as_they_come_on_a_dumb_terminal(tiny_screen, term):
    made, text = tiny_screen(term)
    with made:
        made(started(1))
        assert "trial 1 starts on" in text()
        made(ended(1, 0.5))
        assert "[1/16] trial 1 COMPLETE" in text()
    assert "\x1b" not in text()


@pytest.fixture
def tiny_screen():
    def tiny_screen(term):
        file = io.StringIO()
        where = Console(file=file, force_terminal=True, _environ={"TERM": term})
        made = Screen(where, "x", n_trials=16, max_epochs=20, metric="val/loss", direction="minimize")
        return made, file.getvalue

    return tiny_screen


@pytest.mark.parametrize("columns", [40, 80])
def test_a_table_is_as_wide_as_it_needs(columns):
    table = Table(box=None)
    for number in range(100):
        table.add_column(f"column {number}", no_wrap=True)
    table.add_row(*["0.123456789"] * 100)
    file = io.StringIO()
    console(table, file).print(table)
    assert file.getvalue().split().count("0.123456789") == 100


@pytest.mark.parametrize("verb", ["best", "status", "compare", pytest.param("probe", marks=pytest.mark.faults)])
def test_what_verbs_show_is_whole_on_a_narrow_terminal(home, near_terminal, verb):
    shown = []
    for columns in (40, 200):
        answer = near_terminal([verb, "tiny", "--home", str(home)], home.parent, columns)
        assert answer.code == 0
        shown.append(numbers(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", answer.shown)))
    assert shown[0] == shown[1]


def test_on_a_dumb_terminal_trials_are_told_as_they_end(home, folder, near_terminal):
    words = ["run", "tiny.yaml", "--set", "search.n_trials=5"]
    answer = near_terminal(words, folder, TERM="dumb", SWEEP_HOME=str(home))
    assert answer.code == 0
    assert "\x1b[2K" not in answer.shown
    assert re.search(r"trial 5 starts on .*\n(.*\n)*\[5/5\] trial 5 COMPLETE", answer.shown.replace("\r", ""))
