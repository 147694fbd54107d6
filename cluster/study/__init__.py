"""The study: Optuna's sampler and pruner, what they have decided, and the database that keeps it, with one driver.

`samplers_and_pruners.py` makes both from a spec, `study.py` asks them, `stored.py` reads what is kept, `verify.py`
checks it.
"""
