"""What all optimisers share: parameter groups, the step over all parameters, saving and loading."""

import numpy as np

from minitorch_cnn.autograd import FLOAT_DTYPES
from minitorch_cnn.tensor import Tensor


class Optimizer:
    """Base of the optimisers; a subclass gives ``_check_group`` and ``_update``.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to learn. A dict is a group, ``{"params": [...], "lr": 0.01}``, with own values for
        some options.
    defaults : dict of str to number
        The options of groups that do not have their own.

    Attributes
    ----------
    param_groups : list of dict
        Each with "params" and all options; schedules write "lr".

    Raises
    ------
    TypeError
        If one is no Tensor.
    ValueError
        If there is no parameter, one appears twice or was computed from others, or an option is
        unknown or out of its range.
    """

    def __init__(self, params, defaults):
        self.state = {}  # position of the parameter, counted over all groups -> dict of arrays and numbers
        self.param_groups = []
        groups = [params] if isinstance(params, Tensor) else list(params)
        if not groups or not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self._add_group(group, defaults)
        if not self._parameters():
            raise ValueError(f"{self._name}: params - expected at least one parameter, got none")

    @property
    def _name(self):
        return type(self).__name__

    def _add_group(self, group, defaults):
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{self._name}: params - expected Tensors, or dicts with 'params', got {group!r}")
        if unknown := group.keys() - defaults.keys() - {"params"}:
            known = ", ".join(defaults)
            raise ValueError(f"{self._name}: params - expected options among {known}, got {', '.join(sorted(unknown))}")
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
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
        self.param_groups.append({**defaults, **group, "params": params})
        self._check_group(self.param_groups[-1])

    def _check(self, option, fits, expected, value):
        if not fits:
            raise ValueError(f"{self._name}: {option} - expected {expected}, got {value!r}")

    def _parameters(self):
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self._parameters():
            parameter.grad = None

    def step(self):
        """Change every parameter that has a gradient and requires one; the others are left alone.

        Raises
        ------
        ValueError
            If shape or dtype of a gradient, or of what was kept from earlier steps, is no longer
            that of the parameter; nothing was changed.
        """
        jobs, position = [], 0
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.requires_grad and parameter.grad is not None:
                    self._check_arrays(position, parameter)
                    jobs.append((parameter, self.state.setdefault(position, {}), group))
                position += 1
        for parameter, state, group in jobs:
            # Kernels work on one contiguous line; both of these are views in the usual case.
            flat = parameter.data.reshape(-1)
            self._update(flat, np.ascontiguousarray(parameter.grad).reshape(-1), state, group)
            if not np.may_share_memory(flat, parameter.data):
                parameter.data[...] = flat.reshape(parameter.shape)
            parameter.bump_version()

    def _check_arrays(self, position, parameter):
        expected = (parameter.shape, parameter.dtype)
        got = (parameter.grad.shape, parameter.grad.dtype)
        if got != expected:
            raise ValueError(f"{self._name}: gradient of parameter {position} - expected {expected}, got {got}")
        for key, kept in self.state.get(position, {}).items():
            if isinstance(kept, np.ndarray) and (kept.size, kept.dtype) != (parameter.size, parameter.dtype):
                raise ValueError(
                    f"{self._name}: {key} of parameter {position} - expected {parameter.size} elements of "
                    f"{parameter.dtype}, got {kept.size} of {kept.dtype}; the parameter changed, make a new optimiser"
                )

    # -------------------------------------------------------------------- saving and loading

    def state_dict(self):
        """Return all that the next step depends on, besides the parameters.

        Returns
        -------
        dict
            ``{"state": {position: {name: flat ndarray or number}}, "groups": {number: {option: value}}}``.
            Positions count the parameters over all groups; all keys are strings, and all values
            but the arrays are such that JSON can hold them. Arrays are copies.
        """
        state = {
            str(position): {
                key: value.copy() if isinstance(value, np.ndarray) else value for key, value in kept.items()
            }
            for position, kept in self.state.items()
            if kept
        }
        groups = {str(number): dict(_options(group)) for number, group in enumerate(self.param_groups)}
        return {"state": state, "groups": groups}

    def load_state_dict(self, saved):
        """Go on from what `state_dict` gave; the next steps are the same to the last bit.

        Parameters
        ----------
        saved : dict

        Raises
        ------
        ValueError
            If groups, options, parameters or shapes differ from this optimiser's; nothing was changed.
        """
        parameters = self._parameters()
        groups = {str(number): dict(_options(group)) for number, group in enumerate(self.param_groups)}
        if "groups" not in saved:
            raise ValueError(f"{self._name}: saved - expected 'state' and 'groups', got {', '.join(map(str, saved))}")
        got = {number: sorted(options) for number, options in saved["groups"].items()}
        if got != (expected := {number: sorted(options) for number, options in groups.items()}):
            raise ValueError(f"{self._name}: saved - expected the options {expected}, got {got}")
        state = {}
        for key, kept in saved.get("state", {}).items():
            position = int(key)
            if not 0 <= position < len(parameters):
                raise ValueError(f"{self._name}: saved - expected positions below {len(parameters)}, got {position}")
            parameter = parameters[position]
            state[position] = {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in kept.items()}
            for name, value in state[position].items():
                if isinstance(value, np.ndarray):
                    expected, got = ((parameter.size,), parameter.dtype), (value.shape, value.dtype)
                    if got != expected:
                        raise ValueError(
                            f"{self._name}: saved {name} of parameter {position} - expected {expected}, got {got}"
                        )
        self.state = state
        for number, group in enumerate(self.param_groups):
            group.update(saved["groups"][str(number)])


def _options(group):
    """Yield (option, value) of a group as JSON holds them."""
    for option, value in group.items():
        if option != "params":
            yield option, list(value) if isinstance(value, tuple) else value
