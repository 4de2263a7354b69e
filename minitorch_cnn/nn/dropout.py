"""Dropout."""

from minitorch_cnn import ops
from minitorch_cnn.nn._check import between
from minitorch_cnn.nn.module import Module
from minitorch_cnn.tensor import Tensor


class Dropout(Module):
    """In training, zero each element with probability p and divide the others by 1 - p; otherwise do nothing.

    The expected value of the output is the input. The draws come from the stream of `manual_seed`.

    Parameters
    ----------
    p : float, 0 to 1

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    ValueError
        If ``p`` is outside [0, 1].

    Notes
    -----
    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """

    p: float

    def __init__(self, p: float = 0.5):
        between("Dropout", 0, 1, p=p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return x, in training with some elements dropped."""
        return ops.dropout(x, self.p, training=self.training)
