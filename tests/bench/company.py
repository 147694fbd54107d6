"""How often confirm says "better than the base" where nothing is better, and which difference it finds.

    python tests/bench/company.py --repetitions 2000 --csv tests/bench/company.csv --docs docs/explanation/search.md

The whole way is drawn: a search of 60 settings over four windows (or over those of confirm, where confirm takes the
search's own), one training each; the five with the least mean; then the base, the five and a rival, judged from other
seeds over the windows of confirm. The answer is the product's own (lstm/verdict/company.py).

The logarithm of an error is the sum of a part of the window, one of setting and window together, and one of the seed,
drawn anew in each window. The spreads are those measured on co2 and weather (tests/bench/company_cells.py). All
settings, the base and the rival have the same expected error. Counted is how often the winner is called better than the
base (`better`) and than the rival (`than_rival`); at most 5 % are allowed. Then the base alone is made worse, until the
winner is called better: `found` is the difference, in per cent of the base's error, that is found in half of the draws.

    ours     lstm/verdict/company.py
    alone    the same without the correction for several comparisons
    plain    ours, with t over the plain differences of the errors

Processes: `normal`; `heavy tails`, Student's t with three degrees of freedom; `uneven windows`, the interaction's
spread varies from window to window; `uneven settings`, the base varies with the window a third as much as the others,
at the same expected error. In `neighbours` a setting's parts in neighbouring windows are correlated by 0.3: the windows
are no independent observations then, and no promise holds.
"""

import argparse
import csv
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from company_cells import NAMES, Spreads, spreads

from lstm.records.confirmation import Confirmation, Confirmed
from lstm.verdict.company import Company, company
from lstm.verdict.interval import students_t

MOST = 0.05  # of "better" where there is no difference
TRIED, TOP, SEARCHED_ON = 60, 5, 4
STEPS = -np.log1p(-np.arange(0, 1, 0.01))  # differences of 0 to 99 %, in the logarithm
WORSE = 4.0  # what makes the base so much worse, in the logarithm, that it never is the winner
BEGIN, END = "<!-- company: written by tests/bench/company.py -->", "<!-- /company -->"
FIELDS = ("data", "process", "windows", "count", "seeds", "method", "better", "than_rival", "found")
Kind = Literal["fresh", "search"]


@dataclass(frozen=True, slots=True)
class Case:
    """What is confirmed, and over what."""

    data: str
    kind: Kind
    count: int  # windows
    seeds: int
    process: str = "normal"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The errors of those that are confirmed: the base, the best of the search, the rival."""

    errors: np.ndarray  # (settings, seed, window)
    rival: np.ndarray  # (window,)
    kind: Kind

    def confirmed(self, worse: float = 0.0) -> Confirmation:
        """Returns what confirm has found, with the base's errors larger by a factor of exp(worse)."""
        settings = []
        for place, errors in enumerate(self.errors):
            rows = tuple(map(tuple, (errors * math.exp(worse) if place == 0 else errors).tolist()))
            settings.append(Confirmed(str(place), place, f"trial {place}" if place else "base", (), rows))
        settings.append(Confirmed("", None, "rival", (), (tuple(self.rival.tolist()),)))
        return Confirmation("val/loss", "minimize", self.kind, self.errors.shape[2], TRIED, tuple(settings))


