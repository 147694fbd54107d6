"""Plans a sweep where not all of it can be seen: only the nodes may know an address of it, or reach its study."""

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.launch.profile import KubernetesProfile, SlurmProfile
from cluster.study.database import file_of
from experiments import lookup
from experiments.home import Home
from experiments.operations import running
from experiments.planning import Plan, make
from experiments.spec.mapping import literal
from experiments.spec.yaml_parser import value_at
from experiments.trials.earlier import with_first
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault, may_pass, why_of

# By field: an address of the right form, in place of one that is not known here. No host has such a name (RFC 2606).
_UNKNOWN = {
    "storage.study": "postgresql://unknown.invalid/unknown",
    "storage.checkpoints": "s3://unknown.invalid/unknown",
    "tracking.uri": "http://unknown.invalid",
    "tracking.notify": "https://unknown.invalid",
}
_ASKED = ("storage.study", "storage.checkpoints")  # a launch opens these
_OF_EACH = {"HOME", "HOSTNAME", "PATH"}  # variables that every container has


@dataclass(frozen=True)
class Planned:
    """A plan, and what could not be seen for it."""

    plan: Plan
    notes: tuple[Note, ...] = ()
    faults: tuple[Fault, ...] = ()  # for which `launch` refuses the sweep: variables that the profile does not give
    is_study_seen: bool = True
    unknown: Mapping[str, str] = field(default_factory=dict)  # by address that stands in: what the spec has there

    def shown(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the plan's description with addresses as the spec has them, in place of those that stand in."""
        kept = dict(found.get("kept", {}))
        for address, written in self.unknown.items():
            kept = {name: text.replace(address, written) for name, text in kept.items()}
        return {**found, "kept": kept}


def planned(
    named: str, home: Home, profile: SlurmProfile | KubernetesProfile, overrides: Sequence[str], code: str | None
) -> Planned:
    """Plan a sweep as `run` does, as far as it can be seen here; start and write nothing.

    Raises:
        BadInput: `run` would refuse the sweep.
    """
    notes, faults, stand_ins, unknown = list[Note](), list[Fault](), list[str](), dict[str, str]()
    if isinstance(profile, KubernetesProfile):
        faults, secrets = _lacking(named, home, profile, overrides), [*profile.driver_secrets, *profile.secrets]
        if faults and secrets:
            names = [each.values["name"] for each in faults]
            notes, faults = [note("launch-variables-of-secrets", secrets=secrets, names=names)], []
        stand_ins = [*_stand_ins(named, home, profile, overrides, unknown)]
    given = (*overrides, *stand_ins)
    if fields := [each for each in _ASKED if _UNKNOWN[each] in unknown]:
        notes.append(note("launch-address-unknown", fields=fields))
        away = None
    else:
        try:
            plan = running.prepare(named, home, None, given, code=code).plan
            return Planned(plan, tuple(notes), tuple(faults), unknown=unknown)
        except BadInput as error:
            if not may_pass(error):
                raise
            away = error
    plan = make(lookup.spec(named, home, given, execute=True, code=code), home)
    if away:
        if not _is_away(plan, away):
            raise away
        kubernetes = "kubernetes" if isinstance(profile, KubernetesProfile) else None
        why = plan.spec.document.hide(why_of(away))
        notes.append(note("launch-store-unreached", why=why, kubernetes=kubernetes))
    return Planned(with_first(plan, None), tuple(notes), tuple(faults), is_study_seen=False, unknown=unknown)


def _is_away(plan: Plan, error: BadInput) -> bool:
    """Return whether an error is about a server, which the nodes may reach, and not about files of this machine."""
    order, of_study = plan.order, any(each.code.startswith("study-") for each in error.faults)
    return file_of(order.study_url) is None if of_study else "://" in order.sweep_folder


def _lacking(named: str, home: Home, profile: KubernetesProfile, overrides: Sequence[str]) -> list[Fault]:
    """Return a fault for each variable of the spec without a default that the profile itself does not give."""
    document, given = lookup.document(named, home, overrides, {}), {*profile.environment, *_OF_EACH}
    found = {wrong.values["name"]: at for _, at, wrong in reversed(document.lacking)}
    return [
        fault("launch-variable-lacking", ".".join(map(str, at)), at=document.where(at), name=name)
        for name, at in reversed(found.items())
        if name not in given
    ]


def _stand_ins(
    named: str, home: Home, profile: KubernetesProfile, overrides: Sequence[str], unknown: dict[str, str]
) -> Iterator[str]:
    """Yield overrides for the fields that need variables which this machine lacks: as the pods have them, if known.

    What is not known is put into `unknown`.
    """
    here = lookup.document(named, home, overrides)
    there = lookup.document(named, home, overrides, ChainMap(dict(profile.environment), dict(os.environ)))
    for at in dict.fromkeys(at for _, at, _ in here.lacking):
        path = ".".join(map(str, at))
        if there.without(at) is None:
            yield f"{path}={literal(value_at(there.filled, at))}"
        elif path in _UNKNOWN:
            unknown[_UNKNOWN[path]] = str(value_at(here.written, at))
            yield f"{path}={literal(_UNKNOWN[path])}"
