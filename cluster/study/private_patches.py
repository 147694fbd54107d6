"""All uses of Optuna's private parts: the names under which it stores facts of its own with a trial.

The names are a stored form, not calls: sweeps contain them, so no switch leaves them out, and a test fails if another
version uses other names. Everything else here uses Optuna's public classes.
"""

FIXED = "fixed_params"  # the settings of a queued trial; Optuna takes them in place of the sampler's
GRID_PLACE, GRID = "grid_id", "search_space"  # with a grid's trial: the number of its point, and the grid
