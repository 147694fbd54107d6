"""How data get to the driver: where the nodes see them already, or by a bucket.

What else the driver needs has its own way. Spec and code travel with the job, or lie in a folder that is shared: code
is never taken from a bucket.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from cluster.launch.request import Request
from lstm.records.errors import BadInput, refused
from lstm.storage import objects
from lstm.storage.address import faults_of_folder
from lstm.storage.files import folder_of

FLAG = "--upload"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of data that is copied into a bucket, under the SHA-256 of its bytes."""

    field: str  # of the spec, as data.path
    path: str
    digest: str  # SHA-256, in hex
    address: str  # of the object


def uploads(paths: Mapping[str, str], bucket: str) -> tuple[Upload, ...]:
    """Return what a bucket must get of a spec's data; addresses of objects stay as they are. Nothing is written.

    Args:
        paths: The full path of each file of data, by its field of the spec, such as `data.path`.
        bucket: The address of a folder in a bucket.

    Raises:
        BadInput: that is no such address, or a file can't be read.
    """
    if wrong := [*faults_of_folder(FLAG, bucket)]:
        raise BadInput(*wrong)
    if folder_of(bucket) is not None:
        raise refused("upload-to-no-bucket", at=FLAG, empty=None if bucket.strip() else "empty")
    return tuple(_upload(field, path, bucket) for field, path in paths.items() if "://" not in path)


def _upload(field: str, path: str, bucket: str) -> Upload:
    digest = objects.digest_of(Path(path))
    return Upload(field, path, digest, f"{bucket.rstrip('/')}/{digest}/{quote(Path(path).name)}")


def rewritten(request: Request, found: Sequence[Upload]) -> Request:
    """Return a request whose sweep reads the uploaded objects; where data lie is no part of what trials are."""
    moved = {each.path for each in found}
    overrides = (*request.overrides, *(f"{each.field}={each.address}" for each in found))
    needs = tuple((need, path) for need, path in request.needs if need != "data" or path not in moved)
    return replace(
        request, overrides=overrides, needs=needs, uploads=tuple((each.path, each.address) for each in found)
    )


def send(found: Iterable[Upload]) -> None:
    """Copy files into their bucket; one that is there already, by its digest, is not sent again.

    Raises:
        BadInput: a file has changed since its digest was taken, or the store does not take it.
    """
    for each in found:
        objects.send(Path(each.path), each.address, each.digest)
