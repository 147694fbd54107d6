"""Decides which trial runs next and where it runs: Optuna is the brain, Ray Tune the muscle."""
