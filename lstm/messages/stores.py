"""Messages about checkpoints, studies and MLflow: what is kept, and where."""

from collections.abc import Mapping

from lstm.messages.entry import Entry

_LEFT = ", and the checkpoint was left as it is"
_FOREIGN = "put the trial's own checkpoint back, or give this spec another name and run it anew"
_JUDGED = (
    "put back this sweep's own file, or remove the file: `sweep rivals NAME` judges and fits again what is missing, to "
    "the same numbers"
)

CHECKPOINTS: dict[str, Entry] = {
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
        "{study}, and nothing in the folder was changed",
        "give this spec another name, or another storage.checkpoints",
        example={"sweep": "load", "found": "6f1c9a", "where": "sqlite:///study.db", "study": "e02b77"},
    ),
    "mark-unreadable": Entry(
        "the file says whose the checkpoints in its folder are, and can't be read",
        "restore the file, or remove the file if you are sure that the checkpoints are this sweep's",
    ),
    # --- What a checkpoint and what was judged hold
    "checkpoint-without-weights": Entry(
        "the checkpoint of the trial has no weights: no epoch of the trial was finite, or storage.keep or "
        "`sweep clean` has removed them",
        "take the best trial, or train anew with storage.keep: all",
    ),
    "keep-unknown": Entry(
        "names the trials that keep their weights, and {came!q} names none",
        "write --keep best, or --keep top:5",
        {"came": "worst"},
    ),
    "judged-for-another-study": Entry(
        "the file is of the study {found}, this sweep's study is {study}, and the file was left as it is",
        _JUDGED,
        example={"found": "6f1c9a", "study": "e02b77"},
    ),
    "judged-on-other-data": Entry(
        "the file was made from other data ({found}, not {data}), and the file was left as it is",
        _JUDGED,
        example={"found": "0f3a9c51b2d4", "data": "77e0d1c6a98b"},
    ),
}

_DATABASE = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
_RENAME = "or give the spec another name"
_DRIVEN = "wait until that driver has ended, or end the driver with `sweep stop {sweep}` (and the same --home)"

