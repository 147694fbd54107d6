"""Tables with several series or sequences: how their rows belong together."""
