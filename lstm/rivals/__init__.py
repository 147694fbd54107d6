"""What a network is held against: rules and models that need none, judged as the network is.

The entry is `lstm.rivals.registry`.
"""