STUDIES: dict[str, Entry] = {
    # --- the address of a database
    "no-database-address": Entry("is no address of a database", _DATABASE),
    "address-with-two-ats": Entry("has two @", "write an @ in the password as %40"),
    "database-kind-not-offered": Entry("{kind} is not offered", _DATABASE, {"kind": "mysql"}),
    "database-driver-not-offered": Entry("is of a kind, or names a driver, that is not offered", _DATABASE),
    "postgresql-driver-missing": Entry(
        "needs PostgreSQL's driver, which is not installed",
        "install the driver: pip install psycopg2-binary",
    ),
    "optuna-dashboard-missing": Entry(
        "needs optuna-dashboard, which is not installed", "install the dashboard: pip install 'optuna-dashboard>=0.21'"
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
        "check the address, and that the file's folder exists and takes files, or what the database's server asks for",
        {"why": "unable to open database file"},
    ),
    "study-server-unreached": Entry(
        "the database's server can't be reached: {why}",
        "check the address, and that the server runs",
        {"why": 'connection to server at "db", port 5432 failed: Connection refused'},
    ),
    "study-disk-full": Entry(
        "there is no room for the study: {why}",
        "make room on the disk of the database, or name another place with storage.study (without that: --home)",
        {"why": "database or disk is full"},
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
        {"why": "The runtime optuna version 4.5.0 is no longer compatible with the table schema"},
    ),
    # --- a sweep
    "sweep-not-run": Entry("has not been run yet", "run its spec with `sweep run SPEC`"),
    "sweep-driven": Entry(
        "is driven by process {pid} on {host}, whose claim runs out in {left_s:.0f} s unless the process renews the "
        "claim",
        _DRIVEN,
        {"pid": 4711, "host": "node7", "left_s": 28.0, "sweep": "co2"},
    ),
    "sweep-just-taken": Entry("another driver has just taken the sweep", _DRIVEN, {"sweep": "co2"}),
    "job-stopped": Entry(
        "`sweep stop` has ended the job that this driver runs in ({job})",
        "go on with `sweep launch`; this job drives the sweep no more",
        {"job": "slurm:1234"},
    ),
    "sweep-taken-over": Entry(
        "another driver has taken the sweep{pid:?: process *}{host:? on *}",
        "leave the sweep to that driver",
        {"pid": 4711, "host": "node7"},
    ),
    "study-silent": Entry(
        "the study's database has not answered for {minutes:.0f} minutes",
        "run the same command again when the database answers",
        {"minutes": 10.0},
    ),
    "sweep-begun-at-once": Entry(
        "another driver has begun this sweep at the same moment", "run the same command again"
    ),
    "sweep-trained-otherwise": Entry(
        "the trials of this sweep were trained otherwise, so new trials could not be compared with them",
        "give the spec another name, or restore what has changed (n_trials, stop, resources, tracking and storage may "
        "change)",
    ),
    "setting-changed": Entry("was {old}, is {new}", f"set it to {{old}} again, {_RENAME}", {"old": "64", "new": "128"}),
    "code-changed": Entry(
        "the code has changed since the sweep began (its SHA-256 was {old} and is {new})",
        f"put the former file back, or name a copy of it with --code FILE, {_RENAME}",
        {"old": "eebc1f2a93d0", "new": "06e5b0c7714e"},
    ),
    "environment-value-changed": Entry(
        "is {written}, for which the environment has another value than when the sweep began",
        f"set the variable to its former value, {_RENAME}",
        {"written": "${BATCH}"},
    ),
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
    "data-read-otherwise": Entry(
        "the file is read otherwise now than when the sweep began ({what})",
        f"give `data` the fields that read the file as before (docs/explanation/data.md), {_RENAME}",
        {"what": ["first: was 2021-12-31 23:00:00, is 2022-01-01 00:00:00"]},
    ),
    "old-rows-changed": Entry(
        "the {count:,} {unit} that the sweep was begun with are not the first of the file any more, so that its trials "
        "have learnt from other data",
        f"restore them as they were; new ones may only follow them, {_RENAME}",
        {"count": 2_284, "unit": "rows"},
    ),
    "old-rows-unknown": Entry(
        "the bytes of the file have changed since the sweep began, and the version that began it did not keep which "
        "rows it had read",
        f"restore the file as it was, {_RENAME}",
    ),
    # --- the sweep's checkpoints
    "checkpoints-unwritable": Entry(
        "checkpoints can't be written to {folder}: {why}",
        "make the folder writable there, or make room on its disk (of an object store, check address, keys and "
        "permissions), or set storage.checkpoints to another folder",
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

_PASSWORD = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_FREE_PORT = "leave --port out to get a free port"

TRACKING: dict[str, Entry] = {
    # --- the address
    "mlflow-address-blank": Entry(
        "has a blank, or a character that can't be seen", "take the blank or the character out"
    ),
    "no-mlflow-address": Entry(
        "is no address of an MLflow store",
        "leave it out for a database in the home folder, or write the address of a server, as in "
        "http://localhost:5000, or of a database, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    ),
    "mlflow-database-not-offered": Entry(
        "{kind} is not offered",
        "use a server over it, as in http://localhost:5000, or sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
        {"kind": "mysql"},
    ),
    "mlflow-file-without-slashes": Entry(
        "names no file, since the path of a file follows three slashes",
        "write sqlite:///FILE, or sqlite:////FOLDER/FILE",
    ),
    "mlflow-address-unknown-option": Entry(
        "has a ?, with which options begin, and no known option follows", "take a path without a ?"
    ),
    "mlflow-address-percent": Entry("has a % that would be decoded", "write the characters themselves"),
    "no-server-address": Entry("is no address of a server", "write http://HOST:5000"),
    "address-of-a-page": Entry("is the address of a page", "leave out what begins with ? or #, as in http://HOST:5000"),
    # --- a webhook
    "webhook-blank": Entry(
        "has a blank, or a character that is no ASCII or can't be seen",
        "write such a character as %XX, as in a browser",
    ),
    "no-webhook": Entry("is no address of a webhook", "write http://HOST/PATH or https://HOST/PATH"),
    "webhook-without-topic": Entry("names no topic of ntfy", "write the topic last, as in https://ntfy.sh/TOPIC"),
    "form-without-webhook": Entry(
        "would do nothing: tracking.notify names no webhook", "leave it out, or add tracking.notify"
    ),
    # --- a server that says no
    "no-mlflow-server": Entry(
        "what answers there is no MLflow server", "write the address of an MLflow server, as in http://HOST:5000"
    ),
    "mlflow-server-too-old": Entry("the server is older than MLflow 3.0", "upgrade the server"),
    "mlflow-login-refused": Entry("the server refuses the user who asks (error 401)", _PASSWORD),
    "mlflow-no-permission": Entry(
        "the server gives the user who asks no permission (error 403)", f"{_PASSWORD} of a user who may write"
    ),
    "mlflow-host-refused": Entry(
        "the server does not answer to the name in this address (error 403)",
        "start the server with --allowed-hosts HOST:PORT, or write a name that the server knows",
    ),
    "mlflow-certificate-untrusted": Entry(
        "the server's certificate is not trusted here", "name the certificate in MLFLOW_TRACKING_SERVER_CERT_PATH"
    ),
    "mlflow-server-without-https": Entry("the server does not speak HTTPS", "write http://"),
    # --- a database that says no
    "mlflow-folder-missing": Entry("the folder of the database does not exist", "make the folder first"),
    "mlflow-file-unopened": Entry(
        "the file of the database can't be opened", "give the file permissions with which you may read and write it"
    ),
    "mlflow-file-foreign": Entry("the file is no database of MLflow", "name another file"),
    "mlflow-database-newer": Entry(
        "the database was made by a newer MLflow, or by another program",
        "upgrade MLflow here, or name another database",
    ),
    "mlflow-database-login-refused": Entry(
        "the database refuses the user or the password", "correct the user and the password in the address"
    ),
    "mlflow-database-missing": Entry("the server has no such database", "make the database first (createdb)"),
    "mlflow-database-no-connection": Entry(
        "the database does not let this user connect", "grant the user CONNECT on the database"
    ),
    "mlflow-database-encryption": Entry("the database refuses the way of encryption", "correct sslmode in the address"),
    "mlflow-database-unknown-option": Entry(
        "the driver does not know an option of the address", "leave the option out"
    ),
    "mlflow-database-no-writing": Entry(
        "the database does not let this user write", "grant the user CREATE on the schema and INSERT on the tables"
    ),
    # --- our own server
    "mlflow-server-ended": Entry(
        "MLflow's server has ended (exit code {exit_code})",
        "see why in {log}",
        {"exit_code": 1, "log": "/home/ann/runs/ui.log"},
    ),
    "mlflow-server-not-started": Entry(
        "MLflow's server ended while it started", "see why in {log}", {"log": "/home/ann/runs/ui.log"}
    ),
    "mlflow-server-silent": Entry(
        "MLflow's server does not answer after {seconds:.0f} s",
        "see why in {log}",
        {"seconds": 120.0, "log": "/home/ann/runs/ui.log"},
    ),
    "port-taken": Entry("port {port} is taken", _FREE_PORT, {"port": 5000}),
    "port-unusable": Entry("port {port} can't be used: {why}", _FREE_PORT, {"port": 80, "why": "Permission denied"}),
    "no-port-usable": Entry(
        "no port of {host} can be used: {why}",
        "see to it that programs may listen on {host} here",
        {"host": "127.0.0.1", "why": "Permission denied"},
    ),
    "no-free-port": Entry(
        "no port from {first} to {last} is free", "name a free port with --port", {"first": 5000, "last": 5999}
    ),
}

_MLFLOW_ROOM = "make room on that disk"

AWAY: Mapping[str, Entry] = {
    "mlflow-away-while-running": Entry(
        "MLflow does not answer ({why}), and gets the records when MLflow answers again", example={"why": "error 503"}
    ),
    "mlflow-refuses-all": Entry(
        "MLflow refuses all records ({why}), and the records are sent again and again",
        "let MLflow take records of this user and host",
        {"why": "error 403"},
    ),
    "mlflow-disk-full": Entry(
        "MLflow can't write, since the disk of {folder} is full, and gets the records when the disk has room",
        _MLFLOW_ROOM,
        {"folder": "/home/ann/runs"},
    ),
    "mlflow-database-disk-full": Entry(
        "MLflow can't write, since the disk of the database is full, and gets the records when the disk has room",
        _MLFLOW_ROOM,
    ),
    "mlflow-back": Entry("MLflow answers again, and gets the records that waited"),
    "mlflow-refuses-some": Entry(
        "MLflow refuses {what}{trial:? of trial *} ({why}), and what MLflow refuses for this reason is left out from "
        "now on",
        "let MLflow take the records, then run the same command again",
        {"what": "the checkpoint", "trial": 3, "why": "error 413"},
    ),
    "checkpoint-not-sent": Entry(
        "the checkpoint can't be read for MLflow ({why}), so the run of the trial in MLflow has no checkpoint",
        example={"why": "PermissionError"},
    ),
    "no-checkpoint-to-send": Entry(
        "{address} holds no valid checkpoint, so the run of the trial in MLflow has no checkpoint",
        example={"address": "/srv/checkpoints/co2/trial-0003"},
    ),
    "mlflow-away-at-start": Entry(
        "MLflow does not answer ({why}), so the sweep starts and its runs are sent later",
        example={"why": "ConnectionError"},
    ),
    "records-not-delivered": Entry(
        "MLflow did not take {count} records yet, and nothing is lost",
        "run the same command again to deliver them",
        {"count": 7},
    ),
}
