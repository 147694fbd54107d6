"""Messages about a table or text that can't be read as the spec says."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
