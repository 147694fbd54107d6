"""A home that was copied for a test, made the home that it would be if its sweep had been run there."""

import sqlite3
from contextlib import closing
from pathlib import Path

ADDRESSES = {
    "study.db": [("study_user_attributes", "value_json"), ("trial_user_attributes", "value_json")],
    "mlflow.db": [("tags", "value"), ("runs", "artifact_uri"), ("experiments", "artifact_location")],
}


def readdress(home: Path, former: Path) -> None:
    """Puts a home's own place into its records, so that it is no copy of the former."""
    for name, columns in ADDRESSES.items():
        with closing(sqlite3.connect(home / name)) as database, database:
            for table, column in columns:
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(former), str(home)))
    for path in (home / "home.json", home / "tiny" / "addresses.json"):
        path.write_text(path.read_text().replace(str(former), str(home)))
