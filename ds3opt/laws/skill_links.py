"""Chance that enough of the concepts that a skill is linked to are learned."""

from __future__ import annotations

import numpy as np
from scipy import special

from ds3opt.laws._binomial import beta_lower
from ds3opt.laws._types import ArrayLike, FloatArray, interval


@np.errstate(under="ignore")
def binomial_tail(trials: ArrayLike, chance: ArrayLike, least: ArrayLike) -> FloatArray:
    """Chance of at least so many successes: ``I_p(k, n - k + 1)``, also for real n and k.

    Parameters
    ----------
    trials : n >= 0.
    chance : p in [0, 1].
    least : k > 0; none of fewer than k trials succeeds so often.

    >>> binomial_tail([4, 5, 6], 0.5, 5).tolist()    # 0, 1 / 32, 7 / 64
    [0.0, 0.03125, 0.109375]
    """
    n, p, k = np.broadcast_arrays(
        interval("trials", trials, 0, np.inf, bounds="[)"),
        interval("chance", chance, 0, 1),
        interval("least", least, 0, np.inf, bounds="()"),
    )
    enough = n >= k
    tail = beta_lower(k, np.where(enough, n - k + 1.0, 1.0), p)
    return np.asarray(np.where(enough, tail, 0.0))[()]


@np.errstate(divide="ignore", invalid="ignore", under="ignore")
def chernoff_tail(links: ArrayLike, chance: ArrayLike, least: ArrayLike) -> FloatArray:
    """Bound from below on the chance that at least eta of d links are to learned concepts.

    ``1 - exp(-d KL(eta / d || P))`` for ``eta <= d P``, and the exponential itself over
    ``sqrt(2 d)`` above. It is no smooth function: it falls to 0 as eta comes to ``d P`` from below,
    and starts anew there.

    Parameters
    ----------
    links : d >= 0, real.
    chance : P in [0, 1].
    least : eta > 0.

    Notes
    -----
    DS3 (48), with the divergence in nats, 0 for ``eta > d`` where DS3 prints 1, and ``P**d`` for
    ``eta = d``.

    >>> chernoff_tail(20.0, 0.9, [15, 20, 21]).round(6).tolist()
    [0.842232, 0.121577, 0.0]
    """
    d, p, eta = np.broadcast_arrays(
        interval("links", links, 0, np.inf, bounds="[)"),
        interval("chance", chance, 0, 1),
        interval("least", least, 0, np.inf, bounds="()"),
    )
    below = eta < d
    size = np.where(below, d, 2.0 * eta)
    share = eta / size
    divergence = special.rel_entr(share, p) + special.rel_entr(1.0 - share, 1.0 - p)
    exponent = -size * np.maximum(divergence, 0.0)
    value = np.where(eta <= d * p, -np.expm1(exponent), np.exp(exponent) / np.sqrt(2.0 * size))
    at_edge = np.where(eta == d, p**d, 0.0)
    return np.asarray(np.where(below, value, at_edge))[()]
