"""The pages of optuna-dashboard."""
