"""How much of a random graph hangs together: the giant component of an Erdos-Renyi graph."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval

_TERMS = 60
_ROUNDS = 100


def giant_component_fraction(mean_degree: ArrayLike, *, complement: bool = False) -> FloatArray:
    """Share of nodes in the giant component: the root of ``g = 1 - exp(-a g)``, 0 for a <= 1.

    Parameters
    ----------
    mean_degree : a in [0, inf], mean number of neighbours of a node.
    complement : the share outside of it, without cancellation.

    Notes
    -----
    DS3 eq. (50), there with Lambert's W_0, which loses its digits next to a = 1.

    >>> giant_component_fraction([1, 1.5, 10]).round(6).tolist()
    [0.0, 0.582812, 0.999955]
    >>> float(giant_component_fraction(100, complement=True).round(48))    # exp(-100)
    3.7201e-44
    """
    inside, outside = component_shares(mean_degree)
    return outside if complement else inside


def component_shares(mean_degree: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Shares of nodes inside and outside of the giant component, both to full relative precision.

    >>> inside, outside = component_shares(1.5)
    >>> float((inside + outside).round(12))
    1.0
    """
    a = interval("mean_degree", mean_degree, 0, np.inf)
    near = (a > 1.0) & (a < 2.0)
    outside = np.ones_like(a)
    inside = np.zeros_like(a)
    if np.any(near):
        inside = np.where(near, _small(np.where(near, a - 1.0, 1.0)), inside)
        outside = 1.0 - inside
    far = a >= 2.0
    if np.any(far):
        outside = np.where(far, _large(np.where(far, a, 2.0)), outside)
        inside = np.where(far, 1.0 - outside, inside)
    return np.asarray(inside)[()], np.asarray(outside)[()]


def _small(excess: FloatArray) -> FloatArray:
    """Component g for mean degree 1 + d, d in (0, 1): ``-log(1 - g) / g - 1 = d``.

    The left side is ``g/2 + g^2/3 + g^3/4 + ...``, convex: Newton from the right stays there.
    """
    g = np.minimum(2.0 * excess / (0.5 + np.sqrt(0.25 + 4.0 / 3.0 * excess)), 0.95)
    for _ in range(_ROUNDS):
        few = g < 0.3
        short = np.where(few, g, 0.0)
        series, slope = np.zeros_like(g), np.zeros_like(g)
        for power in range(_TERMS, 0, -1):
            slope = slope * short + power / (power + 1.0)
            series = (series + 1.0 / (power + 1.0)) * short
        long = np.where(few, 0.5, g)
        log = -np.log1p(-long) / long
        series = np.where(few, series, log - 1.0)
        slope = np.where(few, slope, (1.0 / (1.0 - long) - log) / long)
        step = (series - excess) / slope
        g = g - step
        if np.all(np.abs(step) <= 1e-15 * g):
            break
    return g


@np.errstate(under="ignore")
def _large(mean_degree: FloatArray) -> FloatArray:
    """Share outside for mean degree a >= 2: its logarithm t solves ``t = -a (1 - exp(t))``."""
    a = np.minimum(mean_degree, 1e300)
    t = -a
    for _ in range(_ROUNDS):
        outside = np.exp(t)
        step = (-a * (1.0 - outside) - t) / (1.0 - a * outside)
        t = t + step
        if np.all(np.abs(step) <= 1e-16 * a):
            break
    return np.asarray(np.exp(t))
