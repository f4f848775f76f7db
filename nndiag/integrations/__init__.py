"""nndiag inside other programs: one's own loop, Lightning, transformers, experiment trackers."""
