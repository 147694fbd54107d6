"""How often an interval says "better" or "worse" where there is no difference: ours beside two others.

    python tests/bench/intervals.py --repetitions 10000 --csv tests/bench/intervals.csv    # about 5 minutes

Differences of two networks' errors are drawn that are as alike from origin to origin as those of forecasts over a
horizon are, with a mean of zero. Each case is a test part of a shipped spec: origins, horizon, season. Counted is the
share of intervals of 95 % that lie wholly above zero (`better`) and below (`worse`): 2.5 % each would be exact, 5 %
"better" is the most that is allowed. `length` is half of an interval's width over the true standard error, 1.96 the
least for a known variance.

    blocks   lstm/verdict/interval.py: t over the means of blocks, neighbours' likeness added
    plain    the same without what was added
    hac      Bartlett's kernel, bandwidth half of the sample, critical value of Kiefer and Vogelsang (2005) for 97.5 %

Where there are fewer than five blocks, ours gives no interval; `blocks` then stands for what it would give.

    python tests/bench/intervals.py --text experiments/data/shakespeare.txt

shows how long a stretch of a text must be: the variance of its mean difference, times its length, which no longer grows
where stretches are independent; between counts over one to four characters, of the text's last fifth.
"""

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.special import stdtrit

from lstm.judging.items import Blocks, Items
from lstm.verdict import interval
from lstm.verdict.interval import block_starts, compare

