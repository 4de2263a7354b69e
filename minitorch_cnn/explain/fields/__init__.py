"""Receptive fields: by the formula, exactly from the trace, of one unit, and how they grow."""
