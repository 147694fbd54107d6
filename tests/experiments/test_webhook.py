"""A sweep's webhook (`tracking.notify`): what it is told of a sweep, when, and that its address is shown nowhere."""

import json
import os
import signal

import forking
import pytest
from webhook import Webhook

from cluster.study import stored
from experiments.spec import yaml_document
from experiments.trials import fitting
from lstm.training import loop, refit

SECRET = "hunter2hook"


def with_webhook(tiny, address):
    """The tiny spec with a webhook."""
    return f'{tiny.spec}tracking: {{notify: "{address}"}}\n'


def holders(folder):
    """The files in a folder that have the secret, but the user's own spec and its copy."""
    own = ("tiny.yaml", "spec.yaml")
    found = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    return [str(path) for path in found if not (path.name in own and path.parent.name in (folder.name, "tiny"))]


def test_a_sweep_tells_its_webhook_and_the_same_end_once(home, folder, tiny, near, sweep, blank_pages):
    url = f"sqlite:///{home / 'study.db'}"
    with Webhook(path=f"/{SECRET}") as hook:
        (folder / "tiny.yaml").write_text(with_webhook(tiny, hook.address).replace("n_trials: 4", "n_trials: 5"))
        answer = near("run", "tiny.yaml", cwd=folder)
        assert answer.code == 0, answer.out + answer.err
        *bests, end = hook.told
        assert {each["event"] for each in bests} <= {"new_best"}
        swept = stored.read(url, "tiny")
        assert end.pop("at")
        verdict, text = end.pop("verdict"), end.pop("text")
        assert text.startswith("tiny: All trials have ended. Best: trial ")
        assert text.endswith(f" Is the network worth it? {verdict}.")
        best = {"trial": swept.best.number, "value": swept.best.value, "epoch": swept.best.best_epoch}
        about = {"what": "sweep", "sweep": "tiny", "metric": "val/loss", "direction": "minimize", "best": best}
        assert end == {"event": "ended", "trials": {"ended": 5, "of": 5}, "complete": True, **about}
        assert SECRET in (folder / "tiny.yaml").read_text()
        assert holders(folder) == []
        assert 'notify: "***"' in swept.spec_text
        assert sweep("verify", "tiny").code == 0

        count = len(hook.asked)
        assert near("run", "tiny.yaml", cwd=folder).code == 0
        stored.remember(url, "tiny", recorded=False)  # of a driver that was killed before it stored that
        assert near("run", "tiny", cwd=folder).code == 0
        assert hook.told[count:] == []


def test_a_sweep_with_a_bad_webhook_ends_as_without(finished, folder, tiny, near, blank_pages):
    """The address comes from the environment."""
    with Webhook("401", path=f"/{SECRET}") as hook:
        (folder / "tiny.yaml").write_text(with_webhook(tiny, "${HOOK}").replace("n_trials: 4", "n_trials: 1"))
        answer = near("run", "tiny.yaml", cwd=folder, HOOK=hook.address)
    said = answer.out + answer.err
    assert answer.code == 0, said
    assert said.count("error 401") == 1
    assert "tracking.notify: the webhook does not take what it is told (error 401)" in " ".join(said.split())
    assert SECRET not in said
    assert holders(folder) == []
    here, without = (stored.read(f"sqlite:///{home / 'study.db'}", "tiny") for home in (folder / "runs", finished.home))
    assert here.trials[0].curve == without.trials[0].curve
    assert here.facts["comparable"] == without.facts["comparable"]
    assert "${HOOK}" in here.spec_text


def test_a_training_alone_tells_its_end_once(folder, tiny, sweep):
    with Webhook(path=f"/{SECRET}") as hook:
        (folder / "tiny.yaml").write_text(with_webhook(tiny, hook.address))
        document = json.loads(sweep("train", "tiny.yaml", "--json").out)
        [end] = hook.told
        best = {name: document["best"][name] for name in ("value", "epoch")}
        assert end.pop("at")
        about = {"what": "training", "sweep": "tiny", "metric": "val/loss", "direction": "minimize"}
        text = f"tiny: The training has ended. Best: val/loss {best['value']:.6g}."
        rest = {"best": {"trial": None, **best}, "trials": None, "complete": True, "verdict": None}
        assert end == {"event": "ended", "text": text, **about, **rest}
        assert sweep("train", "tiny.yaml").code == 0
        assert len(hook.told) == 1, "nothing was left to do"


def broken(monkeypatch, module, error, after=1):
    """Let a training end with an error after an epoch or before the first."""
    whole = module.train

    def train(*arguments, **settings):
        epochs = whole(*arguments, **settings)
        for _ in range(after):
            yield next(epochs)
        raise error

    monkeypatch.setattr(module, "train", train)
    return lambda: monkeypatch.setattr(module, "train", whole)


