"""The networks of each task: how one is built, fed, judged, shown, probed and asked. What needs PyTorch is here."""
