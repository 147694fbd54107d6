"""The documentation: the README is short, lines can be read in a terminal, links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST = 120


def prose(path):
    """The lines of a page that are no table, with their numbers; generated figures between marks are left out."""
    text = re.sub(r"<!-- verdicts.*?/verdicts -->", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if not line.startswith("|")]


def anchors(path):
    """The names of a page's headings, as GitHub makes them."""
    heads = [line.lstrip("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= LONGEST


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_are_not_too_long(page):
    assert [(number, len(line)) for number, line in prose(page) if len(line) > LONGEST] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_readmes_index():
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").iterdir() if page.suffix in (".md", ".ipynb")}
    assert pages <= {link.partition("#")[0] for link in linked}


def test_every_verb_is_in_the_guide():
    from experiments.cli import main

    text = (ROOT / "docs" / "guide.md").read_text()
    assert [verb for verb in main.commands if f"sweep {verb} " not in text] == []
