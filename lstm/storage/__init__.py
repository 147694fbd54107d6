"""Reads and writes files in a folder or in an object store."""
