"""optuna-dashboard's pages can be looked at, and nothing that is sent to them changes the study."""

import http.client
import json
import socket
import sys
import threading
from pathlib import Path

import browser
import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from cluster.study import database, storage
from lstm.records.errors import BadInput

pages = pytest.importorskip("cluster.study.dashboard.pages")
pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")

READ_ONLY = "default_transaction_read_only"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def study(url, name):
    """A study with some trials, one of which runs."""
    made = optuna.create_study(storage=storage.connect(url), study_name=name)
    for value in (0.5, 0.25, 0.125):
        space = {"x": FloatDistribution(0, 1)}
        made.add_trial(create_trial(params={"x": value}, distributions=space, value=value))
    made.add_trial(create_trial(state=TrialState.RUNNING))
    return made


@pytest.fixture
def port(study, url):
    """Where its pages are."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = pages.serve(url, listener)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield listener.getsockname()[1]
    server.shutdown()
    server.server_close()


def content(url):
    """A database, to the byte, or to the row if a server keeps it."""
    if file := database.file_of(url):
        return {path.name: path.read_bytes() for path in Path(file).parent.iterdir()}
    engine = database.engine(url)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        found = {each: sorted(map(str, connection.execute(sqlalchemy.text(f'TABLE "{each}"')))) for each in tables}
    engine.dispose()
    return found


def ask(port, method, path, body=None, **headers):
    """An answer's status, and its document or text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body and json.dumps(body), {**JSON, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text and "json" in (answer.getheader("Content-Type") or "") else text
    finally:
        connection.close()


def attacks(number, trial):
    """What changes something in a dashboard that may write: each of its calls that does, and ways around a method."""
    study, trials = f"/api/studies/{number}", f"/api/trials/{trial}"
    yield from (
        ("DELETE", study, None),
        ("POST", "/api/studies", {"study_name": "another", "directions": [1]}),
        ("POST", f"{study}/rename", {"study_name": "renamed"}),
        ("PUT", f"{study}/note", {"body": "hacked", "version": 1}),
        ("PUT", f"{study}/{trial}/note", {"body": "hacked", "version": 1}),
        ("POST", f"{study}/{trial}/skip", {}),
        ("POST", f"{trials}/tell", {"state": "Complete", "values": [0.0]}),
        ("POST", f"{trials}/user-attrs", {"user_attrs": {"end": "hacked"}}),
        ("POST", f"{study}/preference", {"candidates": [0, 1], "clicked": 0, "mode": "ChooseWorst"}),
        ("PUT", f"{study}/preference_feedback_component", {"output_type": "note"}),
        ("PATCH", study, {}),
        ("OPTIONS", study, None),
        ("delete", study, None),
        ("HACK", study, None),
        ("POST", f"{study}?_method=DELETE", {"_method": "DELETE"}),
    )


def test_every_call_that_would_change_something_is_refused(study, url, port):
    number, trial = study._study_id, study.trials[-1]._trial_id
    status, listed = ask(port, "GET", "/api/studies")
    assert status == 200
    assert study.study_name in {each["study_name"] for each in listed["study_summaries"]}
    before = content(url)
    for method, path, body in attacks(number, trial):
        status, why = ask(port, method, path, body)
        assert (status, why) == (405, {"reason": "This page can only be read."}), (method, path)
    assert ask(port, "GET", f"/api/studies/{number}", **{"X-HTTP-Method-Override": "DELETE"})[0] == 200
    assert content(url) == before
    # The same calls do change a dashboard that may write.
    writing, told = __import__("optuna_dashboard").wsgi(storage.connect(url)), []
    environ = {"REQUEST_METHOD": "DELETE", "PATH_INFO": f"/api/studies/{number}", "wsgi.errors": sys.stderr}
    list(writing({**environ, "SERVER_NAME": "x", "SERVER_PORT": "1"}, lambda status, *_: told.append(status)))
    assert told == ["204 No Content"]
    assert content(url) != before


def test_all_that_reads_answers_and_changes_nothing(study, url, port, name):
    number, before = study._study_id, content(url)
    for path in ("", "/param_importances", "/plot/contour", "/plot/slice"):
        assert ask(port, "GET", f"/api/studies/{number}{path}")[0] in (200, 400), path
    assert ask(port, "GET", f"/api/studies/{number}")[1]["name"] == name
    assert ask(port, "GET", f"/csv/{number}")[0] == 200
    assert ask(port, "HEAD", "/api/studies")[0] == 200
    assert "<html" in ask(port, "GET", pages.page_of(url, name))[1]
    assert content(url) == before


def test_options_of_an_address_hold_but_for_writing(postgresql, name):
    own = "-c%20application_name%3Dours%20-c%20default_transaction_read_only%3Doff"
    optuna.create_study(storage=storage.connect(postgresql), study_name=name)
    open_ = pages.reading(f"{postgresql}{'&' if '?' in postgresql else '?'}options={own}")
    with open_.engine.connect() as connection:
        said = [connection.scalar(sqlalchemy.text(f"SHOW {name}")) for name in ("application_name", READ_ONLY)]
    open_.engine.dispose()
    assert said == ["ours", "on"]


def test_also_without_the_guard_the_database_can_only_be_read(study, url):
    before = content(url)
    open_ = pages.reading(url)
    assert len(open_.get_all_trials(study._study_id)) == 4
    for write in (
        lambda: open_.delete_study(study._study_id),
        lambda: open_.set_study_user_attr(study._study_id, "end", 1),
        lambda: open_.create_new_trial(study._study_id),
        lambda: open_.set_trial_user_attr(study.trials[-1]._trial_id, "end", 1),
    ):
        with pytest.raises((optuna.exceptions.StorageInternalError, sqlalchemy.exc.DBAPIError)):
            write()
    assert content(url) == before


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("[::1]:5000", 200),
        ("evil.example", 403),
        ("evil.example:80", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("", 403),
    ],
)
def test_it_answers_to_the_names_of_this_machine_only(study, port, host, status):
    assert ask(port, "GET", "/api/studies", Host=host)[0] == status


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_it_listens_where_it_was_told_to(port):
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((socket.gethostbyname("127.0.0.2"), port), timeout=5)


@pytest.mark.pages  # that each way to delete is refused is tested above, without a browser
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_a_user_of_a_browser_deletes_stays(study, url, port, chromium):
    before = content(url)
    with browser.opened(chromium, f"http://127.0.0.1:{port}{pages.page_of(url, study.study_name)}") as tab:
        tab.page.get_by_role("heading", name="History").wait_for()
        tab.page.get_by_role("heading", name="Hyperparameter Importance").wait_for()
        assert tab.errors == []
        tab.page.goto(f"http://127.0.0.1:{port}/dashboard")
        tab.page.get_by_label("delete study").click()
        with tab.page.expect_response(lambda answer: answer.request.method == "DELETE") as refused:
            tab.page.get_by_role("dialog").get_by_role("button", name="Yes").click()
        assert refused.value.status == 405
        tab.page.reload()
        tab.page.get_by_text(study.study_name).first.wait_for()
    assert content(url) == before


def test_without_the_dashboard_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(pages.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match="pip install 'optuna-dashboard"):
        pages.check_installed()
