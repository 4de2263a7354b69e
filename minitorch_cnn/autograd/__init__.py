"""Automatic differentiation.

engine   variables, functions, the graph, and backpropagation through it: start here
trace    records made while operations run: the trace of a network, and the path of each operation's module
shape_only   what a traced variable has in place of an array
checks   errors: wrong shapes and types, a graph that was freed, arrays that were changed in place
"""

from minitorch_cnn.autograd.checks import FLOAT_DTYPES, GraphError
from minitorch_cnn.autograd.engine import (
    Context,
    Function,
    Node,
    Variable,
    enable_grad,
    is_grad_enabled,
    no_grad,
    topological_order,
)
from minitorch_cnn.autograd.shape_only import TraceError
from minitorch_cnn.autograd.trace import BackwardStep, ModuleCall, Record, module_call, setting, trace

__all__ = [
    "FLOAT_DTYPES",
    "BackwardStep",
    "Context",
    "Function",
    "GraphError",
    "ModuleCall",
    "Node",
    "Record",
    "TraceError",
    "Variable",
    "enable_grad",
    "is_grad_enabled",
    "module_call",
    "no_grad",
    "setting",
    "topological_order",
    "trace",
]
