"""Messages about Slurm."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
