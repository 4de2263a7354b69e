"""For users' tests: the gradient checker."""

from minitorch_cnn.testing.gradcheck import GradcheckError, GradcheckReport, gradcheck

__all__ = ["GradcheckError", "GradcheckReport", "gradcheck"]
