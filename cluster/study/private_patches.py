"""All that is known of Optuna's private parts: the names under which it keeps facts of its own with a trial.

They are a form that it stores, no call: sweeps hold them, so no switch leaves them out, and a test tells where another
version names them otherwise. All else here stands on Optuna's public classes.
"""

FIXED = "fixed_params"  # the settings that a queued trial is to have; Optuna takes them in place of the sampler's
GRID_PLACE, GRID = "grid_id", "search_space"  # of a grid's trial: the number of its point, and the grid
