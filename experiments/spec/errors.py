"""The refusal of a file: all that is wrong with it, each with its place, in the order of the file."""

import math
from collections.abc import Iterable

from lstm.records.errors import BadInput

Address = tuple[str | int, ...]
Place = int | str  # a line of the file, or the --set that wrote it
Wrong = tuple[Place, Address, str]

MAX_MESSAGES = 50  # of one refusal: more are rarely read, and one slip may make thousands


def refusal(path: str, wrong: Iterable[Wrong]) -> BadInput:
    """Make the error of all that is wrong, in the order of the file, overrides last; many are cut to the first."""
    ordered = sorted(dict.fromkeys(wrong), key=lambda w: w[0] if isinstance(w[0], int) else math.inf)
    told = [
        (f"{path}:{place}" if isinstance(place, int) else place, dotted(at), message)
        for place, at, message in ordered[:MAX_MESSAGES]
    ]
    more = len(ordered) - len(told)
    last = [f"… and {more:,} more"] if more else []
    return BadInput(*(shown(": ".join(filter(None, parts)), 2000) for parts in told), *last)


def dotted(address: Address) -> str:
    """Join an address with dots, for a message."""
    return ".".join(shown(str(key)) for key in address)


def shown(text: str, length: int = 60) -> str:
    """Cut a text, and make what can't be seen visible, for a message."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
