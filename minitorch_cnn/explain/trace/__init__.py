"""The trace of a model: what its operations mean, and how to run them again."""
