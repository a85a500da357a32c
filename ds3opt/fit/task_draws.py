"""Joint draws of the constants of a class, by how likely the data make them."""

from __future__ import annotations

import numpy as np

from ds3opt.fit.task_model import CONSTANTS, signed_root_deviance
from ds3opt.fit.tasks import TasksFit
from ds3opt.laws._types import FloatArray

_WALKERS = 64
_BURNT = 300
_APART = 8
"""Steps between draws that are kept."""
_LONG = 0.1
"""Share of the steps that go the whole way between two walkers, from one ridge to another."""


def likely_draws(fit: TasksFit, count: int, seed: int) -> FloatArray:
    """Constants in proportion to their likelihood, (draw, constant).

    Parameters
    ----------
    fit : with profiles.
    count : draws >= 0.
    seed : the same seed gives the same draws.

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
        told = np.clip(model.accuracy(at), 1e-300, 1.0 - 1e-16)
        deviance = np.sum(signed_root_deviance(model.rows, told) ** 2, axis=1)
        return np.asarray(-0.5 * deviance / fit.dispersion)

    ends = np.tile(fit.at, (2, 1))
    for index, name in enumerate(CONSTANTS):
        if name in fit.profiles:
            one = fit.profiles[name]
            values = model.values(fit.at[None, :])
            for side, value in enumerate((one.low, one.high)):
                values[0, index] = value
                ends[side, index] = model.coordinates(values)[0, index]
    width = np.maximum(0.2 * (ends[1] - ends[0])[free], 1e-4)
    at = np.repeat(fit.at[None, :], _WALKERS, axis=0)
    at[:, free] = np.clip(
        fit.at[free] + width * generator.standard_normal((_WALKERS, free.size)), low, high
    )
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
        if step > _BURNT and step % _APART == 0:
            kept.append(at.copy())
    return np.asarray(model.values(np.concatenate(kept)[:count]))
