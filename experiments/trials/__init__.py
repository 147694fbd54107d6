"""Trials that the search does not draw: those of earlier sweeps that are tried first, extended ones, refits."""
