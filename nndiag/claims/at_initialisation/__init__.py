"""Claims about networks before any training; together they take seconds."""
