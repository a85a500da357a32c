"""A scenario compiled to arrays: where pydantic stops."""

from __future__ import annotations

from ds3opt.problem.arrays import Budgets, Levels, Problem, Tasks, TrainingSpace
from ds3opt.problem.compile import compile_problem
from ds3opt.problem.tasks import MAX_STEPS, with_measurements, wrong_answer_shares

__all__ = [
    "MAX_STEPS",
    "Budgets",
    "Levels",
    "Problem",
    "Tasks",
    "TrainingSpace",
    "compile_problem",
    "with_measurements",
    "wrong_answer_shares",
]
