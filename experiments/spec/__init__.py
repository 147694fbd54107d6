"""The spec: reads a YAML file and returns a checked experiment.

`yaml_document.py` reads the file, `loader.py` checks the whole, `rules.py` contains the rules across sections,
`messages.py` turns pydantic's errors (an unknown key, a wrong type) into faults, `errors.py` refuses with all faults.
"""
