"""Reasoning levels of a skill graph: what tasks meet at each, and which levels are worth a look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ds3opt.problem import Levels, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


class AtLevel(NamedTuple):
    """One trace of every action at its level, (action,)."""

    step: FloatArray
    """Chance that a step finds and executes the next skill, iota-hat p_s."""
    skills: FloatArray
    """Skills that the task takes at the level."""
    solvable: FloatArray
    """Chance that all of them compose, gamma to the power of the skills."""


def at_levels(levels: Levels, task: IntArray, policy: IntArray, loss: FloatArray) -> AtLevel:
    """What actions meet at their levels, for models of these losses; all arguments (action,)."""
    skill, log_member, row = _learned(levels, loss)
    column = levels.reasoning[policy] - 1
    skills = levels.skills[task, column]
    step = levels.directionality[task, column] * skill[row, column]
    return AtLevel(step, skills, _solvable(skills, log_member[row, column]))


def _learned(levels: Levels, loss: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """p_s and ln gamma, (distinct loss, level), and the row of each loss."""
    distinct, row = np.unique(loss, return_inverse=True)
    learned = levels.law.learned(distinct)
    with np.errstate(divide="ignore"):
        log_member = np.log1p(-learned.outside)
    return learned.skill_probability, log_member, row.reshape(loss.shape)


@np.errstate(invalid="ignore", under="ignore", over="ignore")
def _solvable(skills: FloatArray, log_member: FloatArray) -> FloatArray:
    """gamma^m; 1 for no skills, 0 for ever so many unless all compose."""
    power = np.where(log_member == 0.0, 0.0, skills * log_member)
    return np.asarray(np.exp(np.where(skills > 0.0, power, 0.0)))


def table(problem: Problem, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Step success and chance that skills compose, of every task: (loss, level, task)."""
    levels = problem.levels
    assert levels is not None
    return _of_tasks(levels, *_learned(levels, loss))


def _of_tasks(
    levels: Levels, skill: FloatArray, log_member: FloatArray, row: IntArray
) -> tuple[FloatArray, FloatArray]:
    step = levels.directionality.T * skill[row][:, :, None]
    return step, _solvable(levels.skills.T, log_member[row][:, :, None])


def worthwhile(problem: Problem, low: float, high: float) -> NDArray[np.bool_]:
    """Levels that may be best for each task for some loss in [low, high], (task, level).

    Left out are levels at which nothing is solved even at the lower loss, and levels with at least
    as many skills, no easier to find, as one at which everything is learned and composes at the
    higher loss already. Both to the last digit, so that leaving them out costs nothing.
    """
    levels, tasks = problem.levels, problem.tasks
    assert levels is not None
    assert tasks is not None
    learned = _learned(levels, np.array([low, high]))
    step, solvable = _of_tasks(levels, *learned)
    best_step, best_solvable = step[0].T, solvable[0].T
    needed = np.maximum(levels.skills, 1.0) <= tasks.max_steps[:, None]
    hopeful = needed & (best_solvable > 0.0) & ((best_step > 0.0) | (levels.skills == 0.0))
    skill, log_member, row = learned
    perfect = (skill[row[1]] >= 1.0) & (log_member[row[1]] >= 0.0)
    if np.any(perfect):
        # the fewest skills that perfect levels ask of each task, at the lowest such level
        best = np.argmin(np.where(perfect, levels.skills, np.inf), axis=1)
        rows = np.arange(best.size)
        skills, found = levels.skills[rows, best], levels.directionality[rows, best]
        beaten = (levels.skills >= skills[:, None]) & (levels.directionality <= found[:, None])
        beaten[rows, best] = False
        hopeful &= ~beaten
    # what takes no skills is done at any level: its own will do
    own = np.arange(1, levels.count + 1) == tasks.level[:, None]
    return np.asarray(np.where(tasks.skills[:, None] == 0.0, own, hopeful))
