"""The nouns of nndiag: spec, trace, finding, result, errors. Never imports torch."""
