"""Is the network worth it, on the specs that are shipped? The whole sweep of each from several seeds, in one table.

    python tests/bench/verdicts.py [--specs co2 weather …] [--seeds 1 2 3] [--concurrency 2] [--home runs]

Each sweep is run by `sweep run`, with the seed given to the sampler and to the training, and its verdict is read by
`sweep best --json`. A spec without a search is its one training. All of seed 1 comes before seed 2. Interrupted, the
same command goes on: `sweep run` does not train again what is there. The environment says where data lie that are not
shipped (ETTH1_CSV, TINYSHAKESPEARE_TXT). What was found is kept in `--json`, of earlier calls too, and the table in
`--table` is written anew from it after each sweep, between two lines there. What an older version of a spec has found
is left out, and said. Exit codes: 0 every sweep has its verdict, 1 one has none, 130 interrupted.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

from experiments import shipped
from experiments.spec import yaml_document as yaml_file
from lstm.records.errors import BadInput
from lstm.verdict import sentences
from lstm.verdict.verdict import Row, Verdict, of_row

ROOT = Path(__file__).parents[2]
SPECS = ("co2", "weather", "etth1", "etth1_48", "etth1_168", "digits", "adding", "text", "shakespeare")
BEGIN, END = "<!-- verdicts: written by tests/bench/verdicts.py -->", "<!-- /verdicts -->"
ANSWERS = {
    "better": "better",
    "alike": "can't be told apart",
    "worse": "worse",
    "unknown": "too few blocks to tell",
    "none": "no network or no rival to hold it against",
}
LIBRARIES = ("torch", "ray", "optuna", "mlflow", "scikit-learn", "numpy")
Sweep = Callable[..., tuple[int, str]]  # a verb and its arguments; its exit code and standard output


def main(given: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", nargs="+", default=list(SPECS), choices=SPECS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--home", default=os.environ.get("SWEEP_HOME", "runs"))
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--table", type=Path, default=ROOT / "docs" / "accuracy.md")
    options = parser.parse_args(given)
    verb = _verb(options.home)
    missing = list[str]()
    for seed in options.seeds:
        for spec in options.specs:
            code, rows = swept(verb, spec, seed, options.concurrency)
            if code in {3, 130}:
                return code
            if not rows:
                missing.append(f"{spec} from seed {seed} (exit {code})")
            keep(options.json, options.table, rows)
    if missing:
        print(f"no verdict: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def _verb(home: str) -> Sweep:
    """Runs a verb of `sweep` in a process of its own; what it says to people goes on to the screen."""

    def verb(*words: str) -> tuple[int, str]:
        command = [str(Path(sys.executable).with_name("sweep")), "--home", home, *words]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        return ended.returncode, ended.stdout

    return verb


def swept(verb: Sweep, spec: str, seed: int, concurrency: int | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Drives the sweep of a spec from a seed to its end; the exit code, and its row where there is a verdict."""
    path = str(shipped.FOLDER / f"{spec}.yaml")
    written = yaml_file.read(path, whole=False).filled
    name = f"{written['name']}-seed-{seed}"
    words = ["--set", f"name={name}", "--set", f"training.seed={seed}"]
    if "search" in written:
        words += ["--set", f"search.sampler.seed={seed}"]
        words += ["--set", f"resources.max_concurrent={concurrency}"] if concurrency else []
    print(f"{spec}, seed {seed}: sweep run {path} {' '.join(words)}", file=sys.stderr, flush=True)
    code, _ = verb("run", path, *words, "--json")
    if code > 1:
        return code, []
    documents = {}  # after 1, too: what MLflow lacks, say, is no fault of the verdict; `sweep run` has told it
    for each in ("best", "status", "compare"):
        failed, document = verb(each, name, "--json")
        if failed:
            return failed, []
        documents[each] = json.loads(document)
    if not (documents["status"]["complete"] and documents["best"]["verdict"]):
        return 1, []
    return code, [{"spec": spec, "seed": seed, **row(**documents), **circumstances(str(written["name"]))}]


