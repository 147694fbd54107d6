"""The first spec that a task drafts for files: what is chosen, and why."""
