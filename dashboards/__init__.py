"""Remembers every run and shows it: MLflow, and a report in plotly."""
