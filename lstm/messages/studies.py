"""Messages about the study's database, and who drives a sweep."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
