"""The study: what Optuna suggests and keeps, in a database with one driver."""
