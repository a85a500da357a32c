"""Required accuracies of classes, as the allocation asks for them."""

from __future__ import annotations

import numpy as np

from ds3opt.optimise.allocation import Required
from ds3opt.problem import Problem


def requirement(problem: Problem) -> Required | None:
    """The required accuracies of a problem's classes; None where there are none."""
    tasks = problem.tasks
    assert tasks is not None
    if not np.any(tasks.group_min_accuracy > 0.0):
        return None
    worth = np.zeros(tasks.group_share.size)
    worth[tasks.group] = tasks.value
    return Required(tasks.group, worth, tasks.group_min_accuracy * tasks.group_share)