@pytest.mark.parametrize(
    ("error", "code", "event", "text"),
    [
        pytest.param(
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            1,
            "failed",
            "The training failed: out of memory",
            marks=pytest.mark.faults,
        ),
        (OSError(28, "No space left on device"), 1, "failed", "The training failed: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted", "The training was stopped after "),
        pytest.param(
            ValueError(f"a bug with {SECRET}"),
            None,
            "failed",
            "The run broke off (ValueError).",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_a_training_that_breaks_off_tells_that_each_time(folder, tiny, sweep, monkeypatch, error, code, event, text):
    with Webhook(path=f"/{SECRET}") as hook:
        (folder / "tiny.yaml").write_text(with_webhook(tiny, hook.address).replace("max_epochs: 2", "max_epochs: 4"))
        mend = broken(monkeypatch, loop, error)
        for times in (1, 2):
            if code is None:
                with pytest.raises(ValueError, match="a bug"):
                    sweep("train", "tiny.yaml")
            else:
                assert sweep("train", "tiny.yaml").code == code
            assert len(hook.told) == times
            assert (hook.told[-1]["event"], hook.told[-1]["what"]) == (event, "training")
            assert hook.told[-1]["text"].startswith(f"tiny: {text}")
            assert SECRET not in hook.told[-1]["text"]
        mend()
        assert sweep("train", "tiny.yaml").code == 0
        assert [each["event"] for each in hook.told] == [event, event, "ended"]


def signalled(module, number):
    """Let a process get a signal in the middle of a training."""

    def train(*arguments, **settings):
        epochs = whole(*arguments, **settings)
        os.kill(os.getpid(), number)
        yield from epochs

    whole, module.train = module.train, train


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.faults)])
@pytest.mark.parametrize(("verb", "module"), [("train", loop), ("refit", refit)])
def test_a_signal_ends_it_and_is_told(copied, tiny, verb, module, number):
    with Webhook() as hook:
        (copied.folder / "tiny.yaml").write_text(with_webhook(tiny, hook.address))
        words = [verb, "tiny.yaml"]
        answer = forking.call(words, copied.folder, dict(os.environ), before=lambda: signalled(module, number))
        assert answer.code == 130, answer.err
    [end] = hook.told
    what = "training" if verb == "train" else verb
    assert (end["event"], end["what"], end["best"]) == ("interrupted", what, None)


def test_a_refit_tells_its_end_and_its_failure(copied, tiny, sweep, monkeypatch):
    with Webhook(path=f"/{SECRET}") as hook:
        (copied.folder / "tiny.yaml").write_text(with_webhook(tiny, hook.address))
        best = stored.read(copied.url, "tiny").best.number
        mend = broken(monkeypatch, refit, OSError(28, "No space left on device"), after=0)
        for count in (1, 2):
            assert sweep("refit", "tiny.yaml").code == 1
            assert len(hook.told) == count
            assert (hook.told[-1]["event"], hook.told[-1]["what"]) == ("failed", "refit")
            assert hook.told[-1]["text"].startswith(
                f"tiny: The refit of trial {best}: the refit could not go on: trial "
            )
            assert "[Errno 28] No space left on device" in hook.told[-1]["text"]
        mend()
        assert sweep("refit", "tiny.yaml").code == 0
        [end] = hook.told[count:]
        assert (end["event"], end["what"], end["best"], end["complete"]) == ("ended", "refit", None, True)
        assert end["text"] == f"tiny: The refit of trial {best} has ended (trial 5)."
        assert sweep("refit", "tiny.yaml").code == 0
        assert sweep("refit", "tiny.yaml", "--seeds", "0").code == 2
        assert len(hook.told) == count + 1, "nothing was trained"


def killed_before_telling():
    """Lets this process die when all seeds are stored, and the webhook is yet to be told."""
    fitting._Fit._tell = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def test_the_end_of_a_refit_whose_driver_was_killed_before_telling_is_told_by_the_next_and_once(copied, tiny, sweep):
    with Webhook(path=f"/{SECRET}") as hook:
        (copied.folder / "tiny.yaml").write_text(with_webhook(tiny, hook.address))
        words = ["refit", "tiny.yaml"]
        answer = forking.call(words, copied.folder, dict(os.environ), before=killed_before_telling)
        assert answer.code == -signal.SIGKILL, answer.err
        assert [trial.state for trial in stored.read(copied.url, "tiny").refit] == ["COMPLETE"]
        assert hook.told == []
        hook.mode = "404"  # refused for good: told again by the next
        assert sweep(*words).code == 0
        hook.mode = "take"
        for _ in range(2):
            assert sweep(*words).code == 0
        assert [each["text"].partition(" (")[0] for each in hook.told] == ["tiny: The refit of trial 4 has ended"] * 2


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (f"https://a/{SECRET}", "notify: ***"),
        (f"'https://a/{SECRET}'", "notify: '***'"),
        ('"https://a/${HOOK}"', "https://a/${HOOK}"),
        (f'"https://me:{SECRET}@a/${{HOOK}}"', "https://***:***@a/${HOOK}"),
        (f'"https://:{SECRET}@a/b?to=${{HOOK}}"', "https://:***@a/b?to=${HOOK}"),
        ('"https://:${HOOK}@a/b"', "https://:${HOOK}@a/b"),
        (f'"${{HOOK:-https://a/{SECRET}}}"', "${HOOK:-***}"),
        (f'"https://a/\\x68{SECRET[1:]}"', None),
    ],
)
def test_the_address_is_no_part_of_the_spec_that_study_and_mlflow_get(write, written, kept):
    path = write(f"name: a\ntracking: {{notify: {written}}}\n")
    document = yaml_document.read(path, ["tracking.notify=http://other"], {"HOOK": SECRET})
    shown = document.public(("tracking", "notify"))
    assert SECRET not in shown
    assert kept in shown if kept else shown == ""


def test_refusals(folder, tiny, sweep):
    def faults(section):
        (folder / "tiny.yaml").write_text(f"{tiny.spec}tracking: {section}\n")
        answer = sweep("run", "tiny.yaml", HOOK=f"gopher://a/{SECRET}")
        assert (answer.code, answer.out) == (2, "")
        assert SECRET not in answer.err
        assert not (folder / "runs").exists()
        return answer.err

    assert "is no address of a webhook" in faults('{notify: "${HOOK}"}')
    assert "names no topic of ntfy" in faults("{notify: 'https://ntfy.sh', notify_form: ntfy}")
    assert "would do nothing: tracking.notify names no webhook" in faults("{notify_form: slack}")
    assert "slack" in faults("{notify: 'https://a/b', notify_form: slak}")
