"""The operations of a model for one shape of input, and any part of them run again on real numbers.

Layers are named by module paths, which every operation of a trace carries. So a module may run twice, and what
a module computes between its parts is visible too.
"""

from minitorch_cnn.explain.trace.semantics import keeps_place
from minitorch_cnn.hints import hint
from minitorch_cnn.nn.tracing import check_module, evaluating, traced


class Replay:
    """The trace of a model in evaluation mode.

    Parameters
    ----------
    model : Module
        Nothing is computed, and nothing in it changes.
    input_shape : tuple of int
        (N, C, H, W), or (N, C, W) of signals.

    Raises
    ------
    ShapeError
        If the model does not take inputs of this shape.
    """

    def __init__(self, model, input_shape):
        check_module("explain", model)
        self.modules, self.name = dict(model.named_modules()), type(model).__name__
        with evaluating(model):
            self.x, self.records, self._returned = traced(model, input_shape)
        self.dtype = self.x.data.dtype
        self._maker = {id(record.output): i for i, record in enumerate(self.records)}

    @property
    def end(self):
        """The position of the operation that makes what the model returns; others may run after it.

        Raises
        ------
        ValueError
            If the model returns anything but one Tensor that its operations made.
        """
        if (end := self._maker.get(id(self._returned))) is None:
            got = type(self._returned).__name__
            raise ValueError(f"explain: model - expected one that returns one Tensor that it computes, got {got}")
        return end

    def last_op(self, layer, through_activation=False):
        """Return the position of the last operation of a layer, in its last run if there are several.

        Parameters
        ----------
        layer : str
            Module path, such as ``"layer3.1"``; ``""`` is the whole model, whose last operation makes its output.
        through_activation : bool
            Whether to continue through the normalisation and the activation that follow it directly.

        Raises
        ------
        ValueError
            If there is no such module, or it did not run.
        """
        if not isinstance(layer, str) or layer not in self.modules:
            known = [path for path in self.modules if path]
            near = hint(str(layer), known, cutoff=0.0)  # the last part of a path is often given alone
            raise ValueError(f"explain: layer - expected a module's path, got {layer!r}{near}")
        if layer == "":
            return self.end
        inside = [i for i, r in enumerate(self.records) if f"{r.path}.".startswith(f"{layer}.")]
        if not inside:
            raise ValueError(f"explain: layer - expected one that runs, got {layer!r}, which does not")
        end = inside[-1]
        while through_activation and (following := self.following_pointwise(end)) is not None:
            end = following
        return end

    def following_pointwise(self, position):
        """Return the only reader of an output if it is a normalisation or an activation, else None."""
        output = self.records[position].output
        readers = [i for i, r in enumerate(self.records) if any(v is output for v in r.inputs)]
        return readers[0] if len(readers) == 1 and keeps_place(self.records[readers[0]]) else None

    def run(self, given, wanted):
        """Run the operations between the given variables and the wanted one, and no others.

        Parameters
        ----------
        given : list of (Variable, Tensor)
            A variable of the trace, such as `x`, and its replacement.
        wanted : int
            A position in ``records``.

        Returns
        -------
        Tensor
            Its gradient leads back to what was given, not to the parameters.
        """
        values = {id(variable): tensor for variable, tensor in given}
        needed = self.ancestors(wanted, values)
        last_use = {id(v): i for i in needed for v in self.records[i].inputs}
        for i in needed:
            record = self.records[i]
            inputs = [v if v is None else values[id(v)] if v.traced else v.detach() for v in record.inputs]
            values[id(record.output)] = record.op.apply(*inputs, **record.hyper)
            for v in record.inputs:  # free what is not read again
                if last_use[id(v)] == i:
                    values.pop(id(v), None)
        return values[id(self.records[wanted].output)]

    def ancestors(self, wanted, known=()):
        """Return the positions, in order, of ``wanted`` and what it depends on, but for ids of known variables."""
        needed, stack = set(), [wanted]
        while stack:
            i = stack.pop()
            if i in needed or id(self.records[i].output) in known:
                continue
            needed.add(i)
            stack += [self._maker[id(v)] for v in self.records[i].inputs if v is not None and id(v) in self._maker]
        return sorted(needed)
