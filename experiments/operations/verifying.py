"""Checks a sweep from its records alone: what is wrong, and how to fix it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments import judgement, lookup
from lstm.ownership import studies_of
from lstm.records.errors import Finding
from lstm.records.sweep import Sweep


def verify(found: lookup.Found) -> tuple[list[Finding], dict[str, Any]]:
    """Check a sweep's records. Returns all that is wrong, and how many trials and epochs were checked.

    Raises:
        BadInput: the sweep was not run yet, or its study can't be read.
    """
    from cluster.study import lease, stored
    from cluster.study import verify as cluster_check
    from dashboards.tracking import verify as mlflow_check

    driven = lease.driver(found.study_url, found.name) is not None
    sweep = lookup.read(found)
    kept = cluster_check.check(sweep, driven=driven)
    remembered = stored.facts(found.study_url, found.name) or {}
    judged = [*_judged(found, sweep, driven=driven)]
    known, here = str(remembered.get("checkpoints", "")), str(sweep.facts.get("checkpoints", ""))
    expected = mlflow_check.Expected(
        sweep=sweep,
        study=str(sweep.facts.get("id", "")),
        histories=kept.histories,
        whole=sweep.facts.get("recorded") == found.home.store_mark(found.tracking_uri),
        driven=driven,
        read_yaml=_read_yaml,
        moved=(known, here) if known != here else None,
        rivals={} if judged else judgement.in_mlflow(found.home, sweep)[0],
        only_these=not judged and judgement.is_here(found.home, sweep),
    )
    with _store(found) as uri:
        findings = [*kept.findings, *judged, *mlflow_check.check(uri, expected)]
    # A command that is named must find this home.
    named = re.compile(f"`(sweep \\w+ {re.escape(sweep.name)}[^`]*)`")
    flag = found.home.flag
    findings = [f._replace(mend=named.sub(lambda match: f"`{match[1]}{flag}`", f.mend)) for f in findings]
    looked = {
        "trials": len(sweep.trials),
        "epochs": sum(len(history) for history in kept.histories.values()),
        "driven": driven,
    }
    return findings, looked


def _judged(found: lookup.Found, sweep: Sweep, *, driven: bool) -> Iterator[Finding]:
    """Yield what is wrong with the judgements and the fitted rivals in the sweep's folder."""
    from lstm.verdict import store

    told = {} if driven else judgement.told(sweep)  # a driver may have written only one of the two yet
    whole = bool(sweep.facts.get("complete")) and not driven and judgement.is_here(found.home, sweep)
    folder, fingerprint = str(found.home.sweep(sweep.name)), str(sweep.facts.get("data_fingerprint") or "")
    findings = [*store.check(folder, studies_of(sweep.facts), fingerprint, told, whole=whole)]
    if whole and not findings and (what := judgement.stale(found.home, sweep)):
        findings.append(Finding(None, "checkpoint", what, store.MEND))
    for finding in findings:
        yield finding._replace(mend=finding.mend.replace("NAME", sweep.name))


@contextmanager
def _store(found: lookup.Found) -> Iterator[str]:
    """Yield the address of MLflow's store; if the home has moved, of a copy with corrected addresses."""
    from dashboards.tracking import relocate

    home = found.home
    is_here = found.tracking_uri == home.tracking_uri and home.database.is_file()
    if is_here and (places := home.moved_from()):
        with relocate.as_if_here(home.database, places, home.folder) as copy:
            yield f"sqlite:///{copy}"
    else:
        yield found.tracking_uri


def _read_yaml(path: str) -> Any:
    from experiments.spec.yaml_parser import plain

    try:
        return plain(Path(path).read_text(encoding="utf-8"))
    except ValueError:  # not text, or not YAML
        return None
