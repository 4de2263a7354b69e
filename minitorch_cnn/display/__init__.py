"""Figures for slides, and results as HTML for notebooks."""
