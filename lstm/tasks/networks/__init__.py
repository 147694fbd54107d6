"""The networks of each task: how they are built, fed, judged, shown, probed and used. PyTorch is imported here."""
