"""The space of a search: what may be drawn, and what of it is wrong."""
