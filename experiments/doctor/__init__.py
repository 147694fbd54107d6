"""What `sweep doctor` looks at, and in which order."""
