"""Data: from files to scaled arrays, a file for each task; no PyTorch is needed."""
