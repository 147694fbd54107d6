"""The sections of a spec that describe a trial: `task`, `data` (a file for each task), `model`, `training`, `probe`.

A field is its type, its bound and its one-sentence description, in the file of its section and nowhere else; the JSON
Schema that editors use is generated from it.
"""
