"""Names for type annotations."""

import os
from typing import Any, TypeAlias

from numpy.typing import ArrayLike, NDArray

from minitorch_cnn.autograd import Variable

Array: TypeAlias = NDArray[Any]
Axis: TypeAlias = int | tuple[int, ...] | None
Path: TypeAlias = str | os.PathLike[str]
Operand: TypeAlias = Variable | ArrayLike  # what an operation takes for a Tensor
Shape: TypeAlias = tuple[int, ...]
Size: TypeAlias = int | tuple[int, ...]  # one for all axes, or one per axis
