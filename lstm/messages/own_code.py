"""Messages about a user's own cell or task."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
