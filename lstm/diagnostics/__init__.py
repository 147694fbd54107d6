"""The measurements of a trained network that `sweep probe` makes."""
