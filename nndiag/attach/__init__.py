"""The doors for a user's own training: a script, unchanged, or a loop."""
