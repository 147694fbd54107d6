"""The tasks: what is learned, from which data, judged by which metrics."""
