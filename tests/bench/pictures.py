"""The pictures of README and documentation, made from a real sweep: `make pictures`.

    python tests/bench/pictures.py [--home build/pictures] [--only report comparison compare screen runs]

`sweep run experiments/co2.yaml` makes the sweep, or goes on with the one that the home has, and so does a second one
with another cell. Then:

    report.png      the sweep's report, in Chromium without a window
    comparison.png  MLflow's chart view, at the address that `sweep ui` says; needs playwright
    compare.png     the page of `sweep compare --html` of both sweeps
    screen.svg      the last screen of `sweep run`, as a terminal shows it
    runs-*.png      MLflow's pages of runs, of sweeps that nobody trained (tests/lab/many_runs.py); needs playwright

Chromium must be on the PATH (chromium, chromium-browser or google-chrome). Exit codes: 0 all were made, 1 one was not.
"""

import argparse
import io
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
SPEC, NAME = ROOT / "experiments" / "co2.yaml", "mauna-loa-co2"
OTHER = "co2-gru"
SWEEP = Path(sys.executable).with_name("sweep")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLUMNS = 110
COLOURS = 128  # of a PNG: a page has few
PATIENCE_S = 120
_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-HJKSTfhlsu]|\x1b[78=>]|\r(?!\n)")  # of a terminal's cursor; colours stay


def main(given: Sequence[str] | None = None) -> int:
    """Run the sweep and make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "pictures")
    parser.add_argument("--only", nargs="+", default=list(PICTURES), choices=list(PICTURES))
    options = parser.parse_args(given)
    FOLDER.mkdir(exist_ok=True)
    if set(options.only) - {"runs"}:
        subprocess.run([SWEEP, "--home", options.home, "run", SPEC], check=True)
    failed = []
    for name in options.only:
        try:
            PICTURES[name](options.home)
        except (OSError, subprocess.SubprocessError, TimeoutError) as error:
            failed.append(f"{name}: {error}")
    print(*failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


def report(home: Path) -> None:
    """Make a picture of the top of the report."""
    photograph((home / NAME / "report.html").resolve().as_uri(), FOLDER / "report.png", 1300, 1180)


def comparison(home: Path) -> None:
    """Make a picture of MLflow's chart view."""
    sys.path.append(str(ROOT / "tests" / "lab"))
    import browser
    import runs_page

    with address_of_page(home) as address, browser.started() as chromium:
        size = {"width": 1500, "height": 1150}
        with runs_page.opened(chromium, address, viewport=size) as page:
            page.wait_for_rows("trial-")
            page.wait_for_charts(2)
            page.page.wait_for_timeout(2000)  # until nothing moves
            page.photograph(FOLDER / "comparison.png")
    few_colours(FOLDER / "comparison.png")


def compare(home: Path) -> None:
    """Make a picture of the top of the page that compares the sweep with one of another cell."""
    gru = ["--set", f"name={OTHER}", "--set", "model.cell=gru"]
    subprocess.run([SWEEP, "--home", home, "run", SPEC, *gru], check=True)
    page = home / "compare.html"
    subprocess.run([SWEEP, "--home", home, "compare", NAME, OTHER, "--html", page, "--force"], check=True)
    photograph(page.resolve().as_uri(), FOLDER / "compare.png", 1500, 1750)


def screen(home: Path) -> None:
    """Make a picture of the last screen of a sweep: run again, a finished sweep shows nothing else."""
    shown = on_terminal([str(SWEEP), "--home", str(home), "run", str(SPEC)])
    (FOLDER / "screen.svg").write_text(drawn(shown, "sweep run experiments/co2.yaml"), encoding="utf-8")


