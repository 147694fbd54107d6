"""What was lost or moved, and how it comes back."""
