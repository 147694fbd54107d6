"""What is wrong with the address of a folder or of a file: told when it is read, before anything is asked."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from lstm.records.errors import Fault, fault

SCHEMES = ("s3", "gs", "gcs", "hdfs", "file")  # what pyarrow opens
_BUCKETS = ("s3", "gs", "gcs")
_REMOTE = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"  # what pyarrow accepts in such an address


def is_text(path: str) -> bool:
    """Return whether a path is UTF-8. Python keeps other bytes as lone surrogates, which no database takes."""
    return not any("\ud800" <= c <= "\udfff" for c in path)


def faults_of_folder(at: str, address: str) -> Iterator[Fault]:
    """Yield the first fault of a folder's path or address, without any part of it; none if it is right."""
    given = next((each for each in SCHEMES if address.startswith(f"{each}:")), None)
    if not is_text(address):
        yield fault("address-not-utf8", at)
    elif "://" in address:
        yield from _first(at, address)
    elif given:
        yield fault("address-without-slashes", at, scheme=given)


def faults_of_file(at: str, address: str) -> Iterator[Fault]:
    """Yield the first fault of a file's path or address, without any part of it; none if it is right, or a path."""
    if "://" not in address:
        return
    wrong = [*_first(at, address)]
    parts = urlsplit(address)
    if not wrong and (parts.path.endswith("/") or unquote(parts.path).rpartition("/")[2] in ("", ".", "..")):
        wrong.append(fault("address-without-file", at, scheme=parts.scheme))
    yield from wrong


def _first(at: str, address: str) -> Iterator[Fault]:
    scheme, _, rest = address.partition("://")
    if not is_text(address):
        yield fault("address-not-utf8", at)
    elif scheme not in SCHEMES:
        yield fault("address-of-unknown-scheme", at, schemes=list(SCHEMES))
    else:
        yield from [*_place_faults(at, scheme, *rest.partition("/")[::2])][:1]


def _place_faults(at: str, scheme: str, host: str, path: str) -> Iterator[Fault]:
    if "@" in host:  # it would be kept in the study and in MLflow
        yield fault("address-with-keys", at)
    if "?" in host + path:
        yield fault("address-with-options", at)
    if scheme == "file" and (host not in ("", "localhost") or not path.strip("/")):
        yield fault("address-without-folder", at)
    if scheme in _BUCKETS and not host:
        yield fault("address-without-bucket", at, scheme=scheme)
    if "#" in path or (scheme != "file" and not re.fullmatch(_REMOTE, f"{host}/{path}")):
        yield fault("address-character", at)
