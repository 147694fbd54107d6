"""Pairs of sentences: as values, generated, read from files, and as numbered units."""
