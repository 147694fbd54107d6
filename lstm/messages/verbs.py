"""Messages about what a verb is asked for."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
