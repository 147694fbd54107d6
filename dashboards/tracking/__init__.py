"""MLflow: what is sent there, how, and what is checked."""
