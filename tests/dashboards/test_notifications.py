"""What a webhook is told, in its forms, and that nothing waits for one, however bad it is."""

import base64
import json
from typing import Any

import pytest
from outages import free_port
from webhook import Webhook

from dashboards import notifications
from dashboards.config import TrackingConfig, webhook_fault
from dashboards.notifications import Notifier, post
from lstm.messages.message import Message
from lstm.records.events import SweepStarted, TrialEnded

SECRET = "hunter2hook"
TOLD = {"event": "new_best", "sweep": "co2", "text": "co2: a < b & c > d", "best": {"trial": 1}}


def ended(number: int, value: float | None, best: float | None, state: Any = "COMPLETE") -> TrialEnded:
    return TrialEnded(number, state, "", value, 3, "", 1_700_000_000_000, best_value=best)


def notifier(address: str | None, told: list[Message], best: float | None = None, form: Any = "json") -> Notifier:
    made = Notifier(TrackingConfig(notify=address, notify_form=form), "co2", best, told.append)
    made(SweepStarted("co2", 4, "val/loss", "minimize", 0))
    return made


def test_each_new_best_and_the_end_are_told_and_nothing_else() -> None:
    said: list[Message] = []
    with Webhook() as hook, notifier(hook.address, said) as told:
        for number, value in enumerate((0.5, 0.25, 0.125)):
            told(ended(number, value, value))
            hook.wait(number + 1)  # a newer one takes the place of one that waits
        told(ended(3, 0.75, 0.125))
        told(ended(4, 0.125, 0.125))  # as good, not better
        told(ended(5, 0.0625, 0.125, "PRUNED"))
        told(ended(6, 0.0625, 0.125))  # beside the search
        told.end("ended", "All trials have ended.", verdict="yes")
        assert told.close(30)
    *bests, end = hook.told
    assert [each["best"]["trial"] for each in bests] == [0, 1, 2]
    assert bests[1] == {
        "event": "new_best",
        "what": "sweep",
        "sweep": "co2",
        "text": "co2: new best: trial 1, val/loss 0.25 at epoch 3 (before: 0.5)",
        "at": "2023-11-14T22:13:20+00:00",
        "metric": "val/loss",
        "direction": "minimize",
        "best": {"trial": 1, "value": 0.25, "epoch": 3},
    }
    assert (end["event"], end["text"]) == ("ended", "co2: All trials have ended. Is the network worth it? yes.")
    assert said == []


def test_what_was_best_before_is_no_news() -> None:
    with Webhook() as hook, notifier(hook.address, [], best=0.3) as told:
        told(ended(7, 0.4, 0.4))
        told(ended(8, 0.3, 0.3))
        told(ended(9, 0.2, 0.2))
        hook.wait(1)
        told.end("interrupted", "Stopped.")
        assert told.close(30)
    assert [(each["event"], each["best"] and each["best"]["trial"]) for each in hook.told] == [
        ("new_best", 9),
        ("interrupted", None),
    ]


@pytest.mark.parametrize("error", [RuntimeError("of ours"), KeyboardInterrupt()])
def test_a_run_that_breaks_off_is_told(error: BaseException) -> None:
    with Webhook() as hook:
        with pytest.raises(type(error)), notifier(hook.address, []):
            raise error
        with pytest.raises(type(error)), Notifier(TrackingConfig(notify=hook.address), "co2", None, print):
            raise error  # before any trial could run
    ((told),) = hook.told
    assert told["event"] == ("failed" if isinstance(error, RuntimeError) else "interrupted")
    assert told["text"] == f"co2: The run broke off ({type(error).__name__})."


def test_slack_gets_a_text_escaped_as_it_asks() -> None:
    with Webhook() as hook:
        assert post(hook.address, "slack", TOLD) == ("", False)
    assert hook.told == [{"text": "co2: a &lt; b &amp; c &gt; d"}]


def test_ntfy_gets_topic_title_and_message_at_its_root_with_the_login() -> None:
    with Webhook(path=f"/sweeps%20x?auth={SECRET}") as hook:
        assert post(hook.address.replace("//", "//ann:p%40ss@"), "ntfy", TOLD) == ("", False)
    ((method, path, headers, body),) = hook.asked
    assert (method, path) == ("POST", f"/?auth={SECRET}")
    assert json.loads(body) == {"topic": "sweeps x", "title": "co2: new best", "message": "co2: a < b & c > d"}
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'ann:p@ss').decode()}"
    assert headers["Content-Type"] == "application/json"
    assert "ann" not in headers["Host"]


