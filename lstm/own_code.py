"""Reads, executes and finds a user's own file, which a spec names as `FILE.py:Class`.

Two sweeps in one process may name the same file with different contents, so a class is found by the digest of its file.
A process that has not executed a file can still read a configuration that names it.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import linecache
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from lstm.records.errors import BadInput, refused

REFERENCE = r"^[^:\n]+\.py:[A-Za-z_][A-Za-z0-9_]*$"  # FILE.py:Class
MOST_BYTES = 2**20
_MODULES: dict[str, ModuleType] = {}  # the executed modules by digest
_FILES: dict[str, "Code"] = {}  # the executed files by digest
_LATEST: dict[str, str] = {}  # by file name: the digest of the content that was executed last


@dataclass(frozen=True, slots=True)
class Code:
    """A user's file: its name in the spec and its content."""

    file: str  # as the spec names it
    content: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def is_reference(name: object) -> bool:
    """Return whether a name in a spec has the form `FILE.py:Class`."""
    return isinstance(name, str) and re.match(REFERENCE, name) is not None


def file_of(reference: str) -> str:
    """Return the file part of a reference `FILE.py:Class`."""
    return reference.rpartition(":")[0]


def read(path: Path, file: str) -> Code:
    """Read a file that a spec names; `file` is its name there.

    Raises:
        BadInput: the file can't be read, is too large, is not valid Python, or has a relative import.
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
        if isinstance(node, ast.Import | ast.ImportFrom) and _imports_neighbour(node, path.absolute().parent):
            raise refused("code-imports-neighbour", at=f"{path}:{node.lineno}")
    return Code(file, content)


def _imports_neighbour(node: ast.Import | ast.ImportFrom, folder: Path) -> bool:
    """Return whether a statement imports from the folder, where only this process finds it: a notebook's own does."""
    if isinstance(node, ast.ImportFrom):
        return bool(node.level) or _lies_in(folder, node.module or "")
    return any(_lies_in(folder, alias.name) for alias in node.names)


def _lies_in(folder: Path, module: str) -> bool:
    """Return whether a module's package is found in a folder only because a script or a notebook runs in the folder."""
    package = module.partition(".")[0]
    if not sys.path or Path(sys.path[0]).absolute() != folder or package in sys.stdlib_module_names:
        return False
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a module that was put into `sys.modules` by hand
        return False
    places = [*(found.submodule_search_locations or ()), found.origin] if found else []
    here = any(place and folder in Path(place).absolute().parents[:2] for place in places)  # not an environment in it
    return here and package not in importlib.metadata.packages_distributions()


def imports(code: Code) -> list[str]:
    """Return the top-level packages that a file imports, sorted."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code.content)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return sorted(found)


def execute(code: Code) -> None:
    """Execute a file once per content: a file that this process has executed already is not executed again.

    The file's classes can be unpickled in any process that has executed it.

    Raises:
        BadInput: the file's own code raises; the error names the line.
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
        exec(compile(code.content, code.file, "exec"), module.__dict__)  # the user asked for this file to run
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's file may raise anything, also SystemExit
        del sys.modules[module.__name__]
        raise raised(error, place_of(error, [code]) or code.file) from error
    _MODULES[code.digest], _FILES[code.digest] = module, code


def find(reference: str, digests: Mapping[str, str]) -> type:
    """Return the class that a reference names.

    Args:
        reference: `FILE.py:Class`.
        digests: The digest of each file by its name, as a configuration keeps them.

    Raises:
        BadInput: the file was not executed in this process, or has no such class.
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
    """Return the class in the content that was executed last under the file's name; None if there is none.

    While a spec is being read, that content is the spec's own file.
    """
    file = file_of(reference)
    try:
        return find(reference, {file: _LATEST[file]}) if file in _LATEST else None
    except BadInput:
        return None


def is_known(reference: str, digests: Mapping[str, str]) -> bool:
    """Return whether a reference's file was executed in this process."""
    return digests.get(file_of(reference), "") in _MODULES


def executed(digests: Iterable[str]) -> tuple[Code, ...]:
    """Return the files with these digests that this process has executed, for another process to execute."""
    return tuple(_FILES[digest] for digest in digests if digest in _FILES)


def place_of(error: BaseException, codes: Iterable[Code] = ()) -> str:
    """Return where in a user's file an exception comes from, as `FILE.py:12`; "" if it comes from no user's file."""
    files = {code.file for code in (*codes, *_FILES.values())}
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def raised(error: BaseException, place: str, path: str = "") -> BadInput:
    """Return the error for a user's own code that raised at `place`; `path` is the field of the spec."""
    return refused("code-raises", path, at=place, kind=type(error).__name__, why=str(error))


@contextmanager
def placed() -> Iterator[None]:
    """Give what a user's own code raises its line; what comes from nowhere else passes.

    Raises:
        BadInput: a user's own code raises.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, BadInput) or not (where := place_of(error)):
            raise
        raise raised(error, where) from error


class Carried:
    """A wrapper that pickles an object of a user's own classes; unpickling it returns the object itself."""

    def __init__(self, content: object, codes: Sequence[Code]) -> None:
        """Wrap an object, with the files that must be executed before it is unpickled."""
        self._content, self._codes = content, tuple(codes)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle the files together with the object's bytes; the files are executed before the object is unpickled."""
        return _unpacked, (self._codes, pickle.dumps(self._content))


def _unpacked(codes: Sequence[Code], content: bytes) -> object:
    for code in codes:
        execute(code)
    return pickle.loads(content)  # our own driver wrote these bytes
