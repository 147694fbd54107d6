"""Overrides: puts the value of a `--set path=value` into a file's tree."""

from typing import Any

from experiments.spec.errors import Address, Place, Wrong, dotted
from experiments.spec.yaml_parser import MAX_DEPTH, Builder, address_of, value_at
from experiments.spec.yaml_scalars import Leaf
from lstm.messages.entry import shown
from lstm.records.errors import Fault, fault


def apply(root: dict[str, Any], lines: dict[Address, Place], override: str) -> list[Wrong]:
    """Put the value of a `path=value` into the tree. Returns what is wrong with the override."""
    path, equals, value = override.partition("=")
    place = f"--set {shown(override, 100)}"
    parts = path.strip().split(".")
    if not equals or not all(parts) or len(parts) > MAX_DEPTH:
        return [(place, (), fault("set-of-wrong-form"))]
    address = address_of(root, parts)
    builder = Builder(value, address, place)
    node = builder.build()
    if builder.block:
        builder.wrong.append((place, address, fault("set-of-a-block")))
    if builder.wrong:
        return builder.wrong
    above = _parent(root, address)
    if isinstance(above, Fault):
        return [(place, address, above)]
    above[address[-1]] = Leaf("", plain=True) if node is None else node
    for known in [known for known in lines if known[: len(address)] == address]:
        del lines[known]
    for n in range(1, len(address) + 1):
        lines.setdefault(address[:n], place)
    lines.update(builder.lines)
    return []


def change(root: dict[str, Any], lines: dict[Address, Place], at: Address, text: str | None) -> None:
    """Replace the value at an address by a scalar, or remove it if `text` is None."""
    above = value_at(root, at[:-1])
    if text is not None:
        above[at[-1]] = Leaf(text, plain=True)
        return
    del above[at[-1]]
    for known in [known for known in lines if known[: len(at)] == at]:
        del lines[known]
    if isinstance(above, list):  # the items after it move up
        before, place = at[:-1], len(at) - 1
        moved = [k for k in lines if k[:place] == before and len(k) > place and int(k[place]) > int(at[place])]
        for known in sorted(moved, key=lambda k: int(k[place])):
            lines[(*before, int(known[place]) - 1, *known[place + 1 :])] = lines.pop(known)


def _parent(root: dict[str, Any], address: Address) -> Any:
    """Return the collection that contains the last key of an address, made if absent; a fault if there can be none."""
    here: Any = root
    for n, key in enumerate(address):
        if isinstance(here, list) and not (isinstance(key, int) and key < len(here)):
            return fault("set-beyond-the-list", list=dotted(address[:n]), items=len(here))
        if not isinstance(here, dict | list):
            return fault("set-in-no-mapping", field=dotted(address[:n]))
        if n == len(address) - 1:
            break
        child = here.get(key) if isinstance(here, dict) else here[int(key)]
        if child is None or child == Leaf("", plain=True):  # absent, or an empty section
            child = here[key] = {}  # type: ignore[index] # a list or a mapping
        here = child
    return here
