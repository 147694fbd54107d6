"""The executors that run trials: Ray Tune, or this process; both have one interface."""
