"""Claims about trained networks."""
