"""Messages about the home folder, sweeps by name, what was lost."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