BAD = {
    "401": ("error 401", False),
    "404": ("error 404", False),
    "429": ("error 429", True),
    "500": ("error 500", True),
    "302": ("it redirects to another address (302), which is not followed", False),
    "307": ("it redirects to another address (307), which is not followed", False),
    "silent": ("no answer in time", True),
    "half": ("no answer in time", True),
    "garbage": ("its answer is not HTTP", True),
}


@pytest.mark.parametrize("mode", BAD)
def test_how_a_bad_webhook_answers_in_words_without_its_address(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "_ANSWER_S", 0.2)
    with Webhook(mode, path=f"/{SECRET}") as hook:
        assert post(hook.address, "json", TOLD) == BAD[mode]
    assert [path for _, path, _, _ in hook.asked] == [f"/{SECRET}"], "no redirect is followed"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (f"http://127.0.0.1:{{free}}/{SECRET}", "nothing listens at the address"),
        (f"http://no-such-host.invalid/{SECRET}", "the host is not known"),
        (f"https://127.0.0.1:{{http}}/{SECRET}", "no encrypted connection is possible"),
    ],
)
def test_a_webhook_that_is_not_there(address: str, why: str) -> None:
    with Webhook() as hook:
        assert post(address.format(free=free_port(), http=hook.port), "json", TOLD) == (why, True)


@pytest.mark.parametrize("mode", ["401", "500", "silent", "drip"])
def test_a_bad_webhook_is_told_of_once_and_the_end_waits_for_it_no_longer_than_asked(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_ANSWER_S", 0.2)
    monkeypatch.setattr(notifications, "_FIRST_PAUSE_S", 0.01)
    said: list[Message] = []
    with Webhook(mode, path=f"/{SECRET}") as hook:
        with notifier(hook.address, said) as told:
            for number in range(200):
                told(ended(number, 1 / (number + 1), 1 / (number + 1)))
            hook.wait(1)
            told.end("ended", "All trials have ended.")
            assert not told.close(0.5), "it gives up on a webhook that never takes the end"
        assert len(hook.asked) < 100, "what waits is bounded"
    assert [each.code for each in said] == ["webhook-takes-nothing"]
    if mode == "drip":  # its answer has not ended yet
        assert said[0].values["why"] == "no answer in time"
    assert SECRET not in "".join(map(str, said))


def test_what_a_webhook_could_not_take_is_told_when_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "_FIRST_PAUSE_S", 0.01)
    said: list[Message] = []
    with Webhook("503") as hook, notifier(hook.address, said) as told:
        told.end("ended", "All trials have ended.")
        hook.wait(2)
        hook.mode = "take"
        assert told.close(30)
    assert [each.values["why"] for each in said] == ["error 503"]


def test_without_an_address_nothing_starts_and_nothing_is_told() -> None:
    told = notifier(None, [])
    told(ended(0, 0.5, 0.5))
    told.end("ended", "All trials have ended.")
    assert told.is_idle
    assert not told.close(30)
    assert not told._thread.is_alive()


@pytest.mark.parametrize(
    ("address", "form", "code"),
    [
        ("https://hooks.example.com/services/T/B/x", "slack", None),
        ("http://[::1]:8080/t", "ntfy", None),
        ("https://ntfy.sh/topic?auth=x", "ntfy", None),
        ("https://ntfy.sh/", "ntfy", "webhook-without-topic"),
        ("ftp://host/x", "json", "no-webhook"),
        ("file:///etc/passwd", "json", "no-webhook"),
        ("hooks.example.com/x", "json", "no-webhook"),
        ("https://", "json", "no-webhook"),
        ("https://host:99999/x", "json", "no-webhook"),
        ("https://host/a b", "json", "webhook-blank"),
        ("https://host/a\nb", "json", "webhook-blank"),
        ("https://host/tür", "json", "webhook-blank"),
    ],
)
def test_addresses(address: str, form: Any, code: str | None) -> None:
    found = webhook_fault(address, form)
    assert (found and found.code) == code
    assert found is None or not found.values, "no part of the address"
