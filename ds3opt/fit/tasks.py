"""Difficulty, skills, directionality and fatigue that explain measured accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ds3opt.fit.robust import minimise
from ds3opt.fit.task_model import (
    CONSTANTS,
    DIFFICULTY,
    DIRECTIONALITY,
    FATIGUE,
    MOST_SKILLS,
    SKILLS,
    Observations,
    TaskModel,
    signed_root_deviance,
)
from ds3opt.laws._types import FloatArray

DEFAULTS = {"directionality": 1.0, "fatigue": 0.0}
"""What the data do not tell stays where a scenario has it."""
QUANTILE = 3.841458820694124
"""95 % quantile of chi-square with one degree of freedom."""
_NO_WORSE = 1e-3
"""Deviance that a default may cost and still be preferred."""
_SAME = 1e-2
"""Deviance within which two starts agree."""
_GAIN = 1e-5
"""Of half the deviance, below which an iteration gained nothing."""
_DIFFICULTIES, _DIRECTIONS, _FATIGUES = 17, 5, 4
_FOLLOWED = 3
"""Starts that are followed for each number of skills."""
_EVERY_UP_TO = 24
_RATIO = 1.2
_FOLLOWED_TO_ENDS = 24
"""Minima from which the ends of what is allowed are sought, at most."""
_OUT = 0.1
"""Deviance beyond the best at which a number of skills is no longer tried with defaults."""
_FEW = 4
"""Numbers of skills that a profile follows one by one, at most."""
_PATHS = 24
"""Numbers of skills that a profile follows, at most."""
_HALVINGS = 7
_PART = 0.3
"""Of a direction, from which on a constant is said to have a part in it."""
_OPEN = 1e-6
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Profile:
    """Where a constant may lie: its likelihood with all others at their best."""

    low: float
    """NaN where it was not worked out."""
    high: float
    open_below: bool
    """The interval runs to the end of what is allowed: the data give no lower limit."""
    open_above: bool

    @property
    def known(self) -> bool:
        """Whether the data bound it on both sides."""
        return not (self.open_below or self.open_above)

    @property
    def unknown(self) -> bool:
        """Whether they bound it on neither."""
        return self.open_below and self.open_above


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
    likely: FloatArray  # (point, coordinate)
    """Minima that the data do not rule out: of numbers of skills, and at the ends of what is
    allowed."""
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
    search = _Search(model, given)
    best, sums, starts = search.everywhere(progress)
    top = int(np.argmin(sums))
    mine = np.flatnonzero(best[:, SKILLS] == best[top, SKILLS])
    at, deviance = search.with_defaults(best, sums)
    fitted = len(CONSTANTS) - len(given)
    freedom = max(len(rows) - fitted, 0)
    spare = max(1.0, deviance / freedom) if freedom else 1.0
    limit = deviance + QUANTILE * spare
    found, likely = search.ends(at, best, sums, limit)
    if profiles:
        found = search.profiles(at, best, sums, limit, progress)
    values = dict(zip(CONSTANTS, map(float, model.values(at)), strict=True))
    return TasksFit(
        model=model,
        values=values,
        at=at,
        deviance=deviance,
        freedom=freedom,
        residuals=model.residuals(at[None, :])[0][0],
        profiles=found,
        likely=likely,
        held=tuple(given),
        starts=starts,
        agreeing=int(np.sum(sums[mine] <= sums[top] + _SAME)),
        followed=len(mine),
    )


@dataclass(frozen=True)
class _Search:
    """Minima of the deviance for a model with some constants held."""

    model: TaskModel
    held: Mapping[str, float]

    def _free(self, *also: int) -> FloatArray:
        free = np.ones(len(CONSTANTS))
        free[SKILLS] = 0.0 if self.model.whole else 1.0
        for name in self.held:
            free[CONSTANTS.index(name)] = 0.0
        free[list(also)] = 0.0
        return free

    def _minimise(self, starts: FloatArray, *also: int) -> tuple[FloatArray, FloatArray]:
        """Minima and deviances, with the constants of `also` where the starts have them."""
        return self._side_by_side(starts, np.broadcast_to(self._free(*also), starts.shape))

    def _side_by_side(self, starts: FloatArray, free: FloatArray) -> tuple[FloatArray, FloatArray]:
        if not free.any():
            told = self.model.residuals(starts)[0]
            return starts, np.sum(told**2, axis=1)
        found = minimise(
            self.model.residuals,
            starts,
            low=np.minimum(self.model.low, starts.min(axis=0)),
            high=np.maximum(self.model.high, starts.max(axis=0)),
            delta=np.inf,
            free=free,
            rows=len(self.model.rows),
            gain=_GAIN,
        )
        return found.coordinates, 2.0 * found.sums

    def everywhere(self, progress: Progress | None) -> tuple[FloatArray, FloatArray, int]:
        """Minima followed, their deviances, and how many starts there were."""
        skills = self._skills()
        found, sums, starts = self._from_grid(skills)
        for _ in range(3):
            if progress is not None:
                progress("starts", 0.5)
            between = self._between(found, sums)
            if not between.size:
                break
            more, more_sums, more_starts = self._from_grid(between)
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

    def _from_grid(self, skills: FloatArray) -> tuple[FloatArray, FloatArray, int]:
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
        sums = np.array([self._deviance(one) for one in grid])
        order = np.argsort(sums, axis=1, kind="stable")[:, :_FOLLOWED]
        starts = np.take_along_axis(grid, order[:, :, None], axis=1).reshape(-1, len(CONSTANTS))
        found, least = self._minimise(starts)
        return found, least, grid.shape[0] * grid.shape[1]

    def _deviance(self, at: FloatArray) -> FloatArray:
        told = np.clip(self.model.accuracy(at), 1e-300, 1.0 - 1e-16)
        return np.asarray(np.sum(signed_root_deviance(self.model.rows, told) ** 2, axis=1))

    def with_defaults(
        self, found: FloatArray, sums: FloatArray
    ) -> tuple[FloatArray, float]:
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
            free.append(np.broadcast_to(self._free(*fixed), pinned.shape))
        at, told = self._side_by_side(np.concatenate(starts), np.concatenate(free))
        at, told = at.reshape(len(choices), *found.shape), told.reshape(len(choices), -1)
        for index, least in enumerate(told.min(axis=1)):
            if least <= deviance + _NO_WORSE or index == len(choices) - 1:
                # of equally good ones the fewest skills
                good = np.flatnonzero(told[index] <= least + _NO_WORSE)
                fewest = np.rint(np.exp(at[index, good, SKILLS]))
                top = good[np.lexsort((told[index, good], fewest))[0]]
                break
        return at[index, top], float(told[index, top])

    def ends(
        self, at: FloatArray, found: FloatArray, sums: FloatArray, limit: float
    ) -> tuple[dict[str, Profile], FloatArray]:
        """Which constants the data bound, without where, and points that are likely.

        A constant is open where the likelihood does not rule out the end of what is allowed, the
        other constants at their best.
        """
        inside = sums <= limit
        skills = np.rint(np.exp(found[:, SKILLS]))
        likely, told = [at[None, :], found[inside]], {}
        if "skills" not in self.held:
            told["skills"] = self._bounds_of_skills(skills[inside].min(), skills[inside].max())
        # of many numbers of skills some stand for all
        near = found[inside][np.argsort(skills[inside], kind="stable")]
        chosen = np.unique(np.linspace(0, len(near) - 1, _FOLLOWED_TO_ENDS).astype(int))
        starts = np.concatenate([at[None, :], near[chosen]])
        names = [name for name in CONSTANTS if name not in (*self.held, "skills")]
        tried, free = [], []
        for index in map(CONSTANTS.index, names):
            for end in (self.model.low[index], self.model.high[index]):
                pinned = starts.copy()
                pinned[:, index] = end
                tried.append(pinned)
                free.append(np.broadcast_to(self._free(index), pinned.shape))
        if names:
            moved, least = self._side_by_side(np.concatenate(tried), np.concatenate(free))
            likely.append(moved[least <= limit])
            opens = np.any(least.reshape(len(names), 2, -1) <= limit, axis=2)
            for name, (below, above) in zip(names, opens, strict=True):
                told[name] = _profile(name, np.nan, np.nan, bool(below), bool(above))
        ordered = {name: told[name] for name in CONSTANTS if name in told}
        return ordered, np.concatenate(likely)

    def profiles(
        self,
        at: FloatArray,
        found: FloatArray,
        sums: FloatArray,
        limit: float,
        progress: Progress | None = None,
    ) -> dict[str, Profile]:
        """Intervals in which the likelihood, all other constants at their best, is near the best.

        Where few numbers of skills may be right, an interval holds those of each of them. Where
        many may, real numbers stand for them, which can only widen the intervals.
        """
        told: dict[str, Profile] = {}
        walker, groups = self, [found[[int(np.argmin(sums))]]]
        if "skills" not in self.held:
            told["skills"] = skills = self._profile_of_skills(found, sums, limit)
            each = np.arange(skills.low, skills.high + 1.0)
            many = each.size > _FEW
            if many:
                each = np.unique(np.rint(np.geomspace(skills.low, skills.high, _PATHS)))
            best, least, _ = self._from_grid(each)
            best = best[least <= limit]
            if many:
                walker = replace(self, model=replace(self.model, whole=False))
                groups = [best]
            else:
                groups = [best[best[:, SKILLS] == one] for one in np.unique(best[:, SKILLS])]
        for done, name in enumerate(CONSTANTS):
            if name in self.held or name == "skills":
                continue
            if progress is not None:
                progress(f"interval of {name}", done / len(CONSTANTS))
            told[name] = walker.profile(name, [at[None, :], *groups], limit)
        return {name: told[name] for name in CONSTANTS if name in told}

    def profile(self, name: str, groups: Sequence[FloatArray], limit: float) -> Profile:
        """Interval of one constant, followed from each group of minima as long as one holds."""
        index = CONSTANTS.index(name)
        ends, opens = [], []
        for side in (-1.0, 1.0):
            found = [self._walk(index, side, group, limit) for group in groups]
            ends.append(side * max(side * end for end, _ in found))
            opens.append(any(open_ for _, open_ in found))
        values = np.tile(groups[0][0], (2, 1))
        values[:, index] = ends
        low, high = self.model.values(values)[:, index]
        return _profile(name, float(low), float(high), *opens)

    def _walk(self, index: int, side: float, paths: FloatArray, limit: float) -> tuple[float, bool]:
        """Where the least deviance crosses the limit, and whether it never does."""
        end = float(self.model.high[index] if side > 0.0 else self.model.low[index])
        whole = float(self.model.high[index] - self.model.low[index])
        inside, step = side * float(np.max(side * paths[:, index])), 1e-3 * whole
        starts = paths
        while side * (end - inside) > _OPEN * whole:
            asked = inside + side * min(step, side * (end - inside))
            tried = starts.copy()
            tried[:, index] = asked
            moved, sums = self._minimise(tried, index)
            if float(sums.min()) > limit:
                return self._bisected(index, inside, asked, starts, limit), False
            inside, starts, step = asked, moved, 1.7 * step
        return end, True

    def _bisected(
        self, index: int, inside: float, outside: float, starts: FloatArray, limit: float
    ) -> float:
        for _ in range(_HALVINGS):
            middle = 0.5 * (inside + outside)
            tried = starts.copy()
            tried[:, index] = middle
            moved, sums = self._minimise(tried, index)
            if float(sums.min()) > limit:
                outside = middle
            else:
                inside, starts = middle, moved
        return 0.5 * (inside + outside)

    def _profile_of_skills(self, found: FloatArray, sums: FloatArray, limit: float) -> Profile:
        skills = np.rint(np.exp(found[:, SKILLS]))
        most = float(np.rint(np.exp(self.model.high[SKILLS])))
        inside = np.unique(skills[sums <= limit])
        tried = np.unique(skills)
        low, high = float(inside[0]), float(inside[-1])
        while low > 1.0:
            below = float(tried[np.searchsorted(tried, low) - 1])
            asked = np.arange(below + 1.0, low)
            if not asked.size:
                break
            good = asked[self._least(asked) <= limit]
            if not good.size:
                break
            low = float(good[0])
        while high < most:
            above = float(tried[np.searchsorted(tried, high, side="right")])
            asked = np.arange(high + 1.0, above)
            if not asked.size:
                break
            good = asked[self._least(asked) <= limit]
            if not good.size:
                break
            high = float(good[-1])
        return self._bounds_of_skills(low, high)

    def _bounds_of_skills(self, low: float, high: float) -> Profile:
        most = float(np.rint(np.exp(self.model.high[SKILLS])))
        # a class needs one skill, and no more than the steps of a trace that solved some of it
        told = low > 1.0 or high < most
        return Profile(float(low), float(high), not told, high >= most and (not told or most >= MOST_SKILLS))

    def _least(self, skills: FloatArray) -> FloatArray:
        """Least deviance for each number of skills."""
        found, sums, _ = self._from_grid(skills)
        near = np.rint(np.exp(found[:, SKILLS]))
        return np.array([sums[near == one].min() for one in skills])


def _profile(name: str, low: float, high: float, below: bool, above: bool) -> Profile:
    # no fatigue and perfect directionality are ends that a constant may well have
    return Profile(low, high, below and name != "fatigue", above and name != "directionality")
