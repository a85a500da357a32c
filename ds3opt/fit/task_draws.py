"""Joint draws of the constants of a class, by how likely the data make them."""

from __future__ import annotations

import numpy as np

from ds3opt.fit.task_model import CONSTANTS, SKILLS
from ds3opt.fit.tasks import TasksFit
from ds3opt.laws._types import FloatArray

_WALKERS = 256
BURNT = 80
"""Steps before draws are kept; thirty times as many were seen to change little."""
_APART = 8
"""Steps between draws that are kept."""
_WIDEST = 0.3
"""Standard deviation of a direction of which nothing is known, of all that is allowed."""
_LONG = 0.1
"""Share of the steps that go the whole way between two walkers, from one ridge to another."""


def _starts(fit: TasksFit, generator: np.random.Generator) -> FloatArray:
    """Walkers about the best fit of each number of skills, in proportion to what it holds.

    Laplace's approximation: a normal distribution about each, by the Fisher information there,
    none wider than all that is allowed.
    """
    model, points = fit.model, fit.minima
    span = np.maximum(model.high - model.low, 1e-12)
    moves = [i for i, name in enumerate(CONSTANTS) if name not in (*fit.held, "skills")]
    slopes = model.residuals(points)[1][:, :, moves] * span[moves]
    information = np.swapaxes(slopes, 1, 2) @ slopes / fit.dispersion
    information += np.eye(len(moves)) / _WIDEST**2
    root = np.linalg.cholesky(information)
    volume = -np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    log_skills = points[:, SKILLS]
    edges = np.array([model.low[SKILLS], model.high[SKILLS]])
    edges = np.insert(edges, 1, np.log(0.5 * (np.exp(log_skills[1:]) + np.exp(log_skills[:-1]))))
    width = np.diff(edges) if "skills" not in fit.held and edges[-1] > edges[0] else None
    log_weight = volume - 0.5 * model.deviance(points) / fit.dispersion
    if width is not None:
        log_weight += np.log(np.maximum(width, 1e-300))
    weight = np.exp(log_weight - log_weight.max())
    chosen = generator.choice(len(points), size=_WALKERS, p=weight / weight.sum())
    at = points[chosen]
    normal = generator.standard_normal((_WALKERS, len(moves), 1))
    beside = np.linalg.solve(np.swapaxes(root[chosen], 1, 2), normal)[:, :, 0]
    at[:, moves] += beside * span[moves]
    if width is not None:
        at[:, SKILLS] = edges[chosen] + width[chosen] * generator.random(_WALKERS)
    # what goes beyond an end comes back from it
    at = model.low + np.abs(at - model.low)
    at = model.high - np.abs(model.high - at)
    return np.asarray(np.clip(at, model.low, model.high))


def likely_draws(fit: TasksFit, count: int, seed: int, burnt: int = BURNT) -> FloatArray:
    """Constants in proportion to their likelihood, (draw, constant).

    Parameters
    ----------
    count : draws >= 0.
    seed : the same seed gives the same draws.
    burnt : steps before draws are kept.

    Notes
    -----
    Differential-evolution Markov chains (ter Braak 2006, doi:10.1007/s11222-006-8769-1) over the
    coordinates of the model, evenly weighted: difficulty, the logarithms of skills and
    directionality, and of fatigue. They start from Laplace's approximation about the best fit of
    each number of skills, between which chains would rarely move. What the data do not tell
    therefore stays as open as the range that is allowed, which resamples of the rows would not
    show. Likelihoods are tempered by the dispersion of the fit.
    """
    if not count:
        return np.empty((0, len(CONSTANTS)))
    model = fit.model
    generator = np.random.default_rng(seed)
    free = np.array([i for i, name in enumerate(CONSTANTS) if name not in fit.held], dtype=np.intp)
    if not free.size:
        return np.repeat(model.values(fit.at)[None, :], count, axis=0)
    low, high = model.low[free], model.high[free]

    def log_likelihood(at: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * model.deviance(at) / fit.dispersion)

    at = np.repeat(fit.at[None, :], _WALKERS, axis=0)
    at[:, free] = _starts(fit, generator)[:, free]
    width = at[:, free].std(axis=0)
    known = log_likelihood(at)
    usual = 2.38 / np.sqrt(2.0 * free.size)
    kept: list[FloatArray] = []
    step = 0
    while len(kept) * _WALKERS < count:
        step += 1
        for half in (0, 1):
            # one half moves by what lies between walkers of the other
            mine, other = np.arange(half, _WALKERS, 2), np.arange(1 - half, _WALKERS, 2)
            pairs = np.argsort(generator.random((mine.size, other.size)), axis=1)[:, :2]
            first, second = other[pairs[:, 0]], other[pairs[:, 1]]
            far = generator.random((mine.size, 1)) < _LONG
            jitter = 1e-3 * width * generator.standard_normal((mine.size, free.size))
            tried = at[mine]
            apart = (at[first] - at[second])[:, free]
            tried[:, free] += np.where(far, 1.0, usual) * apart + jitter
            inside = np.all((tried[:, free] >= low) & (tried[:, free] <= high), axis=1)
            tried = np.where(inside[:, None], tried, at[mine])
            new = log_likelihood(tried)
            taken = inside & (np.log(generator.random(mine.size)) < new - known[mine])
            at[mine] = np.where(taken[:, None], tried, at[mine])
            known[mine] = np.where(taken, new, known[mine])
        if step > burnt and step % _APART == 0:
            kept.append(at.copy())
    return np.asarray(model.values(np.concatenate(kept)[:count]))
