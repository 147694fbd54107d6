"""Answers whether the network is worth it: judgements by item, intervals, the verdict and its sentences."""
