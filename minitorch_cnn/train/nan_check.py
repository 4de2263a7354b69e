"""Finds NaN and infinity before the optimiser spreads them into the weights."""

import numpy as np

from minitorch_cnn.autograd import no_grad, trace


class TrainingDivergedError(ArithmeticError):
    """Training produced a NaN or an infinity and stopped before the optimiser's step.

    The message names the layer where it appeared first and the last good checkpoint.
    """


def diverged(fault, progress, checkpoint, peak_lr):
    """Return the error for a fault that `bad_loss` or `bad_gradient` found in the batch after ``progress``."""
    return TrainingDivergedError(
        f"epoch {progress.epoch + 1}, batch {progress.batch + 1}: {fault}. Stopped before the optimiser's step; last "
        f"good checkpoint: {checkpoint}. Try a peak learning rate of {peak_lr / 10:g} instead of {peak_lr:g}."
    )


def bad_loss(model, images, loss):
    """Return where a NaN or infinite loss comes from.

    Parameters
    ----------
    model : Module
    images : Tensor
        The batch that gave the loss.
    loss : float

    Returns
    -------
    str or None
        None if the loss is finite. Else one sentence that names the first operation, in the order
        of the forward pass, whose output is not finite, and its layer.

    Notes
    -----
    Cost: nothing for a finite loss, else one forward pass that keeps all its outputs.
    """
    if np.isfinite(loss):
        return None
    if not np.isfinite(images.data).all():
        return f"the loss is {loss}; the images of the batch already hold {_kind(images.data)}"
    with no_grad(), trace() as records:
        model(images)
    for record in records:
        if not np.isfinite(record.output.data).all():
            kind, layer = _kind(record.output.data), record.path or type(model).__name__
            return f"the loss is {loss}; the first {kind} comes out of {record.op.__name__} in layer {layer}"
    return f"the loss is {loss}, of finite outputs of {type(model).__name__}"


def bad_gradient(model):
    """Return which gradient is NaN or infinite.

    Parameters
    ----------
    model : Module
        After ``backward()``.

    Returns
    -------
    str or None
        None if all are finite. Else one sentence that names the parameter that backward reached first:
        the last one in the order of the model.
    """
    for path, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not np.isfinite(parameter.grad).all():
            return f"the loss is finite, but the gradient of {path} holds {_kind(parameter.grad)}"
    return None


def _kind(array):
    return "NaN" if np.isnan(array).any() else "infinity"
