"""Makes the plan of a sweep: `sweep plan` prints it, and `sweep run` carries it out."""

import math
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.config import StorageConfig, SuccessiveHalvingPruner
from cluster.launch import record
from cluster.order import Order
from cluster.space import suggest
from cluster.study.database import file_of
from cluster.study.moved import folder_of
from dashboards.tracking.runs import missing_file, without_password
from experiments import addresses, own_code
from experiments.home import Home, kept_in, user
from experiments.spec import loader as specs
from experiments.spec.experiment import largest
from experiments.spec.loader import Spec
from lstm.messages.message import Message, Note, note
from lstm.own_code import executed, find, is_known, placed
from lstm.records.errors import BadInput, Fault, NewerForm, fault
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from lstm.data.dataset import Dataset
    from lstm.training.estimates import Cost


@dataclass(frozen=True)
class Plan:
    """A sweep, ready to run."""

    spec: Spec
    home: Home
    order: Order
    series: "Dataset"
    tracking_uri: str
    notes: tuple[Note, ...] = ()  # choices that the spec does not make plain
    bases: Mapping[str, str] = field(default_factory=dict)  # by field: the folder where a relative address starts

    @property
    def artifacts(self) -> str | None:
        """The folder of MLflow's artifacts; None for a server, which chooses it itself."""
        return self.home.artifacts_of(self.tracking_uri)

    @property
    def store_mark(self) -> str:
        """An id of the MLflow store."""
        return self.home.store_mark(self.tracking_uri)

    @property
    def store_is_there(self) -> bool:
        """Return whether the MLflow store exists; only a file is checked."""
        return missing_file(self.tracking_uri) is None


def make(spec: Spec, home: Home, *, to_look: bool = False, load: "Callable[..., Dataset]" = tasks.load) -> Plan:
    """Load a spec's data and make its plan; start and write nothing. With `to_look` the home may be read-only.

    Raises:
        BadInput: the home, the addresses, the user's own code or the data are wrong; with all faults.
    """
    experiment = spec.experiment
    home.check(experiment.name)
    if (unwritable := home.unwritable()) and not to_look:
        raise BadInput(unwritable)
    try:
        where = _addresses(spec, home)
    except BadInput as error:
        raise BadInput(*map(spec.placed, error.faults)) from None
    databases = {"storage.study": where.study, "tracking.uri": where.tracking}
    if wrong := [each for name, address in databases.items() if (each := _folder_fault(spec, name, address))]:
        raise BadInput(*wrong)
    _check_cells(spec)
    try:
        series = load(experiment.widest, spec.location, experiment.reach)
    except BadInput as error:
        raise BadInput(*map(spec.placed, error.faults)) from None
    _check_fit(spec, series)
    order = _order(spec, home, where)
    notes = tuple(map(spec.document.hidden, [*where.notes, *addresses.on_network(order.study_url)]))
    return Plan(spec, home, order, series, where.tracking or home.tracking_uri, notes, where.bases)


def _check_cells(spec: Spec) -> None:
    """Check that the user's own cells are as they must be.

    Raises:
        BadInput: a cell is wrong, or its file was not executed.
    """
    digests = spec.document.code
    faults = list[Fault]()
    for at, name in own_code.references(spec.document.filled):
        if not is_known(name, digests):
            faults.append(fault("code-not-executed", ".".join(map(str, at)), name=name, digest=""))
            continue
        if at == ("task",):  # it was checked when it was executed
            continue
        from lstm.nn import own_cell

        try:
            own_cell.check(find(name, digests), name)
        except BadInput as error:
            faults += [replace(each, path=".".join(map(str, at))) for each in error.faults]
    if faults:
        raise spec.document.refuse(faults)


def _check_fit(spec: Spec, series: "Dataset") -> None:
    """Check that the networks and the methods of training fit the task and the data. Raises BadInput."""
    base, search = spec.experiment.base, spec.experiment.search
    fields = (*tasks.of(base).fitted, "training.method")
    configs = suggest.variants(base, search.space if search else {}, fields)
    with placed():
        wrong = [spec.placed(each) for config in configs for each in tasks.unfit(config, series)]
    if wrong:
        raise BadInput(*dict.fromkeys(wrong))


