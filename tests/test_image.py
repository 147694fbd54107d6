"""The image's Dockerfile: what can be told without building it. `make clusters` builds it."""

import fnmatch
import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-cluster.lock")


def steps():
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    return [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]


def pinned():
    lines = [line for name in LOCKS for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_what_is_copied_is_there_and_is_sent():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {name for step, words in steps() if step == "COPY" for name in words.split()[:-1]}
    assert copied == sent
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "*" in lines
    assert [each for each in sent for line in lines if line[0] not in "!#*" and fnmatch.fnmatch(each, line)] == []


def test_the_libraries_are_a_layer_of_their_own_and_nobody_is_root():
    names = [step for step, _ in steps()]
    words = dict(steps())
    first = next(words for step, words in steps() if step == "COPY")
    assert first.split()[:-1] == list(LOCKS)
    assert names.index("RUN") == names.index("COPY") + 1
    assert words["FROM"] == "python:3.11-slim-bookworm"
    assert words["USER"] == "1000:1000"
    assert words["ENTRYPOINT"] == '["sweep"]'
    assert names.index("USER") > max(number for number, name in enumerate(names) if name == "RUN")


@pytest.mark.parametrize("extra", ["default", "tune"])
def test_the_image_has_what_rays_jobs_need(extra):
    """Without these KubeRay could submit nothing, and each pod would count as not well."""
    needed = [Requirement(each) for each in importlib.metadata.requires("ray")]
    needed = [each for each in needed if each.marker and each.marker.evaluate({"extra": extra})]
    found = pinned()
    lacking = [str(each) for each in needed if found.get(canonicalize_name(each.name), "0") not in each.specifier]
    assert needed
    assert lacking == []
