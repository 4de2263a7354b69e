"""The one table of operations: samples, wrong arguments with their errors, the truth in NumPy, and where the kinks are.

`test_table.py` makes the tests of it, and fails until an exported operation has a row.
"""

from tests.ops.table import elementwise, layers, movement, windows

TABLE = {**elementwise.ROWS, **windows.ROWS, **layers.ROWS, **movement.ROWS}
