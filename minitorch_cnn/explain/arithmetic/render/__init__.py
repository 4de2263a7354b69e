"""A worked example as a picture, a film or a page."""
