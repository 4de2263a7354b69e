"""The self-test of the BLAS library that NumPy loads."""

from minitorch_cnn.diagnose import blas_check


def test_the_self_test_of_blas_notices_wrong_products(monkeypatch):
    assert blas_check.worst_error() <= 1
    einsum = blas_check.np.einsum
    monkeypatch.setattr(blas_check.np, "einsum", lambda *arguments: einsum(*arguments) * 1.001)
    assert blas_check.worst_error() > 1
