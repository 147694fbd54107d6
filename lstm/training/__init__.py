"""Training of one configuration, one epoch at a time."""
