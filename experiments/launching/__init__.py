"""Launch sweeps on systems that give out nodes, and follow them there."""
