"""What is refused before anything is submitted."""

import launches
import pytest

from cluster.launch.kubernetes import checks, manifest


def found(request):
    return [(each.code, each.place or each.path) for each in checks.check(request, manifest.render(request))]


def mounted(*paths):
    return {"claims": [{"name": "runs", "path": path} for path in paths]}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, []),
        ({"image": None}, [("launch-needs", "kubernetes.image")]),
        ({"memory": None}, [("launch-needs", "kubernetes.memory")]),
        ({"priority": "low"}, [("kueue-without-queue", "kubernetes.priority")]),
        ({"tolerations": [{"key": "a", "value": "b", "operator": "Equal"}, {"key": "a"}, {}]}, []),
        ({"tolerations": [{}, {"key": "a", "value": "b"}]}, [("toleration-value", "kubernetes.tolerations.1.value")]),
        ({"tolerations": [{"operator": "Equal"}]}, [("toleration-without-key", "kubernetes.tolerations.0")]),
        (mounted("/shared", "/a", "/shared"), [("claim-path-taken", "kubernetes.claims.2.path")]),
        (mounted("/shared", "/dev/shm"), [("claim-path-taken", "kubernetes.claims.1.path")]),
        (mounted("/shared", "/sweep/data"), [("claim-path-taken", "kubernetes.claims.1.path")]),
        (mounted("/shared", "/sweep-notes"), [("claim-path-taken", "kubernetes.claims.1.path")]),
        (mounted("/shared", "/dev/shm/a", "/sweeps", "/runs"), []),
        ({"needs": (("spec", "/root/a.yaml"),)}, [("path-of-root", "/root/a.yaml")]),
        ({"needs": (("spec", "/rooted/a.yaml"),)}, []),
        ({"needs": (("spec", "/a.yaml"), ("data", "/home/ann/a.csv"))}, [("path-not-in-pod", "/home/ann/a.csv")]),
        ({"needs": (("spec", "/a.yaml"), ("study", "/shared2/study.db"))}, [("path-not-in-pod", "/shared2/study.db")]),
        ({"needs": (("spec", "/a.yaml"), ("records", "/tmp/mlflow.db"))}, [("path-not-in-pod", "/tmp/mlflow.db")]),
        ({"needs": (("spec", "/a.yaml"), ("records", "/shared/mlflow.db"))}, []),
        ({"needs": (("spec", "/a.yaml"), ("checkpoints", "/shared/runs"))}, []),
        ({"needs": (("spec", "/a.yaml"), ("data", "s3://bucket/a.csv"))}, []),
        ({"needs": (), "home": "/home/ann/runs"}, [("path-not-in-pod", "/home/ann/runs")]),
        ({"needs": ()}, []),
    ],
)
def test_a_request_is_refused_for_what_a_pod_would_lack(asked, wanted):
    assert found(launches.request(**asked)) == wanted


def test_a_refusal_names_the_claims_and_the_way_out():
    [fault] = checks.check(
        asked := launches.request(needs=(("spec", "/a"), ("study", "/b.db"))), manifest.render(asked)
    )
    assert "the study (claims are mounted at /shared)" in str(fault)
    assert fault.mend.startswith("keep the study in PostgreSQL"), "not a volume, on which its locks can fail"
    assert "--upload" not in fault.mend
    [fault] = checks.check(
        asked := launches.request(needs=(("spec", "/a"), ("data", "/b.csv"))), manifest.render(asked)
    )
    assert "let it travel by a bucket with --upload s3://" in fault.mend


@pytest.mark.parametrize("text", ["a: b: c", "- 1\n", "a\n"])
def test_what_is_no_manifest_is_told_and_not_raised(text):
    assert [each.code for each in checks.check(launches.request(), text)] == ["manifest-unreadable"]


def test_a_spec_that_no_configmap_holds_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "FILES_BYTES", 100)
    assert found(launches.request()) == [("files-too-large", "")]
