"""Warns of parameters that a module computes with and does not own: they would be neither trained nor saved.

Assignments are checked by `registration`, which knows containers. A layer can hide from it in a function, a generator
or an object that is not a module. The graph of the output has the parameters themselves, wherever they come from.
"""

import gc
import types
import warnings
import weakref

from minitorch_cnn.autograd import Node, Variable
from minitorch_cnn.nn.registration import parts_within

_checked = weakref.WeakSet()  # modules whose graph was read once
_MOST = 10_000  # objects to look through for the name of an attribute


def warn_at_first(module, inputs, output):
    """Warn, at the first call that records a graph, of leaves that are neither inputs nor parameters of the module.

    Parameters
    ----------
    module : Module
    inputs, output : object
        What the call got and returned: Tensors, or containers of them.

    Returns
    -------
    object
        The output.
    """
    if module in _checked:
        return output
    if ends := [variable.node for variable in parts_within([output], Variable) if variable.node is not None]:
        _checked.add(module)
        inside = (*parts_within([inputs], Variable), *module.parameters())
        if strangers := _leaves(ends, {id(variable.node or variable) for variable in inside}):
            warnings.warn(_message(module, strangers[0]), stacklevel=3)
    return output


def _leaves(stack, known):
    """Return the leaves that nodes depend on, other than through what is known."""
    leaves, seen = [], set(known)
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, Node):
                stack += [edge for edge in node.edges if edge is not None]
            else:
                leaves.append(node)
    return leaves


def _message(module, stranger):
    names = [f"{path}.{name}" if path else name for path, name in _attributes_that_reach(module, stranger)]
    owner = ".".join([type(module).__name__, *names[:1]])
    return (
        f"{owner}: expected parameters of the module itself in its forward, got a {type(stranger).__name__} of shape "
        f"{stranger.data.shape} of another object, which is neither trained nor saved with the module; assign it, or "
        "the layer that has it, to self in __init__; freeze() the layer if it should not learn"
    )


def _attributes_that_reach(module, target):
    """Yield (path of a module, name of its attribute) from which references lead to an object."""
    modules = dict(module.named_modules())
    for path, part in modules.items():
        for name, value in vars(part).items():
            if _reaches(value, target, {id(one) for one in modules.values()}):
                yield path, name


def _reaches(value, target, seen):
    """Return True if references lead from a value to an object, not through what was seen."""
    stack = [value]
    while stack and len(seen) < _MOST:
        item = stack.pop()
        if item is target:
            return True
        if id(item) in seen or isinstance(item, (type, types.ModuleType, types.CodeType)):
            continue
        seen.add(id(item))
        is_function = isinstance(item, types.FunctionType)  # its globals lead to everything
        stack += [item.__closure__, item.__defaults__] if is_function else gc.get_referents(item)
    return False