def _own_code(plan: Plan) -> list[Note]:
    """Return a note for each of the user's own files that are executed, with its digest."""
    return [note("own-code-executed", at=file, digest=digest[:12]) for file, digest in plan.order.base.code.items()]


def as_begun(plan: Plan, *, to_run: bool = False) -> Plan:
    """Return the plan with the loss of its sweep, if that was begun before. A sweep keeps its loss to its end.

    If the study can't be read, the plan stays as it is, with a note. With `to_run`, a note also says what a begun sweep
    was trained otherwise with, because `run` refuses that.
    """
    from cluster import opening
    from cluster.study import stored

    try:
        facts = stored.facts(plan.order.study_url, plan.order.name)
    except NewerForm:
        raise
    except BadInput as error:
        hidden = [plan.spec.document.hide(message) for message in error.messages]
        return replace(plan, notes=(*plan.notes, note("not-known-if-begun", at=plan.order.name, why=" ".join(hidden))))
    if not facts:
        return plan
    order = opening.with_loss_of(plan.order, facts)
    changed = opening.changes(facts, order, plan.series) if to_run else []
    why = "; ".join(f"{each.path or each.place}: {each.text}" for each in changed)
    told = [note("begun-otherwise", at=order.name, why=why)] if changed else []
    return replace(plan, order=order, notes=(*plan.notes, *told))


def _addresses(spec: Spec, home: Home) -> addresses.Addresses:
    experiment = spec.experiment
    return addresses.locate(
        experiment.name,
        home,
        spec.folder,
        study=experiment.storage.study,
        checkpoints=experiment.storage.checkpoints,
        tracking=experiment.tracking.uri,
        remembered=addresses.remembered(home, experiment.name),
    )


def _folder_fault(spec: Spec, field: str, address: str | None) -> Fault | None:
    """Return a fault if a database is a file in a folder that does not exist: no library creates the folder."""
    file = file_of(address) if address and address.startswith("sqlite") else None
    if file is None or file.absolute().parent.is_dir():
        return None
    section, _, name = field.partition(".")
    written = str(spec.written[section][name])
    folder = None if "${" in written else str(file.absolute().parent)
    place = spec.document.where(field)
    return fault("folder-missing", field, at=place, folder=folder, address=None if folder else written)


def _order(spec: Spec, home: Home, where: addresses.Addresses) -> Order:
    experiment = spec.experiment
    storage = StorageConfig(
        study=where.study or home.study_url,
        checkpoints=where.checkpoints or str(home.folder),
        keep=experiment.storage.keep,
    )
    comparable = specs.comparable(spec)
    order = Order(
        name=experiment.name,
        base=experiment.base,
        search=experiment.search,
        resources=experiment.resources,
        storage=storage,
        spec_text=spec.document.public(("tracking", "notify")),
        spec_hash=specs.spec_hash(comparable),
        comparable=comparable | specs.from_environment(spec),
        git_commit=_commit(spec.folder),
        user=user(),
        source=_source(spec, home),
        data_at=spec.shown_location,
        folder=str(spec.folder.absolute()),
        study_id=uuid.uuid4().hex,
        probe=experiment.probe.every_trial,
        system_metrics=experiment.tracking.system_metrics,
        place="" if "${" in str(spec.written["storage"]["study"]) else folder_of(where.study or home.study_url),
        mark=kept_in(home),
        code=executed(spec.document.code.values()),
        launched=record.of_environment(),
    )
    is_wanted = experiment.search is not None and experiment.search.confirm is not None
    return replace(order, confirm=order.confirming(is_asked=False)) if is_wanted else order


def _source(spec: Spec, home: Home) -> str:
    """Return the name of the spec's file; "" if it is the home's copy, or no file."""
    file = Path(spec.document.path)
    is_copy = file.absolute().parent == home.sweep(spec.experiment.name).absolute()
    return file.name if file.is_file() and not is_copy else ""


def _commit(folder: Path) -> str | None:
    """Return the git commit of the spec's folder; None outside a repository."""
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None


