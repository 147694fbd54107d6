from pathlib import Path

import pytest

from experiments.launching import profiles
from lstm.records.errors import BadInput


def refused(*arguments):
    with pytest.raises(BadInput) as error:
        profiles.read(*arguments)
    return error.value


def test_a_users_own_profile_need_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profiles.read("slurm", None, {}).nodes == 1
    folder = tmp_path / "lstm-sweeps"
    folder.mkdir()
    (folder / "clusters.yaml").write_text("slurm: {partition: gpu, nodes: 4}\n")
    found = profiles.read("slurm", None, {"nodes": 2, "account": "12"})
    assert (found.partition, found.nodes, found.account) == ("gpu", 2, "12"), "an option goes before the file"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CONFIG_HOME": "/x"}, "/x/lstm-sweeps/clusters.yaml"),
        ({"XDG_CONFIG_HOME": "relative"}, "{home}/.config/lstm-sweeps/clusters.yaml"),
        ({}, "{home}/.config/lstm-sweeps/clusters.yaml"),
    ],
)
def test_the_profile_lies_where_settings_lie(environment, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profiles.usual(environment) == Path(expected.format(home=tmp_path))


def test_all_faults_of_a_profile_are_told_at_once_with_their_lines(write):
    text = "slurm:\n  partiton: gpu\n  nodes: 0\n  time: 90\n  options: [-n4]\nkuberntes: {}\n"
    found = refused("slurm", write(text, "clusters.yaml"), {})
    assert [(each.code, each.path, each.place) for each in found.faults] == [
        ("unknown-field", "slurm.partiton", "clusters.yaml:2"),
        ("out-of-bounds", "slurm.nodes", "clusters.yaml:3"),
        ("wrong-type", "slurm.time", "clusters.yaml:4"),
        ("wrong-form", "slurm.options.0", "clusters.yaml:5"),
        ("unknown-field", "kuberntes", "clusters.yaml:6"),
    ]
    assert found.faults[0].values["near"] == "partition"
    assert found.faults[4].values["near"] == "kubernetes"


def test_a_wrong_option_is_told_as_it_was_typed(write):
    found = refused("slurm", None, {"nodes": 0, "time": "12:00", "image": "a"})
    assert [(each.code, each.place, each.path) for each in found.faults] == [
        ("out-of-bounds", "--nodes 0", ""),
        ("wrong-form", "--time 12:00", ""),
        ("field-of-another-section", "--image a", ""),
    ]
    assert "as in 12:00:00" in str(found.faults[1])


def test_a_profile_that_is_named_must_be_there(write):
    write("slurm: {}\n", "clusters.yaml")
    found = refused("slurm", "cluster.yaml", {})
    assert [each.code for each in found.faults] == ["no-such-file"]
    assert "clusters.yaml" in str(found)