def main() -> None:
    """Simulates all cases, and ends with an error where ours errs too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", nargs="+", choices=NAMES.values(), default=list(NAMES.values()))
    parser.add_argument("--csv", type=Path, help="where all results are written; those of other data stay")
    parser.add_argument("--docs", type=Path, help="the page that gets the table")
    options = parser.parse_args()
    rows = [row for row in recorded(options.csv) if row["data"] not in options.data]
    for row in table(options.repetitions, options.seed, [case for case in cases() if case.data in options.data]):
        rows.append(row)
        print("  ".join(str(row[field]).ljust(8) for field in FIELDS), flush=True)
    rows.sort(key=lambda row: list(NAMES.values()).index(row["data"]))  # the sort is stable
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if options.docs:
        before, _, rest = options.docs.read_text(encoding="utf-8").partition(BEGIN)
        text = f"{before}{BEGIN}\n\n{document(rows)}\n\n{END}{rest.partition(END)[2]}"
        options.docs.write_text(text, encoding="utf-8")
    print(f"ours: at most {worst(rows):.1%} false better; neighbouring windows alike: {worst(rows, True):.1%}")
    if worst(rows) > MOST:
        raise SystemExit(1)


def worst(rows: Sequence[dict[str, Any]], alike: bool = False) -> float:
    """Returns the largest share of false "better" of ours where windows are independent, or where they are `alike`."""
    mine = [row for row in rows if row["method"] == "ours" and (row["process"] == "neighbours") == alike]
    return max((float(row[said]) for row in mine for said in ("better", "than_rival")), default=0.0)


def recorded(path: Path | None) -> list[dict[str, Any]]:
    """Returns the rows of a written table; none if there is no file."""
    if path is None or not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cases() -> Iterator[Case]:
    """Yields the table of the page, then the other processes at some of its places."""
    for data in NAMES.values():
        for kind, count, seeds in itertools.product(KINDS, (4, 6, 8, 12), (1, 3, 5, 10)):
            yield Case(data, kind, count, seeds)
        for kind, count, process in itertools.product(KINDS, (4, 8), list(PROCESSES)[1:]):
            yield Case(data, kind, count, 5, process)


def table(repetitions: int, seed: int, some: Sequence[Case] | None = None) -> Iterator[dict[str, Any]]:
    """Yields a row for each case and method."""
    wanted = list(cases()) if some is None else some
    of = {data: spreads(name) for name, data in NAMES.items() if data in {case.data for case in wanted}}
    for case in wanted:
        words = f"{case.data} {case.kind} {case.process}"
        generator = np.random.default_rng([seed, case.count, case.seeds, *words.encode()])
        drawn = [draw(generator, case, of[case.data]) for _ in range(repetitions)]
        for method, judge in METHODS.items():
            better, than_rival, found = np.array([judge(each) for each in drawn]).T
            yield {
                "data": case.data,
                "process": case.process,
                "windows": case.kind,
                "count": case.count,
                "seeds": case.seeds,
                "method": method,
                "better": f"{better.mean():.4f}",
                "than_rival": f"{than_rival.mean():.4f}",
                "found": f"{100 * (1 - np.exp(-np.median(found))):.2f}",
            }


# --- The way: search, the best five, confirm -------------------------------------------------------------------------


def draw(generator: np.random.Generator, case: Case, spread: Spreads) -> Drawn:
    """Draws a search and its confirmation. Setting 0 is the base, the last is the rival."""
    searched_on = case.count if case.kind == "search" else SEARCHED_ON
    parts = _parts(generator, case, spread, searched_on, TRIED + 1)
    searched = np.exp(parts[:TRIED] + spread.seed * generator.standard_normal((TRIED, searched_on))).mean(axis=1)
    top = [0, *(1 + np.argsort(searched[1:])[:TOP]).tolist()]
    if case.kind == "fresh":
        parts = _parts(generator, case, spread, case.count, TRIED + 1)
    lucks = spread.seed * generator.standard_normal((len(top), case.seeds, case.count))
    return Drawn(np.exp(parts[top][:, None] + lucks), np.exp(parts[-1] + spread.seed**2 / 2), case.kind)


def _parts(generator: np.random.Generator, case: Case, spread: Spreads, count: int, settings: int) -> np.ndarray:
    """Draws the windows' part and the interaction with the settings, (setting, window)."""
    windows = spread.window * generator.standard_normal(count)
    return windows + spread.interaction * PROCESSES[case.process](generator, (settings, count), spread.interaction)


def normal(generator: np.random.Generator, shape: tuple[int, int], _: float) -> np.ndarray:
    """A normal distribution."""
    return generator.standard_normal(shape)


def heavy_tails(generator: np.random.Generator, shape: tuple[int, int], _: float) -> np.ndarray:
    """Student's t with three degrees of freedom, at unit variance."""
    return generator.standard_t(3, shape) / math.sqrt(3)


def uneven_windows(generator: np.random.Generator, shape: tuple[int, int], _: float) -> np.ndarray:
    """A spread that varies from window to window by a factor of two, of unit variance in the mean."""
    scale = np.exp(0.7 * generator.standard_normal(shape[1]) - 0.7**2)
    return scale * generator.standard_normal(shape)


def uneven_settings(generator: np.random.Generator, shape: tuple[int, int], spread: float) -> np.ndarray:
    """A base of a third of the spread, shifted so that its expected error is that of the others."""
    found = generator.standard_normal(shape)
    found[0] = found[0] / 3 + spread * (1 - 1 / 9) / 2
    return found


