"""Exercises: stubs of operations to write, and a grader that says what is wrong with what was written."""

from minitorch_cnn.exercises.grade import ExerciseError, Report, check
from minitorch_cnn.exercises.stubs import start
from minitorch_cnn.exercises.tasks import TASKS, Task

__all__ = ["TASKS", "ExerciseError", "Report", "Task", "check", "start"]
