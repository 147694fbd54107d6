"""What can be done with a sweep, as functions that return values: the verbs and `experiments.api` call them.

Nobody here prints, or changes what is the whole process's; who calls gives a `say` that takes notes.
"""
