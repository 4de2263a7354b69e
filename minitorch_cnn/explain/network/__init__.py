"""A whole network: table, drawing, stages and graph."""
