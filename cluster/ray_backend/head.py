"""Asks a Ray cluster's head whether it can be joined, before Ray does: its own calls may wait for ever.

First whether what listens speaks HTTP/2, as each of Ray's servers does, which takes milliseconds and tells a web server
from them. Then, in a process that can be ended, for the cluster's nodes: Ray's client can't be told to give up.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from lstm.records.errors import BadInput

JOIN_S = 30.0  # for all of it
_LAST_S = 5.0  # of these for the last question: what it is that listens, where it is no cluster
# The preface of HTTP/2 with empty settings; the answer begins with the server's own.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4  # the fourth byte of such an answer
_UNIMPLEMENTED = "rpc_code: 12"

# Answers a JSON object: the nodes that live, those of them on this host, or the error.
_ASK = """
import json, sys, time
import ray
from ray._private import services
from ray._private.authentication import authentication_token_setup as tokens

def ask(address, found, end):
    if found:  # as Ray does: a token that lies about is used
        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    client = ray._raylet.GcsClient(address=services.canonicalize_bootstrap_address(address))
    while True:
        nodes = {key.hex(): node for key, node in client.get_all_node_info(timeout=10).items() if node.state == 0}
        here = [nodes[key] for key in services.find_node_ids() if key in nodes]
        if here or time.time() > end:  # a node that was just started may not be there yet
            break
        time.sleep(0.2)
    return {
        "hosts": sorted(node.node_manager_address for node in nodes.values()),
        "here": [[node.node_manager_address, node.node_manager_port] for node in here],
    }

try:
    answer = ask(sys.argv[1], sys.argv[2] == "found", time.time() + 5)
except (AttributeError, ImportError, TypeError) as error:  # this Ray is made otherwise
    answer = {}
except Exception as error:
    answer = {"error": type(error).__name__, "text": str(error)}
print(json.dumps(answer))
"""


def ask(address: str) -> float:
    """Whether the cluster at an address, or `auto`, can be joined from here; the seconds that are left for it.

    Raises:
        BadInput: it can't; with what listens there, where that can be told.
    """
    end = time.monotonic() + JOIN_S
    where, named, found = _resolve(address)
    if not where:
        return JOIN_S  # Ray itself finds, at once, that there is none
    host, _, port = where.rpartition(":")
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):  # else only Ray's client can speak to it
        _greet(host.strip("[]"), int(port), end, named)
    answer = _question(where, found, end, named)
    if error := answer.get("error"):
        raise BadInput(f"{named}: {_why(error, answer['text'])}")
    if answer and not answer["here"]:
        raise BadInput(
            f"{named}: this host runs no node of that cluster ({', '.join(answer['hosts']) or 'which has none'}); run "
            f"the sweep on one of its hosts, or make this one part of it: `ray start --address={where}`"
        )
    for near, at in answer.get("here", [])[:1]:
        _greet(near, at, end, f"{named}: this host's own node of the cluster")
    return max(end - time.monotonic(), _LAST_S)


def _resolve(address: str) -> tuple[str, str, bool]:
    """HOST:PORT, or "" where there is none; how messages name it; whether Ray found it."""
    if address != "auto":
        return address, f"--address {address}", False
    given = os.environ.get("RAY_ADDRESS", "")
    if given not in ("", "auto"):
        return given, f"--address auto: RAY_ADDRESS is {given}", False
    with suppress(Exception):  # no cluster, or a Ray that looks for them otherwise
        from ray._private import services, utils

        found = str(services.get_ray_address_from_environment("auto", None))
        if not found.rpartition(":")[2].isdecimal():
            return "", "", False
        file = utils.get_ray_address_file(None)
        where = f"{file} names" if found == utils.read_ray_address(None) else "this host runs"
        return found, f"--address auto: {where} {found}", True
    return "", "", False


def _greet(host: str, port: int, end: float, named: str) -> None:
    """Whether a server of Ray's may listen there.

    Raises:
        BadInput: nothing listens, or something else does.
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
    except ConnectionResetError:  # it hung up, as a server does that was not spoken to as it wished
        answer = answer or b"?"
    except OSError as error:
        why = f"nothing answers there ({error.strerror or error})"
        raise BadInput(f"{named}: {why}; is the cluster up? `ray start --head` starts one") from None
    if answer[3:4] != bytes([_SETTINGS]):
        raise BadInput(f"{named}: {_what_listens(host, port, answer)}")


def _what_listens(host: str, port: int, answer: bytes) -> str:
    if answer[:2] == b"\x15\x03":
        return "speaks TLS; for a cluster that does so set RAY_USE_TLS=1 and its certificates, as on its hosts"
    client = http.client.HTTPConnection(host, port, timeout=_LAST_S)
    with suppress(OSError, http.client.HTTPException):
        client.request("GET", "/api/version")
        reply = client.getresponse()
        if b'"ray_version"' in reply.read(4096):
            return "is Ray's dashboard; give the port of the cluster's head, which is 6379 by default"
        server = reply.getheader("Server", "").strip()
        return f"is a web server{f' ({server})' if server else ''}, no Ray cluster; its port is 6379 by default"
    if not answer:
        return f"something listens there, but did not answer within {JOIN_S - _LAST_S:g} s as Ray's servers do"
    return "something listens there that is no Ray cluster; its port is 6379 by default"


def _question(where: str, found: bool, end: float, named: str) -> dict[str, Any]:
    """What the head says of its nodes; nothing where this Ray can't be asked so."""
    command = [sys.executable, "-P", "-c", _ASK, where, "found" if found else "given"]
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
        raise BadInput(f"{named}: did not answer within {JOIN_S:g} s as a cluster's head does") from None
    with suppress(ValueError, IndexError):
        answer: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
        return answer
    return {}


def _why(error: str, text: str) -> str:
    if error == "AuthenticationError":
        return (
            "the cluster asks for a token and did not take what was given; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN "
            f"or RAY_AUTH_TOKEN_PATH where ~/.ray/auth_token is not the cluster's. Ray says: {text}"
        )
    if _UNIMPLEMENTED in text or not text.removeprefix("RPC error:").strip():
        return "is another of Ray's ports, not that of the cluster's head, which is 6379 by default"
    return f"no cluster could be joined: {text}"
