"""The terminal: the live view of a sweep, text for numbers and settings, streams that may be closed."""
