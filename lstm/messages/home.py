"""Messages about the home folder, sweeps by name, what was lost."""

from lstm.messages.entry import Entry

_OTHER_HOME = "give another folder with --home"
_TWO = ["/work/specs/study.db", "/work/study.db"]
_LEFT = {"trials": 12, "checkpoints": "/work/runs/etth1/2f0c", "runs": 12}

ENTRIES = {
    # --- The home
    "home-has-question-mark": Entry(
        "has a ? in its path, which the addresses of its databases can't have", f"{_OTHER_HOME}, without a ?"
    ),
    "home-has-percent": Entry(
        "has a % in its path that some readers of the addresses of its databases would decode",
        f"{_OTHER_HOME}, without a %",
    ),
    "home-not-utf8": Entry(
        "is not UTF-8 text, which the addresses of its databases must be", f"{_OTHER_HOME}, in UTF-8"
    ),
    "home-not-possible": Entry("can't be a folder: {why}", _OTHER_HOME, example={"why": "File name too long"}),
    "home-is-file": Entry("{file:?* }is a file, must be a folder", _OTHER_HOME, example={"file": "/work/data.csv"}),
    "home-not-writable": Entry("{folder} can't be written to", _OTHER_HOME, example={"folder": "/mnt/archive"}),
    "home-is-empty": Entry("has no records yet", "run a spec first with `sweep run`"),
    "home-record-not-read": Entry(
        "can't be read: {why}",
        "make the file readable, or give another home with --home",
        example={"why": "Permission denied"},
    ),
    "home-record-damaged": Entry("is damaged", "remove the file; the next `sweep run` writes it again"),
    "folder-not-made": Entry(
        "the folder {folder} can't be made: {why}",
        "make the place writable, or give another home with --home",
        example={"folder": "/mnt/archive/runs/etth1", "why": "Permission denied"},
    ),
    "sweep-folder-is-file": Entry(
        "is a file, must be the folder of the sweep", "move the file away, or give the sweep another name"
    ),
    # --- Names and addresses
    "no-sweep-of-this-name": Entry(
        "{home} has no sweep of this name{near:?, did you mean *?}{known:? (it has *)}",
        "give the NAME of a sweep that was run, or its SPEC file, or another home with --home",
        example={"home": "/work/runs", "near": None, "known": ["etth1", "weather"]},
    ),
    "file-in-several-places": Entry(
        "{path} is a relative path, and {files} all exist",
        "move all but one of them away, or give the whole path; a relative path starts at the spec",
        example={"path": "study.db", "files": _TWO},
    ),
    "folder-missing": Entry(
        "the folder {folder:?*}{address:?of *} does not exist",
        "make the folder first, or give another",
        example={"folder": "/work/databases", "address": None},
    ),
    # --- What was lost
    "study-lost": Entry(
        "the study of this sweep does not exist any more, though {said_by} says that the sweep was run (left, and "
        "unchanged: {trials:,} trials{checkpoints:? in *}, {runs:,} runs in MLflow)",
        "restore the study from what is left with `sweep rebuild {named} --study{flag}`, or begin anew: give the spec "
        "another name, or move {away} away",
        example={**_LEFT, "said_by": "/work/runs/etth1", "named": "etth1", "flag": "", "away": "/work/runs/etth1"},
    ),
    "several-studies-left": Entry(
        "{count} studies have checkpoints here, and nothing says which of them is meant",
        "move the folders of the others away",
        example={"count": 2},
    ),
    "checkpoints-of-study": Entry(
        "has checkpoints of {trials:,} trials of the study {study}{home:? in *}",
        "move the folder away unless this study is meant",
        example={"trials": 12, "study": "2f0c", "home": "the home /work/runs of ann on node-1"},
    ),
    "study-not-lost": Entry("the study of this sweep exists", "leave --study out: it restores a study that was lost"),
    "nothing-left-of-study": Entry(
        "nothing is left of an earlier study, neither checkpoints nor runs in MLflow",
        "begin the sweep anew with `sweep run`",
    ),
    "data-of-another-training": Entry(
        "are not those that {trained} was trained on",
        "bring the data back as they were then",
        example={"trained": "etth1"},
    ),
}
