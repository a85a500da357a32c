"""What measured accuracies should be by ds3opt's laws, for any difficulty, skills and search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ds3opt.laws._types import FloatArray
from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.search import chain_of_thought_success
from ds3opt.policies import Policy, TaskTraits

CONSTANTS = ("difficulty", "skills", "directionality", "fatigue")
"""What is fitted, in the order of `TaskModel.values`."""
DIFFICULTY, SKILLS, DIRECTIONALITY, FATIGUE = range(4)
LEAST_DIRECTIONALITY = 1e-4
MOST_SKILLS = 1000
_LITTLE_FATIGUE = 1e-3
"""Below it the coordinate of fatigue is even in fatigue, above in its logarithm."""
_REACH = 12.0
"""Slopes beyond the losses of the data that a difficulty may lie: a step's sigmoid is flat there
to 6e-6."""
_STEP = 1e-4
_SLIDING = (DIFFICULTY, DIRECTIONALITY, FATIGUE)
"""Constants that are no whole numbers."""
_TINY = 1e-100
"""Least chance: its square, and that of a slope, stay within floating point."""


@dataclass(frozen=True)
class Observations:
    """Measured accuracies of one class of tasks, one element of each array for each row."""

    loss: FloatArray
    """Of the model, nats/token."""
    steps: FloatArray
    """Whole steps of one trace, or levels of a tree."""
    policies: tuple[Policy, ...]
    policy: NDArray[np.intp]
    """Index into `policies`."""
    problems: FloatArray
    """Tasks tried."""
    solved: FloatArray
    """Tasks solved, accuracy x problems; need not be whole."""
    traits: TaskTraits
    """What judges the answers of each row."""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def accuracy(self) -> FloatArray:
        """Share of the tasks solved."""
        return self.solved / self.problems

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Observations:
        """The chosen rows."""
        index = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            loss=self.loss[index],
            steps=self.steps[index],
            policy=self.policy[index],
            problems=self.problems[index],
            solved=self.solved[index],
            traits=self.traits.take(index),
        )


@dataclass(frozen=True)
class TaskModel:
    """Accuracies from coordinates, each of about even effect over its range.

    Coordinates are difficulty (nats/token), log skills, log directionality, and of fatigue h
    ``log(1 + h / 0.001)``.
    """

    rows: Observations
    slope: float
    scale: float
    offset: float
    low: FloatArray
    high: FloatArray
    whole: bool = True
    """Whether skills are whole numbers; real ones stand for them where there are many."""

    @classmethod
    def of(
        cls,
        rows: Observations,
        *,
        slope: float = 5.0,
        scale: float = 1.0,
        offset: float = 0.0,
    ) -> TaskModel:
        """The model of some rows, with the sigmoid of a step.

        No class needs more skills than the shortest trace that solved any of it has steps.
        """
        some = rows.solved > 0.0
        longest = float(rows.steps[some].min()) if np.any(some) else float(rows.steps.max())
        most = float(np.clip(longest, 1.0, MOST_SKILLS))
        reach = _REACH / slope
        low = [rows.loss.min() - reach, 0.0, np.log(LEAST_DIRECTIONALITY), 0.0]
        high = [rows.loss.max() + reach, np.log(most), 0.0, np.log1p(1.0 / _LITTLE_FATIGUE)]
        return cls(rows, slope, scale, offset, np.array(low), np.array(high))

    def values(self, at: FloatArray) -> FloatArray:
        """Constants in the order of `CONSTANTS`, same shape as the coordinates."""
        found = np.array(at, dtype=np.float64)
        skills = np.exp(at[..., SKILLS])
        found[..., SKILLS] = np.rint(skills) if self.whole else skills
        found[..., DIRECTIONALITY] = np.exp(at[..., DIRECTIONALITY])
        fatigue = _LITTLE_FATIGUE * np.expm1(at[..., FATIGUE])
        found[..., FATIGUE] = np.clip(fatigue, 0.0, 1.0)
        return found

    def coordinates(self, values: FloatArray) -> FloatArray:
        """Coordinates of constants; the inverse of `values`."""
        at = np.array(values, dtype=np.float64)
        at[..., SKILLS] = np.log(at[..., SKILLS])
        at[..., DIRECTIONALITY] = np.log(at[..., DIRECTIONALITY])
        at[..., FATIGUE] = np.log1p(at[..., FATIGUE] / _LITTLE_FATIGUE)
        return at

    def accuracy(self, at: FloatArray, rows: Observations | None = None) -> FloatArray:
        """Accuracy of every row, of the data or others, (problem, row).

        Parameters
        ----------
        at : coordinates, (problem, coordinate).
        """
        data = self.rows if rows is None else rows
        difficulty, skills, directionality, fatigue = self.values(at).T[:, :, None]
        step = directionality * step_skill_success(
            data.loss, difficulty, slope=self.slope, scale=self.scale, offset=self.offset
        )
        shape = step.shape
        ruin = np.array(np.broadcast_to(fatigue, shape))
        tires = bool(np.any(fatigue))
        mine = [np.flatnonzero(data.policy == index) for index in range(len(data.policies))]
        traits = [data.traits.take(np.tile(rows_, len(at))) for rows_ in mine]
        for policy, of, known in zip(data.policies, mine, traits, strict=True):
            if policy.branches > 1 and of.size:
                level = policy.level(step[:, of].ravel(), ruin[:, of].ravel(), known)
                step[:, of], ruin[:, of] = (np.reshape(one, (-1, of.size)) for one in level)
        trace = chain_of_thought_success(
            step, np.broadcast_to(skills, shape), data.steps, fatigue=ruin if tires else 0.0
        )
        found = np.empty(shape)
        for policy, of, known in zip(data.policies, mine, traits, strict=True):
            if of.size:
                answer = policy.answer_success(np.asarray(trace)[:, of].ravel(), known)
                found[:, of] = np.reshape(answer, (-1, of.size))
        return np.clip(found, 0.0, 1.0)

    def deviance(self, at: FloatArray) -> FloatArray:
        """Twice the log likelihood ratio against accuracies as measured, (problem,)."""
        told = np.clip(self.accuracy(at), _TINY, 1.0 - 1e-16)
        return np.asarray(np.sum(signed_root_deviance(self.rows, told) ** 2, axis=1))

    def residuals(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Deviance residuals (problem, row) and their slopes by coordinate (problem, row, 4).

        Their squares sum to twice the log likelihood ratio against accuracies as measured, so that
        least squares is greatest likelihood. The slope of whole numbers of skills is taken as 0.
        """
        data, count = self.rows, len(at)
        moved = [at]
        sliding = _SLIDING if self.whole else (*_SLIDING, SKILLS)
        for one in sliding:
            for side in (_STEP, -_STEP):
                beside = at.copy()
                beside[:, one] = np.clip(at[:, one] + side, self.low[one], self.high[one])
                moved.append(beside)
        every = self.accuracy(np.concatenate(moved)).reshape(len(moved), count, len(data))
        told = np.clip(every[0], _TINY, 1.0 - 1e-16)
        residual = signed_root_deviance(data, told)
        variance = told * (1.0 - told)
        width = np.sqrt(data.problems / variance)
        off = (told - data.accuracy) / variance
        # nearer than that the deviance is all rounding
        far = (np.abs(off) > 1e-5) & (residual != 0.0)
        pull = np.divide(data.problems * off, residual, out=width, where=far)
        slopes = np.zeros((*told.shape, at.shape[1]))
        for index, one in enumerate(sliding):
            up, down = 1 + 2 * index, 2 + 2 * index
            apart = moved[up][:, [one]] - moved[down][:, [one]]
            # a constant that only one value is allowed moves nothing
            rise = np.divide(
                every[up] - every[down], apart, out=np.zeros_like(told), where=apart != 0.0
            )
            slopes[:, :, one] = pull * rise
        return residual, slopes


def signed_root_deviance(rows: Observations, told: FloatArray) -> FloatArray:
    """Root of each row's binomial deviance, above 0 where more is told than was measured.

    Parameters
    ----------
    told : accuracies in (0, 1), (..., row).
    """
    got = rows.accuracy
    deviance = special.rel_entr(got, told) + special.rel_entr(1.0 - got, 1.0 - told)
    size = np.sqrt(2.0 * rows.problems * np.maximum(deviance, 0.0))
    return np.asarray(np.copysign(size, told - got))