MOST = 0.05  # of "better" where there is no difference
FIELDS = (
    "case",
    "origins",
    "horizon",
    "season",
    "process",
    "blocks",
    "interval",
    "method",
    "better",
    "worse",
    "length",
)
Draw = Callable[[np.random.Generator, int, int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Case:
    """A test part."""

    name: str
    origins: int
    horizon: int
    season: int


CASES = (
    Case("co2", 318, 26, 52),
    Case("co2 with a fifth to test", 432, 26, 52),
    Case("weather", 269, 7, 7),
    Case("weather as shipped", 269, 7, 1),
    Case("weather by the year", 269, 7, 365),
    Case("ETTh1 at 24", 2857, 24, 24),
    Case("ETTh1 at 168", 2713, 168, 24),
)


def main() -> None:
    """Simulates every case and process, and ends with an error where ours errs too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="where the table is written")
    parser.add_argument("--text", type=Path, help="a text, instead of the simulation")
    options = parser.parse_args()
    if options.text:
        stretches(options.text.read_text(encoding="utf-8"))
        return
    rows = []
    for row in table(options.repetitions, options.seed):
        rows.append(row)
        print("  ".join(str(row[field]).ljust(8) for field in FIELDS), flush=True)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    worst = max(float(row["better"]) for row in rows if row["method"] == "blocks")
    print(f"ours: at most {worst:.1%} false better")
    if worst > MOST:
        raise SystemExit(1)


def table(repetitions: int, seed: int, cases: tuple[Case, ...] = CASES) -> Iterator[dict[str, str | int]]:
    """A row for each case, process and method."""
    for case in cases:
        for name, draw in PROCESSES.items():
            generator = np.random.default_rng([seed, case.origins, case.horizon, case.season, *name.encode()])
            yield from _rows(case, name, draw, repetitions, generator)


def _rows(
    case: Case, name: str, draw: Draw, repetitions: int, generator: np.random.Generator
) -> Iterator[dict[str, str | int]]:
    blocks = Blocks.of_windows(case.horizon, case.season)
    count = case.origins // blocks.length
    drawn = [draw(generator, case.origins, case.horizon, case.season) for _ in range(repetitions)]
    gains = np.array([theirs.mean() - ours.mean() for ours, theirs in drawn])
    for method, ends in METHODS.items():
        if count < 2 and method != "hac":
            continue  # two means are the least for a variance
        low, high = np.array([ends(ours, theirs, blocks) for ours, theirs in drawn]).T
        yield {
            "case": case.name,
            "origins": case.origins,
            "horizon": case.horizon,
            "season": case.season,
            "process": name,
            "blocks": count,
            "interval": "yes" if count >= interval.LEAST else "no",
            "method": method,
            "better": f"{(low > 0).mean():.4f}",
            "worse": f"{(high < 0).mean():.4f}",
            "length": f"{np.median(high - low) / 2 / gains.std():.2f}",
        }


def stretches(text: str) -> None:
    """Prints, for pairs of counts, the variance of a stretch's mean times its length, in shares of the highest."""
    losses = {order: counted(text, len(text) * 4 // 5, order) for order in (1, 2, 3, 4)}
    lengths = (10, 100, 250, 500, 1000, 2000, 4000)
    print("orders  " + "".join(f"{length:7}" for length in lengths))
    for one, other in ((4, 3), (4, 2), (3, 1), (2, 1)):
        difference = losses[one] - losses[other]
        found = []
        for length in lengths:
            whole = difference[: len(difference) // length * length].reshape(-1, length)
            found.append(length * whole.mean(axis=1).var(ddof=1))
        print(f"{one} and {other} " + "".join(f"{value / max(found):7.2f}" for value in found))


def counted(text: str, start: int, order: int) -> np.ndarray:
    """The loss of each character from a place on, by counts over those before it; after Witten and Bell (1991)."""
    counts: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(order + 1)]
    for length in range(order + 1):
        for at in range(length, start):
            counts[length][text[at - length : at]][text[at]] += 1
    found, uniform = [], 1 / len(set(text))
    for at in range(start, len(text)):
        likely = uniform
        for length in range(order + 1):
            seen = counts[length].get(text[at - length : at])
            if seen is None:
                break
            likely = (seen[text[at]] + len(seen) * likely) / (seen.total() + len(seen))
        found.append(-np.log(likely))
    return np.array(found)


# --- Methods: the ends of the interval of theirs - ours ------------------------------------------------------------


def ours_by_blocks(ours: np.ndarray, theirs: np.ndarray, blocks: Blocks) -> tuple[float, float]:
    """The product's own, by the metric's unit: Fieller's per cent leaves out zero in the same cases."""
    places, weights = np.arange(len(ours)), np.ones(len(ours))
    one, two = (Items("test", "", places, weights, {"loss": e}) for e in (ours - theirs, np.zeros(len(ours))))
    with patch.object(interval, "LEAST", 2):
        found = compare(one, two, "loss", "minimize", blocks)
    assert found.unit == "metric"
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def plain(ours: np.ndarray, theirs: np.ndarray, blocks: Blocks) -> tuple[float, float]:
    """Student's t over the means of the same blocks."""
    starts = block_starts(np.arange(len(ours)), np.ones(len(ours)), blocks.length)
    sizes = np.diff([*starts, len(ours)])
    means = np.add.reduceat(theirs - ours, starts) / sizes
    half = stdtrit(len(means) - 1, 0.975) * means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean() - half), float(means.mean() + half)


def hac(ours: np.ndarray, theirs: np.ndarray, _: Blocks, share: float = 0.5) -> tuple[float, float]:
    """Kiefer and Vogelsang (2005): Bartlett's weights over a fixed share of the sample; their table 1, 97.5 %."""
    difference = theirs - ours
    count, lags = len(difference), int(share * len(difference))
    sums = np.cumsum(difference - difference.mean())
    variance = 2 / (lags * count) * (np.dot(sums, sums) - np.dot(sums[:-lags], sums[lags:]))
    critical = 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
    half = critical * np.sqrt(max(variance, 0.0) / count)
    return float(difference.mean() - half), float(difference.mean() + half)


METHODS = {"blocks": ours_by_blocks, "plain": plain, "hac": hac}


# --- Processes: errors of two networks at each origin, alike in distribution ---------------------------------------


def _overlapping(steps: np.ndarray, horizon: int) -> np.ndarray:
    """The mean over the steps ahead of each origin, at unit variance where the steps are independent."""
    sums = np.cumsum(steps, axis=-1)
    sums = np.concatenate([np.zeros((*steps.shape[:-1], 1)), sums], axis=-1)
    return (sums[..., horizon:] - sums[..., :-horizon]) / np.sqrt(horizon)


def _wandering(generator: np.random.Generator, shape: tuple[int, int], lasting: float) -> np.ndarray:
    """Autoregressions of the first order at unit variance that forget themselves in so many steps."""
    from scipy.signal import lfilter  # a second to import, and the tests import this file

    keep = np.exp(-1 / lasting)
    drawn = generator.standard_normal((shape[0], shape[1] + int(8 * lasting) + 10))
    found: np.ndarray = lfilter([np.sqrt(1 - keep**2)], [1, -keep], drawn, axis=1)[:, -shape[1] :]
    return found


def moving_average(generator: np.random.Generator, origins: int, horizon: int, _: int) -> tuple[np.ndarray, np.ndarray]:
    """What the overlap of horizons alone makes."""
    one, two = _overlapping(generator.standard_normal((2, origins + horizon - 1)), horizon)
    return one, two


def heavy_tails(generator: np.random.Generator, origins: int, horizon: int, _: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of steps with Student's t of three degrees of freedom."""
    one, two = _overlapping(generator.standard_t(3, (2, origins + horizon - 1)), horizon)
    return one, two


def uneven(generator: np.random.Generator, origins: int, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Heavy tails whose spread changes with the season and, within a block or so, by a factor of two."""
    steps = origins + horizon - 1
    waves = np.cos(2 * np.pi * np.arange(steps) / max(season, 2) + generator.uniform(0, 2 * np.pi))
    spread = np.exp(0.6 * waves + 0.7 * _wandering(generator, (1, steps), horizon + season))
    one, two = _overlapping(spread * generator.standard_t(3, (2, steps)), horizon)
    return one, two


def seasonal(generator: np.random.Generator, origins: int, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """A moving average and a season whose course changes slowly, of the same variance."""
    one, two = moving_average(generator, origins, horizon, season)
    if season > 1:
        angle = 2 * np.pi * np.arange(origins) / season
        course = _wandering(generator, (2, origins), 3 * season + horizon)
        one = one + np.sqrt(2) * (course[0] * np.cos(angle) + course[1] * np.sin(angle))
    return one, two


def level(generator: np.random.Generator, origins: int, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """A moving average and a level that wanders for half of a block, of a quarter of the variance."""
    one, two = moving_average(generator, origins, horizon, season)
    return one + np.sqrt(0.5) * _wandering(generator, (1, origins), (horizon + season) / 2)[0], two


def squares(generator: np.random.Generator, origins: int, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of two forecasts of one series, each with a bias of its own that wanders."""
    steps = origins + horizon - 1
    shared = generator.standard_normal(steps)
    own = 0.5 * _wandering(generator, (2, steps), (horizon + season) / 4) + 0.5 * generator.standard_normal((2, steps))
    one, two = _overlapping((shared + own) ** 2, horizon)
    return one, two


PROCESSES: dict[str, Draw] = {
    "moving average": moving_average,
    "heavy tails": heavy_tails,
    "uneven": uneven,
    "seasonal": seasonal,
    "level": level,
    "squares": squares,
}


if __name__ == "__main__":
    main()
