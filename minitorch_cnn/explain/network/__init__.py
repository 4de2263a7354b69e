"""A whole network: its table, its drawing, its stages, its graph."""
