"""Turns answers into items and metrics, task by task, in the same way for networks and rivals."""
