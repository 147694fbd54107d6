"""How long a training step of each cell takes, as a multiple of torch.nn.LSTM's.

    python tests/bench/cells.py --lengths 48 168 --hidden 16 32 64 128

A step is forward and backward over one layer, the gradient coming from the last step as in a forecast. All cells take
turns in one process, on one thread, with denormals flushed, and each one's best step counts: what else the machine does
slows all alike.
"""

import argparse
import time

import torch

from lstm.nn.cells import CELLS, Cell, summary


def main() -> None:
    """Measures and prints a line for each length and size."""
    options = _options()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    names = ["lstm", *(name for name in options.cells if name != "lstm")]
    width = max(map(len, names))
    print("batch length hidden   lstm ms  " + "  ".join(name.rjust(width) for name in names[1:]))
    for length in options.lengths:
        for hidden in options.hidden:
            best_s = _measure(names, options.batch, length, hidden, options.inputs, options.rounds)
            ratios = (f"{best_s[name] / best_s['lstm']:.2f}".rjust(width) for name in names[1:])
            print(
                f"{options.batch:5} {length:6} {hidden:6} {best_s['lstm'] * 1e3:9.2f}  " + "  ".join(ratios), flush=True
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lengths", type=int, nargs="+", default=[48, 168])
    parser.add_argument("--hidden", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--inputs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    return parser.parse_args()


def _measure(names: list[str], batch: int, length: int, hidden: int, inputs: int, rounds: int) -> dict[str, float]:
    """The best of each cell's steps, in seconds."""
    torch.manual_seed(0)
    x = torch.randn(batch, length, inputs)
    cells = {name: CELLS[name](inputs, hidden) for name in names}
    taken_s: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):  # the first round builds what the others use
        for name, cell in cells.items():
            taken_s[name].append(_step_s(cell, x))
    return {name: min(each[1:]) for name, each in taken_s.items()}


def _step_s(cell: Cell, x: torch.Tensor) -> float:
    cell.zero_grad(set_to_none=True)
    started = time.perf_counter()
    summary(cell, x).square().sum().backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
