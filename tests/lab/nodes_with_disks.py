"""Ray's fake provider of nodes on one host, each with a folder of its own for Ray's files, as hosts have.

In one folder two nodes unpack the driver's packages at once, and each may take the other's half for the whole.
A node of the type `wrong` has another PyTorch, one of the type `stuck` never comes.
"""

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from ray._private import node as ray_node
from ray._private import parameter
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE


class Node(ray_node.Node):
    """A node that leaves no processes behind if the machine was too busy for it to start."""

    def __init__(self, *given: Any, **more: Any) -> None:
        try:
            super().__init__(*given, **more)
        except Exception:
            self.kill_all_processes(check_alive=False)
            raise


class Provider(FakeMultiNodeProvider):
    """The provider; Ray's autoscaler makes it by its name."""

    def _create_node_with_resources_and_labels(self, node_config: Any, tags: Any, *rest: Any) -> None:
        if tags[TAG_RAY_USER_NODE_TYPE] == "stuck":
            return
        disk = Path(tempfile.mkdtemp(dir=os.environ["LAB_DISKS"]))
        made = parameter.RayParams

        def params(*, env_vars: dict[str, str], **given: Any) -> Any:
            if tags[TAG_RAY_USER_NODE_TYPE] == "wrong":
                (disk / "other" / "torch").mkdir(parents=True)
                (disk / "other" / "torch" / "__init__.py").write_text('__version__ = "1.0"')
                env_vars = {**env_vars, "PYTHONPATH": str(disk / "other")}
            return made(env_vars=env_vars, temp_dir=str(disk), **given)

        with mock.patch.object(parameter, "RayParams", params), mock.patch.object(ray_node, "Node", Node):
            super()._create_node_with_resources_and_labels(node_config, tags, *rest)
