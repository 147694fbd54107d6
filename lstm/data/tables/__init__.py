"""Tables: reading a data file into a table with a regular step."""
