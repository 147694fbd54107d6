"""Finds secrets that are written into what would be submitted, where more people may read them than should."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from lstm.records.errors import Fault, fault

NOTIFY = "tracking.notify"  # the spec's field of a webhook's address, which is a secret as a whole
_FILLED = "\0"  # in place of what the environment, or a program, fills in
_OUTPUT = "\1"  # in place of what a command of the shell fills in
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"<>]*)")
_OPTION = re.compile(r"[?&](?:ssl)?password=([^&\s'\"]+)")
_DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle", "mongodb", "redis")
# The word of a secret within a variable's name, as in PGPASSWORD and AWS_SECRET_ACCESS_KEY, not as in TOKENIZERS_MODE.
_SECRET = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)S?(?![A-Z])"
)
_ABOUT = re.compile(  # the end of a name that has the word, and whose value is no secret
    r"ACCESS_?KEY_ID$|_(FILE|PATH|DIR|FOLDER|HOME|MODE|NAME|TYPE|KIND|USER|URL|URI|ENDPOINT|HOST|PORT|TTL|TIMEOUT|LIFETIME|"
    r"EXPIRY|DURATION|COUNT|LENGTH|SIZE|LIMIT|ENABLED|DISABLED|PROVIDER|ARN|VERSION)$"
)
_NO_SECRET = re.compile(r"(|0|1|true|false|yes|no|on|off|<.*>)", re.IGNORECASE)  # values that are none under any name
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")  # a password may be one; a token, or a version of a secret, is none
_PATH = re.compile(r"(~|\.{1,2})?/|~")
# What stands for a password in an example, and what a program fills in: {name}, %s, %(name)s.
_EXAMPLE = re.compile(r"[A-Z][A-Z_-]*|<.*>|\.{3}|…|\*+")
_FORMAT = re.compile(r"\{[^{}]*\}|%(\(\w+\))?[sdr]")
_QUOTED = r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.)"""
_COMMENT = re.compile(rf"({_QUOTED})|(?<!\S)#.*")
_BRACKETS = re.compile(rf"{_QUOTED}|([()])")
_ASSIGNMENT = re.compile(r"""(?<![\w$])([A-Za-z_][\w-]*)\+?=("(?:\\.|[^"\\])*"|'[^']*'|(?:\\.|[^\s;&|()"'])*)""")
_WAYS = {
    "slurm": ("the script of the job", "and export NAME where you launch: the job gets that environment"),
    "kubernetes": ("a ConfigMap", "set NAME here, and keep it in a Secret that `driver_secrets` of the profile names"),
}


def has_password(text: str, *, is_told: bool = False) -> bool:
    """Return whether an address in a text has a password that is written out: not ${NAME}, nor a shell's $NAME.

    Where a text only tells of an address, as code and comments do, an example's USER:PASSWORD is none, nor {name}.
    """
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)  # a default is written out
    text = re.sub(r"\$\{\w+\}|\$\w+|\$\([^)]*\)", _FILLED, text)
    filled = (lambda part: _FORMAT.sub(_FILLED, part)) if is_told else str
    found = [_password(each[1], filled(each[2])) for each in _ADDRESS.finditer(text)]
    found += [filled(each[1]) for each in _OPTION.finditer(text)]
    if is_told:
        found = ["" if _EXAMPLE.fullmatch(each) else each for each in found]
    return any(each.strip(_FILLED) for each in found)


def is_secret(name: str, value: str) -> bool:
    """Return whether a variable's value is a secret by the variable's name, and is written out.

    A value of TOKEN_FILE or ACCESS_KEY_ID is none; CREDENTIALS may be a path, as that of Google's libraries is.
    """
    name = name.upper().replace("-", "_")
    if not _SECRET.search(name) or _ABOUT.search(name) or _NO_SECRET.fullmatch(value):
        return False
    if _NUMBER.fullmatch(value):
        return "PASS" in name
    return not (re.search("CREDENTIALS?$", name) and _PATH.match(value))


def secret_in(line: str) -> str:
    """Return the name of the first variable, or option, to which a line of shell gives a secret; "" if there is none.

    What the shell fills in, as $NAME or $(cat FILE), is none, nor is an example's value in a comment.
    """
    for each in _COMMENT.finditer(line):
        comment = "" if each[1] else re.sub(r"\$\(|`", _OUTPUT, re.sub(r"\$\{[^}]*\}|\$\w+", _FILLED, each[0]))
        if name := _assigned(comment, is_told=True):
            return name
    line = _COMMENT.sub(lambda each: each[1] or "", line)
    texts = [re.sub(r"\$\{\w+:?[-=]([^}]*)\}", r"\1", line)]  # a default is written out
    for text in texts:
        while found := re.search(r"\$\(|`", text):
            end = _end(text, found.end())
            texts.append(text[found.end() : end])
            text = text[: found.start()] + _OUTPUT + text[end + 1 :]  # noqa: PLW2901
        if name := _assigned(re.sub(r"\$\{[^}]*\}|\$\w+", _FILLED, text)):
            return name
    return ""


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


def in_text(system: str, text: str, file: str, told: Container[str] = ()) -> Iterator[Fault]:
    """Yield a fault for each line of a file, also of its comments, that holds an address with a password.

    Args:
        system: The system, to which the text is sent.
        text: The file's text.
        file: The file's name.
        told: The places, as in `file:line`, of which there is a fault already.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if (place := f"{file}:{number}") in told or not has_password(line, is_told=True):
            continue
        if file.endswith(".py"):
            yield fault("launch-secret-in-code", at=place, place=_WAYS[system][0])
        else:
            yield _fault(system, place, "password", is_typed=False)


def _fault(system: str, at: str, what: str, path: str = "", *, is_typed: bool) -> Fault:
    place, way = _WAYS[system]
    hook = what if what == "webhook" else None
    told: dict[str, Any] = {"password": None if hook else what, "webhook": hook, "place": place, "way": way}
    return fault("launch-secret-written", path, at=at, quotes="quotes" if is_typed else None, **told)


def _assigned(text: str, *, is_told: bool = False) -> str:
    """Return the first name to which a text gives a secret, also within a value, as in --export=ALL,TOKEN=x.

    `is_told` says that it is a comment, where an example's value is none.
    """
    for name, quoted in _ASSIGNMENT.findall(text):
        value = quoted.strip("\"'")
        is_given = not value.startswith(_OUTPUT) and not (is_told and _EXAMPLE.fullmatch(value))
        if is_given and is_secret(name, value.strip(_FILLED)):
            return str(name)
        if within := _assigned(value, is_told=is_told):
            return within
    return ""


def _end(text: str, start: int) -> int:
    """Return where a shell's substitution ends, whose command starts there: at its bracket, or its backquote."""
    if text[start - 1] == "`":
        end = text.find("`", start)
        return end if end >= 0 else len(text)
    depth = 1
    for each in _BRACKETS.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(each[1], 0)
        if not depth:
            return each.start()
    return len(text)


def _password(scheme: str, rest: str) -> str:
    """Return the password in what follows the scheme of an address; "" if there is none."""
    is_database = scheme.lower().startswith(_DATABASES)  # there it may hold a slash
    login, at, _ = rest.partition("@") if is_database else rest.partition("/")[0].rpartition("@")
    user, _, password = login.partition(":")
    return password if at and "/" not in user else ""


def _is_address(text: str) -> bool:
    return "://" in re.sub(r"\$\{\w+\}", "", text)