def estimate(plan: Plan, at_once: int | None = None) -> dict[str, Any]:
    """Measure a few training steps at both ends of the space, and return the estimates for this machine as plain data.

    Times are in seconds, memory in MB (10^6 bytes). Lists have the smallest and the largest trial. `at_once` is how
    many trials run at once; None for as many as this machine has room for.
    """
    from lstm.device import claim
    from lstm.tasks.registry import parameter_count, unshared_parameter_count
    from lstm.training.estimates import memory_bytes, seconds, to_confirm

    order = plan.order
    gpus = order.resources.gpus_per_trial
    device = claim(order.resources.cpus_per_trial, None if gpus == "auto" else gpus)
    low, high = suggest.ends(order.base, order.search.space) if order.search else (order.base, order.base)
    costs = [seconds(config, plan.series, device=device) for config in (low, high)]
    slots = _slots(plan) if at_once is None else at_once
    rounds = math.ceil(order.trials / max(slots, 1))  # trials one after another on each slot
    # After a backtest, this process trains the best trial and the base before the test part.
    spans = [sum(each.windows) * rounds + each.final * (1 + bool(order.search)) for each in costs]
    confirm = to_confirm(order.confirm, order.trials, costs, slots)
    spans = [span + more for span, more in zip(spans, confirm["seconds"] if confirm else (0.0, 0.0), strict=True)]
    return {
        "device": device,
        # A larger network may have fewer of one thing: the linear map of a long look-back, say.
        "parameters": sorted(parameter_count(c, plan.series) for c in (low, high)),
        "parameters_unshared": sorted(unshared_parameter_count(c, plan.series) for c in (low, high)),
        "memory_mb": sorted(float(f"{memory_bytes(c, plan.series) / 1e6:.3g}") for c in (low, high)),
        "epoch_s": [round(each.epoch, 4) for each in costs],
        "slots": slots,
        "sweep_s": [round(s, 2) for s in spans],
        "confirm": confirm,
        **({"backtest": _windows(plan, costs)} if order.base.windows.count > 1 else {}),
    }


def _windows(plan: Plan, costs: "Sequence[Cost]") -> dict[str, Any]:
    """Return what `describe` says of a backtest: each window with its steps, its cost and whether it is a rung."""
    from cluster.study.samplers_and_pruners import has_rung, longest

    order = plan.order
    windows = replace(order.base.windows, longest=longest(order.search, order.base))
    pruner = order.search.pruner if order.search else None
    task = tasks.of(order.base)
    rows = [
        {
            "window": number,
            **span,
            "steps": [1, windows.longest] if number == 1 else [windows.longest + number - 1] * 2,
            "rung": number > 1 and isinstance(pruner, SuccessiveHalvingPruner) and has_rung(pruner, windows, number),
            "seconds": sorted(round(each.windows[number - 1], 4) for each in costs),
        }
        for number, span in enumerate(task.describe(plan.series, order.base)["backtest"], 1)
    ]
    told = {"refit": windows.refit, "item": task.judged_item, "note": task.windows_note, "then_on": task.all_but_test}
    return {**told, "windows": rows, "before_test_s": sorted(round(each.final, 2) for each in costs)}


def _too_many(plan: Plan) -> list[Note]:
    """Return a note if more trials are asked for than the space has combinations."""
    order, count = plan.order, plan.order.combinations
    if count is None or count >= order.n_trials:
        return []
    at = plan.spec.document.where("search.n_trials")
    return [note("more-trials-than-combinations", "search.n_trials", at=at, trials=order.n_trials, combinations=count)]


def _slots(plan: Plan) -> int:
    """Return how many trials fit on this machine at once, counted as `run` does for each machine; 0 if none fits."""
    from cluster.ray_backend.room import fit
    from lstm.device import cpu_count, gpu_count

    resources, gpus = plan.order.resources, gpu_count()
    share = resources.gpus_per_trial
    here = fit(cpu_count(), gpus, resources.cpus_per_trial, float(gpus >= 1) if share == "auto" else share)
    return here if resources.max_concurrent == "auto" else min(here, resources.max_concurrent)


