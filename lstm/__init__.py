"""Trains one recurrent model from one configuration, without Ray, Optuna or MLflow."""
