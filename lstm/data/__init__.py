"""Data: from files to tensors, a file for each task."""
