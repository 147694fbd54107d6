"""Messages about the study's database, and who drives a sweep."""

from lstm.messages.entry import Entry

_DATABASE = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
_RENAME = "or give the spec another name"

ENTRIES: dict[str, Entry] = {
    # --- the address of a database
    "no-database-address": Entry("is no address of a database", _DATABASE),
    "address-with-two-ats": Entry("has two @", "write an @ in the password as %40"),
    "database-kind-not-offered": Entry("{kind} is not offered", _DATABASE, {"kind": "mysql"}),
    "database-driver-not-offered": Entry("is of a kind, or names a driver, that is not offered", _DATABASE),
    "postgresql-driver-missing": Entry(
        "needs PostgreSQL's driver, which is not installed",
        "install the driver: pip install 'lstm-sweeps[postgresql]'",
    ),
    "database-address-without-file": Entry(
        "names no file, and a sweep's records must outlast its driver", "write sqlite:///FILE"
    ),
    "database-address-unknown-option": Entry(
        "has a ?, with which options begin, and no known option follows", "write a ? in a path as %3F"
    ),
    # --- the database
    "study-database-unopened": Entry(
        "the database can't be opened: {why}",
        "check the address, and that the file's folder exists or the database's server runs",
        {"why": "unable to open database file"},
    ),
    "study-database-readonly": Entry(
        "the database can't be written to: {why}",
        "do this as a user who may write there, or with a copy of the home (--home)",
        {"why": "attempt to write a readonly database"},
    ),
    "study-database-gone": Entry(
        "the file of the database no longer exists: {file}",
        "restore the file, then try again",
        {"file": "/home/ann/runs/study.db"},
    ),
    "study-database-away": Entry(
        "the database does not answer: {why}",
        "try again when the database answers",
        {"why": "database is locked: /home/ann/runs/study.db"},
    ),
    "study-of-another-optuna": Entry(
        "the tables of the database are of another version of Optuna: {why}",
        "use the version of Optuna that made the tables, or name another database in storage.study",
        {"why": "The runtime optuna version 4.5.0 is no longer compatible with the table schema."},
    ),
    # --- a sweep
    "sweep-not-run": Entry("has not been run yet", "run its spec with `sweep run SPEC`"),
    "sweep-begun-at-once": Entry(
        "another driver has begun this sweep at the same moment", "run the same command again"
    ),
    "sweep-trained-otherwise": Entry(
        "the trials of this sweep were trained otherwise, so new trials could not be compared with them",
        "give the spec another name, or restore what has changed (n_trials, stop, resources, tracking and storage may "
        "change)",
    ),
    "setting-changed": Entry("was {old}, is {new}", f"set it to {{old}} again, {_RENAME}", {"old": "64", "new": "128"}),
    "setting-added": Entry("was not set, is {new}", f"leave it out again, {_RENAME}", {"new": "0.1"}),
    "setting-left-out": Entry("was {old}, is not set", f"set it to {{old}} again, {_RENAME}", {"old": "0.1"}),
    "checkpoints-elsewhere": Entry(
        "the checkpoints of this sweep are in {old}, and would be in {new}",
        f"set storage.checkpoints or --home so that they are in {{old}} again, {_RENAME}",
        {"old": "/srv/checkpoints/co2", "new": "/home/ann/runs/checkpoints/co2"},
    ),
    "data-changed": Entry(
        "the bytes of the file have changed since the sweep began", f"restore the file as it was, {_RENAME}"
    ),
    # --- the sweep's checkpoints
    "checkpoints-unwritable": Entry(
        "checkpoints can't be written to {folder}: {why}",
        "make the folder writable there, or set storage.checkpoints to another folder",
        {"folder": "/srv/checkpoints/co2", "why": "Permission denied"},
    ),
    "checkpoint-store-unreadable": Entry(
        "can't be read: {why}",
        "see to it that the disk or the store answers and that you may read the files there",
        {"why": "Permission denied"},
    ),
    "folder-of-another-sweep": Entry(
        "another sweep has used this folder", "give this spec another name, and run it from the beginning"
    ),
}
