"""Recovers what was lost or moved: a study, a checkpoint, a home."""
