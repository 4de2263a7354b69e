"""Automatic differentiation: variables, functions, the graph, and backpropagation through it."""

from minitorch_cnn.autograd.engine import (
    FLOAT_DTYPES,
    BackwardStep,
    Context,
    Function,
    GraphError,
    ModuleCall,
    Node,
    Record,
    TraceError,
    Variable,
    is_grad_enabled,
    no_grad,
    running_module,
    setting,
    topological_order,
    trace,
)

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
    "is_grad_enabled",
    "no_grad",
    "running_module",
    "setting",
    "topological_order",
    "trace",
]
