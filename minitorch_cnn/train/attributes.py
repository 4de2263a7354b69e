"""Plain attributes of layers, such as a rate of dropout or a number of the user's own: no array holds them.

A run may change them, and its classifier computes with them; so the record of a network has those that are not as its
class or function makes them.
"""

import math

_MODES = ("training", "frozen", "fused")  # which depend on what the network does now
_NONE = object()


def plain(model):
    """Return {path: {name: value}} of the attributes of all layers that are numbers, booleans or strings.

    Parameters
    ----------
    model : Module
    """
    return {
        path: {name: value for name, value in vars(module).items() if name not in _MODES and _is_plain(value)}
        for path, module in model.named_modules()
    }


def of_users(model):
    """Return what `plain` does, of the layers alone whose classes the user has written: the tree shows the others'."""
    users = {path for path, module in model.named_modules() if not type(module).__module__.startswith("minitorch_cnn.")}
    return {path: values for path, values in plain(model).items() if values and path in users}


def _is_plain(value):
    return type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def changes(before, after):
    """Return what `plain` has found after, and not before, of the layers that are in both; without layers of none."""
    found = {}
    for path in before.keys() & after.keys():
        own = {name: new for name, new in after[path].items() if not _same(before[path].get(name, _NONE), new)}
        if own:
            found[path] = own
    return found


def _same(one, other):
    return type(one) is type(other) and one == other


def merged(earlier, later):
    """Return the changes of two stretches of time, the later ones last."""
    return {path: earlier.get(path, {}) | later.get(path, {}) for path in sorted(earlier.keys() | later.keys())}


def restore(model, changed, caller):
    """Set attributes that `changes` returned.

    Parameters
    ----------
    model : Module
    changed : dict
    caller : str
        What the message names.

    Raises
    ------
    ValueError
        If it is of another form, or of a layer or an attribute that the model does not have. Nothing has changed then.
    """
    modules = dict(model.named_modules())
    for path, values in changed.items() if isinstance(changed, dict) else [("", None)]:
        if path not in modules or not isinstance(values, dict):
            expected = f"attributes of layers of {type(model).__name__}"
            raise ValueError(f"{caller}: changed - expected {expected}, got {path!r}: {values!r:.80}")
        for name, value in values.items():
            now = getattr(modules[path], name, None)  # None: one that the first call of the network makes
            if not _is_plain(value) or name in _MODES or not (now is None or _is_plain(now)):
                expected = f"a number, boolean or string for {name} of {path or type(model).__name__}"
                raise ValueError(f"{caller}: changed - expected {expected}, got {value!r:.80}")
    for path, values in changed.items():
        vars(modules[path]).update(values)


class Watch:
    """Notices what a training changes in its network beside parameters and buffers.

    Parameters
    ----------
    model : Module
        As it was described.
    """

    def __init__(self, model):
        self._model = model
        self._types, self._before = self._seen()
        self._first = self._before

    def _seen(self):
        return {path: type(module) for path, module in self._model.named_modules()}, plain(self._model)

    def reset(self, copied):
        """Set the attributes of a copy of the network to what they were at first."""
        for path, module in copied.named_modules():
            vars(module).update(self._first.get(path, {}))

    def look(self):
        """Return the attributes that have changed since the last look, or None if layers were replaced."""
        (types, now), (types_before, before) = self._seen(), (self._types, self._before)
        self._types, self._before = types, now
        return changes(before, now) if types == types_before else None
