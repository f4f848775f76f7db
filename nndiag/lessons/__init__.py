"""Short lessons: one for every symptom and every topic of the course.

`lesson(name)` answers in the language in use; needs no torch.
"""

from __future__ import annotations

from nndiag.lessons.catalogue import FAMILIES, LESSONS, lesson
from nndiag.lessons.lesson import Lesson

__all__ = ["FAMILIES", "LESSONS", "Lesson", "lesson"]
