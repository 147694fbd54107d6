"""Rivals that a network must beat: rules and models without a network, judged like the network.

Each task has a file of its own. `lstm.verdict.fitting` fits the rivals, and `lstm.verdict` keeps the judgements and
states the verdict.
"""
