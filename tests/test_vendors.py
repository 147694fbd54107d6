"""Private parts of libraries are reached into in one file a library; whatever else does so is found here."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lstm.patches import VENDORS

ROOT = Path(__file__).parents[1]
ROOMS = ("experiments", "cluster", "dashboards", "lstm")
PATCHES = {
    "cluster/ray_backend/private_patches.py": "ray",
    "cluster/study/private_patches.py": "optuna",
    "dashboards/tracking/private_patches.py": "mlflow",
    "lstm/training/private_patches.py": "torch",
}
# Names that begin with an underscore and are documented all the same.
DOCUMENTED = {"_asdict", "_replace", "_fields", "_make", "_exit", "_getframe"}
# What Python says may be replaced.
HOOKS = {"sys.stdin", "sys.stdout", "sys.stderr", "sys.breakpointhook", "sys.excepthook", "sys.unraisablehook"}
# What stands in place of what it wraps; beneath it lies what nobody promises.
WRAPPED = {"__wrapped__", "__globals__", "__closure__", "__code__", "__defaults__"}
STORES = {"update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__delitem__"}
# Modules of libraries that their documentation names; a new one is looked up there before it is added.
MODULES = {
    "PIL",
    "click",
    "jinja2",
    "lightgbm",
    "mlflow",
    "mlflow.artifacts",
    "mlflow.entities",
    "mlflow.tracking",
    "numpy",
    "optuna",
    "optuna.distributions",
    "optuna.exceptions",
    "optuna.samplers",
    "optuna.search_space",
    "optuna.storages",
    "optuna.study",
    "optuna_dashboard",
    "optuna.trial",
    "pandas",
    "plotly.graph_objects",
    "plotly.offline",
    "psutil",
    "pynvml",
    "pyarrow",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.feather",
    "pyarrow.fs",
    "pyarrow.parquet",
    "pydantic",
    "pydantic.json_schema",
    "pydantic_core",
    "ray",
    "ray.exceptions",
    "ray.tune",
    "ray.tune.schedulers",
    "ray.tune.search",
    "ray.util",
    "ray.util.scheduling_strategies",
    "rich.cells",
    "rich.console",
    "rich.live",
    "rich.measure",
    "rich.progress_bar",
    "rich.table",
    "rich.text",
    "sacrebleu.metrics.bleu",
    "sacrebleu.metrics.chrf",
    "sacrebleu.metrics.helpers",
    "scipy.sparse",
    "scipy.special",
    "sentencepiece",
    "sklearn.datasets",
    "sklearn.exceptions",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sktime.transformations.panel.rocket",
    "sqlalchemy",
    "sqlalchemy.dialects",
    "sqlalchemy.exc",
    "sqlalchemy.schema",
    "statsforecast",
    "threadpoolctl",
    "torch",
    "torch.autograd.function",
    "torch.func",
    "torch.nn.utils.rnn",
    "yaml",
}
REACH = re.compile(
    rf"\b({'|'.join((*VENDORS, 'pydantic', 'click', 'rich', 'pandas', 'sqlalchemy', 'sklearn'))})(\.\w+)*\._[a-z]\w*"
)
# What is found and stays, with its reason. A new one needs a better reason than that it works.
ALLOWED = {
    "experiments/cli/group.py: os.environ['HOME']": "a user of a container may have no home, and libraries ask for one",
    "lstm_sweeps.py: os.environ.pop": "PYTHONWARNINGS=error would break libraries, in workers and MLflow's server, too",
    "experiments/terminal/streams.py: sys.stdout.error": "of our own stream",
    "experiments/operations/guest.py: os.environ[name]": "what libraries have set in a notebook's process is put back",
    "experiments/operations/guest.py: os.environ.update": "likewise",
    "lstm/own_code.py: sys.modules[module.__name__]": "a user's own file, whose objects go to other processes",
}


def sources() -> list[Path]:
    rooms = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in [*rooms, ROOT / "lstm_sweeps.py"])


def is_private(name: str) -> bool:
    return (name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED) or name in WRAPPED


def named(node: ast.expr) -> str:
    """The text of an expression; most are names with dots, of which it is known at once."""
    parts = []
    inner = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    return ".".join([inner.id, *reversed(parts)]) if isinstance(inner, ast.Name) else ast.unparse(node)


class Scan(ast.NodeVisitor):
    """What a file does that only a library's own code should."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[str] = []
        nodes = list(ast.walk(tree))
        self._own = set(own(nodes))
        self._selves = {"self", "cls", *made(nodes)}
        self._vendors = set(VENDORS) | set(imported(nodes))
        self._ours = set(imported(nodes, ours=True)) | self._own
        self.visit(tree)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        name = node.module or ""
        for alias in node.names:
            nested = f"{name}.{alias.name}"
            self._module(nested if nested in MODULES else name)
            if is_private(alias.name) and name.split(".")[0] not in ROOMS:
                self.found.append(f"from {name} import {alias.name}")

    def _module(self, name: str) -> None:
        top = name.split(".", maxsplit=1)[0]
        if top not in ROOMS and top not in sys.stdlib_module_names and top != "__future__" and name not in MODULES:
            self.found.append(f"import {name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        # What an object of ours has of its own is set somewhere in its file; the rest it has of a library's class.
        if is_private(node.attr) and not (self._of_ours(node.value) and node.attr in self._own):
            self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def _of_ours(self, owner: ast.expr) -> bool:
        is_self = isinstance(owner, ast.Name) and owner.id in self._selves
        return is_self or ast.unparse(owner).startswith("super(")

    def visit_Call(self, node: ast.Call) -> None:
        called = named(node.func)
        if called.split(".", maxsplit=1)[0] not in self._ours:
            self.found += [f"{called}({each.arg}=)" for each in node.keywords if each.arg and is_private(each.arg)]
        texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if called in ("getattr", "setattr", "delattr", "hasattr"):
            self.found += [f"{called} {text}" for text in texts if is_private(text)]
        if called in ("setattr", "delattr") and self._of_a_library(node.args[0]):
            self.found.append(ast.unparse(node))
        if called == "inspect.unwrap" or called.endswith(("os.putenv", "os.unsetenv")):
            self.found.append(called)
        owner, _, method = called.rpartition(".")
        if method in STORES and owner in ("os.environ", "sys.modules", "environ", "modules"):
            self.found.append(called)
        if called.startswith("logging.getLogger") and any(
            text.split(".")[0] in VENDORS and "." in text for text in texts
        ):
            self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and "._" in node.value and (reach := REACH.search(node.value)):
            self.found.append(f"code in a text: {reach[0]}")

    def _stored(self, target: ast.expr) -> None:
        for each in ast.walk(target):
            if isinstance(each, ast.Subscript) and ast.unparse(each.value) in ("os.environ", "sys.modules"):
                self.found.append(ast.unparse(each))
            is_set = isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store | ast.Del)
            if is_set and self._of_a_library(each.value) and ast.unparse(each) not in HOOKS:
                self.found.append(ast.unparse(each))

    def _of_a_library(self, node: ast.expr) -> bool:
        root = node
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        return isinstance(root, ast.Name) and root.id in self._vendors

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._stored(target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._stored(node.target)
        if ast.unparse(node.target) in ("os.environ", "sys.modules"):
            self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._stored(target)
        self.generic_visit(node)


def own(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The private names that a file gives to objects of its own."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, ast.ClassDef):
            for each in ast.walk(node):
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                    yield each.id


def made(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The names of objects that a file makes of its own classes."""
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)} | {"cls", "super().__new__"}
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from [ast.unparse(each) for each in targets if named(node.value.func) in classes]


def imported(nodes: Sequence[ast.AST], *, ours: bool = False) -> Iterator[str]:
    """The names under which a file has modules and classes that are not ours, or those that are."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            top = str(node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                if ((top or alias.name.split(".")[0]) in ROOMS) is ours:
                    yield alias.asname or alias.name.split(".")[0]


def scan(code: str) -> list[str]:
    return Scan(ast.parse(code)).found


def test_what_reaches_into_a_library_is_in_that_librarys_file():
    found = {
        f"{path}: {each}" for path in sources() if str(path) not in PATCHES for each in scan((ROOT / path).read_text())
    }
    assert sorted(found - ALLOWED.keys()) == []
    assert sorted(ALLOWED.keys() - found) == [], "is not done any more"


def test_each_library_has_one_file_that_reaches_into_it_alone():
    assert sorted(PATCHES.values()) == sorted(VENDORS)
    for path, vendor in PATCHES.items():
        code = (ROOT / path).read_text()
        others = "|".join({*VENDORS, "pydantic", "click", "rich", "pandas"} - {vendor})
        assert re.findall(rf"^\s*(?:import|from) (?:{others})\b", code, re.MULTILINE) == [], path
        assert (ROOT / "tests" / path).with_name("test_private_patches.py").exists(), path


@pytest.mark.parametrize(
    "code",
    [
        "import optuna\nstudy = optuna.create_study()\nstudy._storage",
        "from optuna.storages._cached_storage import _CachedStorage",
        "from mlflow.store.db import utils",
        "import ray._private.services",
        "def f(ray): ray._private.worker",
        "def f(trial): return getattr(trial, '_trial_id')",
        "class A(Base):\n    def f(self): return self._backend",
        "class A(Base):\n    def f(self): return super()._read()",
        "import torch\ntorch.set_default_dtype = None",
        "from torch import nn\nnn.LSTM.forward = None",
        "import torch\nsetattr(torch, 'load', None)",
        "import ray\nray.init(_temp_dir='x')",
        "import sys\nsys.modules['sklearn'] = None",
        "import sys\nsys.modules.pop('sklearn')",
        "import sys\ndel sys.modules['sklearn']",
        "import os\nos.environ['RAY_X'] = '1'",
        "import os\nos.environ.update(RAY_X='1')",
        "import os\nos.environ.setdefault('A', '1')",
        "import os\ndel os.environ['A']",
        "import os\nos.environ |= {}",
        "import os\nos.putenv('A', '1')",
        "import inspect\ninspect.unwrap(f)",
        "step = f.__wrapped__",
        "CODE = 'import ray; ray._private.services.x()'",
        "import logging\nlogging.getLogger('ray.tune.analysis').setLevel(0)",
    ],
)
def test_each_way_into_a_library_is_seen(code):
    assert scan(code), code


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def f(self): self._x = 1\n    def g(self): return self._x",
        "class A:\n    def _f(self): return 1\n    def g(self): return self._f()",
        "class A(B):\n    def __new__(cls):\n        made = super().__new__(cls)\n        made._x = 1",
        "import os\nos._exit(1)",
        "import sys\nsys.breakpointhook = None",
        "from lstm.records import sweep\nsweep.Sweep(_found=1)",
        "def f(row): return row._replace(a=1)._asdict()",
        "import os\nfound = os.environ.get('A')",
        "import sys\nfound = 'torch' in sys.modules",
        "from optuna.trial import FrozenTrial\ndef f(trial): trial.params = {}",
    ],
)
def test_what_is_ours_or_documented_is_let_pass(code):
    assert scan(code) == []


def test_no_class_of_ours_overrides_a_librarys_private_part():
    overridden = []
    for module in modules():
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__:
                overridden += [f"{kind.__qualname__}.{name}" for name in vars(kind) if taken(kind, name)]
    assert overridden == []


def modules() -> Iterator[types.ModuleType]:
    """Our modules, but for the rivals' that need packages which may not be here."""
    for room in ROOMS:
        for found in pkgutil.walk_packages([str(ROOT / room)], f"{room}."):
            yield importlib.import_module(found.name)


def taken(kind: type, name: str) -> bool:
    """Whether a class of a library, of which this one is made, has that private name."""
    # What Python's abstract classes, and PyTorch's functions of autograd, are given by their metaclass.
    if not is_private(name) or name in ("_abc_impl", "_backward_cls"):
        return False
    bases = [base for base in kind.__mro__[1:] if base.__module__.split(".")[0] not in ROOMS]
    return any(name in vars(base) for base in bases if base.__module__.split(".")[0] not in sys.stdlib_module_names)
