"""The page of the Python interface, made from docstrings. It reads the source, so that it imports none of it."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from experiments.reference.markdown import code, paragraphs, wrapped

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("plan", "run", "train", "load", "compare")
CLASSES = ("Sweep", "Best", "Winner", "Cleaned", "Plan", "Trained", "SpecError", "SweepError")
# What the face takes and returns and other files define.
ALIASES = {"Spec": "spec/mapping.py", "Overrides": "spec/mapping.py", "HomeFolder": "api.py", "CodeFile": "own_code.py"}
ELSEWHERE = {
    "Sweep": "python/sweep.py",
    "Best": "operations/summary.py",
    "Winner": "trials/winning.py",
    "Cleaned": "trials/cleaning.py",
    **dict.fromkeys(("Plan", "Trained"), "python/results.py"),
    **dict.fromkeys(("SpecError", "SweepError"), "python/raised.py"),
}
TASK = ("Task", "Feed")
BESIDE = {  # what a task's methods take and return, by file
    "lstm/config/section.py": ("Data", "Location", "File", "Since"),
    "lstm/records/objective.py": ("Metric",),
    "lstm/data/dataset.py": ("Dataset", "Facts"),
    "lstm/judging/items.py": ("Judgement", "Blocks"),
    "lstm/rivals/rival.py": ("Rival", "Fitted", "Forecasting"),
    "lstm/diagnostics/subject.py": ("Subject",),
    "lstm/tasks/drafts/draft.py": ("Recognition", "Draft"),
}

HEAD = """\
# Python

This page is generated from docstrings (`make schema`). Do not edit it.

```python
from experiments import SpecError, SweepError, load, plan, run, train
```

The functions return values. They print nothing and never exit. What the command line would show goes to the logger
`experiments`. `experiments.__version__` is the version. If a folder of yours is a package called `experiments`,
Python finds that one; `from lstm_sweeps import run` is the same function.

"""
TASK_HEAD = """\
A task of your own is a class derived from `lstm.tasks.base.Task`. What is marked as abstract must be defined.

"""
_SECTION = re.compile(r"(Args|Raises|Returns|Yields):$")
_ENTRY = re.compile(r"(\w+): (.*)", re.DOTALL)
_GROUP = re.compile(r"\s*# --- (.+)")
_DEFAULT = re.compile(r"^(\w+: [^=]+)=")
_LONGEST = 100  # of a signature in one line

Node = TypeVar("Node", bound=ast.AST)
Definition = ast.FunctionDef | ast.ClassDef


def page() -> str:
    """Return the page, in Markdown."""
    face = ROOT / "experiments"
    api = Module.read(face / "api.py")
    base = Module.read(ROOT / "lstm" / "tasks" / "base.py")
    aliases = [Module.read(face / path).alias(name) for name, path in ALIASES.items()]
    classes = dict.fromkeys(CLASSES, api) | {name: Module.read(face / path) for name, path in ELSEWHERE.items()}
    parts = [HEAD, "## Functions\n\n", code("python", "\n".join(aliases))]
    parts += [_function(api.defined(name), name, 3) for name in FUNCTIONS]
    parts += [
        "## What they return and raise\n\n",
        *(part for name in CLASSES for part in _class(classes[name], name)),
    ]
    parts += ["## A task\n\n", TASK_HEAD, *(part for name in TASK for part in _class(base, name))]
    parts += ["## What a task takes and returns\n\n", *_beside()]
    return "".join(parts).rstrip() + "\n"


def _beside() -> Iterator[str]:
    for path, names in BESIDE.items():
        module = Module.read(ROOT / path)
        dotted = path.removesuffix(".py").replace("/", ".")
        yield paragraphs(f"From `{dotted}`:")
        yield from (part for name in names for part in _class(module, name))


@dataclass(frozen=True)
class Module:
    """A module's definitions, and its comments by their line."""

    tree: ast.Module
    comments: Mapping[int, str]
    lines: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> "Module":
        """Return the module of a file."""
        text = path.read_text(encoding="utf-8")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
        return cls(ast.parse(text), comments, text.splitlines())

    def defined(self, name: str) -> Definition:
        """Return the function or class of a name."""
        found = [n for n in self.tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name]
        return found[0]

    def alias(self, name: str) -> str:
        """Return the line that gives a type a name."""
        found = [n for n in self.tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name]
        return ast.unparse(found[0])

    def group(self, node: ast.stmt) -> str:
        """Return the heading that the comment above a method gives to it and those that follow it; "" for none."""
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        above = [line for line in self.lines[max(0, first - 4) : first - 1] if line.strip()]
        found = _GROUP.match(above[-1]) if above else None
        return found[1] if found else ""


