"""The playground: a local page on which a real training is steered and seen while it goes on."""
