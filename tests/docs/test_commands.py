"""What a reader types from the README, the quickstart and the tutorials runs, in order, in an empty folder.

A block of `console` is typed line by line. A block of Python or YAML whose first line is a comment with a file's name
is saved as that file. What can't be run in a test is a block of `sh`, or has a comment before it: `not run: why`.
"""

import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import stand_in
import twin
from click.testing import CliRunner
from pages import DOCS, ROOT, blocks, console_lines, inline, text_of

from experiments.cli import main

PATIENCE_S = 600
README, QUICKSTART, ARTICLE = ROOT / "README.md", DOCS / "quickstart.md", DOCS / "article.md"
FORECAST, COMPARE, CLASSIFY, TEXT, TRANSLATE = (
    DOCS / "tutorials" / f"{n}.md" for n in ("forecast", "compare", "classify", "text", "translate")
)
# Pages that a reader reads one after the other in one folder.
STORIES = {
    "quickstart": [QUICKSTART],
    "forecast": [FORECAST, COMPARE],
    "classify": [CLASSIFY],
    "text": [TEXT],
    "translate": [TRANSLATE],
    "article": [ARTICLE],
}
# The test trains less than the reader does: what is added to each command that trains. In the long matrix the first
# sweep of the quickstart is run over Ray, as its reader's is; what is run after it starts no Ray a second time.
LESS = {
    README: "--in-process --set training.max_epochs=1 --set search.n_trials=2",
    QUICKSTART: "--in-process --set training.max_epochs=1",
    FORECAST: "--in-process --set training.max_epochs=1 --set search.n_trials=2",
    COMPARE: "--set training.max_epochs=1 --set search.n_trials=2",
    CLASSIFY: "--set training.max_epochs=1",
    TEXT: "--set training.max_epochs=1",
    TRANSLATE: "--set training.max_epochs=1 --set training.steps_per_epoch=5 --set data.translated=10 "
    "--set search.n_trials=1 --set data.split.validation=0.01 --set data.split.test=0.01 --set data.beam_size=1",
    ARTICLE: "--set training.max_epochs=1",
}
TRAINING = ("plan", "run", "train")
OF_A_SHELL = re.compile(r"[|<>&;$*]")


class Reader:
    """Types what pages say."""

    def __init__(self, folder):
        self.folder, self.served = folder, "stand-in"

    def read(self, page, *, is_with_ray=False):
        """Saves the files and types the commands of a page; then what it says is in the home is there."""
        text = text_of(page)
        for block in blocks(text):
            if block.file and block.is_run:
                (self.folder / block.file).write_text(block.text)
            elif block.language == "console" and block.is_run:
                for line in console_lines(block):
                    is_first = is_with_ray and line.startswith("sweep run ")
                    self.type(line, LESS[page].replace("--in-process", "") if is_first else LESS[page])
                    is_with_ray = is_with_ray and not is_first
        assert not is_with_ray, "no sweep of the page was run with Ray"
        kept = {each for each in inline(text) if re.fullmatch(r"runs/[a-z][\w./-]*", each)}
        assert [path for path in kept if not (self.folder / path).exists()] == []

    def type(self, line, less=""):
        words = shlex.split(line)
        if words[0] == "sweep" and words[1] in TRAINING:
            line = shortened(line, less)
            words = shlex.split(line)
        if words[:2] == ["sweep", "ui"]:
            self.look(words)
        elif words[0] == "sweep" and not OF_A_SHELL.search(line) and (words[1] != "run" or "--in-process" in words):
            done = CliRunner().invoke(main, words[1:], prog_name="sweep")  # in this process, which is quicker
            if done.exception and not isinstance(done.exception, SystemExit):
                raise done.exception
            assert done.exit_code == 0, f"{line}\n{done.output}"
        elif words[0] == "python" and not OF_A_SHELL.search(line):
            self.execute(words[1:])
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    def execute(self, words):
        """A program, in a child that has imported what it needs: a new process takes seconds for that."""

        def act():
            warnings.simplefilter("ignore")  # pytest's errors are for this process
            sys.argv[:] = words
            sys.path.insert(0, str(self.folder))
            runpy.run_path(words[0], run_name="__main__")

        log = self.folder.with_name("program.txt")
        code = twin.forked(act, log)
        assert code == 0, f"{words}\n{log.read_text()}"
        log.unlink()

    def look(self, words):
        """Ctrl-C once the command has said where its page is."""
        shown = self.folder / "ui.txt"
        if self.served == "stand-in":
            words = [*stand_in.command(self.folder.with_name("server")), *words[1:]]
        with shown.open("w") as output:
            process = subprocess.Popen(words, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT)
        end = time.monotonic() + PATIENCE_S
        try:
            while "http://" not in shown.read_text():
                assert process.poll() is None, shown.read_text()
                assert time.monotonic() < end, shown.read_text()
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) in (0, 130), shown.read_text()


def shortened(line, less):
    """A command that trains less: a field that it sets itself has the test's value, the other flags are added."""
    verb = shlex.split(line)[1]
    for flag, field, value in re.findall(r"(--[\w-]+)(?: ([\w.]+)=(\S+))?", less):
        if field and f" {field}=" in line:
            line = re.sub(rf" {re.escape(field)}=\S+", f" {field}={value}", line)
        elif field:
            line += f" {flag} {field}={value}"
        elif verb == "run" and flag not in line:
            line += f" {flag}"
    return line


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A reader in an empty folder, where `sweep` and `python` are this environment's."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("SWEEP_HOME", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return Reader(folder)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("story", STORIES)
def test_a_reader_can_type_the_pages(story, reader):
    for page in STORIES[story]:
        reader.read(page)


@pytest.mark.faults
def test_a_reader_can_type_the_quickstart_with_ray(reader):
    reader.read(QUICKSTART, is_with_ray=True)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("served", ["stand-in", pytest.param("mlflow", marks=pytest.mark.faults)])
def test_a_reader_can_type_the_readme(reader, served):
    """The data are the reader's own there: those of the quickstart will do.

    That MLflow's own pages are served is the promise of `tests/dashboards/tracking/test_server.py`, too.
    """
    reader.served = served
    (script,) = [block for block in blocks(text_of(QUICKSTART)) if block.language == "python"]
    (reader.folder / "make_sales.py").write_text(script.text)
    reader.type("python make_sales.py")
    reader.type("cp sales.csv newer.csv")
    (spec,) = [block for block in blocks(text_of(README)) if block.language == "yaml"]
    (reader.folder / "sales.yaml").write_text(spec.text)
    reader.read(README)


@pytest.mark.parametrize(
    "page", [README, *(page for story in STORIES.values() for page in story)], ids=lambda p: p.stem
)
def test_a_page_that_is_typed_has_commands(page):
    assert any(block.is_run and block.language == "console" for block in blocks(text_of(page)))
