"""The verbs of the command line, one module each. A module imports what it needs when its verb is called."""
