"""The trials of a sweep as its controller has them: queued, under way, ended; their checkpoints."""
