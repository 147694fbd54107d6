"""The parts of `run.py`, each in a process of its own: python parts.py PART ROWS.

A part yields rows; each is written to the file ROWS, a line of JSON, as soon as it is there.
"""

import json
import math
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import exactness
import lifeline
import sharing
import speeds
import torch
from measured import Row, Skipped

from lstm import device


def machine() -> Iterator[Row]:
    """What this is measured on."""
    gpus = device.gpu_count()
    properties = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count() if gpus else 0)]
    yield {
        "gpus": gpus,
        "cards": ", ".join(f"{p.name} with {p.total_memory / 2**30:.0f} GiB" for p in properties)
        or device.why_no_gpu(),
        "torch": torch.__version__,
        "CUDA": torch.version.cuda or "",
        "cuDNN": str(torch.backends.cudnn.version() or ""),
        "Python": platform.python_version(),
        "system": platform.platform(),
        "cores": device.cpu_count(),
        "TF32 in cuDNN": bool(torch.backends.cudnn.allow_tf32),  # then float32 on the GPU is not what it is on the CPU
    }


def _finite(row: Row) -> Row:
    """A row as JSON can have it: it has no NaN."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


PARTS: Sequence[Callable[[], Iterator[Row]]] = (
    *(machine, exactness.tasks, exactness.resume, sharing.shares, sharing.packing, sharing.memory),
    *(speeds.precision, speeds.sizes, speeds.compiled, speeds.contest, exactness.deterministic, sharing.cards),
)
CHILDREN: Mapping[str, Callable[..., None]] = {
    each.__name__: each for each in (sharing.one_share, sharing.one_packed, speeds.one_compiled)
}  # what a part starts as processes of their own


def main() -> None:
    """Runs a part and writes its rows, or what a part has started."""
    name = sys.argv[1]
    if name in CHILDREN:
        CHILDREN[name](*sys.argv[2:])
        return
    lifeline.hold()
    part = next(each for each in PARTS if each.__name__ == name)
    with Path(sys.argv[2]).open("a", encoding="utf-8") as file:
        try:
            for row in part():
                print(json.dumps(_finite(row)), file=file, flush=True)
        except Skipped as reason:
            print(json.dumps({"skipped": str(reason)}), file=file, flush=True)


if __name__ == "__main__":
    main()
