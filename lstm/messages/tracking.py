"""Messages about MLflow's server and store."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
