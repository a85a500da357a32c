"""How wrong votes fall: chances of a multinomial that no wrong answer outvotes the right one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ds3opt.laws._binomial import deviance, stirling_error
from ds3opt.laws._types import FloatArray

SUM_TOLERANCE = 1e-9
"""Rounding of a sum of shares that is forgiven."""
TIE = 1e-9
"""Relative rounding of a product of votes and their weight that is forgiven in ties."""


def _poisson_masses(mean: float, most: int) -> FloatArray:
    """``Pr(Y = 0..most)`` for Y Poisson, each to full relative precision (Loader 2000)."""
    counts = np.arange(1.0, most + 1.0)
    log_mass = -stirling_error(counts) - deviance(counts, mean, np.log(mean))
    masses = np.exp(log_mass) / np.sqrt(2.0 * np.pi * counts)
    return np.concatenate(([np.exp(-mean)], masses))


def win_shares(
    shares: tuple[float, ...], threshold: float, wrong: int, *, every: bool = False
) -> FloatArray:
    """Chance that no wrong answer has more votes than `threshold`, ties drawn by lot.

    The wrong votes are multinomial: independent Poisson counts of mean ``wrong * share`` given
    their sum. ``tied[t]`` holds the masses of every partial sum with t answers level with the
    correct one and none above it.

    Parameters
    ----------
    threshold : votes of a wrong answer that are worth as much as all votes of the right one.
    wrong : votes for wrong answers.
    every : for all numbers of wrong votes from 0 to `wrong`, from the same masses; else for it.
    """
    whole = round(threshold)
    can_tie = abs(threshold - whole) <= TIE * threshold
    right = whole if can_tie else int(np.ceil(threshold))  # the least number not below
    most_ties = min(len(shares), wrong // right) if can_tie else 0
    tied = np.zeros((most_ties + 1, wrong + 1))
    tied[0, 0] = 1.0
    for answers, share in enumerate(shares):
        mass = _poisson_masses(wrong * share, right)
        ties = min(answers, most_ties)
        below = np.zeros_like(tied)
        if right <= ties + 1:
            for votes in range(min(right, wrong + 1)):
                below[: ties + 1, votes:] += mass[votes] * tied[: ties + 1, : wrong + 1 - votes]
        else:
            for t in range(ties + 1):
                below[t] = np.convolve(tied[t], mass[:right])[: wrong + 1]
        level = min(ties + 1, most_ties)
        below[1 : level + 1, right:] += mass[right] * tied[:level, : wrong + 1 - right]
        tied = below
    abstain = 1.0 - sum(shares)
    chosen = 1.0 / np.arange(1.0, most_ties + 2.0)
    total = _poisson_masses(float(wrong), wrong)
    if every:
        if abstain > SUM_TOLERANCE:
            masses = _poisson_masses(wrong * abstain, wrong)
            tied = np.stack([np.convolve(row, masses)[: wrong + 1] for row in tied])
        return np.asarray(np.minimum(chosen @ tied / total, 1.0))
    if abstain > SUM_TOLERANCE:
        masses = _poisson_masses(wrong * abstain, wrong)
        by_ties = tied @ masses[::-1]
    else:
        by_ties = tied[:, wrong]
    return np.asarray(np.minimum(by_ties @ chosen / total[wrong], 1.0))


@lru_cache(maxsize=512)
@np.errstate(under="ignore")
def vote_weights(samples: int, shares: tuple[float, ...], ratio: float) -> FloatArray:
    weights = np.ones(samples + 1)
    weights[0] = 0.0
    for right in range(1, samples + 1):
        wrong, threshold = samples - right, ratio * right
        if threshold > wrong * (1.0 + TIE):
            break
        weights[right] = (
            0.0 if beaten(shares, threshold, wrong) else win_shares(shares, threshold, wrong)
        )
    weights.flags.writeable = False
    return weights


def beaten(shares: tuple[float, ...], threshold: float, wrong: int) -> bool:
    """Whether some wrong answer must have more votes than `threshold`."""
    abstains = 1.0 - sum(shares) > SUM_TOLERANCE
    return not abstains and len(shares) * threshold * (1.0 + TIE) < wrong
