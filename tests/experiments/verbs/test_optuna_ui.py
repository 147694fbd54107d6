import importlib.util
import json
import signal
import socket
import threading
import urllib.error
import urllib.request

import pytest

from cluster.study.dashboard import pages


@pytest.fixture
def seen(monkeypatch):
    """What is seen at the addresses that the server is asked for before Ctrl-C ends it."""
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    answers, serve = [], pages.serve

    def served(url, listener):
        server = serve(url, listener)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)

        def looked_at(_):
            thread.start()
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with urllib.request.urlopen(f"{base}/api/studies", timeout=60) as answer:
                answers.append((listener.getsockname()[0], json.load(answer)))
            with pytest.raises(urllib.error.HTTPError, match="405"):
                urllib.request.urlopen(urllib.request.Request(f"{base}/api/studies/1", method="DELETE"), timeout=60)
            server.shutdown()
            raise KeyboardInterrupt

        return type("", (), {"serve_forever": staticmethod(looked_at)})

    monkeypatch.setattr(pages, "serve", served)
    before = signal.getsignal(signal.SIGTERM)
    yield answers
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("named", [["tiny"], ["tiny.yaml"], []])
def test_the_pages_of_a_sweep_or_a_home(home, folder, sweep, seen, named):
    before = (home / "study.db").read_bytes()
    answer = sweep("ui", *named, "--optuna")
    assert (answer.code, answer.err) == (0, "")
    address, told = answer.out.splitlines()
    assert address.endswith("/dashboard/studies/1" if named else "/dashboard")
    assert told.startswith("This page can only be read: what its buttons would change is refused.")
    ((host, found),) = seen
    assert host == "127.0.0.1"
    assert [each["study_name"] for each in found["study_summaries"]] == ["tiny"]
    assert (home / "study.db").read_bytes() == before


def test_as_a_document(home, folder, sweep, seen):
    assert json.loads(sweep("ui", "tiny", "--optuna", "--json").out).keys() == {"address"}


def test_refusals(home, folder, sweep, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if importlib.util.find_spec("optuna_dashboard"):
            answer = sweep("ui", "tiny", "--optuna", "--port", taken.getsockname()[1])
            assert (answer.code, answer.out) == (1, "")
            assert answer.err.startswith("--port: port ")
            answer = sweep("ui", "--optuna", "--home", "nothing")
            assert (answer.code, answer.out) == (2, "")
            assert "`sweep run`" in answer.err
            assert not (folder / "nothing").exists()
    assert sweep("ui", "tin", "--optuna").code == 2
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna_dashboard" else find(name))
    answer = sweep("ui", "tiny", "--optuna")
    assert (answer.code, answer.out) == (2, "")
    assert "pip install 'optuna-dashboard" in answer.err
