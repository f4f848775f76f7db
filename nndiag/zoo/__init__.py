"""Tables, one a kind, and the networks built from them. Reading a table never loads torch."""
