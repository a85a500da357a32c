"""Directionality of models from their populations on common problems: push-forward of DS3 E-D."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from ds3opt.fit.doubts import Doubt
from ds3opt.laws._types import FloatArray
from ds3opt.laws.pushforward import (
    DifficultyMixture,
    never_solved,
    relative_directionality,
    success_distribution,
)

SHARE, SKILLS = (0.93, 0.07), (1.0, 100.0)
"""Groups of problems of E-D."""
HARDEST = 4.0
"""Greatest mean difficulty that is tried, nats/token: the end of the range of appendix C."""
GRID = (np.arange(100.0) + 0.5) / 100.0
"""Successes at which distributions are compared."""
SLACK = 0.01
"""Distance above the best that still counts as close."""
OFF = 0.03
"""Root mean square distance from which on it is told of."""
_MEANS, _DEVIATIONS = (1.3, 2.5), (0.8, 0.5)
_LOG_DEVIATION = (-3.0, 0.0)
_LOGIT = (-10.0, 0.0)
_SCALES = (0.003, 0.03)
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class MeasuredModels:
    """Models that were measured on the same problems."""

    names: tuple[str, ...]
    alpha: FloatArray  # (model,)
    beta: FloatArray  # (model,)
    solvable: FloatArray  # (model,)
    loss: FloatArray  # (model,) L, nats/token
    steps: FloatArray  # (model,) T
    slope: float = 5.0
    draws: FloatArray = field(default_factory=lambda: np.empty((0, 0, 3)))  # (draw, model, 3)

    def of_draw(self, index: int) -> MeasuredModels:
        """The models of one joint draw."""
        a, b, part = self.draws[index].T
        return MeasuredModels(self.names, a, b, part, self.loss, self.steps, self.slope)


@dataclass(frozen=True)
class DirectionalityFit:
    """Difficulties common to the models, and the directionality of each."""

    problems: DifficultyMixture
    directionality: FloatArray  # (model,)
    distance: float
    """Root mean square between the distributions of success, over the models."""
    tripled: float
    """The same with all directionalities times 3 and the difficulties fitted anew."""
    reference: int
    draws: FloatArray  # (draw, model) relative to the reference
    close: FloatArray  # (2, model) ends within `SLACK`, at the same difficulties, relative

    @property
    def relative(self) -> FloatArray:
        """Directionality over that of the reference."""
        return np.asarray(self.directionality / self.directionality[self.reference])


def misses(models: MeasuredModels, problems: DifficultyMixture, found: FloatArray) -> FloatArray:
    """Push-forward less population, shares of problems at `GRID`, of all models."""
    rows = []
    for m, (loss, i, steps) in enumerate(zip(models.loss, found, models.steps, strict=True)):
        above = special.betaincc(models.alpha[m], models.beta[m], GRID)
        wanted = 1.0 - models.solvable[m] * above
        told = success_distribution(
            GRID, problems, float(loss), float(i), float(steps), slope=models.slope
        )
        rows.append(told - wanted)
    return np.concatenate(rows)


def fit_jointly(
    models: MeasuredModels,
    share: Sequence[float] = SHARE,
    skills: Sequence[float] = SKILLS,
    *,
    given: FloatArray | None = None,
    start: FloatArray | None = None,
) -> tuple[DifficultyMixture, FloatArray, float, FloatArray]:
    """Difficulties and directionalities whose push-forward is closest to the populations.

    Parameters
    ----------
    share, skills : of each group of problems.
    given : directionalities to keep.
    start : coordinates to begin at, as returned; left out: two usual ones.

    Returns
    -------
    Difficulties, directionalities, root mean square distance, and the coordinates.

    Notes
    -----
    By least squares on distribution functions: points of a pass@k curve are no sample whose
    likelihood could be maximised, as DS3 E-D says it does.
    """
    from scipy.optimize import least_squares

    groups, count = len(skills), len(models.names)
    kinds = 2 * groups

    def mixture(x: FloatArray) -> DifficultyMixture:
        return DifficultyMixture(
            np.array(share), np.array(skills), x[0:kinds:2], np.exp(x[1:kinds:2])
        )

    def off(x: FloatArray) -> FloatArray:
        return misses(models, mixture(x), special.expit(x[kinds:]) if given is None else given)

    hardest = max(HARDEST, 1.5 * float(models.loss.max()))
    low = np.array([0.0, _LOG_DEVIATION[0]] * groups + [_LOGIT[0]] * count)
    high = np.array([hardest, _LOG_DEVIATION[1]] * groups + [_LOGIT[1]] * count)
    free = len(low) if given is None else kinds
    if start is None:
        later = np.minimum(np.arange(groups), 1)
        usual = np.stack([np.take(_MEANS, later), np.log(np.take(_DEVIATIONS, later))], axis=1)
        starts = [
            np.concatenate([usual.ravel(), special.logit(np.full(count, scale))])[:free]
            for scale in _SCALES
        ]
    else:
        starts = [np.clip(start[:free], low[:free] + 1e-9, high[:free] - 1e-9)]
    best = None
    for one in starts:
        found = least_squares(off, one, bounds=(low[:free], high[:free]))
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    distance = float(np.sqrt(np.mean(best.fun**2)))
    directions = special.expit(best.x[kinds:]) if given is None else given
    return mixture(best.x), np.asarray(directions), distance, np.asarray(best.x)


def fit_directionality(
    models: MeasuredModels,
    share: Sequence[float] = SHARE,
    skills: Sequence[float] = SKILLS,
    *,
    reference: int = 0,
    progress: Progress | None = None,
) -> DirectionalityFit:
    """Directionality of each model relative to one of them, with its interval.

    Parameters
    ----------
    models : two or more, with joint draws of their populations where these have any.
    share, skills : of each group of problems.
    reference : position of the model whose index is 1.

    Notes
    -----
    An index and no measurement: all directionalities may be scaled at little cost, as difficulties
    move along by the logarithm over the slope. Ratios cancel that.
    """
    problems, found, distance, at = fit_jointly(models, share, skills)
    tripled = fit_jointly(models, share, skills, given=np.minimum(3.0 * found, 1.0))[2]
    near = relative_directionality(
        models.alpha,
        models.beta,
        models.solvable,
        models.loss,
        models.steps,
        problems,
        slope=models.slope,
        slack=SLACK,
    )
    drawn = np.empty((len(models.draws), len(models.names)))
    for index in range(len(models.draws)):
        if progress is not None:
            progress("draws", index / len(models.draws))
        drawn[index] = fit_jointly(models.of_draw(index), share, skills, start=at)[1]
    one = float(found[reference])
    return DirectionalityFit(
        problems=problems,
        directionality=found,
        distance=distance,
        tripled=tripled,
        reference=reference,
        draws=drawn / drawn[:, [reference]],
        close=np.stack([np.minimum(near.low, found), np.maximum(near.high, found)]) / one,
    )


def doubts_of_directionality(models: MeasuredModels, fit: DirectionalityFit) -> Iterator[Doubt]:
    """What a user should know of the fit."""
    if fit.tripled - fit.distance < SLACK:
        yield Doubt(
            "scale_unknown",
            f"all directionalities times 3 raise the distance from {fit.distance:.3f} to "
            f"{fit.tripled:.3f} only: ratios mean something, values do not",
        )
    for group, skills in enumerate(fit.problems.skills):
        unsolved = special.expit(models.slope * (fit.problems.mean[group] - models.loss.min()))
        reach = float(np.max(models.steps * fit.directionality)) * float(unsolved)
        if skills > 1.0 and reach < 0.5 * skills:
            yield Doubt(
                "group_unknown",
                f"none of the models finishes problems of {skills:g} skills: their difficulty is "
                "unknown, they count as unsolved",
            )
    if fit.distance > OFF:
        yield Doubt(
            "poor_fit",
            f"distributions of success are off by {fit.distance:.3f} (rms): problems of other "
            "skills, or of more kinds, may fit better",
        )
    lost = [
        name
        for name, steps in zip(models.names, models.steps, strict=True)
        if never_solved(fit.problems, float(steps)) > 0.0
    ]
    if lost:
        yield Doubt(
            "never_solved",
            f"{', '.join(lost)}: some problems need more skills than there are steps",
            hint="a solvable share below 1 in their population is then this share, and not more",
        )
    if not len(fit.draws):
        yield Doubt(
            "no_interval",
            "no interval from the populations: one of them has no draws",
            hint="fit them from counts",
        )
