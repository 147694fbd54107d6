"""The form of an unknown table: what is around it in the file, and how its numbers are written."""