def row(best: Mapping[str, Any], status: Mapping[str, Any], compare: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a sweep: its verdict without the weaker rivals, and what it has cost."""
    verdict, config = best["verdict"], best["best"]["config"] if best["best"] else {}
    told = {key: value for key, value in verdict.items() if key not in {"answer", "lines", "rows"}}
    shown = {verdict["best"], verdict["best_on_test"]}
    rows = [each for each in verdict["rows"] if each["role"] != "rival" or each["name"] in shown or each["why"]]
    data = config.get("data", {})
    return {
        "sweep": best["sweep"],
        "answer": verdict["answer"],
        "sentence": sentences.sentence(of_row({**told, "rows": rows})),
        "against_base": sentences.base(of_row({**told, "rows": rows})),
        "verdict": {**told, "rows": rows},
        "parameters": best["best"]["parameters"] if best["best"] else {},
        "split": data.get("split") or data.get("sizes"),
        "trials": best["n_trials"],
        "states": best["states"],
        "epochs": compare["sweeps"][0]["epochs"],
        "core_s": round(status["goodput"]["worker_s"]),
    }


def circumstances(name: str) -> dict[str, Any]:
    """When, on what and with which version of the spec a sweep was run."""
    return {
        "version": shipped.versions()[name][-1],
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores of {_processor()}",
        "versions": {"python": platform.python_version(), **{each: version(each) for each in LIBRARIES}},
    }


def _processor() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def keep(file: Path, table: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds rows to those that are kept, each in the place of an earlier one of its spec and seed, and writes both."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    ordered = {(each["spec"], each["seed"]): each for each in [*known, *rows]}
    kept = sorted(ordered.values(), key=lambda each: (SPECS.index(each["spec"]), each["seed"]))
    _replace(file, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    text = table.read_text(encoding="utf-8") if table.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BadInput(f"{table}: the table stands between the lines {BEGIN} and {END}; write them where it shall be")
    _replace(table, f"{before}{BEGIN}\n\n{document(kept)}\n\n{END}{after}")


def _replace(path: Path, text: str) -> None:
    """Writes a file as a whole: one that was interrupted leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def document(rows: Sequence[Mapping[str, Any]]) -> str:
    """The two tables in Markdown: a line per spec, then a line per sweep."""
    today = [each for each in rows if each["version"] == _today(each["spec"])]
    older = [f"{each['spec']} from seed {each['seed']}" for each in rows if each not in today]
    of_specs = {spec: [each for each in today if each["spec"] == spec] for spec in SPECS}
    lines = [
        "| spec | split | blocks | seeds | verdict | better than the best rival by | best rival |",
        "| --- " * 7 + "|",
    ]
    lines += [summary(spec, each) for spec, each in of_specs.items() if each]
    lines += ["", "| spec | seed | metric | network | base | best rival | the network is | than the base | "
              "trials | epochs | core seconds | date |", "| --- " * 12 + "|"]  # fmt: skip
    lines += [line(each) for each in today]
    if lacking := [spec for spec, each in of_specs.items() if not each]:
        lines += ["", f"Not run: {', '.join(lacking)}."]
    if older:
        lines += ["", f"Run with an older version of the spec, and left out: {', '.join(older)}."]
    for told in dict.fromkeys(_made(each) for each in today):
        lines += ["", told]
    return "\n".join(lines)


def _today(spec: str) -> str:
    name = str(yaml_file.read(shipped.FOLDER / f"{spec}.yaml", whole=False).filled["name"])
    return shipped.versions()[name][-1]


def summary(spec: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A spec's line: how often which answer, and how far the network is from the best rival."""
    answers = Counter(each["answer"] for each in rows)
    told = ", ".join(f"{ANSWERS[answer]} {answers[answer]} of {len(rows)}" for answer in ANSWERS if answers[answer])
    found = [of_row(each["verdict"]) for each in rows]
    rivals = [rival for each in found if (rival := each.best_rival)]
    gains = [rival.difference for rival in rivals if rival.difference and rival.difference.value is not None]
    values = [each.value for each in gains if each.value is not None]
    units = {"%": " %", "points": " points", "metric": ""}
    spread = "" if not values else (
        f"{sentences.number(mean(values))}{units[gains[0].unit]}"
        + (f" ({sentences.number(min(values))} to {sentences.number(max(values))})" if len(values) > 1 else "")
    )  # fmt: skip
    names = ", ".join(dict.fromkeys(rival.name for rival in rivals))
    seeds = " ".join(str(each["seed"]) for each in rows)
    blocks = ", ".join(dict.fromkeys(f"{each.blocks:,}" for each in gains))
    return f"| {spec} | {_split(rows[0]['split'])} | {blocks} | {seeds} | {told} | {spread} | {names} |"


def _split(split: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{part} {value}" for part, value in (split or {}).items() if value is not None)


def line(row: Mapping[str, Any]) -> str:
    """A sweep's line: figures of the test part."""
    found = of_row(row["verdict"])
    rival = found.best_rival
    cells = (
        row["spec"],
        row["seed"],
        found.metric,
        _figure(found.network),
        _figure(found.base),
        f"{_figure(rival)} {rival.name}" if rival else "",
        row["sentence"],
        _against(found, found.base),
        row["trials"],
        row["epochs"],
        row["core_s"],
        row["date"],
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _figure(row: Row | None) -> str:
    return "" if row is None or row.test is None else f"{row.test:.4g}"


def _against(found: Verdict, row: Row | None) -> str:
    if row is None:
        return "" if found.searched else "one training"
    if found.network is not None and row.trial == found.network.trial:
        return "the same"
    difference = row.difference
    return sentences.amount(difference) if difference and difference.value is not None else row.why


def _made(row: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{library} {number}" for library, number in row["versions"].items())
    return f"{row['date']}: {row['machine']}; {versions}."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BadInput as error:
        print(error, file=sys.stderr)
        sys.exit(2)
