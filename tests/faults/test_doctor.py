"""`sweep doctor` on real hosts: nothing is wrong with two sound ones, and what is planted in one is found there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hosts
import pytest

pytestmark = pytest.mark.faults


@pytest.fixture
def lab() -> Iterator[hosts.Lab]:
    """Two hosts with nothing on them."""
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.lab(2) as made:
        yield made


def doctor(host: hosts.Host, address: str, folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and the lines that are not good."""
    words = ("sweep", "doctor", "--address", address, "--home", folder / "runs", "--json")
    done = host.run(*words, cwd=folder, timeout_s=500)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    return done.returncode, [line for line in found.get("lines", [found]) if line.get("grade") != "good"]


def told(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["grade"], line["code"]) for line in lines]


def test_two_sound_hosts(lab: hosts.Lab, tmp_path: Path) -> None:
    address = hosts.cluster(*lab.hosts, cpus=2)
    code, lines = doctor(lab.hosts[0], address, tmp_path)
    assert (code, told(lines)) == (0, [("warning", "cluster-without-token")])  # as every lab is
    assert list(tmp_path.iterdir()) == []


def test_what_is_planted_in_one_host_is_found_there(lab: hosts.Lab, tmp_path: Path) -> None:
    first, second = lab.hosts
    second.environment |= hosts.another_time(60, lab.scratch)
    address = hosts.cluster(first, second, cpus=2, gpus=2)
    (tmp_path / "runs").mkdir()
    second.keep_to_itself(tmp_path / "runs")
    code, lines = doctor(first, address, tmp_path)
    name = f"{second.address} (host2)"
    assert code == 1
    at_second = {line["code"] for line in lines if line["place"] == name}
    assert at_second >= {"folder-not-shared", "folder-not-coherent", "clock-differs", "gpus-not-in-machine"}
    [clock] = [line for line in lines if line["code"] == "clock-differs"]
    assert 50 < clock["values"]["seconds"] < 70
