"""Reads the profile of a cluster: the file, with the options of the command line before it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cluster.launch import written
from cluster.launch.profile import LEAST_MB, KubernetesProfile, Profile, SlurmProfile, memory_mb, seconds
from cluster.launch.slurm import options
from cluster.launch.system import SYSTEMS
from experiments.spec import validation, yaml_document
from experiments.spec.mapping import Given, Source, literal
from lstm.records.errors import BadInput, Fault, fault

# What an option of another system is on a system.
_INSTEAD = {
    ("slurm", "image"): "`environment` in the profile that says what the nodes run: a folder with a Python environment",
    ("slurm", "queue"): "--partition that says on which nodes",
    ("kubernetes", "partition"): "`node_selector` in the profile that says on which nodes",
}
FILE = Path("lstm-sweeps", "clusters.yaml")  # in the folder of the user's settings


def usual(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where a user's profile is looked for: in XDG_CONFIG_HOME, or ~/.config; None for a user without a home."""
    given = environment.get("XDG_CONFIG_HOME", "")
    base = given if os.path.isabs(given) else os.path.expanduser("~/.config")  # noqa: PTH111, PTH117
    return Path(base) / FILE if os.path.isabs(base) else None  # noqa: PTH117


def read(system: str, file: str | None, fields: Mapping[str, Any]) -> SlurmProfile | KubernetesProfile:
    """Return a system's section of a profile.

    Args:
        system: The system, which is the section's name.
        file: The profile; None for the user's own, which need not exist.
        fields: Fields of the section that the command line gives.

    Raises:
        BadInput: the file does not exist, or fields of it or of the command line are wrong; with all faults.
    """
    typed = {f"{system}.{name}={literal(value)}": f"--{name} {value}" for name, value in fields.items()}
    try:
        document = yaml_document.read(_source(system, file), list(typed))
        try:
            whole = Profile.model_validate(document.filled)
        except ValidationError as error:
            found = error.errors(include_url=False)
            raise document.refuse(validation.tell(found, document, Profile)) from None
        section: SlurmProfile | KubernetesProfile = getattr(whole, system)
        if wrong := [*_faults(system, section)]:
            raise document.refuse(wrong)
    except BadInput as error:
        raise BadInput(*(_as_typed(each, typed, system) for each in error.faults)) from None
    return section


def _faults(system: str, section: SlurmProfile | KubernetesProfile) -> Iterator[Fault]:
    warn_s = section.warn if isinstance(section, SlurmProfile) else 0
    if section.time and (time_s := seconds(section.time)) <= warn_s:  # Slurm takes 0 for no limit
        yield fault("launch-time-too-short", f"{system}.time", time_s=time_s, warn_s=warn_s or None)
    for name in ("memory", "head_memory"):
        if (given := getattr(section, name, None)) and (there := memory_mb(given)) < LEAST_MB:
            yield fault("launch-memory-too-small", f"{system}.{name}", memory_mb=there, least=LEAST_MB)
    if isinstance(section, SlurmProfile):
        if section.gpu_type and not section.gpus:
            yield fault("gpu-type-without-gpus", f"{system}.gpu_type")
        yield from options.faults(f"{system}.options", section.options)
    yield from _secrets(system, section)


def _secrets(system: str, section: SlurmProfile | KubernetesProfile) -> Iterator[Fault]:
    """Yield a fault for each secret in what would be submitted of a section."""
    told: dict[str, Any] = {each: each if each == system else None for each in SYSTEMS}
    if isinstance(section, SlurmProfile):
        lines = {f"setup.{number}": line for number, line in enumerate(section.setup)}
        lines |= {f"options.{number}": option for number, option in enumerate(section.options)}
        found = {path: (written.has_password(line), written.secret_in(line)) for path, line in lines.items()}
    else:
        given = section.environment
        found = {
            f"environment.{name}": (written.has_password(value), name * written.is_secret(name, value))
            for name, value in given.items()
        }
    for path, (has_password, name) in found.items():
        if has_password or name:
            what: dict[str, Any] = {"name": name or None, "address": None if name else "password"}
            yield fault("launch-secret-in-profile", f"{system}.{path}", **what, **told)


def has_profile(file: str | None) -> bool:
    """Return whether there is a profile: a file that is named, or the user's own."""
    return file is not None or ((own := usual()) is not None and own.exists())


def _source(system: str, file: str | None) -> Source:
    given = file if file is not None else usual()
    return str(given) if given is not None and has_profile(file) else Given.of({system: {"nodes": 1}})


def _as_typed(each: Fault, typed: Mapping[str, str], system: str) -> Fault:
    """Return a fault at the option that was typed, instead of the field that the option sets."""
    given = next((said for option, said in typed.items() if each.place == f"--set {option}"), None)
    if given and each.code == "field-of-another-section":
        [other], name = each.values["sections"], each.values["name"]
        told = {"system": system, "other": other, "instead": _INSTEAD.get((system, name))}
        return fault("launch-option-of-another-system", at=given, **told)
    if each.code in ("spec-empty", "spec-no-mapping"):
        return fault("profile-without-section", at=each.place, system=system)
    return replace(each, place=given, path="") if given else each
