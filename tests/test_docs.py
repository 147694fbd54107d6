"""The documentation stays true: what a page names exists, and what it links to is there."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pages
import yaml
from pages import DOCS, GENERATED, ROOT, anchors, blocks, console_lines, inline, links, named, text_of

from experiments.cli import main
from experiments.reference import spec
from lstm.messages.catalog import CATALOG

LONGEST = 120
ROOMS = ("experiments", "cluster", "dashboards", "lstm")
FOLDERS = (*ROOMS, "tests", "docs")
SECTIONS = ("data", "model", "training", "search", "probe", "resources", "storage", "tracking")
PATH = re.compile(rf"({'|'.join(SECTIONS)})(\.[a-zA-Z_]\w*)+")
PLACEHOLDER = re.compile(r"[A-Z]{2,}|…|\*|<")


def over(every: Sequence[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """Makes one test of a check of a page, for all of them: a test for each would take longer than its check does."""

    def make(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            wrong = []
            for page in every:
                try:
                    check(page)
                except AssertionError as error:
                    wrong.append(f"{named(page)}: {error}")
            assert every
            assert not wrong, "\n\n".join(wrong)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return make


ALL, LINKED = over(pages.pages()), over(pages.with_links())
WRITTEN = over([page for page in pages.pages() if page.parent != GENERATED])


def lines_of_prose(page):
    """The lines of a page that are no table, with their numbers; generated figures between marks are left out."""
    text = re.sub(r"<!-- verdicts.*?/verdicts -->", lambda m: "\n" * m[0].count("\n"), text_of(page), flags=re.S)
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if not line.lstrip().startswith("|")]


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= LONGEST


@ALL
def test_lines_of_prose_are_not_too_long(page):
    assert [(number, len(line)) for number, line in lines_of_prose(page) if len(line) > LONGEST] == []


@ALL
def test_a_page_is_plain_markdown(page):
    """But for the table of contents of the first page, which no reader of GitHub misses."""
    directives = [line for line in text_of(page).splitlines() if re.match(r"\s*(```+|:::+) ?\{", line)]
    assert directives == (["```{toctree}"] * len(directives) if page == DOCS / "index.md" else [])


# --- Links


@LINKED
def test_links_within_the_repository_lead_somewhere(page):
    broken = []
    for link in links(text_of(page)):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        there = (page.parent / path).resolve() if path else page
        is_ours = there.is_relative_to(ROOT) and there.exists() and not path.startswith("/")
        if not is_ours or (anchor and (there.suffix != ".md" or anchor not in anchors(text_of(there)))):
            broken.append(link)
    assert broken == []


@LINKED
def test_links_out_of_the_repository_have_the_form_of_an_address(page):
    """Whether they answer is not asked: a test needs no network."""
    wrong = []
    for link in links(text_of(page)):
        if "://" in link or link.startswith(("//", "www.", "mailto:")):
            parts = urlsplit(link)
            if parts.scheme != "https" or "." not in (parts.hostname or "") or re.search(r"[<>\"'`\\^{}|]", link):
                wrong.append(link)
    assert wrong == []


def test_every_page_is_in_the_table_of_contents():
    listed = "\n".join(b.text for b in blocks(text_of(DOCS / "index.md")) if b.language == "{toctree}")
    names = {line.strip() for line in listed.splitlines() if line.strip() and not line.startswith(":")}
    there = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")} - {"index"}
    assert names == there


def test_the_readme_leads_to_the_documentation():
    there = {link.partition("#")[0] for link in links((ROOT / "README.md").read_text())}
    assert {"docs/index.md", "docs/quickstart.md", "docs/notebook.ipynb", "CONTRIBUTING.md", "CHANGELOG.md"} <= there


# --- Fields of the spec


@cache
def fields():
    """Each field of a spec by its path; those of a section, too."""
    page = spec.page()
    heads = re.findall(r"^#+ ([a-z_][\w.]*)(?: \(|$)", page, re.MULTILINE)
    types = re.findall(r"^#+ ([a-z_][\w.]*) \(type: ", page, re.MULTILINE)
    return {*heads, *SECTIONS, *(f"{path}.type" for path in types)}


def is_field(path):
    if path in fields():
        return True
    if path.startswith("search.space."):
        within = path.removeprefix("search.space.")
        return within in fields() or f"search.space.PATH.{within}" in fields() or is_dimension(within)
    return False


def is_dimension(path):
    """Whether a path is that of a field and then of its dimension's, as model.hidden_size.low."""
    field, _, last = path.rpartition(".")
    return field in fields() and f"search.space.PATH.{last}" in fields()


