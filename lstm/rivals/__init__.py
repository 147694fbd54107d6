"""What a network must beat, and whether it does."""
