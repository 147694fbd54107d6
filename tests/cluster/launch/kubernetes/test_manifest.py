"""What the template makes of a request, over a grid of all that a profile can say."""

import base64
import json

import jinja2
import kubernetes_schemas
import launches
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matrix import diagonal
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from cluster.launch.kubernetes import checks, entrypoint, manifest, rules
from cluster.launch.kubernetes.documents import documents

# By axis of the grid: what a profile says.
GRID = {
    "queue": ({}, {"queue": "gpus"}, {"queue": "gpus", "priority": "low"}),
    "gpus": ({}, {"gpus": 1}, {"gpus": 8, "gpu_resource": "amd.com/gpu", "node_selector": {"pool": "mi300"}}),
    "size": ({}, {"nodes": 12, "cpus": 96, "memory": "1T", "time": "2-00:00:00", "retries": 0}),
    "spot": ({}, {"spot": True, "tolerations": [{"key": "team", "operator": "Equal", "value": "ml"}, {}]}),
    "secrets": (
        {},
        {"secrets": ["s3"], "driver_secrets": ["study", "mlflow"], "image_pull_secrets": ["registry"]},
    ),
    "place": (
        {},
        {"namespace": "ml", "user": 65534, "claims": [], "environment": {"A": "$(HOME) $5 'x'\n", "B": ""}},
    ),
}
BUCKET = (("spec", "/home/ann/co2.yaml"), ("home", "/home/ann/runs"))


def asked(tmp_path, said):
    """The request of a profile; where no claim holds the spec's folder, with own code that travels, too."""
    (tmp_path / "cells.py").write_text("class Mine: ...\n")
    own = (*BUCKET, ("code", str(tmp_path / "cells.py")))
    return launches.request(**said, **({"needs": own} if said.get("claims") == [] else {}))


@pytest.mark.skipif(bool(kubernetes_schemas.missing()), reason=kubernetes_schemas.missing())
@diagonal(**GRID)
def test_a_cluster_takes_every_manifest(tmp_path, queue, gpus, size, spot, secrets, place):
    request = asked(tmp_path, queue | gpus | size | spot | secrets | place)
    text = manifest.render(request)
    assert checks.check(request, text) == []
    found = documents(text)
    assert [each["kind"] for each in found] == ["ConfigMap", "RayJob"]
    assert [wrong for each in found for wrong in kubernetes_schemas.wrong(each)] == []
    _bounded(request, found[1])
    _sized(request, found[1])


def _bounded(request, job):
    """Every pod has limits, and is nobody's root."""
    for pod in kubernetes_schemas.pods(job):
        spec = pod["spec"]
        assert spec["restartPolicy"] == "Never"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == request.profile.user
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            assert container["image"] == launches.IMAGE
            assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            names = {volume["name"] for volume in spec.get("volumes", [])}
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= names


def _sized(request, job):
    """In a queue of Kueue the group has a fixed size, and else it grows from none."""
    cluster, labels = job["spec"]["rayClusterSpec"], job["metadata"]["labels"]
    [group] = cluster["workerGroupSpecs"]
    queued = request.profile.queue
    assert group["maxReplicas"] == request.profile.nodes
    assert labels.get("kueue.x-k8s.io/queue-name") == queued
    assert labels.get("kueue.x-k8s.io/priority-class") == request.profile.priority
    assert cluster["enableInTreeAutoscaling"] is not bool(queued)
    assert group["minReplicas"] == group["replicas"] == (request.profile.nodes if queued else 0)


@pytest.mark.skipif(bool(kubernetes_schemas.missing()), reason=kubernetes_schemas.missing())
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maxReplicas: 1", "maxReplica: 1"),
        ("envFrom:", "envForm:"),
        ("terminationGracePeriodSeconds: 120", "terminationGracePeriodSeconds: soon"),
        ("submissionMode: K8sJobMode", "submissionmode: K8sJobMode"),
        ("mountPath", "mountpath"),
        ("kind: ConfigMap\nmetadata:", "kind: ConfigMap\nmetdata:"),
    ],
)
def test_the_schemas_see_a_slip(old, new):
    text = manifest.render(launches.request())
    assert old in text
    changed = documents(text.replace(old, new, 1))
    assert [wrong for each in changed for wrong in kubernetes_schemas.wrong(each)] != []


