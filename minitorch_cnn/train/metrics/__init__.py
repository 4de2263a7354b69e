"""A trained network in use: its answers, and how good they are."""
