"""The networks: cells, their variants, layers with a head, the linear highway beside them."""
