"""The networks, their cells, and what stands beside them."""
