"""What is wrong with a file that was made for a while, told of what it was made from."""

from dataclasses import replace
from typing import Any

from lstm.records.errors import Fault


def renamed(fault: Fault, path: str, name: str) -> Fault:
    """A fault with a name in place of a path, wherever it stands."""

    def named(value: Any) -> Any:
        return value.replace(path, name) if isinstance(value, str) else value

    return replace(fault, place=named(fault.place), values={key: named(value) for key, value in fault.values.items()})
