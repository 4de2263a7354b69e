"""Batch norm over a batch that is divided among processes."""

from collections.abc import Callable

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn.module import M, Module
from minitorch_cnn.nn.norm import BatchNorm2d
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array


def own_sum(array: Array) -> Array:
    """Return the array itself: the sum over a single process."""
    return array


class SyncBatchNorm2d(BatchNorm2d):
    """Batch norm over the whole batch, of which every process holds a share.

    out[n, c, i, j] = (x[n, c, i, j] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    Parameters
    ----------
    num_features, eps, momentum, affine
        As in `BatchNorm2d`.
    total : callable
        Returns the sum of an array over all processes, such as ``train.connect().sum``; by default
        there is only one process. All processes must run the layer equally often and in the same order.
    track_running_stats, bias
        As in `BatchNorm2d`.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C, H, W), the share of this process.

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `BatchNorm2d`.

    Notes
    -----
    In evaluation, and when frozen, it works like `BatchNorm2d`. `fuse` does not change it.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool | str = True,
        total: Callable[[Array], Array] = own_sum,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias)
        arguments.function("SyncBatchNorm2d", total=total)
        self.total = total

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised."""
        settings = self.settings()
        if not settings.pop("training"):
            return super().forward(x)
        if len(x.shape) not in self._axes:
            raise ShapeError(f"SyncBatchNorm2d: x - expected {self._axes[4]}, got shape {x.shape}")
        arguments = x, self.weight, self.bias, self.running_mean, self.running_var
        out = ops.sync_batch_norm(*arguments, total=self.total, **settings)
        self.count_batch(x)
        return out


def sync_batch_norm(model: M, total: Callable[[Array], Array]) -> M:
    """Replace every `BatchNorm2d` with a `SyncBatchNorm2d` that has the same parameters and statistics.

    Parameters
    ----------
    model : Module
        Changed in place.
    total : callable
        As for `SyncBatchNorm2d`.

    Returns
    -------
    Module
        The model itself.
    """
    arguments.instance("sync_batch_norm", Module, model=model)
    arguments.function("sync_batch_norm", total=total)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is BatchNorm2d:
                layer = SyncBatchNorm2d.__new__(SyncBatchNorm2d)  # no buffers and parameters but those of the child
                layer.__dict__.update(child.__dict__, total=total)
                setattr(module, name, layer)
    return model
