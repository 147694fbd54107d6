"""Decides which trial runs next and where it runs: Optuna is the brain, Ray Tune the muscle."""

import gc

# Objects made until Python looks for garbage, in the driver and in each worker. What they import is a million objects
# that stay: with the usual 700 the search through them is a fifth of the time that a start takes.
gc.set_threshold(100_000)
