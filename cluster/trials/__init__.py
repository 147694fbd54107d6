"""The trials of a sweep in its controller: waiting, under way and ended; their checkpoints."""
