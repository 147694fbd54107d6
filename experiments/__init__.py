"""The front desk: YAML in, verbs out."""
