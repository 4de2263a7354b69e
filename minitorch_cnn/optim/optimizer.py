"""The base of all optimisers: parameter groups, the step, saving and loading."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from minitorch_cnn import arguments as _check
from minitorch_cnn.autograd import FLOAT_DTYPES
from minitorch_cnn.optim.average import refuse_lent
from minitorch_cnn.optim.identity import identity, refuse_other
from minitorch_cnn.tensor import Tensor

Parameters: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """Base of the optimisers; a subclass defines ``_check_group``, ``_update`` and ``_kept``.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters to learn. A dict is a group with its own values for some options, such as
        ``{"params": [...], "lr": 0.01}``.
    defaults : dict of str to number
        Options for the groups that do not set their own. With ``maximize``, `step` negates the gradients first.

    Attributes
    ----------
    param_groups : list of dict
        Each has "params" and all options; schedules write "lr".

    Raises
    ------
    TypeError
        If a parameter is not a Tensor, an option is not a number, or ``params`` is a set, which has no order.
    ValueError
        If there are no parameters, one appears twice or was computed from others, or an option is unknown or
        out of its range.
    """

    _kept = None  # names of the state that a parameter keeps from step to step; None: not checked
    _added_options = ("maximize",)  # options that older files lack
    _kept_sometimes = ()  # further names, which depend on the options

    def __init__(self, params: Parameters, defaults: dict[str, Any]):
        # From the position of a parameter, counted over all groups, to its arrays and scalars.
        self.state: dict[int, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self._options, self._defaults = tuple(defaults), defaults
        groups = self._listed(params)
        if not groups or not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self._add_group(group, defaults)
        if not self._parameters():
            raise ValueError(f"{self._name}: params - expected at least one parameter, got none")

    @property
    def _name(self):
        return type(self).__name__

    def _listed(self, params):
        """Return parameters or groups as a list; raise TypeError unless they have an order."""
        if isinstance(params, Tensor):
            return [params]
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{self._name}: params - expected a list, got a set, whose order changes between runs")
        if not hasattr(params, "__iter__"):
            got = type(params).__name__
            hint = "; call its parameters()" if hasattr(params, "parameters") else ""
            raise TypeError(f"{self._name}: params - expected an iterable of Tensors or dicts, got {got}{hint}")
        return list(params)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Learn more parameters from now on, such as layers that were frozen at first.

        Parameters
        ----------
        group : dict
            ``{"params": [...]}``, with its own values for some options.

        Raises
        ------
        TypeError, ValueError
            As for the groups that the optimiser is made of. Nothing has changed then. A schedule that was made before
            refuses its next step: make a new one.
        """
        before = len(self.param_groups)
        try:
            self._add_group(group, self._defaults)
        except (TypeError, ValueError):
            del self.param_groups[before:]
            raise

    def _add_group(self, group, defaults):
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{self._name}: params - expected Tensors, or dicts with 'params', got {group!r}")
        if unknown := group.keys() - defaults.keys() - {"params"}:
            known = ", ".join(defaults)
            raise ValueError(f"{self._name}: params - expected options among {known}, got {', '.join(sorted(unknown))}")
        params = self._listed(group["params"])
        seen = {id(parameter) for parameter in self._parameters()}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{self._name}: params - expected Tensors, got {type(parameter).__name__}")
            if parameter.node is not None or parameter.data.dtype not in FLOAT_DTYPES:
                raise ValueError(f"{self._name}: params - expected floating leaves of the graph, got {parameter!r}")
            if id(parameter) in seen:
                raise ValueError(
                    f"{self._name}: params - expected each parameter once, got one of {parameter.shape} twice"
                )
            seen.add(id(parameter))
        options = {name: _plain(value) for name, value in {**defaults, **group}.items()}
        self.param_groups.append({**options, "params": params})
        self._check_group(self.param_groups[-1])

    def _parameters(self):
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def zero_grad(self) -> None:
        """Drop the gradients of all parameters."""
        for parameter in self._parameters():
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient and requires one; the others do not change.

        Raises
        ------
        TypeError, ValueError
            If an option of a group was set out of its range, or the shape or dtype of a gradient or of kept
            state no longer matches the parameter, or the parameters have the weights of an average for a while, see
            `EMA.applied`. Nothing has changed then.
        """
        jobs, position = [], 0
        refuse_lent(f"{self._name}.step", self._parameters())
        for group in self.param_groups:
            if missing := [option for option in self._options if option not in group]:
                raise ValueError(f"{self._name}: param_groups - expected a group with {', '.join(missing)}, got none")
            self._check_group(group)
            for parameter in group["params"]:
                if parameter.requires_grad and parameter.grad is not None:
                    self._check_arrays(position, parameter)
                    jobs.append((parameter, self.state.setdefault(position, {}), group))
                position += 1
        for parameter, state, group in jobs:
            # Kernels work on contiguous arrays; both of these are views in the usual case.
            data, form = parameter.data, self._form(parameter.data.shape)
            contiguous, grad = np.ascontiguousarray(data), np.ascontiguousarray(parameter.grad).reshape(form)
            self._update(contiguous.reshape(form), -grad if group.get("maximize") else grad, state, group)
            if contiguous is not data:
                data[...] = contiguous.reshape(data.shape)
            parameter.bump_version()

    def _form(self, shape):
        """Return the shape of the arrays that `_update` works on, for a parameter of that shape; its state is flat."""
        return (-1,)

    def _check_arrays(self, position, parameter):
        data, grad = parameter.data, parameter.grad
        _check.unmasked(self._name, f"gradient of parameter {position}", grad)
        if not isinstance(grad, (np.ndarray, np.generic)) or (grad.shape, grad.dtype) != (data.shape, data.dtype):
            expected, got = (data.shape, data.dtype), (getattr(grad, "shape", grad), getattr(grad, "dtype", None))
            raise ValueError(f"{self._name}: gradient of parameter {position} - expected {expected}, got {got}")
        for key, kept in self.state.get(position, {}).items():
            if isinstance(kept, np.ndarray) and (kept.size, kept.dtype) != (data.size, data.dtype):
                raise ValueError(
                    f"{self._name}: {key} of parameter {position} - expected {data.size} elements of "
                    f"{data.dtype}, got {kept.size} of {kept.dtype}; the parameter changed, make a new optimiser"
                )

    # -------------------------------------------------------------------- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, except the parameters.

        Returns
        -------
        dict
            ``{"state": {position: {name: flat ndarray or number}}, "groups": {number: {option: value}},
            "shapes": {number: shapes of the group's parameters}, "kind": class}``. Positions count the parameters over
            all groups. All keys are strings, and all values except the arrays can be stored as JSON. Arrays are copies.
        """
        state = {
            str(position): {
                key: value.copy() if isinstance(value, np.ndarray) else value for key, value in kept.items()
            }
            for position, kept in self.state.items()
            if kept
        }
        groups = {str(number): dict(_options(group)) for number, group in enumerate(self.param_groups)}
        return {"state": state, "groups": groups, "shapes": self._shapes(), **identity(self._name, self, ())}

    def _shapes(self):
        groups = enumerate(self.param_groups)
        return {str(number): [list(parameter.shape) for parameter in group["params"]] for number, group in groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`; the next steps are bitwise the same.

        Parameters
        ----------
        saved : dict

        Raises
        ------
        TypeError
            If ``saved`` is not a dict.
        ValueError
            If class, groups, options, parameters or shapes differ from this optimiser's. Nothing has changed then.
            Parameters of one shape that have changed places in a group are not noticed.
        """
        _check.mapping(self._name, "saved", saved, "groups")
        refuse_other(self._name, saved, identity(self._name, self, ()))
        for name in ("groups", "state"):
            inner = saved.get(name, {})
            if not isinstance(inner, dict) or not all(isinstance(part, dict) for part in inner.values()):
                raise ValueError(f"{self._name}: saved - expected a dict of dicts as {name}, got {inner!r:.60}")
        groups = {str(number): dict(_options(group)) for number, group in enumerate(self.param_groups)}
        saved = {**saved, "groups": {number: self._completed(options) for number, options in saved["groups"].items()}}
        got = {number: sorted(options) for number, options in saved["groups"].items()}
        if got != (expected := {number: sorted(options) for number, options in groups.items()}):
            raise ValueError(f"{self._name}: saved - expected the options {expected}, got {got}")
        for options in saved["groups"].values():
            self._check_group(options)
        self._check_shapes(saved.get("shapes", self._shapes()))  # files of older versions lack them
        state = {
            key: self._checked_state(str(key), kept, saved["groups"]) for key, kept in saved.get("state", {}).items()
        }
        self.state = {int(key): kept for key, kept in state.items()}
        for number, group in enumerate(self.param_groups):
            group.update(saved["groups"][str(number)])

    def _check_shapes(self, saved):
        """Raise ValueError unless the parameters of each group have the shapes that were saved, in this order."""
        for number, expected in self._shapes().items():
            got = saved.get(number) if isinstance(saved, dict) else saved
            if got != expected:
                raise ValueError(
                    f"{self._name}: saved - expected in group {number} parameters of the shapes {expected!s:.200}, got "
                    f"{got!s:.200}; make the optimiser with the same parameters in the same groups and order"
                )

    def _completed(self, options):
        """Return the options of a saved group, also of a file from before one of them existed."""
        return {**{name: value for name, value in self._defaults.items() if name in self._added_options}, **options}

    def _expected_state(self, options):
        """Return the names of what a parameter keeps under the options of its group."""
        return self._kept

    def _options_of(self, position, groups):
        """Return the options of the group to which the parameter at a position belongs."""
        for number, group in enumerate(self.param_groups):
            if position < len(group["params"]):
                return groups[str(number)]
            position -= len(group["params"])
        raise IndexError(position)

    def _checked_state(self, position, kept, groups):
        """Return a copy of a parameter's saved state; raise ValueError unless it fits this optimiser."""
        parameters = self._parameters()
        if not position.isdecimal() or not int(position) < len(parameters):
            raise ValueError(f"{self._name}: saved - expected positions below {len(parameters)}, got {position}")
        needed = self._expected_state(self._options_of(int(position), groups))
        if needed is not None and sorted({*kept} - ({*self._kept_sometimes} - {*needed})) != sorted(needed):
            expected, got = ", ".join(needed), ", ".join(map(str, kept))
            raise ValueError(f"{self._name}: saved state of parameter {position} - expected {expected}, got {got}")
        parameter = parameters[int(position)]
        for name, value in kept.items():
            if name == "step":
                _check.integer(f"{self._name}: saved state of parameter {position}", least=0, step=value)
            elif self._kept is not None and not isinstance(value, np.ndarray):
                raise ValueError(
                    f"{self._name}: saved {name} of parameter {position} - expected an array, got {value!r:.60}"
                )
            elif isinstance(value, np.ndarray):
                expected, got = ((parameter.size,), parameter.dtype), (value.shape, value.dtype)
                if got != expected:
                    raise ValueError(
                        f"{self._name}: saved {name} of parameter {position} - expected {expected}, got {got}"
                    )
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in kept.items()}


def _options(group):
    """Yield (option, value) of a group as JSON holds them."""
    for option, value in group.items():
        if option != "params":
            yield option, list(value) if isinstance(value, tuple) else value


def _plain(value):
    """Return a NumPy scalar, or a pair of them, as Python numbers, which JSON can hold; return all else unchanged."""
    if isinstance(value, (list, tuple)) and not any(isinstance(one, Tensor) for one in value):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
