"""The study: Optuna's sampler and pruner, what they have decided, its database, and the lease for one driver.

`samplers_and_pruners.py` makes sampler and pruner from a spec, `study.py` asks them, `stored.py` reads what is
stored, `verify.py` checks it.
"""
