"""Messages about checkpoints, what was judged, and where they are stored."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {}
