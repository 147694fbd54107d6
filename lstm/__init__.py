"""Trains one recurrent model from one configuration. Knows nothing of Ray, Optuna or MLflow."""
