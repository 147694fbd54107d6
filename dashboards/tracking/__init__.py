"""MLflow: what is sent there, how it is sent, and how it is checked."""
