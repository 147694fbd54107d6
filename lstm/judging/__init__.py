"""What was answered becomes items and metrics: the same for networks and rivals, task by task."""
