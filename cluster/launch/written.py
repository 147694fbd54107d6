"""Finds secrets that are written into what would be submitted, where more people may read them than should."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lstm.records.errors import Fault, fault

NOTIFY = "tracking.notify"  # the spec's field of a webhook's address, which is a secret as a whole
_FILLED = "\0"  # in place of what the environment fills in
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"<>]*)")
_OPTION = re.compile(r"[?&](?:ssl)?password=([^&\s'\"]+)")
_DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle", "mongodb", "redis")
_WAYS = {
    "slurm": ("the script of the job", "and export NAME where you launch: the job gets that environment"),
    "kubernetes": ("a ConfigMap", "set NAME here, and keep it in a Secret that `driver_secrets` of the profile names"),
}


def has_password(text: str) -> bool:
    """Return whether an address in a text has a password that is written out: not ${NAME}, nor a shell's $NAME."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)  # a default is written out
    text = re.sub(r"\$\{\w+\}|\$\w+|\$\([^)]*\)", _FILLED, text)
    found = [_password(*each.groups()) for each in _ADDRESS.finditer(text)]
    found += [each[1] for each in _OPTION.finditer(text)]
    return any(each.strip(_FILLED) for each in found)


def in_overrides(system: str, overrides: Sequence[str]) -> Iterator[Fault]:
    """Yield a fault for each override, as PATH=VALUE, that holds a secret."""
    for each in overrides:
        path, _, value = each.partition("=")
        path = path.strip()
        is_hook = path == NOTIFY or (path == "tracking" and re.search(r"\bnotify['\"]?\s*:", value))
        if what := "password" if has_password(value) else "webhook" if is_hook and _is_address(value) else None:
            yield _fault(system, f"--set {path}=...", what, is_typed=True)


def in_spec(system: str, written: Mapping[str, Any], where: Mapping[str, str]) -> Iterator[Fault]:
    """Yield a fault for each value of a spec that holds a secret.

    Args:
        system: The system, to which the spec's text is sent.
        written: The values as they are written, by dotted path.
        where: The place of each, as in `file:line`.
    """
    for path, value in written.items():
        is_hook = path == NOTIFY and _is_address(str(value))
        if what := "password" if has_password(str(value)) else "webhook" if is_hook else None:
            yield _fault(system, where[path], what, path, is_typed=False)


def _fault(system: str, at: str, what: str, path: str = "", *, is_typed: bool) -> Fault:
    place, way = _WAYS[system]
    hook = what if what == "webhook" else None
    told: dict[str, Any] = {"password": None if hook else what, "webhook": hook, "place": place, "way": way}
    return fault("launch-secret-written", path, at=at, quotes="quotes" if is_typed else None, **told)


def _password(scheme: str, rest: str) -> str:
    """Return the password in what follows the scheme of an address; "" if there is none."""
    is_database = scheme.lower().startswith(_DATABASES)  # there it may hold a slash
    login, at, _ = rest.partition("@") if is_database else rest.partition("/")[0].rpartition("@")
    user, _, password = login.partition(":")
    return password if at and "/" not in user else ""


def _is_address(text: str) -> bool:
    return "://" in re.sub(r"\$\{\w+\}", "", text)
