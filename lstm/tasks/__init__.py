"""The tasks: what a network learns, from which data, and by which metrics it is judged."""
