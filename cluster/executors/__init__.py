"""Where trials run: Ray Tune, or this process; one interface for both."""
