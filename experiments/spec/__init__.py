"""The spec: YAML in, a checked experiment out."""
