"""Tables: a file of data becomes a table with a regular step."""
