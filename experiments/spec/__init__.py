"""The spec: YAML in, a checked experiment out.

`yaml_document.py` reads, `loader.py` checks the whole, `rules.py` holds what goes across sections, `messages.py` says
what is wrong (an unknown key, a wrong type), `errors.py` refuses with all of it.
"""
