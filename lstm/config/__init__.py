"""The sections of a spec that describe a trial: `task`, `data` (a file for each task), `model`, `training`, `probe`.

A field has a type, a bound and a short description. All three are in the file of its section and nowhere else; the
JSON Schema that editors use is generated from them.
"""
