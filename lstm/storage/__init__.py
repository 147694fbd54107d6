"""Files, in a folder or in an object store."""