def test_secrets_are_named_and_those_of_the_driver_are_in_no_workers_pod():
    job = documents(manifest.render(launches.request(secrets=["s3"], driver_secrets=["study"])))[1]
    submitter, head, worker = kubernetes_schemas.pods(job)
    named = [[each["secretRef"]["name"] for each in pod["spec"]["containers"][0]["envFrom"]] for pod in (head, worker)]
    assert named == [["s3", "study"], ["s3"]]
    assert [each["secretRef"]["name"] for each in head["spec"]["initContainers"][0]["envFrom"]] == ["s3", "study"]
    assert "envFrom" not in submitter["spec"]["containers"][0]


def test_a_claim_may_be_where_a_pod_has_its_own_home():
    [_, job] = documents(manifest.render(launches.request(claims=[{"name": "runs", "path": "/runs"}])))
    [head] = [each for each in kubernetes_schemas.pods(job) if each["spec"].get("initContainers")]
    for container in (*head["spec"]["initContainers"], *head["spec"]["containers"]):
        assert [each["name"] for each in container["volumeMounts"] if each["mountPath"] == "/runs"] == ["claim-0"]


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "nvidia.com/mig-1g.5gb"])
def test_rays_autoscaler_counts_the_gpus_whatever_they_are_called(name):
    [_, job] = documents(manifest.render(launches.request(gpus=2, gpu_resource=name)))
    spec = job["spec"]["rayClusterSpec"]
    made = _derive_autoscaling_config_from_ray_cr({"metadata": {"name": "a", "namespace": "n"}, "spec": spec})
    assert made["available_node_types"]["workers"]["resources"]["GPU"] == 2


def test_dollars_in_a_variable_stay_dollars():
    job = documents(manifest.render(launches.request(environment={"A": "$(HOME) $$ $5"})))[1]
    environment = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]
    # Kubernetes writes one dollar for two, and fills in $(NAME).
    assert {"name": "A", "value": "$$(HOME) $$$$ $$5"} in environment


def test_spec_and_code_have_the_paths_that_they_have_here(tmp_path):
    (tmp_path / "cells.py").write_text("class Mine: ...\n")
    own = str(tmp_path / "cells.py")
    wanted = launches.request(needs=(*BUCKET, ("code", own)), code=own, overrides=("training.max_epochs=3",), claims=[])
    files, job = documents(manifest.render(wanted))
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mounted = {each["mountPath"]: each.get("subPath") for each in head["containers"][0]["volumeMounts"]}
    assert mounted["/home/ann/co2.yaml"] == "spec.yaml"
    assert files["data"][mounted[own]] == "class Mine: ...\n"
    assert mounted == {each["mountPath"]: each.get("subPath") for each in head["initContainers"][0]["volumeMounts"]}
    commands = json.loads(files["data"][entrypoint.COMMAND])
    options = ["--home", "/runs", "--set", "training.max_epochs=3", "--code", own]
    assert commands["plan"] == ["sweep", "plan", "/shared/co2.yaml", *options]
    assert commands["run"] == ["sweep", "run", "/shared/co2.yaml", "--address", "auto", *options]


def test_the_entrypoint_is_in_the_manifest_as_it_is():
    files, job = documents(manifest.render(launches.request()))
    text = files["data"]["entrypoint.py"]
    assert text == manifest.Path(entrypoint.__file__).read_text()
    assert job["spec"]["entrypoint"] == "python /sweep/entrypoint.py"  # nothing that one of two shells would change


def held(files, key):
    """What a pod finds in a ConfigMap's file, in bytes."""
    return files["data"][key].encode() if key in files["data"] else base64.b64decode(files["binaryData"][key])


