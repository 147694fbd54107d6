"""What a network must beat: rules and models that need none, judged as the network is.

Rivals are fitted by `lstm.rivals.registry`; a file for each task holds them. What was judged is kept, and what it comes
to is said, in `lstm.verdict`.
"""
