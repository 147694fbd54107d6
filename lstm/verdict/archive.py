"""Sealed zip archives of arrays and one JSON document: the same content makes the same bytes, and no code is run."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm.storage import files

CONTENT = "content.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip archive's first time


def pack(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The archive, uncompressed, with a checksum as its comment; `numpy.load` opens it as it is."""
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
    """The document and the arrays; whatever a reader raises where the bytes are no such archive."""
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
    member.create_system, member.external_attr = 3, 0o600 << 16  # on Windows they would differ
    archive.writestr(member, data)