def _too_large(plan: Plan, slots: int) -> list[Note]:
    """Return a note if no trial fits on this machine; a cluster may have what a trial asks for."""
    from lstm.device import cpu_count, gpu_count, why_no_gpu

    if slots:
        return []
    asked, gpus = plan.order.resources, gpu_count()
    share = min(gpus, 1) if asked.gpus_per_trial == "auto" else asked.gpus_per_trial
    return [
        note(
            "machine-too-small",
            "resources",
            cpus=asked.cpus_per_trial,
            gpus=float(share),
            cpus_here=cpu_count(),
            gpus_here=gpus,
            why=why_no_gpu() if share and not gpus else None,
        )
    ]


def warnings(plan: Plan) -> list[Message]:
    """Return what a person should know before the plan is carried out."""
    doubts = map(plan.spec.document.hidden, tasks.of(plan.order.base).doubts(plan.series))
    unwritable = plan.home.unwritable()
    more = [unwritable] if unwritable else []
    made = [*_own_code(plan), *_earlier_loss(plan), *_too_many(plan)]
    return [*specs.warnings(plan.spec), *plan.notes, *made, *doubts, *more]


def _earlier_loss(plan: Plan) -> list[Note]:
    """Return a note if the sweep was begun by an earlier version, whose loss counts more."""
    order = plan.order
    lookbacks = [order.base.data.reach, *(end for end in _ends(order, "data.lookback") if isinstance(end, int))]
    counted = tasks.of(order.base).earlier_loss(plan.series, order.base, min(lookbacks))
    if not counted:
        return []
    return [note("earlier-loss-kept", "name", at=plan.spec.document.where("name"), sweep=order.name, counted=counted)]


def _ends(order: Order, path: str) -> list[Any]:
    """Return the ends, or the choices, of a searched field."""
    searched = order.search.space.get(path) if order.search else None
    return [value for _, value in suggest.ends_of(searched)] if searched else []


def _described(plan: Plan) -> dict[str, Any]:
    """Return the description of the data and their parts."""
    found, place = tasks.of(plan.order.base).describe(plan.series, plan.order.base), plan.spec.written_location
    text = f"{', '.join(place.values())}: " * bool(place) + found["data"]["text"]
    parts = ", ".join(f"{part} {number:,}" for part, number in found["windows"].items())
    return {"parts": parts, **found, "data": {**found["data"], "text": text, **place}}


def describe(plan: Plan, at_once: int | None = None) -> Mapping[str, Any]:
    """Return the plan as plain data, for people and for --json. Measures the estimates, as `estimate` does."""
    order, search = plan.order, plan.order.search
    started = time.perf_counter()
    with placed():
        measured = estimate(plan, at_once)
    return {
        "sweep": order.name,
        "task": order.base.task,
        "trials": order.n_trials,
        "max_epochs": int(largest("training.max_epochs", order.base.training.max_epochs, search)),
        "metric": order.base.metric,
        "direction": order.base.direction,
        "second_objective": search.second_objective.model_dump() if search and search.second_objective else None,
        "probe": order.probe,
        "sampler": search.sampler.type if search else None,
        "pruner": search.pruner.type if search else None,
        "space": {k: v.model_dump(exclude_none=True) for k, v in search.space.items()} if search else {},
        "first": [dict(settings) for settings in search.first_settings[: order.n_trials]] if search else [],
        "first_from": order.first_from.get("first", []),
        "base_is_first": order.base_is_first,
        "stop": search.stop.model_dump(exclude_none=True) if search else {},
        **_described(plan),
        "counted": tasks.of(order.base).counted,
        **measured,
        "measured_in_s": round(time.perf_counter() - started, 2),
        "kept": {
            "home": str(plan.home.folder),
            "study": without_password(order.study_url),
            "checkpoints": without_password(order.sweep_folder),
            "mlflow": without_password(plan.tracking_uri),
        },
        "hash": order.spec_hash,
        "combinations": order.combinations,
        "warnings": [*warnings(plan), *_too_large(plan, measured["slots"])],
    }
