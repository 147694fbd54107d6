"""Drafts of a first spec for files: what a task chooses, and why."""
