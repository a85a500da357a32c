"""Difficulty, skills, directionality and fatigue that explain measured accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ds3opt.fit.task_model import CONSTANTS, SKILLS, Observations, TaskModel
from ds3opt.fit.task_profiles import Profile, ends, profiles_of
from ds3opt.fit.task_search import Progress, Search
from ds3opt.laws._types import FloatArray

QUANTILE = 3.841458820694124
"""95 % quantile of chi-square with one degree of freedom."""
_SAME = 1e-2
"""Deviance within which two starts agree."""
_PART = 0.3
"""Of a direction, from which on a constant is said to have a part in it."""


@dataclass(frozen=True)
class TasksFit:
    """Constants of a class, and what is known of them."""

    model: TaskModel
    values: dict[str, float]
    at: FloatArray  # (coordinate,)
    deviance: float
    freedom: int
    """Rows less constants that were fitted, at least 0."""
    residuals: FloatArray  # (row,) signed root deviance, fitted - measured
    profiles: dict[str, Profile]
    minima: FloatArray  # (number of skills, coordinate)
    """The best fit of each number of skills that was tried, in their order."""
    held: tuple[str, ...]
    """Constants that were given."""
    starts: int
    agreeing: int
    """Of the starts followed at the best number of skills, those that end at the best fit."""
    followed: int

    @property
    def dispersion(self) -> float:
        """Deviance for each degree of freedom, at least 1: by it intervals are widened."""
        return max(1.0, self.deviance / self.freedom) if self.freedom else 1.0

    @property
    def chance(self) -> float | None:
        """Chance of so large a deviance were the laws right; None without degrees of freedom."""
        if not self.freedom:
            return None
        return float(special.gammaincc(0.5 * self.freedom, 0.5 * self.deviance))

    def accuracy(self, rows: Observations | None = None) -> FloatArray:
        """Accuracies by the fit, of its own rows or others."""
        return np.asarray(self.model.accuracy(self.at[None, :], rows)[0])

    def blends(self) -> list[tuple[str, ...]]:
        """Constants that the data know in some combination only, by the Fisher information.

        Each is a direction in which the likelihood at the fit is so flat that its 95 % interval is
        wider than all that is allowed.
        """
        names = [i for i, name in enumerate(CONSTANTS) if name not in self.held]
        _, slopes = replace(self.model, whole=False).residuals(self.at[None, :])
        span = np.maximum(self.model.high - self.model.low, 1e-12)
        scaled = slopes[0][:, names] * span[names]
        _, sizes, directions = np.linalg.svd(
            np.concatenate([scaled, np.zeros((len(names), len(names)))]), full_matrices=False
        )
        flat = sizes < np.sqrt(QUANTILE * self.dispersion)
        return [
            tuple(CONSTANTS[names[i]] for i in np.flatnonzero(np.abs(one) > _PART))
            for one in directions[flat]
        ]


def fit_tasks(
    rows: Observations,
    *,
    slope: float = 5.0,
    scale: float = 1.0,
    offset: float = 0.0,
    held: Mapping[str, float] | None = None,
    profiles: bool = True,
    progress: Progress | None = None,
) -> TasksFit:
    """Constants of greatest binomial likelihood under ds3opt's own laws.

    Parameters
    ----------
    rows : two or more, unless constants are held.
    slope, scale, offset : sigmoid of a step, as in a scenario.
    held : constants that are given, by their names in `CONSTANTS`.
    profiles : whether to work out intervals; else only which constants the data bound.

    Notes
    -----
    Every number of skills up to 24, then in steps of 20 %, and every whole number about the best,
    has a grid of starts of the others; the best starts are followed to their minima. Where the
    default of a scenario, directionality 1 and fatigue 0, does as well as anything, it is taken.

    An interval holds the values that a likelihood-ratio test does not reject at 5 %, the other
    constants at their best for each; where the deviance exceeds its degrees of freedom, the test
    is against their ratio (quasi-likelihood), which widens the interval.
    """
    model = TaskModel.of(rows, slope=slope, scale=scale, offset=offset)
    given = {name: float(value) for name, value in (held or {}).items()}
    search = Search(model, given)
    best, sums, starts = search.everywhere(progress)
    top = int(np.argmin(sums))
    mine = np.flatnonzero(best[:, SKILLS] == best[top, SKILLS])
    at, deviance = search.with_defaults(best, sums)
    fitted = len(CONSTANTS) - len(given)
    freedom = max(len(rows) - fitted, 0)
    spare = max(1.0, deviance / freedom) if freedom else 1.0
    limit = deviance + QUANTILE * spare
    found, minima = ends(search, at, best, sums, limit)
    if profiles:
        found = profiles_of(search, at, best, sums, limit, progress)
    values = dict(zip(CONSTANTS, map(float, model.values(at)), strict=True))
    return TasksFit(
        model=model,
        values=values,
        at=at,
        deviance=deviance,
        freedom=freedom,
        residuals=model.residuals(at[None, :])[0][0],
        profiles=found,
        minima=minima,
        held=tuple(given),
        starts=starts,
        agreeing=int(np.sum(sums[mine] <= sums[top] + _SAME)),
        followed=len(mine),
    )