def _class(module: Module, name: str) -> Iterator[str]:
    node = module.defined(name)
    yield f"### {name}\n\n" + docstring(node)
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    yield "".join(_field(each, module) for each in fields if not ast.unparse(each.target).startswith("_"))
    yield "\n" if fields else ""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_") and not _is(each, "classmethod"):
            group = module.group(each)
            yield f"**{group}**\n\n" if group else ""
            yield _function(each, f"{name}.{each.name}", 4)


def _field(node: ast.AnnAssign, module: Module) -> str:
    about = module.comments.get(node.end_lineno or node.lineno, "")
    value = "" if node.value is None else f" = {ast.unparse(node.value)}"
    if isinstance(node.value, ast.Call):  # of pydantic or of dataclasses: no value that a reader gives
        value = ""
        about = next((ast.literal_eval(k.value) for k in node.value.keywords if k.arg == "description"), about)
    kind = re.sub(r"ClassVar\[(.*)\]$", r"\1", ast.unparse(_plain(node.annotation)))
    named = f"- `{ast.unparse(node.target)}: {kind}{value}`"
    return wrapped(f"{named}: {about}" if about else named, "  ") + "\n"


def _function(node: Definition, name: str, depth: int) -> str:
    assert isinstance(node, ast.FunctionDef)
    marks = "abstract" if _is(node, "abstractmethod") else ""
    if _is(node, "property"):
        returns = ast.unparse(_plain(node.returns)) if node.returns else ""
        shown = f"{node.name}: {returns}"
        marks = "abstract property" if marks else "property"
    else:
        shown = signature(node)
    comment = f"  # {marks}" if marks else ""
    return f"{'#' * depth} {name}\n\n" + code("python", shown + comment) + docstring(node)


def _is(node: ast.FunctionDef, decorator: str) -> bool:
    return any(ast.unparse(each) == decorator for each in node.decorator_list)


def signature(node: ast.FunctionDef) -> str:
    """Return how a function is called, without `self`."""
    given = _plain(node.args)
    if given.posonlyargs and given.posonlyargs[0].arg == "self":
        given.posonlyargs.pop(0)
    elif given.args and given.args[0].arg == "self":
        given.args.pop(0)
    parts = [_DEFAULT.sub(r"\1 = ", part) for part in re.split(r", (?=[\w*/]+(?::|,|$))", ast.unparse(given))]
    inner = ", ".join(parts)
    end = f") -> {ast.unparse(_plain(node.returns))}" if node.returns else ")"
    if len(node.name + inner + end) < _LONGEST:
        return f"{node.name}({inner}{end}"
    return f"{node.name}(\n" + "".join(f"    {part},\n" for part in parts) + end


class _Unquoted(ast.NodeTransformer):
    """Annotations without the quotes around names that are imported late."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node

    def visit_arguments(self, node: ast.arguments) -> ast.arguments:
        for each in [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]:
            if each is not None and each.annotation is not None:
                each.annotation = self.visit(each.annotation)
        return node


def _plain(node: Node) -> Node:
    """Return a copy of an annotation, or of arguments, without quotes."""
    made: Node = _Unquoted().visit(deepcopy(node))
    return made


def docstring(node: Definition) -> str:
    """Return a docstring in Markdown: its sections become lists."""
    text = inspect.cleandoc(ast.get_docstring(node, clean=False) or "")
    made = ""
    for part in text.split("\n\n"):
        head, _, rest = part.partition("\n")
        if _SECTION.match(head):
            made += f"{head.removesuffix(':')}:\n\n" + "".join(_entries(rest)) + "\n"
        else:
            made += paragraphs(part)
    return made


def _entries(text: str) -> Iterator[str]:
    for entry in re.split(r"\n(?=    \S)", "\n" + text)[1:]:
        flat = " ".join(entry.split())
        found = _ENTRY.match(flat)
        yield wrapped(f"- `{found[1]}`: {found[2]}" if found else f"- {flat}", "  ") + "\n"
