"""What a terminal shows while a sweep runs."""
