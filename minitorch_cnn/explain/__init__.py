"""Pictures and numbers: of single convolutions and poolings, and of any model from its one trace."""

from minitorch_cnn.explain.arithmetic import Arithmetic, MismatchError
from minitorch_cnn.explain.attribution import Attribution, grad_cam, occlusion, saliency
from minitorch_cnn.explain.feature_maps import FeatureMaps, feature_maps
from minitorch_cnn.explain.filters import FilterFilm, FilterGrid, filter_film, filters
from minitorch_cnn.explain.flip import LearnedFlip, SideBySide, learn_flip, side_by_side
from minitorch_cnn.explain.gradient_norms import GradientNorms, deep_network, gradient_norms
from minitorch_cnn.explain.graph import Graph, Operation, graph
from minitorch_cnn.explain.growth import Growth, field_growth
from minitorch_cnn.explain.matrix import ConvMatrix, as_matrix
from minitorch_cnn.explain.patches import Patches, normalised, patches
from minitorch_cnn.explain.pattern import Pattern, Stage, pattern, shared
from minitorch_cnn.explain.pooling import pool, pool_gradient
from minitorch_cnn.explain.poster import efficiency, poster
from minitorch_cnn.explain.receptive_field import Field, receptive_fields
from minitorch_cnn.explain.shift import ShiftSensitivity, shift_sensitivity
from minitorch_cnn.explain.summary import Layer, Summary, summary
from minitorch_cnn.explain.topology import Node, Topology, topology
from minitorch_cnn.explain.unit_field import UnitField, receptive_field
from minitorch_cnn.explain.windows import conv, conv_gradient

__all__ = [
    "Arithmetic",
    "Attribution",
    "ConvMatrix",
    "FeatureMaps",
    "Field",
    "FilterFilm",
    "FilterGrid",
    "GradientNorms",
    "Graph",
    "Growth",
    "Layer",
    "LearnedFlip",
    "MismatchError",
    "Node",
    "Operation",
    "Patches",
    "Pattern",
    "ShiftSensitivity",
    "SideBySide",
    "Stage",
    "Summary",
    "Topology",
    "UnitField",
    "as_matrix",
    "conv",
    "conv_gradient",
    "deep_network",
    "efficiency",
    "feature_maps",
    "field_growth",
    "filter_film",
    "filters",
    "grad_cam",
    "gradient_norms",
    "graph",
    "learn_flip",
    "normalised",
    "occlusion",
    "patches",
    "pattern",
    "pool",
    "pool_gradient",
    "poster",
    "receptive_field",
    "receptive_fields",
    "saliency",
    "shared",
    "shift_sensitivity",
    "side_by_side",
    "summary",
    "topology",
]
