"""Parameter: a Tensor that a module learns."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn.autograd import FLOAT_DTYPES, Variable
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array


class Parameter(Tensor):
    """A Tensor that a module learns.

    Parameters
    ----------
    data : array_like or Tensor, any shape
        Copied, so that the parameter shares memory with no other array; float32 or float64.
    requires_grad : bool
        False freezes it.

    Raises
    ------
    TypeError
        If ``data`` is not floating-point.
    """

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = True):
        array = Tensor(data.data if isinstance(data, Variable) else data).data
        if array.dtype not in FLOAT_DTYPES:
            raise TypeError(f"Parameter: data - expected float32 or float64, got {array.dtype}")
        super().__init__(np.array(array, order="C"), requires_grad)

    @classmethod
    def empty(cls, *shape: int) -> Self:
        """Return a float32 parameter for an initialiser to fill; until then it takes no memory.

        Parameters
        ----------
        shape : int
            The length of each axis.

        Returns
        -------
        Parameter
        """
        parameter = cls.__new__(cls)
        Tensor.__init__(parameter, np.empty(shape, np.float32), requires_grad=True)
        return parameter

    def result(self, data: Array) -> Tensor:
        """Return a Tensor: the result of an operation on a parameter is a plain Tensor."""
        return Tensor(data)
