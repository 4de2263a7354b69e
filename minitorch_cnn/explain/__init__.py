"""Pictures and numbers of any model, all from its one trace."""

from minitorch_cnn.explain.pattern import Pattern, Stage, pattern, shared
from minitorch_cnn.explain.poster import efficiency, poster
from minitorch_cnn.explain.receptive_field import Field, receptive_fields
from minitorch_cnn.explain.summary import Layer, Summary, summary
from minitorch_cnn.explain.topology import Node, Topology, topology

__all__ = [
    "Field",
    "Layer",
    "Node",
    "Pattern",
    "Stage",
    "Summary",
    "Topology",
    "efficiency",
    "pattern",
    "poster",
    "receptive_fields",
    "shared",
    "summary",
    "topology",
]
