import json
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
        ("launch-option-of-another-system", "--image a", ""),
    ]
    assert "as in 12:00:00" in str(found.faults[1])


# What a pod would be refused for when it is made, or could not start with.
FIELDS = {
    "node_selector": (
        [{"pool": "a100"}, {"nvidia.com/gpu.present": "true", "a": ""}, {"k" * 63: "v" * 63}],
        [{"pool": True}, {"pool": "-a"}, {"pool": "a b"}, {"pool": "v" * 64}, {"k" * 64: "a"}, {"A.com/a": "b"},
         {"a/b/c": "d"}, {"": "a"}],
    ),
    "environment": (
        [{"A": "1", "_b2": "", "C": " any thing: $(A) é"}],
        [{"A": 1}, {"A": None}, {"A": True}, {"A": ["b"]}, {"A-B": "c"}, {"2A": "b"}],
    ),
    "tolerations": (
        [[{"key": "example.com/gpu_1", "operator": "Equal", "value": "a.b_c"}, {}]],
        [[{"key": "a b"}], [{"key": "a", "operator": "Equal", "value": "a b"}], [{"key": "a", "value": True}]],
    ),
    "gpu_resource": (["nvidia.com/mig-1g.5gb", "gpu.intel.com/i915"], ["gpu", "nvidia.com/", "nvidia.com/a b"]),
    "image": (
        ["a", "localhost:5000/a/b_c:V1.0-x", "REGISTRY.example/x@sha256:" + "a" * 64, "[::1]:5000/a"],
        ["a/B", "a:b:c", "https://a/b", "a/b:", "a//b", "a@sha256:1", "a/-b"],
    ),
    "namespace": (["ml-2"], ["ml.a", "-a", "a" * 64, "ML"]),
    "queue": (["team.a"], ["a..b", "a.-b", "a" * 64]),
    "secrets": ([["a" * 253, "a.b"]], [["a" * 254], ["a_b"], ["a..b"]]),
    "claims": (
        [[{"name": "a", "path": "/..a/.b/c d"}]],
        [[{"name": "a", "path": each}] for each in ("/", "/a/", "/a/../b", "/a//b", "/a:b", "a", "/./a")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_what_kubernetes_would_refuse_only_when_it_makes_a_pod_is_refused(field, write):
    def written(value):
        return write(json.dumps({"kubernetes": {field: value}}), "clusters.yaml")  # JSON is YAML

    for value in FIELDS[field][0]:
        found = profiles.read("kubernetes", written(value), {}).model_dump(exclude_unset=True)
        assert found == {field: value}
    for value in FIELDS[field][1]:
        [fault] = refused("kubernetes", written(value), {}).faults
        assert (fault.path.startswith(f"kubernetes.{field}"), fault.place) == (True, "clusters.yaml:1"), value
        assert fault.code in ("wrong-form", "wrong-key", "wrong-type", "out-of-bounds"), value
        assert fault.values.get("about", "") is not None, value


def test_a_refused_value_or_key_of_a_mapping_is_told_with_what_is_right(write):
    text = "kubernetes:\n  environment:\n    A: 1\n    B-C: x\n  node_selector: {pool: a b}\n  gpu_resource: gpu\n"
    said = str(refused("kubernetes", write(text, "clusters.yaml"), {}))
    assert "clusters.yaml:3: kubernetes.environment.A: is 1; write text; put it in quotes\n" in said
    assert (
        ":4: kubernetes.environment.B-C: is no key that may stand here; correct the key: letters, digits and _" in said
    )
    assert (
        'pool: is "a b", which does not have the right form; correct it: letters, digits, -, _ and ., at most 63'
        in said
    )
    assert 'resource: is "gpu", which does not have the right form; correct it: a domain and a name' in said


def test_a_profile_that_is_named_must_be_there(write):
    write("slurm: {}\n", "clusters.yaml")
    found = refused("slurm", "cluster.yaml", {})
    assert [each.code for each in found.faults] == ["no-such-file"]
    assert "clusters.yaml" in str(found)


@pytest.mark.parametrize(
    ("system", "time", "warn_s"),
    [("slurm", "0:00:00", 120), ("slurm", "0:02:00", 120), ("kubernetes", "0:00:00", None)],
)
def test_a_time_in_which_nothing_is_trained_is_refused(system, time, warn_s, write):
    told = refused(system, None, {"time": time}).faults
    assert [(each.code, each.place, each.values["warn_s"]) for each in told] == [
        ("launch-time-too-short", f"--time {time}", warn_s)
    ]
    written = refused(system, write(f"{system}:\n  time: {time}\n", "clusters.yaml"), {}).faults
    assert [(each.code, each.path, each.place) for each in written] == [
        ("launch-time-too-short", f"{system}.time", "clusters.yaml:2")
    ]
    assert profiles.read("slurm", None, {"time": "0:02:01"}).time == "0:02:01"


def test_a_wrong_form_is_told_by_the_right_one():
    said = str(refused("slurm", None, {"memory": "64", "partition": "a b"}))
    assert "correct it: a number with M, G or T, as in 64G" in said
    assert "correct it: one word, without spaces" in said


def test_an_option_that_is_not_counted_is_told_with_its_line(write):
    text = "slurm:\n  options:\n    - --constraint=a100\n    - --gres=gpu:2\n    - --requeue\n"
    found = refused("slurm", write(text, "clusters.yaml"), {})
    assert [(each.code, each.path, each.place) for each in found.faults] == [
        ("slurm-option-of-field", "slurm.options.1", "clusters.yaml:4"),
        ("slurm-option-ours", "slurm.options.2", "clusters.yaml:5"),
    ]


@pytest.mark.parametrize(
    ("system", "name", "said"),
    [
        ("slurm", "image", "goes with --on kubernetes, and the sweep goes to slurm; leave it out; its like there is"),
        ("slurm", "queue", "leave it out; its like there is --partition"),
        ("slurm", "namespace", "; leave it out"),
        ("kubernetes", "partition", "goes with --on slurm, and the sweep goes to kubernetes; leave it out; its like"),
    ],
)
def test_an_option_of_another_system_is_told_with_what_does_it_here(system, name, said):
    assert said in str(refused(system, None, {name: "a"}))


def test_a_password_in_a_profile_is_told_with_its_line_and_not_shown(write):
    text = "slurm:\n  setup:\n    - export A=1\n    - export URL=postgresql://u:TOPSECRET@h/db\n"
    found = refused("slurm", write(text, "clusters.yaml"), {})
    assert [(each.code, each.place) for each in found.faults] == [("launch-secret-in-profile", "clusters.yaml:4")]
    assert "export the variable where you launch" in str(found)
    text = "kubernetes:\n  environment:\n    URL: postgresql://u:TOPSECRET@h/db\n"
    found = refused("kubernetes", write(text, "clusters.yaml"), {})
    assert [(each.path, each.place) for each in found.faults] == [("kubernetes.environment.URL", "clusters.yaml:3")]
    assert "keep it in a Secret" in str(found)
    assert "TOPSECRET" not in str(found)


def test_a_secret_by_its_name_in_a_profile_is_told_and_not_shown(write, monkeypatch):
    monkeypatch.setenv("PW", "TOPSECRET")
    text = "slurm:\n  setup:\n    - export HF_TOKEN=$${HF_TOKEN}\n    - export MLFLOW_TRACKING_PASSWORD=${PW}\n"
    found = refused("slurm", write(text, "clusters.yaml"), {})
    assert [(each.code, each.place) for each in found.faults] == [("launch-secret-in-profile", "clusters.yaml:4")]
    assert "holds a secret, by the name MLFLOW_TRACKING_PASSWORD" in str(found)
    told = str(found)
    values = "{AWS_ACCESS_KEY_ID: AKIA, AWS_SECRET_ACCESS_KEY: TOPSECRET, MLFLOW_TRACKING_PASSWORD: TOPSECRET}"
    found = refused("kubernetes", write(f"kubernetes: {{environment: {values}}}\n", "clusters.yaml"), {})
    paths = [each.path.rpartition(".")[2] for each in found.faults]
    assert paths == ["AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"]
    assert "keep it in a Secret" in str(found)
    assert "TOPSECRET" not in told + str(found)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[1, 2]\n", "gpu\n"])
def test_a_file_without_a_section_is_told_what_a_profile_has(write, text):
    said = str(refused("slurm", write(text, "clusters.yaml"), {}))
    assert said.startswith("clusters.yaml:1: has no section; write a section")
    assert "as in slurm: {nodes: 2}" in said


@pytest.mark.parametrize("name", ["a100:2", "a100,b:1", "a=2", "a b"])
def test_the_number_of_gpus_is_no_part_of_their_type(write, name):
    """It would become --gpus-per-node=a100:2:1."""
    file = write(f"slurm:\n  gpus: 1\n  gpu_type: '{name}'\n", "clusters.yaml")
    told = refused("slurm", file, {})
    assert [(each.code, each.place) for each in told.faults] == [("wrong-form", "clusters.yaml:3")]
    assert "`gpus` has the number" in str(told)


@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_memory_that_ray_with_one_trial_exceeds_is_refused(system, write):
    told = refused(system, None, {"memory": "1023M"}).faults
    assert [(each.code, each.place) for each in told] == [("launch-memory-too-small", "--memory 1023M")]
    assert profiles.read(system, None, {"memory": "1G"}).memory == "1G"
    file = write("kubernetes:\n  memory: 4G\n  head_memory: 1M\n", "clusters.yaml")
    told = refused("kubernetes", file, {}).faults
    assert [(each.path, each.place) for each in told] == [("kubernetes.head_memory", "clusters.yaml:3")]


def test_a_type_of_gpus_without_gpus_is_told(write):
    file = write("slurm:\n  gpu_type: a100\n", "clusters.yaml")
    told = refused("slurm", file, {}).faults
    assert [(each.code, each.place) for each in told] == [("gpu-type-without-gpus", "clusters.yaml:2")]
    assert profiles.read("slurm", file, {"gpus": 2}).gpu_type == "a100"
