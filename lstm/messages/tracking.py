"""Messages about MLflow's server and store."""

from lstm.messages.entry import Entry

_PASSWORD = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_FREE_PORT = "leave --port out to get a free port"

ENTRIES: dict[str, Entry] = {
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
