"""Messages about systems that give out nodes, a file for each."""
