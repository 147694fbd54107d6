"""What a network must beat: rules and models that need none, judged as the network is.

A file for each task holds them; `lstm.verdict.fitting` fits them. What was judged is kept, and what it comes
to is said, in `lstm.verdict`.
"""
