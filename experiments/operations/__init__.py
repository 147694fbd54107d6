"""The operations on a sweep, as functions that return values. The verbs and `experiments.api` call them.

No function here prints or changes the state of the whole process. Callers pass a function `say` that takes notes.
"""
