"""The times of an unknown table: in which columns they are, and how they are written."""
