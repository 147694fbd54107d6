"""The sections of a configuration that a training needs."""
