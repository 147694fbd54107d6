"""Sealed zip archives of arrays and one JSON document: equal content gives equal bytes, and reading runs no code."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm.storage import files

CONTENT = "content.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can store


def pack(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the bytes of an uncompressed archive with a checksum as its comment; `numpy.load` can open it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        document = json.dumps(content, indent=1, sort_keys=True).encode()
        _member(archive, CONTENT, document)
        for key, array in sorted(arrays.items()):
            bytes_of = io.BytesIO()
            np.lib.format.write_array(bytes_of, np.array(array, order="C"), version=(1, 0), allow_pickle=False)
            _member(archive, f"{key}.npy", bytes_of.getvalue())
    body = buffer.getvalue()[:-2]
    return body + files.seal(body)


def unpack(sealed: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the document and the arrays of an archive.

    Raises:
        Exception: of any class that zipfile, json or numpy raise, if the bytes are not such an archive.
    """
    with zipfile.ZipFile(io.BytesIO(sealed)) as archive:
        content = dict(json.loads(archive.read(CONTENT)))
        arrays = {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    return content, arrays


def _member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system, member.external_attr = 3, 0o600 << 16  # the defaults differ on Windows
    archive.writestr(member, data)