def neighbours(generator: np.random.Generator, shape: tuple[int, int], _: float) -> np.ndarray:
    """An autoregression of the first order, at unit variance."""
    found = generator.standard_normal(shape)
    for window in range(1, shape[1]):
        found[:, window] = 0.3 * found[:, window - 1] + math.sqrt(1 - 0.3**2) * found[:, window]
    return found


KINDS: tuple[Kind, ...] = ("fresh", "search")
PROCESSES = {
    "normal": normal,
    "heavy tails": heavy_tails,
    "uneven windows": uneven_windows,
    "uneven settings": uneven_settings,
    "neighbours": neighbours,
}


# --- Methods: whether the winner is better than base and rival, and the logarithm of what is found ------------------


def ours(drawn: Drawn) -> tuple[bool, bool, float]:
    """The product's own. The interval moves with the base, so where it ends says what is found."""
    found, worse = company(drawn.confirmed()), 0.0
    is_better, than_rival = found.answer == "better", found.rival in found.beaten
    if found.base is found.winner:
        found, worse = company(drawn.confirmed(WORSE)), WORSE
    return is_better, than_rival, max(worse - _low(found), 0.0)


def alone(drawn: Drawn) -> tuple[bool, bool, float]:
    """The product's own with one comparison: as if only the winner had been tried, and beside the base alone."""
    gains = np.log(_means(drawn)[0]) - np.log(_means(drawn)[1:-1])
    winner = int(gains.mean(axis=1).argmax())
    against_rival = np.log(drawn.rival) - np.log(_means(drawn)[1 + winner])
    low = _end(gains[winner], 1)
    is_best = gains[winner].mean() > 0
    return is_best and low > 0, _end(against_rival, 1) > 0, max(-low, 0.0)


def plain(drawn: Drawn) -> tuple[bool, bool, float]:
    """t over the plain differences, with the same correction; what is found is sought on a grid of one per cent."""
    means, comparisons = _means(drawn), _comparisons(drawn)
    base, winner = means[0], means[1 + int(means[1:-1].mean(axis=1).argmin())]
    gains = base * np.exp(STEPS)[:, None] - winner
    ends = gains.mean(axis=1) - students_t(len(base) - 1, comparisons) * gains.std(axis=1, ddof=1) / len(base) ** 0.5
    found = float(STEPS[np.argmax(ends > 0)]) if (ends > 0).any() else math.inf
    return found == 0 and base.mean() > winner.mean(), _end(means[-1] - winner, comparisons) > 0, found


def _means(drawn: Drawn) -> np.ndarray:
    """Returns the means over the seeds, the rival last, (setting, window)."""
    return np.concatenate([drawn.errors.mean(axis=1), drawn.rival[None]])


def _comparisons(drawn: Drawn) -> int:
    return len(drawn.errors) if drawn.kind == "fresh" else TRIED


def _end(gains: np.ndarray, comparisons: int) -> float:
    """Returns the lower end of Student's interval of a mean, corrected for several comparisons."""
    t = students_t(len(gains) - 1, comparisons)
    return float(gains.mean() - t * gains.std(ddof=1) / math.sqrt(len(gains)))


def _low(found: Company) -> float:
    """Returns the lower end of the winner's gain over the base, as a logarithm."""
    assert found.base is not None
    assert found.base.difference is not None
    assert found.base.difference.low is not None
    return -math.log1p(-found.base.difference.low / 100)


METHODS = {"ours": ours, "alone": alone, "plain": plain}


# --- The page --------------------------------------------------------------------------------------------------------


def document(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the table of what is found, in Markdown."""
    mine = [row for row in rows if row["method"] == "ours" and row["process"] == "normal"]
    seeds = list(dict.fromkeys(str(row["seeds"]) for row in mine))
    heads = ["data", "windows", *(f"{counted} seed{'' if counted == '1' else 's'}" for counted in seeds)]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    for (data, kind, count), some in itertools.groupby(mine, lambda row: (row["data"], row["windows"], row["count"])):
        where = f"{count} {'fresh' if kind == 'fresh' else 'of the search'}"
        lines.append(f"| {data} | {where} | {' | '.join(_told(float(row['found'])) for row in some)} |")
    return "\n".join(lines)


def _told(found: float) -> str:
    return f"{found:.0f} %" if found >= 10 else f"{found:.1f} %"


if __name__ == "__main__":
    main()
