"""Messages about checkpoints, what was judged, and where they are stored."""

from lstm.messages.entry import Entry

_LEFT = "; the checkpoint was left as it is"
_FOREIGN = "put the trial's own checkpoint back, or give this spec another name and run it anew"
_JUDGED = (
    "put back this sweep's own file, or remove the file: `sweep rivals NAME` judges and fits again what is missing, to "
    "the same numbers"
)

ENTRIES: dict[str, Entry] = {
    "newer-form": Entry(
        "the form {form} is newer than this version of lstm-sweeps, which reads forms up to {known}",
        "use the version of lstm-sweeps that wrote this form, or a later version",
        example={"form": 4, "known": 3},
    ),
    # --- Whose a checkpoint is
    "checkpoint-of-another-study": Entry(
        "the checkpoint is of the study {found}, not of trial {number} of the study {study}" + _LEFT,
        _FOREIGN,
        example={"found": "6f1c9a", "number": 3, "study": "e02b77"},
    ),
    "checkpoint-of-another-trial": Entry(
        "the checkpoint is of trial {found}, not of trial {number}" + _LEFT,
        _FOREIGN,
        example={"found": 4, "number": 3},
    ),
    "checkpoint-under-another-mark": Entry(
        "the checkpoint lies in a folder of the sweep {sweep}, study {found}{where:? in *}, and is not of trial "
        "{number} of the study {study}" + _LEFT,
        _FOREIGN,
        example={"sweep": "load", "found": "6f1c9a", "where": "sqlite:///study.db", "number": 3, "study": "e02b77"},
    ),
    "checkpoint-of-other-data": Entry(
        "the checkpoint was trained on the data {found}, trial {number} is of the data {data}" + _LEFT,
        _FOREIGN,
        example={"found": "0f3a9c51b2d4", "number": 3, "data": "77e0d1c6a98b"},
    ),
    "checkpoint-of-other-settings": Entry(
        "the checkpoint was trained with {found}, trial {number} has {settings}" + _LEFT,
        _FOREIGN,
        example={"found": ["training.seed=2"], "number": 3, "settings": ["training.seed=1"]},
    ),
    "folder-of-another-study": Entry(
        "the checkpoints in this folder are of the sweep {sweep}, study {found}{where:? in *}, this sweep's study is "
        "{study}; nothing in the folder was changed",
        "give this spec another name, or another storage.checkpoints",
        example={"sweep": "load", "found": "6f1c9a", "where": "sqlite:///study.db", "study": "e02b77"},
    ),
    "mark-unreadable": Entry(
        "the file says whose the checkpoints in its folder are, and can't be read",
        "restore the file, or remove the file if you are sure that the checkpoints are this sweep's",
    ),
    # --- What a checkpoint and what was judged hold
    "checkpoint-without-weights": Entry(
        "the checkpoint of the trial has no weights: no epoch of the trial was finite, or storage.keep: best kept the "
        "weights of the best trial alone",
        "take the best trial, or train anew with storage.keep: all",
    ),
    "judged-for-another-study": Entry(
        "the file is of the study {found}, this sweep's study is {study}; the file was left as it is",
        _JUDGED,
        example={"found": "6f1c9a", "study": "e02b77"},
    ),
    "judged-on-other-data": Entry(
        "the file was made from other data ({found}, not {data}); the file was left as it is",
        _JUDGED,
        example={"found": "0f3a9c51b2d4", "data": "77e0d1c6a98b"},
    ),
}
