"""Is the network worth it: what was judged, intervals, the verdict and its sentence."""
