"""Pictures and figures of single convolutions and poolings, and of any model through its trace."""

from minitorch_cnn.explain.arithmetic.conv import conv, conv_gradient
from minitorch_cnn.explain.arithmetic.correlation import LearnedFlip, SideBySide, learn_flip, side_by_side
from minitorch_cnn.explain.arithmetic.matrix import ConvMatrix, as_matrix
from minitorch_cnn.explain.arithmetic.pool import pool, pool_gradient
from minitorch_cnn.explain.arithmetic.steps import MismatchError, WorkedExample
from minitorch_cnn.explain.experiments.gradient_norms import GradientNorms, deep_network, gradient_norms
from minitorch_cnn.explain.experiments.shift import ShiftSensitivity, shift_sensitivity
from minitorch_cnn.explain.features.attribution import Attribution, grad_cam, occlusion, saliency
from minitorch_cnn.explain.features.dataset import DatasetView, dataset
from minitorch_cnn.explain.features.feature_maps import FeatureMaps, feature_maps
from minitorch_cnn.explain.features.filters import FilterFilm, FilterGrid, filter_film, filters
from minitorch_cnn.explain.features.patches import Patches, normalised, patches
from minitorch_cnn.explain.features.seen import SeenPictures, seen
from minitorch_cnn.explain.fields.formula import Field, receptive_fields
from minitorch_cnn.explain.fields.growth import Growth, field_growth
from minitorch_cnn.explain.fields.unit import UnitField, receptive_field
from minitorch_cnn.explain.lecture.deck import Lecture, build_lecture, copy_lecture
from minitorch_cnn.explain.network.backward import BackwardTrace
from minitorch_cnn.explain.network.graph import Graph, Operation, graph
from minitorch_cnn.explain.network.poster import efficiency, poster
from minitorch_cnn.explain.network.stages import Pattern, Stage, pattern, shared
from minitorch_cnn.explain.network.summary import Layer, Summary, summary
from minitorch_cnn.explain.network.topology import Node, Topology, topology
from minitorch_cnn.explain.page.explorer import Explorer, explore

Arithmetic = WorkedExample  # its earlier name

__all__ = [
    "Arithmetic",
    "Attribution",
    "BackwardTrace",
    "ConvMatrix",
    "DatasetView",
    "Explorer",
    "FeatureMaps",
    "Field",
    "FilterFilm",
    "FilterGrid",
    "GradientNorms",
    "Graph",
    "Growth",
    "Layer",
    "LearnedFlip",
    "Lecture",
    "MismatchError",
    "Node",
    "Operation",
    "Patches",
    "Pattern",
    "SeenPictures",
    "ShiftSensitivity",
    "SideBySide",
    "Stage",
    "Summary",
    "Topology",
    "UnitField",
    "WorkedExample",
    "as_matrix",
    "build_lecture",
    "conv",
    "conv_gradient",
    "copy_lecture",
    "dataset",
    "deep_network",
    "efficiency",
    "explore",
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
    "seen",
    "shared",
    "shift_sensitivity",
    "side_by_side",
    "summary",
    "topology",
]
