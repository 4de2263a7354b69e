"""What to write here for names that programs for PyTorch use: their AttributeError says it."""

from typing import TYPE_CHECKING, ClassVar

_CPU = "leave it out: everything is on the CPU"
_BACKWARD = "use backward(trace=True), which returns the gradients of every operation"
TENSOR = {
    "view": "use reshape(...)",
    "permute": "use transpose(...)",
    "unsqueeze": "use x[:, None], with None where the new axis should be",
    "squeeze": "use reshape(...)",
    "to": "leave it out: everything is on the CPU; another dtype is Tensor(x.data, dtype=np.float64)",
    "cuda": _CPU,
    "cpu": _CPU,
    "device": _CPU,
    "contiguous": "leave it out: operations take any memory layout",
    "clone": "use Tensor(x.data.copy())",
    "float": "use Tensor(x.data, dtype=np.float32)",
    "double": "use Tensor(x.data, dtype=np.float64)",
    "requires_grad_": "set x.requires_grad = True",
    **{name: f"use ops.{name}(x, ...)" for name in ("cumsum", "prod", "topk", "gather", "log_softmax")},
    "repeat": "use ops.concat([x, x], axis) or ops.broadcast_to(x, shape)",
    "expand": "use ops.broadcast_to(x, shape)",
    "numel": "use x.size",
    "dim": "use x.ndim",
}
CONTEXT = {
    "save_for_backward": "use ctx.save(...), which takes arrays",
    "saved_tensors": "use ctx.saved, the arrays that ctx.save was given",
    "needs_input_grad": "use ctx.needs_grad",
    "mark_non_differentiable": "return None in backward for an input without a gradient",
}
MODULE = {
    "to": _CPU + "; model.double() makes float64 of the parameters",
    "cuda": _CPU,
    "cpu": _CPU,
    "requires_grad_": "use freeze(...), or set requires_grad of its parameters",
    "register_forward_pre_hook": "use register_forward_hook(...) of the module before it",
    **dict.fromkeys(("register_backward_hook", "register_full_backward_hook"), _BACKWARD),
}


class _Hints:
    _hints: ClassVar[dict[str, str]] = {}

    if not TYPE_CHECKING:  # a type checker would believe that every name exists

        def __getattr__(self, name):
            kind, hint = type(self).__name__, f"; {self._hints[name]}" if name in self._hints else ""
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{hint}", name=name, obj=self)


class TensorHints(_Hints):
    """Base of Tensor."""

    _hints = TENSOR


class ContextHints(_Hints):
    """Base of the context of a Function."""

    _hints = CONTEXT


class ModuleHints(_Hints):
    """Base of Module."""

    _hints = MODULE
