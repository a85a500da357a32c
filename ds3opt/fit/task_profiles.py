"""Which constants of a class the data bound, and where: profiles of the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ds3opt.fit.task_model import CONSTANTS, MOST_SKILLS, SKILLS
from ds3opt.fit.task_search import Progress, Search
from ds3opt.laws._types import FloatArray

_FOLLOWED_TO_ENDS = 24
"""Minima from which the ends of what is allowed are sought, at most."""
_FEW = 4
"""Numbers of skills that a profile follows one by one, at most."""
_PATHS = 24
"""Numbers of skills that a profile follows, at most."""
_HALVINGS = 7
_OPEN = 1e-6
"""Of the range, as near as which an end counts as reached."""


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


def ends(
    search: Search, at: FloatArray, found: FloatArray, sums: FloatArray, limit: float
) -> tuple[dict[str, Profile], FloatArray]:
    """Which constants the data bound, without where, and the minimum of each number of skills.

    A constant is open where the likelihood does not rule out the end of what is allowed, the
    other constants at their best.
    """
    inside = sums <= limit
    skills = np.rint(np.exp(found[:, SKILLS]))
    told = {}
    if "skills" not in search.held:
        told["skills"] = _bounds_of_skills(search, skills[inside].min(), skills[inside].max())
    # of many numbers of skills some stand for all
    near = found[inside][np.argsort(skills[inside], kind="stable")]
    chosen = np.unique(np.linspace(0, len(near) - 1, _FOLLOWED_TO_ENDS).astype(int))
    starts = np.concatenate([at[None, :], near[chosen]])
    names = [name for name in CONSTANTS if name not in (*search.held, "skills")]
    tried, free = [], []
    for index in map(CONSTANTS.index, names):
        for end in (search.model.low[index], search.model.high[index]):
            pinned = starts.copy()
            pinned[:, index] = end
            tried.append(pinned)
            free.append(np.broadcast_to(search.free(index), pinned.shape))
    if names:
        _, least = search.side_by_side(np.concatenate(tried), np.concatenate(free))
        opens = np.any(least.reshape(len(names), 2, -1) <= limit, axis=2)
        for name, (below, above) in zip(names, opens, strict=True):
            told[name] = _with_allowed(name, np.nan, np.nan, bool(below), bool(above))
    ordered = {name: told[name] for name in CONSTANTS if name in told}
    order = np.lexsort((sums, skills))
    _, first = np.unique(skills[order], return_index=True)
    return ordered, found[order[first]]


def profiles_of(
    search: Search,
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
    walker, groups = search, [found[[int(np.argmin(sums))]]]
    if "skills" not in search.held:
        told["skills"] = skills = _profile_of_skills(search, found, sums, limit)
        each = np.arange(skills.low, skills.high + 1.0)
        many = each.size > _FEW
        if many:
            each = np.unique(np.rint(np.geomspace(skills.low, skills.high, _PATHS)))
        best, least, _ = search.from_grid(each)
        best = best[least <= limit]
        if many:
            walker = replace(search, model=replace(search.model, whole=False))
            groups = [best]
        else:
            groups = [best[best[:, SKILLS] == one] for one in np.unique(best[:, SKILLS])]
    for done, name in enumerate(CONSTANTS):
        if name in search.held or name == "skills":
            continue
        if progress is not None:
            progress(f"interval of {name}", done / len(CONSTANTS))
        told[name] = _profile(walker, name, [at[None, :], *groups], limit)
    return {name: told[name] for name in CONSTANTS if name in told}


def _profile(search: Search, name: str, groups: Sequence[FloatArray], limit: float) -> Profile:
    """Interval of one constant, followed from each group of minima as long as one holds."""
    index = CONSTANTS.index(name)
    ends, opens = [], []
    for side in (-1.0, 1.0):
        found = [_walk(search, index, side, group, limit) for group in groups]
        ends.append(side * max(side * end for end, _ in found))
        opens.append(any(open_ for _, open_ in found))
    values = np.tile(groups[0][0], (2, 1))
    values[:, index] = ends
    low, high = search.model.values(values)[:, index]
    return _with_allowed(name, float(low), float(high), *opens)


def _walk(
    search: Search, index: int, side: float, paths: FloatArray, limit: float
) -> tuple[float, bool]:
    """Where the least deviance crosses the limit, and whether it never does."""
    end = float(search.model.high[index] if side > 0.0 else search.model.low[index])
    whole = float(search.model.high[index] - search.model.low[index])
    inside, step = side * float(np.max(side * paths[:, index])), 1e-3 * whole
    starts = paths
    while side * (end - inside) > _OPEN * whole:
        asked = inside + side * min(step, side * (end - inside))
        tried = starts.copy()
        tried[:, index] = asked
        moved, sums = search.minimise(tried, index)
        if float(sums.min()) > limit:
            return _bisected(search, index, inside, asked, starts, limit), False
        inside, starts, step = asked, moved, 1.7 * step
    return end, True


def _bisected(
    search: Search, index: int, inside: float, outside: float, starts: FloatArray, limit: float
) -> float:
    for _ in range(_HALVINGS):
        middle = 0.5 * (inside + outside)
        tried = starts.copy()
        tried[:, index] = middle
        moved, sums = search.minimise(tried, index)
        if float(sums.min()) > limit:
            outside = middle
        else:
            inside, starts = middle, moved
    return 0.5 * (inside + outside)


def _profile_of_skills(
    search: Search, found: FloatArray, sums: FloatArray, limit: float
) -> Profile:
    skills = np.rint(np.exp(found[:, SKILLS]))
    most = float(np.rint(np.exp(search.model.high[SKILLS])))
    inside = np.unique(skills[sums <= limit])
    tried = np.unique(skills)
    low, high = float(inside[0]), float(inside[-1])
    while low > 1.0:
        below = float(tried[np.searchsorted(tried, low) - 1])
        asked = np.arange(below + 1.0, low)
        if not asked.size:
            break
        good = asked[search.least(asked) <= limit]
        if not good.size:
            break
        low = float(good[0])
    while high < most:
        above = float(tried[np.searchsorted(tried, high, side="right")])
        asked = np.arange(high + 1.0, above)
        if not asked.size:
            break
        good = asked[search.least(asked) <= limit]
        if not good.size:
            break
        high = float(good[-1])
    return _bounds_of_skills(search, low, high)


def _bounds_of_skills(search: Search, low: float, high: float) -> Profile:
    most = float(np.rint(np.exp(search.model.high[SKILLS])))
    # a class needs one skill, and no more than the steps of a trace that solved some of it
    told = low > 1.0 or high < most
    return Profile(
        float(low), float(high), not told, high >= most and (not told or most >= MOST_SKILLS)
    )


def _with_allowed(name: str, low: float, high: float, below: bool, above: bool) -> Profile:
    # no fatigue and perfect directionality are ends that a constant may well have
    return Profile(low, high, below and name != "fatigue", above and name != "directionality")