@pytest.mark.parametrize(
    "content", [b"# -*- coding: latin-1 -*-\nA = '\xe9'\n", b"A = 1\r\nB = 2\r\n", b"\xef\xbb\xbfA = 1\r"]
)
def test_own_code_and_spec_are_in_a_pod_to_the_byte(tmp_path, content):
    (tmp_path / "cells.py").write_bytes(content)
    (tmp_path / "plain.py").write_text("class Mine: ...\n")
    spec = "\ufeffname: co2\r\n"
    own = (("code", str(tmp_path / "cells.py")), ("code", str(tmp_path / "plain.py")))
    request = launches.request(spec=spec, needs=(*BUCKET, *own))
    text = manifest.render(request)
    files = documents(text)[0]
    assert checks.check(request, text) == []
    assert kubernetes_schemas.missing() or kubernetes_schemas.wrong(files) == []
    assert (held(files, "code-0.py"), held(files, "spec.yaml")) == (content, spec.encode())
    assert files["data"]["code-1.py"] == "class Mine: ...\n", "what is UTF-8 stays readable"
    assert not {*files["data"]} & {*files.get("binaryData", {})}


def test_what_is_no_utf_8_counts_for_the_size_of_a_configmap(tmp_path, monkeypatch):
    (tmp_path / "cells.py").write_bytes(b"\xe9" * 900)
    request = launches.request(needs=(*BUCKET, ("code", str(tmp_path / "cells.py"))))
    text = manifest.render(request)
    size = sum(
        len(held(documents(text)[0], key)) for key in ("spec.yaml", "command.json", "entrypoint.py", "code-0.py")
    )
    monkeypatch.setattr(checks, "FILES_BYTES", size)
    assert checks.check(request, text) == []
    monkeypatch.setattr(checks, "FILES_BYTES", size - 1)
    assert [each.values["size"] for each in checks.check(request, text)] == [size]


@pytest.mark.parametrize(
    ("sweep", "job"),
    [
        ("co2", "co2"),
        ("CO2_base.v1", "co2-base-v1"),
        ("2024-sales", "sweep-2024-sales"),
        ("a" * 60, "a" * 47),
        ("a" * 46 + ".b", "a" * 46),
        ("x-", "x"),
    ],
)
def test_a_jobs_name_is_made_of_the_sweeps(sweep, job):
    assert manifest.job_name(sweep) == job
    assert rules.broken([{"kind": "RayJob", "metadata": {"name": job}, "spec": {"rayClusterSpec": {}}}])[1:] == []


HOSTILE = [
    'x"\n  injected: true',
    "{{ 7 * 7 }}",
    "a: b",
    "- x",
    "#",
    "\x00",
    "é\u2028\x85😀",
    "null",
    "1e3",
    " ",
    "|",
    "'",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_changes_the_structure(value):
    plain, changed = (
        documents(manifest.render(launches.request(environment={"A": each}, spec=each))) for each in ("plain", value)
    )
    worker = changed[1]["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]
    assert {"name": "A", "value": value} in worker["containers"][0]["env"]
    assert changed[0]["data"]["spec.yaml"] == value
    assert _shape(changed) == _shape(plain)


def _shape(value):
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    return [_shape(each) for each in value] if isinstance(value, list) else type(value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60)
@example("a\n\n\n")
@example("\n a\n")
@example("\ta\n")
@example("  \n b\n  ")
@example("%YAML 1.1\n---\n...\n")
@given(st.lists(TEXT, max_size=4).map("\n".join))
def test_a_text_is_the_same_to_the_letter_after_it_was_written(text):
    written = f"data:\n  k: {manifest.block(text, 2)}\n  z: {manifest.scalar([text])}\n---\nx: 1\n"
    assert list(yaml.safe_load_all(written)) == [{"data": {"k": text, "z": [text]}}, {"x": 1}]


def test_a_readable_text_stays_readable():
    assert manifest.block("a: 1\n\n# b\n", 2) == "|2+\n    a: 1\n\n    # b"


def test_a_name_that_the_template_lacks_is_an_error(monkeypatch):
    monkeypatch.setattr(manifest, "_workers", lambda *_: {})
    with pytest.raises(jinja2.UndefinedError, match="is undefined"):
        manifest.render(launches.request())
