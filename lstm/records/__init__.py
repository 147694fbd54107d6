"""The plain records that pass between the rooms; no vendor is known here.

`lstm` makes epochs and states, `cluster` makes events and trials of them, `dashboards` and the screen receive them.
Times are Unix times in milliseconds, taken once, where the thing happened.
"""
