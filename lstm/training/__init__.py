"""Training: one configuration in, an epoch at a time out."""
