"""Least deviance of a class's constants: a grid of starts, each followed to its minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ds3opt.fit.robust import minimise
from ds3opt.fit.task_model import (
    CONSTANTS,
    DIFFICULTY,
    DIRECTIONALITY,
    FATIGUE,
    SKILLS,
    TaskModel,
)
from ds3opt.laws._types import FloatArray

DEFAULTS = {"directionality": 1.0, "fatigue": 0.0}
"""What the data do not tell stays where a scenario has it."""
_NO_WORSE = 1e-3
"""Deviance that a default may cost and still be preferred."""
_OUT = 0.1
"""Deviance beyond the best at which a number of skills is no longer tried with defaults."""
_GAIN = 1e-5
"""Of half the deviance, below which an iteration gained nothing."""
_DIFFICULTIES, _DIRECTIONS, _FATIGUES = 17, 5, 4
_FOLLOWED = 3
"""Starts that are followed for each number of skills."""
_EVERY_UP_TO = 24
_RATIO = 1.2
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Search:
    """Minima of the deviance for a model with some constants held."""

    model: TaskModel
    held: Mapping[str, float]

    def free(self, *also: int) -> FloatArray:
        """Which coordinates move, 1 or 0, where those of `also` do not either."""
        free = np.ones(len(CONSTANTS))
        free[SKILLS] = 0.0 if self.model.whole else 1.0
        for name in self.held:
            free[CONSTANTS.index(name)] = 0.0
        free[list(also)] = 0.0
        return free

    def minimise(self, starts: FloatArray, *also: int) -> tuple[FloatArray, FloatArray]:
        """Minima and deviances, with the constants of `also` where the starts have them."""
        return self.side_by_side(starts, np.broadcast_to(self.free(*also), starts.shape))

    def side_by_side(
        self, starts: FloatArray, free: FloatArray, gain: float = _GAIN
    ) -> tuple[FloatArray, FloatArray]:
        """The same, each start with constants of its own that are free, (start, coordinate)."""
        if not free.any():
            return starts, self.model.deviance(starts)
        found = minimise(
            self.model.residuals,
            starts,
            low=np.minimum(self.model.low, starts.min(axis=0)),
            high=np.maximum(self.model.high, starts.max(axis=0)),
            delta=np.inf,
            free=free,
            rows=len(self.model.rows),
            gain=gain,
        )
        return found.coordinates, 2.0 * found.sums

    def everywhere(self, progress: Progress | None) -> tuple[FloatArray, FloatArray, int]:
        """Minima followed, their deviances, and how many starts there were."""
        skills = self._skills()
        found, sums, starts = self.from_grid(skills)
        for _ in range(3):
            if progress is not None:
                progress("starts", 0.5)
            between = self._between(found, sums)
            if not between.size:
                break
            more, more_sums, more_starts = self.from_grid(between)
            found, sums = np.concatenate([found, more]), np.concatenate([sums, more_sums])
            starts += more_starts
        return found, sums, starts

    def _skills(self) -> FloatArray:
        """Numbers of skills that are tried at first."""
        if "skills" in self.held:
            return np.array([self.held["skills"]])
        most = float(np.rint(np.exp(self.model.high[SKILLS])))
        each = np.arange(1.0, min(most, _EVERY_UP_TO) + 1.0)
        octaves = np.log(max(most / _EVERY_UP_TO, 1.0)) / np.log(_RATIO)
        sparse = np.rint(_EVERY_UP_TO * _RATIO ** np.arange(1.0, octaves))
        return np.unique(np.concatenate([each, sparse, [most]]))

    def _between(self, found: FloatArray, sums: FloatArray) -> FloatArray:
        """Whole numbers of skills next to the best that have not been tried."""
        if "skills" in self.held:
            return np.empty(0)
        tried = np.unique(np.rint(np.exp(found[:, SKILLS])))
        best = float(np.rint(np.exp(found[int(np.argmin(sums)), SKILLS])))
        at = int(np.searchsorted(tried, best))
        low, high = tried[max(at - 1, 0)], tried[min(at + 1, tried.size - 1)]
        count = min(int(high - low) + 1, 16)
        return np.setdiff1d(np.unique(np.rint(np.linspace(low, high, count))), tried)

    def from_grid(self, skills: FloatArray) -> tuple[FloatArray, FloatArray, int]:
        """The best starts of a grid for each number of skills, followed to their minima."""
        low, high = self.model.low, self.model.high
        axes = {
            DIFFICULTY: np.linspace(low[DIFFICULTY], high[DIFFICULTY], _DIFFICULTIES + 2)[1:-1],
            DIRECTIONALITY: np.linspace(low[DIRECTIONALITY], 0.0, _DIRECTIONS),
            FATIGUE: np.linspace(0.0, high[FATIGUE], _FATIGUES),
        }
        for name, value in self.held.items():
            index = CONSTANTS.index(name)
            if index != SKILLS:
                one = np.ones(len(CONSTANTS))
                one[index] = value
                axes[index] = self.model.coordinates(one)[[index]]
        mesh = np.meshgrid(np.log(skills), *axes.values(), indexing="ij")
        grid = np.empty((*mesh[0].shape, len(CONSTANTS)))
        for index, values in zip((SKILLS, *axes), mesh, strict=True):
            grid[..., index] = values
        grid = grid.reshape(skills.size, -1, len(CONSTANTS))
        sums = np.array([self.model.deviance(one) for one in grid])
        order = np.argsort(sums, axis=1, kind="stable")[:, :_FOLLOWED]
        starts = np.take_along_axis(grid, order[:, :, None], axis=1).reshape(-1, len(CONSTANTS))
        found, least = self.minimise(starts)
        return found, least, grid.shape[0] * grid.shape[1]

    def with_defaults(self, found: FloatArray, sums: FloatArray) -> tuple[FloatArray, float]:
        """The best fit that has as many of the defaults as cost nothing."""
        deviance = float(sums.min())
        names = [name for name in DEFAULTS if name not in self.held]
        # what is pinned fits no better than what is free: other numbers of skills are out
        order = np.lexsort((sums, np.rint(np.exp(found[:, SKILLS]))))
        _, first = np.unique(np.rint(np.exp(found[order, SKILLS])), return_index=True)
        best = order[first]
        found = found[best[sums[best] <= deviance + _OUT]]
        choices = list(dict.fromkeys([tuple(names), *((name,) for name in names), ()]))
        starts, free = [], []
        for chosen in choices:
            pinned, fixed = found.copy(), [CONSTANTS.index(name) for name in chosen]
            for name, index in zip(chosen, fixed, strict=True):
                one = np.ones(len(CONSTANTS))
                one[index] = DEFAULTS[name]
                pinned[:, index] = self.model.coordinates(one)[index]
            starts.append(pinned)
            free.append(np.broadcast_to(self.free(*fixed), pinned.shape))
        at, told = self.side_by_side(np.concatenate(starts), np.concatenate(free))
        at, told = at.reshape(len(choices), *found.shape), told.reshape(len(choices), -1)
        for index, least in enumerate(told.min(axis=1)):
            if least <= deviance + _NO_WORSE or index == len(choices) - 1:
                # of equally good ones the fewest skills
                good = np.flatnonzero(told[index] <= least + _NO_WORSE)
                fewest = np.rint(np.exp(at[index, good, SKILLS]))
                top = good[np.lexsort((told[index, good], fewest))[0]]
                break
        fixed = [CONSTANTS.index(name) for name in choices[index]]
        # to the last digit, so that no rounding on the way shows
        last, least = self.side_by_side(at[index, [top]], self.free(*fixed)[None, :], gain=0.0)
        return last[0], float(least[0])

    def least(self, skills: FloatArray) -> FloatArray:
        """Least deviance for each number of skills."""
        found, sums, _ = self.from_grid(skills)
        near = np.rint(np.exp(found[:, SKILLS]))
        return np.array([sums[near == one].min() for one in skills])
