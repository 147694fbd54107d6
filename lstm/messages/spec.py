"""Messages about a spec: fields that contradict each other, that would do nothing, or that don't fit the task."""

from lstm.messages.entry import Entry

ENTRIES = {
    "and-more": Entry("… and {count:,} more", example={"count": 7}),
}