def keys(node, at=""):
    """The paths of a document's keys; a searched field's is its own, and then its dimension's."""
    for key, value in node.items() if isinstance(node, dict) else ():
        path = f"{at}.{key}" if at else str(key)
        yield path
        if at == "search.space":
            yield str(key)
        inner = f"{at}.PATH" if at == "search.space" else path
        yield from map(str, value) if inner == "search.space.PATH.when" else keys(value, inner)


@WRITTEN
def test_a_field_that_a_page_names_exists(page):
    text = text_of(page)
    said = [word for each in inline(text) for word in re.split(r"[\s=:,'\"()\[\]]+", each)]
    said += [word for b in blocks(text) if b.language in ("console", "sh") for word in re.split(r"[\s=:'\"]+", b.text)]
    found = {word for word in said if PATH.fullmatch(word) and not re.search(r"\.(json|npz|db|html|svg|csv|py)$", word)}
    assert sorted(path for path in found if not is_field(path)) == []


@WRITTEN
def test_the_keys_of_a_spec_that_a_page_shows_exist(page):
    wrong = []
    for block in blocks(text_of(page)):
        if block.language == "yaml":
            document = yaml.safe_load(block.text)
            if isinstance(document, dict) and set(document) & {"name", "task", *SECTIONS}:
                paths = [p for p in keys(document) if not p.startswith("search.space.") or ".PATH." in p]
                own = ":" in str(document.get("task", ""))  # a task of one's own has its own section `data`
                wrong += [p for p in paths if not is_field(p) and not (own and p.startswith("data."))]
            elif isinstance(document, dict):
                wrong += [key for key in map(str, document) if PATH.fullmatch(key) and not is_field(key)]
    assert wrong == []


# --- Verbs and flags


@cache
def flags(verb):
    """The flags of a verb; of `sweep` itself for ""."""
    command = main.commands[verb] if verb else main
    return {opt for parameter in command.params for opt in parameter.opts if opt.startswith("--")} | {
        "--help",
        "--version",
    }


@cache
def scripts_flags():
    """The flags of the scripts in tests/, which have their own."""
    found = [re.findall(r'add_argument\(\s*"(--[\w-]+)"', p.read_text()) for p in (ROOT / "tests").rglob("*.py")]
    return {flag for each in found for flag in each}


def commands(page) -> Iterator[str]:
    """What a page has a reader type: lines of its blocks, and what stands in backticks."""
    text = text_of(page)
    for block in blocks(text):
        if block.language in ("console", "sh"):
            yield from console_lines(block)
    yield from (each for each in inline(text) if re.match(r"sweep( |$)", each))


def parts_of(command):
    """The `sweep …` of a command, such as one that `ray job submit` is given; None where there is none."""
    words = shlex.split(command.replace("…", "X"), comments=False) if command.count("'") % 2 == 0 else command.split()
    for at, word in enumerate(words):
        if word == "sweep" or word.endswith("/sweep"):
            return words[at + 1 :]
    return None


