"""What the product says when something is wrong or was chosen: each message by its code, with what mends it."""
