"""The space of a search: what may be drawn, and the faults in it."""
