"""A user's own file, named in a spec as `FILE.py:Class`: how it is read, executed, and found again.

Two sweeps in one process may name one file with two contents, so a class is found by the digest of its file. A process
that has not executed a file can still read a configuration that names it.
"""

import ast
import hashlib
import linecache
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from lstm.records.errors import BadInput, refused

REFERENCE = r"^[^:\n]+\.py:[A-Za-z_][A-Za-z0-9_]*$"  # FILE.py:Class
MOST_BYTES = 2**20
_MODULES: dict[str, ModuleType] = {}  # what was executed, by digest
_FILES: dict[str, "Code"] = {}
_LATEST: dict[str, str] = {}  # of a file by name: the digest of what was executed last


@dataclass(frozen=True, slots=True)
class Code:
    """A file's content."""

    file: str  # as the spec names it
    content: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def is_reference(name: object) -> bool:
    """Whether a name in a spec is `FILE.py:Class`."""
    return isinstance(name, str) and re.match(REFERENCE, name) is not None


def file_of(reference: str) -> str:
    """The file that a reference names."""
    return reference.rpartition(":")[0]


def read(path: Path, file: str) -> Code:
    """A file that a spec names.

    Raises:
        BadInput: it can't be read, is too large, or is no text of Python.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise refused("code-unreadable", at=path, why=(error.strerror or str(error)).lower()) from None
    if len(content) > MOST_BYTES:
        raise refused("code-too-large", at=path, size=len(content), most=MOST_BYTES)
    try:
        tree = ast.parse(content, str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise refused("code-no-python", at=f"{path}:{line}", why=str(error.args[0])) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise refused("code-imports-neighbour", at=f"{path}:{node.lineno}")
    return Code(file, content)


def imports(code: Code) -> list[str]:
    """The packages that a file imports, by their first name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code.content)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return sorted(found)


def execute(code: Code) -> None:
    """Executes a file, once for its content, whatever executed it before.

    Its classes can be unpickled in any process that has executed it.

    Raises:
        BadInput: it raises; with its line.
    """
    _LATEST[code.file] = code.digest
    if code.digest in _MODULES:
        return
    module = ModuleType(f"user_code_{code.digest[:32]}")
    module.__file__ = code.file
    text = code.content.decode("utf-8", errors="replace")
    linecache.cache[code.file] = (len(text), None, text.splitlines(keepends=True), code.file)  # for tracebacks
    sys.modules[module.__name__] = module
    try:
        exec(compile(code.content, code.file, "exec"), module.__dict__)  # that is what it is for
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, SystemExit too
        del sys.modules[module.__name__]
        raise raised(error, place_of(error, [code]) or code.file) from error
    _MODULES[code.digest], _FILES[code.digest] = module, code


def find(reference: str, digests: Mapping[str, str]) -> type:
    """The class behind a reference.

    Args:
        reference: `FILE.py:Class`.
        digests: Of files by name, as a configuration keeps them.

    Raises:
        BadInput: its file was not executed here, or has no such class.
    """
    file, _, name = reference.rpartition(":")
    digest = digests.get(file, "")
    if digest not in _MODULES:
        raise refused("code-not-executed", name=reference, digest=digest[:12])
    found = getattr(_MODULES[digest], name, None)
    if not isinstance(found, type):
        raise refused("code-without-class", at=file, name=name)
    return found


def latest(reference: str) -> type | None:
    """The class behind a reference in what was executed last under that name: that of the spec which is being read."""
    file = file_of(reference)
    try:
        return find(reference, {file: _LATEST[file]}) if file in _LATEST else None
    except BadInput:
        return None


def is_known(reference: str, digests: Mapping[str, str]) -> bool:
    """Whether a reference's file was executed in this process."""
    return digests.get(file_of(reference), "") in _MODULES


def executed(digests: Iterable[str]) -> tuple[Code, ...]:
    """Of some digests the files that were executed in this process, for others that shall execute them."""
    return tuple(_FILES[digest] for digest in digests if digest in _FILES)


def place_of(error: BaseException, codes: Iterable[Code] = ()) -> str:
    """Where in a user's file an exception comes from, `FILE.py:12`; "" where in none."""
    files = {code.file for code in (*codes, *_FILES.values())}
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def raised(error: BaseException, place: str, path: str = "") -> BadInput:
    """The refusal of a user's own code that raises at a place, as a field of the spec."""
    return refused("code-raises", path, at=place, kind=type(error).__name__, why=str(error))


class Carried:
    """An object of a user's own classes, on its way to another process; what arrives there is the object itself."""

    def __init__(self, content: object, codes: Sequence[Code]) -> None:
        """Takes it, with the files that whoever unpickles it must have executed."""
        self._content, self._codes = content, tuple(codes)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickled, it is the files, and what to unpickle once they are executed."""
        return _unpacked, (self._codes, pickle.dumps(self._content))


def _unpacked(codes: Sequence[Code], content: bytes) -> object:
    for code in codes:
        execute(code)
    return pickle.loads(content)  # what our own driver has just written
