"""Functions that run after the forward of a module, and the handle that removes them."""

import itertools
import warnings
import weakref

from minitorch_cnn.autograd import Variable

_numbers = itertools.count()
_replaced = weakref.WeakSet()  # modules of which a hook has replaced an output


class HookHandle:
    """What `Module.register_forward_hook` returns; in a ``with`` block, the hook is removed at its end.

    Parameters
    ----------
    hooks : dict
        Where the hook is kept.
    hook : callable
    """

    def __init__(self, hooks, hook):
        if not callable(hook):
            got = type(hook).__name__
            raise TypeError(f"register_forward_hook: hook - expected a function of (module, inputs, output), got {got}")
        self._hooks, self._number = hooks, next(_numbers)
        hooks[self._number] = hook

    def remove(self):
        """Remove the hook; a second call does nothing."""
        self._hooks.pop(self._number, None)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.remove()


def run(module, path, inputs, output):
    """Return the output after all hooks of a module, in the order of their registration.

    Raises
    ------
    TypeError
        If a hook returns neither a Tensor, nor the type of the output, nor None: the next layer could only guess why.
    """
    for hook in tuple(module.forward_hooks.values()):
        changed = hook(module, inputs, output)
        if changed is not None and not isinstance(changed, (Variable, type(output))):
            owner, got = f"{type(module).__name__} {path}".strip(), type(changed).__name__
            raise TypeError(f"{owner}: result of its forward hook - expected a Tensor, or None to keep it, got {got}")
        if changed is not None:
            output = changed
            _replaced.add(module)
    return output


def warn_of_replaced(model, caller):
    """Warn of hooks that have replaced outputs, before a file says what the model is: it holds no functions."""
    for path, module in model.named_modules():
        if module.forward_hooks and module in _replaced:
            owner = f"{type(module).__name__} {path}".strip()
            expected = "hooks that leave outputs as they are, got one that replaces them, which no file holds"
            warnings.warn(f"{caller}: {owner} - expected {expected}; do this in a forward", stacklevel=3)