def runs(home: Path) -> None:
    """Make pictures of MLflow's pages of runs: a sweep's charts and table, the same by setting, all sweeps."""
    sys.path.append(str(ROOT / "tests" / "lab"))
    import browser
    import many_runs
    import runs_page

    from dashboards.tracking import runs as kept
    from dashboards.tracking.server import serve

    folder = home / "runs-pages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = f"sqlite:///{folder.resolve() / 'mlflow.db'}"
    for name, trials, seeds in (("first-idea", 16, 1), ("second-idea", 60, 1), ("three-seeds", 24, 3)):
        many_runs.fill(store, str(folder / "artifacts"), name, trials, seeds=seeds)
    server = serve(store, str(folder / "artifacts"), None, folder / "ui.log")
    try:
        address = str(kept.find_chart(store, "second-idea", "", server.address))
        grouped = str(kept.find_chart(store, "three-seeds", "", server.address)).replace("=sweep&", "=settings&")
        sweeps = str(kept.find_sweeps(store, server.address))
        with browser.started() as chromium:
            for place, file, first, dark in (
                (address, "charts", "trial-", False),
                (address.replace("CHART", "TABLE"), "table", "trial-", True),
                (grouped, "settings", "Group", False),
                (sweeps, "sweeps", "idea", False),
            ):
                with runs_page.opened(chromium, place, dark=dark) as page:
                    page.wait_for_rows(first)
                    if "CHART" in place:
                        page.wait_for_charts(2)
                    page.page.wait_for_timeout(2000)  # until nothing moves
                    page.photograph(FOLDER / f"runs-{file}.png")
                few_colours(FOLDER / f"runs-{file}.png")
    finally:
        server.stop()


PICTURES: dict[str, Callable[[Path], None]] = {
    "report": report,
    "comparison": comparison,
    "compare": compare,
    "screen": screen,
    "runs": runs,
}


def photograph(address: str, file: Path, width: int, height: int) -> None:
    """Save what a browser shows at an address as a PNG of few colours.

    Raises:
        FileNotFoundError: there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(BROWSERS)} is on the PATH")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    look = [f"--window-size={width},{height}", "--hide-scrollbars", "--virtual-time-budget=30000"]
    subprocess.run(
        [browser, "--headless", "--disable-gpu", *root, *look, f"--screenshot={file}", address],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    few_colours(file)


def few_colours(file: Path) -> None:
    """Make a PNG small."""
    from PIL import Image

    with Image.open(file) as taken:
        few = taken.convert("RGB").quantize(COLOURS)
    few.save(file, optimize=True)


@contextmanager
def address_of_page(home: Path) -> Iterator[str]:
    """Where `sweep ui` shows the sweep, while it does.

    Raises:
        TimeoutError: the command says no address.
    """
    with subprocess.Popen([SWEEP, "--home", home, "ui", NAME], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said, end = "", time.monotonic() + PATIENCE_S
        try:
            while not (found := re.search(r"http://\S+", said)):
                if time.monotonic() > end or process.poll() is not None:
                    raise TimeoutError(f"sweep ui says no address: {said}")
                if select.select([process.stdout], [], [], 0.2)[0]:
                    said += os.read(process.stdout.fileno(), 65536).decode()
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)


def on_terminal(command: Sequence[str]) -> str:
    """What a command shows on a terminal."""
    import fcntl
    import struct
    import termios

    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    with subprocess.Popen(
        command, stdin=there, stdout=there, stderr=there, env=os.environ | {"TERM": "xterm-256color"}
    ):
        os.close(there)
        shown = b""
        while True:
            try:
                shown += (read := os.read(here, 65536))
            except OSError:  # the other side is closed
                break
            if not read:
                break
    os.close(here)
    return shown.decode(errors="replace")


def drawn(shown: str, title: str) -> str:
    """What a terminal shows, as SVG, without where its cursor has been."""
    lines = _MOVES.sub("", shown.replace("\r\n", "\n")).strip("\n").splitlines()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(line.rstrip() for line in lines)))
    return console.export_svg(title=title)


if __name__ == "__main__":
    sys.exit(main())
