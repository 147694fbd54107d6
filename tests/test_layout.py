"""The bounds of the house: a folder, a file and a function that grow beyond them are cut, not excused."""

import ast
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("experiments", "cluster", "dashboards", "lstm")
MODULES, LINES, VERB_LINES, FUNCTION_LINES = 12, 400, 100, 50
VERBS = Path("experiments", "verbs")

# What is over a bound, as it is now. A number may only shrink; what is within the bound leaves the list.
LONGER_FILES: dict[str, int] = {}
LONGER_FUNCTIONS: dict[str, int] = {}


def sources() -> list[Path]:
    return sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def test_a_folder_holds_at_most_twelve_modules():
    folders = {path.parent for path in sources()} - {VERBS}
    modules = {folder: [p for p in (ROOT / folder).glob("*.py") if p.name != "__init__.py"] for folder in folders}
    assert {str(folder): len(found) for folder, found in modules.items() if len(found) > MODULES} == {}


def test_a_file_has_at_most_400_lines_and_a_verb_100():
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in sources()}
    longer = {str(p): n for p, n in lengths.items() if n > (VERB_LINES if p.parent == VERBS else LINES)}
    assert longer == LONGER_FILES


@pytest.fixture(scope="module")
def found() -> SimpleNamespace:
    """What is over a bound within a file, or crosses one: each file is parsed once."""
    longer, crossing, wordless = {}, [], []
    for path in sources():
        tree = ast.parse((ROOT / path).read_text())
        nodes = list(ast.walk(tree))
        longer |= long_functions(path, nodes)
        crossing += private_names(path, nodes)
        wordless += [] if ast.get_docstring(tree) else [str(path)]
    return SimpleNamespace(longer=longer, crossing=crossing, wordless=wordless)


def long_functions(path: Path, nodes: Sequence[ast.AST]) -> dict[str, int]:
    longer = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                longer[f"{path}:{node.name}"] = lines
    return longer


def private_names(path: Path, nodes: Sequence[ast.AST]) -> list[str]:
    """What a file takes of another of ours that is that one's own."""
    ours = [n for n in nodes if isinstance(n, ast.ImportFrom) and str(n.module).split(".")[0] in ROOMS]
    names = [alias for node in ours for alias in node.names]
    crossing = [f"{path}: {alias.name}" for alias in names if alias.name.startswith("_")]
    modules = {a.asname or a.name for n in ours for a in n.names if is_module(f"{n.module}.{a.name}")}
    for node in nodes:
        is_read = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
        if is_read and node.attr.startswith("_") and not node.attr.startswith("__"):
            crossing.append(f"{path}: {ast.unparse(node)}")
    return crossing


def is_module(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).with_suffix(".py").exists()


def test_a_function_has_at_most_50_lines(found):
    assert found.longer == LONGER_FUNCTIONS


def test_no_private_name_crosses_a_file(found):
    assert found.crossing == []


def test_a_module_says_in_its_first_line_what_it_is_for(found):
    assert found.wordless == []


@pytest.mark.parametrize(
    "code",
    [
        "from lstm.records.epoch import _x",
        "from lstm import checkpoint\ncheckpoint._x",
        "import lstm\nfrom lstm import device as d\nd._x()",
    ],
)
def test_a_private_name_that_crosses_is_seen(code):
    assert private_names(Path("a.py"), list(ast.walk(ast.parse(code))))


# Promises of several verbs, with their fixtures.
ACROSS_VERBS = {"experiments/verbs/test_base.py", "experiments/verbs/test_front.py"}


def test_a_test_file_has_the_place_and_name_of_what_it_tests():
    """A promise that several modules keep is tested at the top of its room's folder, under the promise's name."""
    lost = []
    for path in (p.relative_to(ROOT / "tests") for room in ROOMS for p in (ROOT / "tests" / room).rglob("test_*.py")):
        tested = ROOT / path.parent / path.name.removeprefix("test_")
        if len(path.parts) > 2 and not tested.is_file() and not tested.with_suffix("").is_dir():
            lost.append(str(path))
    assert set(lost) == ACROSS_VERBS


def test_modules_that_tests_import_by_their_name_have_each_a_name_of_its_own():
    rooms = ("tests/lab", "tests/bench", "tests/bench/contenders", "tests/bench/gpu")
    names = [path.stem for room in rooms for path in (ROOT / room).glob("*.py") if path.stem != "conftest"]
    scripts = {"run", "translation"}  # in tests/bench; nothing imports them
    assert {name for name in names if names.count(name) > 1} <= scripts
