"""Profiles of unknown files: the columns of a table, their roles, seasons, sequences; the symbols of a text."""
