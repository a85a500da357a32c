"""Joint draws of the constants of a class, by how likely the data make them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ds3opt.fit.task_model import CONSTANTS
from ds3opt.fit.tasks import TasksFit
from ds3opt.laws._types import FloatArray

_WALKERS = 256
BURNT = 300
"""Steps before draws are kept, from which on constants known in combination only are well mixed."""
_APART = 8
"""Steps between draws that are kept."""
_WIDEST = 0.3
"""Standard deviation of a direction of which nothing is known, of all that is allowed."""
_NEAR = 0.1
"""Of those standard deviations, within which walkers start about other likely points."""
_LONG = 0.1
"""Share of the steps that go the whole way between two walkers, from one ridge to another."""


def _directions(fit: TasksFit) -> tuple[FloatArray, FloatArray]:
    """Directions in the coordinates, (direction, coordinate), and standard deviations of each.

    By the Fisher information at the fit, none wider than all that is allowed.
    """
    model = replace(fit.model, whole=False)
    _, slopes = model.residuals(fit.at[None, :])
    span = np.maximum(model.high - model.low, 1e-12)
    held = [CONSTANTS.index(name) for name in fit.held]
    scaled = slopes[0] * span
    scaled[:, held] = 0.0
    padded = np.concatenate([scaled, np.zeros((len(CONSTANTS), len(CONSTANTS)))])
    _, sizes, directions = np.linalg.svd(padded, full_matrices=False)
    widths = 1.0 / np.sqrt(sizes**2 / fit.dispersion + 1.0 / _WIDEST**2)
    directions[:, held] = 0.0
    return directions * span, widths


def _spread(fit: TasksFit) -> FloatArray:
    """Standard deviation of each coordinate, about."""
    directions, widths = _directions(fit)
    return np.asarray(np.sqrt(np.sum((directions * widths[:, None]) ** 2, axis=0)))


def _starts(fit: TasksFit, generator: np.random.Generator) -> FloatArray:
    """Walkers about the fit, and about other points that are likely."""
    directions, widths = _directions(fit)
    deviance = fit.model.deviance(fit.likely)
    weights = np.exp(-0.5 * (deviance - deviance.min()) / fit.dispersion)
    chosen = generator.choice(len(fit.likely), size=_WALKERS, p=weights / weights.sum())
    at = fit.likely[chosen]
    at[: _WALKERS // 2] = fit.at
    normal = generator.standard_normal((_WALKERS, len(CONSTANTS)))
    normal[_WALKERS // 2 :] *= _NEAR
    return np.asarray(at + (normal * widths) @ directions)


def likely_draws(fit: TasksFit, count: int, seed: int, burnt: int = BURNT) -> FloatArray:
    """Constants in proportion to their likelihood, (draw, constant).

    Parameters
    ----------
    count : draws >= 0.
    seed : the same seed gives the same draws.
    burnt : steps before draws are kept; a hundred will do where the data identify the constants.

    Notes
    -----
    Differential-evolution Markov chains (ter Braak 2006, doi:10.1007/s11222-006-8769-1) over the
    coordinates of the model, evenly weighted: difficulty, the logarithms of skills and
    directionality, and of fatigue. What the data do not tell therefore stays as open as the range
    that is allowed, which resamples of the rows would not show. Likelihoods are tempered by the
    dispersion of the fit.
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

    width = _spread(fit)[free]
    at = _starts(fit, generator)
    at[:, free] = np.clip(at[:, free], low, high)
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
