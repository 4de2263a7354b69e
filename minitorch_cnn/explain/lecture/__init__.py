"""The lecture: Markdown with figure blocks becomes one HTML file of slides in which every figure computes."""

from minitorch_cnn.explain.lecture.deck import Lecture, build_lecture, copy_lecture, lecture_runs
from minitorch_cnn.explain.lecture.errors import LectureError

__all__ = ["Lecture", "LectureError", "build_lecture", "copy_lecture", "lecture_runs"]
