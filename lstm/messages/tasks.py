"""Messages about what a task, a rival or a prediction can't do."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
