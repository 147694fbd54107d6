"""What `sweep probe` measures of a trained network."""
