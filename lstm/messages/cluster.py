"""Messages about Ray, hosts, workers and executors."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
