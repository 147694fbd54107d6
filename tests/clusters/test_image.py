"""The image, built from its Dockerfile by buildah, on a base that is made here: no registry can be reached.

The base stands in for `python:3.11-slim-bookworm`: Debian bookworm with its own Python 3.11 and pip, under that name.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.clusters

ROOT = Path(__file__).parents[2]
# With overlayfs a layer holds what it adds. Without it, it is a copy of all before it, too, and takes twice the time.
DRIVER = "overlay" if "\toverlay\n" in Path("/proc/filesystems").read_text() else "vfs"
ROOM = 26 * 2**30  # bytes: with the CUDA build of PyTorch the image has 6 GB, and its commit needs four times that
LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096")  # podman's own may be above what this machine allows
BASE, IMAGE = "docker.io/library/python:3.11-slim-bookworm", "localhost/lstm-sweeps:test"
PROGRAMS = ("buildah", "podman", "runc", "debootstrap")
LEFT_S = 3000.0
# What this machine's pip needs to find packages, if anything: files and folders, mounted while the image is built.
PIP = os.environ.get("LSTM_SWEEPS_PIP_NEEDS", "").split(":")


def missing() -> str:
    if os.geteuid() != 0:
        return "needs root"
    if lacks := [each for each in PROGRAMS if shutil.which(each) is None]:
        return f"needs {', '.join(lacks)}"
    return "" if shutil.disk_usage(tempfile.gettempdir()).free >= ROOM else f"needs {ROOM >> 30} GB of disk"


class Store:
    """Images and containers in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.place = ("--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", DRIVER)

    def call(self, program: str, *words: str) -> str:
        """What a command has written; the tools and the libraries in the image may warn on their second stream."""
        command = [program, *self.place, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LEFT_S, check=False)
        assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
        return done.stdout

    def run(self, *words: str) -> str:
        options = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
        how = ("--rm", "--network", "host", *LIMITS, "--entrypoint", words[0])
        return self.call("podman", *options, "run", *how, IMAGE, *words[1:])


@pytest.fixture(scope="module")
def image() -> Iterator[Store]:
    if reason := missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="image", dir=tempfile.gettempdir()))
    try:
        store, base = Store(folder), folder / "base"
        packages = "--include=python3,python3-pip,ca-certificates"
        subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", base], check=True, timeout=LEFT_S)
        # As in the image of Python's: `python`, and pip may install into the system's own.
        (base / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)
        (base / "usr/bin/python").symlink_to("python3")
        made = store.call("buildah", "from", "scratch").strip()
        store.call("buildah", "add", made, str(base), "/")
        store.call("buildah", "commit", made, BASE)
        store.call("buildah", "rm", made)
        shutil.rmtree(base)
        volumes = [f"--volume={each}:{each}:ro" for each in PIP if each]
        variables = [f"--env={name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")]
        words = ("--isolation", "chroot", "--pull-never", "--tag", IMAGE)
        store.call("buildah", "bud", *words, *volumes, *variables, str(ROOT))
        yield store
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_image_has_what_a_pod_needs(image):
    assert image.run("sweep", "--version").strip().startswith("sweep")
    assert image.run("id", "-u").strip() == "1000"
    # A login shell, as KubeRay may start one, finds the programs, too.
    assert "Usage" in image.run("bash", "-lc", "ray job submit --help")
    imported = "import psycopg2, torch, opencensus, ray.dashboard.modules.job.job_manager; print(torch.__version__)"
    assert image.run("python", "-c", imported).strip().startswith("2.")
    # Templates and specs came along with the code.
    code = "from cluster.launch.kubernetes import manifest; print(manifest._template().name)"
    assert image.run("python", "-c", code).strip() == "rayjob.yaml.j2"
