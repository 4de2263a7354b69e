"""The table of operations: samples, wrong arguments with their errors, the truth in NumPy, and the kinks.

`test_table.py` makes tests from it, and fails until every exported operation has a row.
"""

from tests.ops.table import elementwise, layers, losses, movement, ordering, windows

TABLE = {**elementwise.ROWS, **windows.ROWS, **layers.ROWS, **losses.ROWS, **movement.ROWS, **ordering.ROWS}