@WRITTEN
def test_a_verb_and_its_flags_exist(page):
    wrong = []
    for command in commands(page):
        words = parts_of(command)
        if words is None:
            continue
        ends = [at for at, word in enumerate(words) if word in ("|", ">", "&&", ";", "2>", "&")]
        words = words[: min(ends, default=len(words))]
        while words and words[0] == "--home":
            words = words[2:]
        verb = words[0] if words else ""
        if verb.startswith("-") or not verb or PLACEHOLDER.search(verb):
            verb = ""
        elif verb not in main.commands:
            wrong.append(command)
            continue
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        wrong += [f"{command}: {flag}" for flag in given - flags(verb) - (flags("") if not verb else set())]
    assert wrong == []


@WRITTEN
def test_a_flag_in_backticks_exists(page):
    known = set().union(*(flags(verb) for verb in ["", *main.commands])) | scripts_flags()
    text = text_of(page)
    said = {each.partition(" ")[0].partition("=")[0] for each in inline(text) if each.startswith("--")}
    typed = [line for b in blocks(text) if b.language in ("console", "sh") for line in console_lines(b)]
    known |= {word.partition("=")[0] for line in typed if parts_of(line) is None for word in line.split()}
    assert sorted(said - known) == []


# --- Files, modules and codes


@ALL
def test_a_file_that_a_page_names_exists(page):
    said = [word for each in inline(text_of(page)) for word in each.split()]
    for block in blocks(text_of(page)):
        if block.language in ("console", "sh"):
            said += [word for line in console_lines(block) for word in line.split()]
    paths = {word.rstrip(",;:") for word in said if word.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    missing = [path for path in paths if not PLACEHOLDER.search(path) and not (ROOT / path).exists()]
    missing += [path for path in paths if "*" in path and not list(ROOT.glob(path))]
    assert sorted(missing) == []


@ALL
def test_a_module_that_a_page_names_exists(page):
    modules = {each for each in inline(text_of(page)) if re.fullmatch(rf"({'|'.join(ROOMS)})(\.\w+)+", each)}
    code = "\n".join(b.text for b in blocks(text_of(page)) if b.language in ("python", "console", "sh"))
    for package, names in re.findall(rf"^\s*from ((?:{'|'.join(ROOMS)})[\w.]*) import ([\w, ]+)", code, re.MULTILINE):
        modules |= {f"{package}.{name.split(' as ')[0].strip()}" for name in names.split(",")}
    assert sorted(each for each in modules if not is_known(each)) == []


def is_known(dotted):
    """Whether there is such a module, or such a name in one."""
    if PATH.fullmatch(dotted) and is_field(dotted):
        return True
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        file = ROOT.joinpath(*parts[:end])
        for source in (file.with_suffix(".py"), file / "__init__.py"):
            if source.is_file():
                rest = parts[end:]
                return not rest or bool(re.search(rf"\b{re.escape(rest[0])}\b", source.read_text()))
    return False


@cache
def packages():
    """The names with hyphens that are no code of an error: of packages."""
    locks = "\n".join(path.read_text() for path in ROOT.glob("requirements*.lock"))
    project = ast.literal_eval(re.search(r"^dev = (\[.*?^\])", (ROOT / "pyproject.toml").read_text(), re.S | re.M)[1])
    listed = re.findall(r"^([\w-]+)==", locks, re.MULTILINE) + [re.split(r"[><=]", each)[0] for each in project]
    return {name.lower() for name in listed} | {"lstm-sweeps"}


@WRITTEN
def test_a_code_of_an_error_that_a_page_names_exists(page):
    text = text_of(page)
    said = {each for each in inline(text) if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", each)}
    said = {each for each in said if re.search("[a-z]", each)}  # no dates
    code = "".join(block.text for block in blocks(text))  # the names of sweeps and packages are there
    said = {each for each in said if not re.search(rf"(?<![\w-]){each}(?![\w-])", code)}
    said |= set(re.findall(r'"code": "([^"…]+)"', text))
    assert sorted(said - set(CATALOG) - packages()) == []
