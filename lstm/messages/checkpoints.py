"""Messages about checkpoints, what was judged, and where they are stored."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {
    "checkpoint-without-weights": Entry(
        "the checkpoint of the trial has no weights: no epoch of the trial was finite, or storage.keep: best kept the "
        "weights of the best trial alone",
        "take the best trial, or train anew with storage.keep: all",
    ),
}
