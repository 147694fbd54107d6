"""Requests to launch a sweep on Kubernetes, as `sweep launch` makes them, over whatever a profile can say."""

from cluster.launch.profile import KubernetesProfile, memory_mb, seconds
from cluster.launch.request import Request, Size

SPEC = "name: co2\n# a comment: with a colon\ntask: forecast\ndata:\n  path: co2.csv\n"
IMAGE = "registry.example/ml/lstm-sweeps:0.2.0"


def request(
    name="co2",
    spec=SPEC,
    *,
    named="/shared/co2.yaml",
    needs=None,
    home="/shared/runs",
    overrides=(),
    code=None,
    **profile,
):
    made = KubernetesProfile.model_validate(
        {"image": IMAGE, "memory": "16G", "cpus": 4, "claims": [{"name": "runs", "path": "/shared"}]} | profile
    )
    memory = memory_mb(made.memory) if made.memory else None
    size = Size(made.nodes, made.cpus or 1, made.gpus, memory, seconds(made.time) if made.time else None)
    places = (("spec", "/shared/co2.yaml"), ("home", home), ("data", "/shared/co2.csv")) if needs is None else needs
    return Request(
        system="kubernetes",
        name=name,
        named=named,
        spec_text=spec,
        overrides=tuple(overrides),
        code=code,
        home=home,
        size=size,
        profile=made,
        python="python",
        needs=places,
    )
