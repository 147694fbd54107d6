"""Reads the pages of the documentation: links, headings, what stands in backticks, blocks of code."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference"
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_NOT_RUN = re.compile(r"<!-- not run: [^\n]+ -->\s*\Z")
_NAME = re.compile(r"# ([\w.-]+\.\w+)(?::.*)?")


@dataclass(frozen=True)
class Block:
    """A block of code."""

    language: str
    text: str
    line: int
    is_run: bool  # no comment before it says otherwise

    @property
    def file(self) -> str | None:
        """The file that a reader saves it as; its first line says so."""
        found = _NAME.fullmatch(self.text.partition("\n")[0])
        return found[1] if found and self.language in ("python", "yaml") else None


def pages() -> list[Path]:
    """All pages, those for contributors too."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def with_links() -> list[Path]:
    """The pages, and every other file of ours that has links: the changelog, the notebook, what folders say."""
    rooms = ("experiments", "cluster", "dashboards", "lstm", "tests")
    others = [path for room in rooms for path in (ROOT / room).rglob("README.md")]
    return [*pages(), ROOT / "CHANGELOG.md", DOCS / "notebook.ipynb", *sorted(others)]


def named(page: Path) -> str:
    """A page's name in a test."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    """What a page says; of a notebook, what its cells of Markdown say."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


def blocks(text: str) -> list[Block]:
    """The blocks of code of a page, without the indentation of a list's item."""
    found = []
    for match in _FENCE.finditer(text):
        indent, language, inner = match.groups()
        lines = [line.removeprefix(indent) for line in inner.splitlines()]
        before = text[: match.start()]
        is_run = not _NOT_RUN.search(before)
        found.append(Block(language, "".join(f"{line}\n" for line in lines), before.count("\n") + 1, is_run))
    return found


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text)


def inline(text: str) -> list[str]:
    """What stands in backticks, each in one line."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(text))]


def links(text: str) -> list[str]:
    """Where the links and pictures of a page lead."""
    return _LINK.findall(re.sub(r"`[^`]*`", "`x`", prose(text)))


def anchors(text: str) -> set[str]:
    """The names of a page's headings, as GitHub makes them: the second of a name ends in -1."""
    seen: dict[str, int] = {}
    made = set()
    for head in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).strip()
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        made.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return made


def console_lines(block: Block) -> list[str]:
    """The commands of a block: what follows `$ `, or each line where no line begins so; without comments."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    plain = [re.sub(r"(^|\s+)#( .*)?$", "", line).strip() for line in lines]
    return [" ".join(line.split()) for line in plain if line]
