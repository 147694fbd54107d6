"""The plain records that pass between `lstm`, `cluster`, `dashboards` and `experiments`, without any vendor's types.

`lstm` makes epochs and states, `cluster` makes events and trials from them, and `dashboards` and the terminal receive
them. Times are Unix times in milliseconds, taken once, in the process in which something happened.
"""
