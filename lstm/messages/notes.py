"""Notes: what the user should know and what stops nothing. A mend is there if something can be done about it."""

from collections.abc import Mapping

from lstm.messages.entry import Entry

DATA: Mapping[str, Entry] = {}

SPEC: Mapping[str, Entry] = {}

RUN: Mapping[str, Entry] = {}

KEPT: Mapping[str, Entry] = {}

SWEEP: Mapping[str, Entry] = {}

TRACKING: Mapping[str, Entry] = {}
