"""The views of MLflow's pages of runs: columns, order and charts, as MLflow itself saves them. Nothing is sent here."""
