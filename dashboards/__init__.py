"""The dashboards: records of every run in MLflow, and a report with plotly."""
