"""From findings to candidate fixes, and the trials that show which of them work."""
