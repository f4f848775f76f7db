"""Where sweeps are kept: one SQLite file, one writer a sweep, any number of readers; no torch."""
