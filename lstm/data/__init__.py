"""The data of each task, from files to scaled arrays, without PyTorch."""
