"""What a network must beat: rules and models that need none, judged as the network is; and whether it does.

Rivals are fitted by `lstm.rivals.registry`; what was judged is kept by `store`, and `verdict` says what it comes to.
"""
