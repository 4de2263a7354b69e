"""What the trace of a model says: its operations, and how to run them again."""
