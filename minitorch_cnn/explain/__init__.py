"""Pictures and numbers of any model, all from its one trace."""

from minitorch_cnn.explain.receptive_field import Field, receptive_fields
from minitorch_cnn.explain.summary import Layer, Summary, summary

__all__ = ["Field", "Layer", "Summary", "receptive_fields", "summary"]
