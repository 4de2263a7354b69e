"""Module: a tree of parameters, buffers and further modules, with a ``forward``.

A module is an ordinary Python object. Its attributes that are a `Parameter` or a `Module` belong to the tree, in the
order of their first assignment. So ``model.fc = nn.Linear(512, 10)`` replaces a layer.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np

from minitorch_cnn import arguments, habits
from minitorch_cnn.autograd import FLOAT_DTYPES, ModuleCall, module_call, setting
from minitorch_cnn.nn import describe, hooks, registration, state, strangers
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.nn.shape_error import LayerShapeError, located_message
from minitorch_cnn.shapes import ShapeError

M = TypeVar("M", bound="Module")  # a function returns the type of module that it was given


class Module(habits.ModuleHints):
    """Base of all layers and models.

    Subclasses assign their parts in ``__init__`` and compute in ``forward``; users call the module.

    Returns
    -------
    Tensor
        On call, the result of ``forward``.

    Raises
    ------
    NotImplementedError
        On call, if the subclass has no ``forward``.
    ShapeError
        On call, from any operation inside. The message gains the path of the module that ran it, the
        chain of sizes so far, a suggested fix, and the shapes of all operations before.

    Warns
    -----
    UserWarning
        At the first call that records a graph, of a Parameter of another object, which is neither trained nor saved.

    Attributes
    ----------
    training : bool
        Whether dropout drops and batch norm uses the statistics of the batch; see `train`.
    frozen : bool
        Whether `freeze` was called on this module or one around it.
    fused : bool
        Whether the module may run as one operation with its neighbours; see `nn.fuse`.
    """

    training = True
    frozen: bool = False
    fused = False
    forward_hooks = MappingProxyType({})  # a module with hooks has a dict of its own
    _buffer_names = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if isinstance(value, (Parameter, Module)) or registration.parts_within(value, (Parameter, Module)):
                got = "one to the class, which would be neither trained nor saved"
                raise TypeError(f"{cls.__name__}.{name}: value - expected an assignment to self in __init__, got {got}")

    def forward(self, *inputs: Any, **hyper: Any) -> Any:
        """Compute the output; every subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__}: forward - expected a method, got none; write one")

    def __call__(self, *inputs: Any, **hyper: Any) -> Any:
        """Run ``forward``, and let every operation inside know the path of the module that ran it."""
        call = module_call.get()
        if call is None:
            call = ModuleCall({id(module): path for path, module in self.named_modules()})
            with setting(module_call, call):
                output = self._run(call, "", inputs, hyper)
            return strangers.warn_at_first(self, (inputs, hyper), output)
        return self._run(call, call.paths.get(id(self), call.path), inputs, hyper)

    def _run(self, call, path, inputs, hyper):
        outer, call.path = call.path, path
        try:
            output = self.forward(*inputs, **hyper)
            return hooks.run(self, path, inputs, output) if self.forward_hooks else output
        except LayerShapeError:
            raise  # a module inside this one has already said where
        except ShapeError as error:
            raise LayerShapeError(located_message(error, call, self, inputs)) from error
        finally:
            call.path = outer

    def register_forward_hook(self, hook: Callable[..., Any]) -> hooks.HookHandle:
        """Call a function after every forward of this module, for instance to keep its feature maps.

        Parameters
        ----------
        hook : callable
            ``hook(module, inputs, output)``. A Tensor that it returns replaces the output; None keeps it.

        Returns
        -------
        HookHandle
            ``handle.remove()`` takes the hook away; so does the end of a ``with`` block.

        Raises
        ------
        TypeError
            If ``hook`` is not callable; on call, if it returns something else.

        Notes
        -----
        A layer with a hook does not run fused with its neighbours; see `nn.fuse`.
        """
        if "forward_hooks" not in vars(self):
            vars(self)["forward_hooks"] = {}
        return hooks.HookHandle(self.forward_hooks, hook)

    def suggest_fix(self, shape: tuple[int, ...]) -> str:
        """Return a suggested replacement of this layer for inputs of this shape, "" if there is none."""
        return ""

    # ------------------------------------------------------------------------------- parts

    def __setattr__(self, name: str, value: Any) -> None:
        old, owner = vars(self).get(name), f"{type(self).__name__}.{name}"
        for kind in (Parameter, Module):
            if isinstance(old, kind) and value is not None and not isinstance(value, kind):
                got = type(value).__name__
                raise TypeError(f"{owner}: value - expected a {kind.__name__} or None in place of one, got {got}")
        if name in self._buffer_names and not isinstance(value, np.ndarray):
            raise TypeError(f"{owner}: value - expected an ndarray for a buffer, got {type(value).__name__}")
        if name == "training":
            arguments.flag(type(self).__name__, training=value)
        registration.check(owner, name, value, (Parameter, Module))
        if isinstance(value, Module) and any(module is self for module in value.modules()):
            raise ValueError(f"{owner}: value - expected a module that does not contain this one, got a circle")
        super().__setattr__(name, value)

    def register_buffer(self, name: str, array: Any) -> None:
        """Keep an array that is saved with the module but not learned, such as a running mean.

        Parameters
        ----------
        name : str
            The attribute name: afterwards ``module.name`` is the array.
        array : ndarray, any shape

        Raises
        ------
        TypeError
            If ``array`` is not an ndarray.
        ValueError
            If ``name`` is empty, has a dot, or is that of something else.
        """
        registration.check_buffer(self, name, array, Module)
        self._buffer_names = (*dict.fromkeys((*self._buffer_names, name)),)
        setattr(self, name, array)

    def _own_parameters(self):
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Parameter)]

    def _own_buffers(self):
        return [(name, vars(self)[name]) for name in self._buffer_names if name in vars(self)]

    def named_children(self) -> "Iterator[tuple[str, Module]]":
        """Yield (name, module) of the modules directly inside, in order of assignment.

        Raises
        ------
        TypeError
            If a list, dict or set, filled after it was assigned, holds a module or parameter that is not an attribute.
        """
        registration.check_attributes(self, (Parameter, Module))
        yield from [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def children(self) -> "Iterator[Module]":
        """Yield the modules directly inside."""
        yield from (module for _, module in self.named_children())

    def named_modules(self) -> "Iterator[tuple[str, Module]]":
        """Yield (dotted path, module) of the whole tree, this one first as ``""``, each module once."""
        seen, stack = set(), [("", self)]
        while stack:
            path, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                stack += [(_join(path, name), child) for name, child in module.named_children()][::-1]

    def modules(self) -> "Iterator[Module]":
        """Yield every module of the tree once, this one first."""
        yield from (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted path, Parameter) of the whole tree; a shared parameter once, by its first path."""
        seen = set()
        for path, module in self.named_modules():
            for name, parameter in module._own_parameters():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield _join(path, name), parameter

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (dotted path, ndarray) of every buffer of the tree; a module that occurs twice once."""
        for path, module in self.named_modules():
            yield from ((_join(path, name), array) for name, array in module._own_buffers())

    def buffers(self) -> Iterator[np.ndarray]:
        """Yield every buffer of the tree."""
        yield from (array for _, array in self.named_buffers())

    def parameters(self) -> Iterator[Parameter]:
        """Yield every Parameter of the tree once."""
        yield from (parameter for _, parameter in self.named_parameters())

    def apply(self, function: "Callable[[Module], Any]") -> Self:
        """Call ``function`` on every module, children before parents, and return this one."""
        arguments.function("apply", function=function)
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # ------------------------------------------------------------------------------- modes

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` everywhere and return this module."""
        arguments.flag("train", mode=mode)
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Set ``training`` to False everywhere and return this module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget every gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def freeze(self, until: str | None = None) -> Self:
        """Stop learning: no gradients, and batch norm keeps its running statistics and uses them.

        Parameters
        ----------
        until : str or None
            Path of the last module to freeze, such as ``"layer3"``. Everything before it in the order of
            `named_modules` is frozen too, except the modules that contain it. None freezes the whole tree.

        Returns
        -------
        Module
            This module.

        Raises
        ------
        ValueError
            If there is no module of that path.
        """
        modules = dict(self.named_modules())
        if until is not None:
            if not isinstance(until, str) or until not in modules or until == "":
                raise ValueError(f"freeze: until - expected one of {', '.join(filter(None, modules))}, got {until!r}")
            paths = list(modules)
            last = max(i for i, path in enumerate(paths) if f"{path}.".startswith(f"{until}."))
            modules = {path: modules[path] for path in paths[: last + 1] if path and not until.startswith(f"{path}.")}
        for module in modules.values():
            module._set_frozen(True)
        return self

    def unfreeze(self) -> Self:
        """Let the whole tree learn again, even parts that were frozen separately, and return this module."""
        for module in self.modules():
            module._set_frozen(False)
        return self

    def _set_frozen(self, frozen):
        self.frozen = frozen
        for _, parameter in self._own_parameters():
            parameter.requires_grad, parameter.grad = not frozen, None

    def to_dtype(self, dtype: Any) -> Self:
        """Convert parameters and floating buffers, drop gradients, and return this module.

        Parameters
        ----------
        dtype : np.float32 or np.float64

        Raises
        ------
        TypeError
            If ``dtype`` is neither.
        """
        if dtype is None or dtype not in FLOAT_DTYPES:  # NumPy takes None for float64
            raise TypeError(f"to_dtype: dtype - expected float32 or float64, got {dtype!r:.60}")
        for parameter in self.parameters():
            parameter.data, parameter.grad = parameter.data.astype(dtype), None
        for module in self.modules():
            for name, array in module._own_buffers():
                setattr(module, name, array.astype(dtype) if array.dtype.kind == "f" else array)
        return self

    def double(self) -> Self:
        """Convert to float64, for gradient checks."""
        return self.to_dtype(np.float64)

    def float(self) -> Self:
        """Convert to float32."""
        return self.to_dtype(np.float32)

    # ------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all parameters and buffers by dotted path; see `nn.state.state_dict`."""
        return state.state_dict(self)

    def load_state_dict(self, arrays: Mapping[str, Any], strict: bool = True) -> tuple[list[str], list[str]]:
        """Load parameters and buffers from a dict of arrays; see `nn.state.load_state_dict`."""
        return state.load_state_dict(self, arrays, strict)

    def __repr__(self) -> str:
        return describe.tree(self)


def _join(path, name):
    return f"{path}.{name}" if path else name
