"""Ask a Ray cluster's head whether it can be joined, before Ray does: Ray's own calls may wait for ever.

The first question is whether the listener speaks HTTP/2, as each of Ray's servers does; a web server usually does
not, and the answer takes milliseconds. The second, for the cluster's nodes, is asked in a process that can be ended,
because Ray's client can't be told to give up.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from typing import Any

from cluster.ray_backend import private_patches
from lstm.records.errors import Away, BadInput, Fault, fault, refused

JOIN_S = 30.0  # for all questions together
_CALL_S = 10.0  # of these for a call of Ray's client
_LAST_S = 5.0  # of these for the last question: what listens there, if it is no cluster
# The preface of HTTP/2 with empty settings; a server's answer begins with its own settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4  # the fourth byte of such an answer
_UNIMPLEMENTED = "rpc_code: 12"
_DEADLINE = "Deadline Exceeded"


def ask(address: str) -> float:
    """Check that the cluster at an address, or `auto`, can be joined from here; return the seconds left to join it.

    Raises:
        BadInput: it can't be joined; the fault says what listens there, if that is known.
        Away: it is a cluster, and does not answer in time: it may only be busy.
    """
    end = time.monotonic() + JOIN_S
    where, named, found = _resolve(address)
    if not where:
        return JOIN_S  # Ray itself finds at once that there is no cluster
    host, _, port = where.rpartition(":")
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):  # with TLS only Ray's client can speak to it
        _greet(host.strip("[]"), int(port), end, named, rays=found)
    answer = _question(where, found, end, named)
    if error := answer.get("error"):
        if _DEADLINE in answer["text"]:
            raise _silent(named, _CALL_S)
        raise BadInput(_fault(error, answer["text"])).at(named)
    if answer and not answer["here"]:
        if not answer["hosts"]:
            raise refused("cluster-without-hosts", at=named, address=where)
        raise refused("host-outside-cluster", at=named, hosts=list(answer["hosts"]), address=where)
    for near, at in answer.get("here", [])[:1]:
        _greet(near, at, end, f"{named}: this host's own node of the cluster", rays=True)
    return max(end - time.monotonic(), _LAST_S)


def hosts(address: str) -> list[str] | None:
    """Return the addresses of a cluster's living nodes, as its head knows them; None if it can't be asked."""
    try:
        found = _question(address, False, time.monotonic() + JOIN_S, address).get("hosts")
    except BadInput:
        return None
    return None if found is None else list(found)


def _resolve(address: str) -> tuple[str, str, bool]:
    """Return HOST:PORT ("" if there is none), the place that faults name, and whether Ray found the address."""
    if address != "auto":
        return address, f"--address {address}", False
    given = os.environ.get("RAY_ADDRESS", "")
    if given not in ("", "auto"):
        return given, f"--address auto (RAY_ADDRESS is {given})", False
    found, source = private_patches.found_address()
    return found, f"--address auto ({source} {found})", bool(found)


def _greet(host: str, port: int, end: float, named: str, *, rays: bool) -> None:
    """Check that a server of Ray may be listening there; `rays` says that Ray itself gave the address.

    Raises:
        BadInput: nothing listens, or something else does.
        Away: a server of Ray is silent.
    """
    answer = b""
    try:
        with socket.create_connection((host, port), timeout=_LAST_S) as to:
            to.sendall(_PREFACE)
            while len(answer) < 9 and (left := end - _LAST_S - time.monotonic()) > 0:
                to.settimeout(left)
                if not (more := to.recv(4096)):
                    raise ConnectionResetError
                answer += more
    except TimeoutError:
        pass
    except ConnectionResetError:  # it hung up, as a server does with a protocol that it does not know
        answer = answer or b"?"
    except OSError as error:
        raise refused("nothing-listens", at=named, why=error.strerror or str(error)) from None
    if answer[3:4] != bytes([_SETTINGS]):
        wrong = _what_listens(host, port, answer)
        raise (Away if rays and wrong.code == "listener-silent" else BadInput)(wrong).at(named)


def _what_listens(host: str, port: int, answer: bytes) -> Fault:
    if answer[:2] == b"\x15\x03":
        return fault("cluster-speaks-tls")
    asked = http.client.HTTPConnection(host, port, timeout=_LAST_S)
    with suppress(OSError, http.client.HTTPException), closing(asked) as client:
        client.request("GET", "/api/version")
        reply = client.getresponse()
        if b'"ray_version"' in reply.read(4096):
            return fault("dashboard-of-ray")
        return fault("web-server", server=reply.getheader("Server", "").strip())
    return fault("listener-unknown") if answer else fault("listener-silent", seconds=JOIN_S - _LAST_S)


def _question(where: str, found: bool, end: float, named: str) -> dict[str, Any]:
    """Return what the head says about its nodes; empty if this version of Ray can't be asked."""
    if not private_patches.may_ask():
        return {}
    command = [sys.executable, "-P", "-c", private_patches.QUESTION, where, "found" if found else "given", str(_CALL_S)]
    try:
        asked = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=max(end - time.monotonic(), _LAST_S),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _silent(named, JOIN_S) from None
    with suppress(ValueError, IndexError):
        answer: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
        return answer
    return {}


def _silent(named: str, seconds: float) -> Away:
    return Away(fault("head-silent", at=named, seconds=seconds))


def _fault(error: str, text: str) -> Fault:
    """Return the fault that keeps the cluster from being joined, from Ray's error."""
    if error == "AuthenticationError":
        return fault("cluster-wants-token", why=text)
    if _UNIMPLEMENTED in text or not text.removeprefix("RPC error:").strip():
        return fault("port-of-ray-not-heads")
    return fault("cluster-not-joined", why=text)
