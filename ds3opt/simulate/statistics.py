"""Means of simulations: intervals of confidence, and whether an exact value is believable."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ds3opt.simulate.kernels import FloatArray

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """One mean, with what it is held against."""

    name: str
    mean: float
    low: float
    """Ends of the interval of confidence."""
    high: float
    standard_error: float
    exact: float | None = None
    """By a closed form; None where there is none."""
    z: float | None = None
    """Distance from it in standard errors; None where the simulation does not vary."""
    agrees: bool | None = None


def estimate(
    name: str,
    values: FloatArray,
    confidence: float,
    *,
    exact: float | None = None,
    most: float | None = None,
    comparisons: int = 1,
) -> Estimate:
    """Mean of a simulated quantity, its interval, and whether it fits an exact value.

    Shares of successes have Wilson's interval and an exact binomial test. Other means have the
    normal interval, and are tested by a bound that holds for whatever is not below 0 nor above
    `most`, with probability `confidence` over all comparisons together (Bonferroni).

    Parameters
    ----------
    values : one of every run.
    most : that a value can be; the greatest seen where not given.
    comparisons : of which this is one.
    """
    count = values.size
    mean = float(np.sum(values)) / count
    share = name == "success" and bool(np.all((values == 0.0) | (values == 1.0)))
    spread = float(np.sqrt(np.mean(np.square(values - mean))))
    if spread <= _ROUNDING * abs(mean):
        spread = 0.0
    error = spread / math.sqrt(count)
    z_level = -float(special.ndtri((1.0 - confidence) / 2.0))
    low, high = mean - z_level * error, mean + z_level * error
    if share:
        low, high = wilson(mean, count, z_level)
    if exact is None:
        return Estimate(name, mean, low, high, error)
    alpha = (1.0 - confidence) / comparisons
    if share:
        error_of_law = math.sqrt(max(exact * (1.0 - exact), 0.0) / count)
        z = _ratio(mean - exact, error_of_law)
        agrees = _binomial_agrees(round(mean * count), count, exact, alpha)
    else:
        top = max(most or 0.0, float(values.max(initial=0.0)))
        rounding = _ROUNDING * max(abs(exact), abs(mean))
        z = _ratio(mean - exact, error) if abs(mean - exact) > rounding else 0.0
        agrees = abs(mean - exact) <= deviation_bound(spread, count, top, alpha) + rounding
    return Estimate(name, mean, low, high, error, exact, z, agrees)


def wilson(share: float, count: int, z: float) -> tuple[float, float]:
    """Wilson's interval for a share of `count` independent runs.

    >>> low, high = wilson(0.0, 100, 1.96)    # none of a hundred
    >>> round(low, 6), round(high, 6)
    (0.0, 0.036995)
    """
    weight = z * z / count
    centre = (share + 0.5 * weight) / (1.0 + weight)
    half = z * math.sqrt(share * (1.0 - share) / count + 0.25 * weight / count) / (1.0 + weight)
    low = 0.0 if share == 0.0 else max(centre - half, 0.0)
    return low, 1.0 if share == 1.0 else min(centre + half, 1.0)


def deviation_bound(spread: float, count: int, most: float, alpha: float) -> float:
    """Distance of a sample mean from the true one, exceeded with probability at most `alpha`.

    ``sqrt(2 V ln(3/alpha) / n) + 3 M ln(3/alpha) / n`` for independent values in [0, M] whose
    sample variance is V: the empirical Bernstein bound of Audibert, Munos and Szepesvari,
    Theoretical Computer Science 410 (2009), theorem 1. It holds for any distribution, also where
    rare runs decide and a normal law would not.

    >>> round(deviation_bound(1.0, 10_000, 10.0, 0.01) * 100, 2)    # in standard errors
    5.09
    """
    nats = math.log(3.0 / alpha)
    return spread * math.sqrt(2.0 * nats / count) + 3.0 * most * nats / count


def _binomial_agrees(successes: int, count: int, chance: float, alpha: float) -> bool:
    """Whether neither tail of the binomial law at `successes` is rarer than half of `alpha`."""
    if chance <= 0.0 or chance >= 1.0:
        return successes == round(chance) * count
    at_most = 1.0 if successes == count else special.bdtr(successes, count, chance)
    at_least = 1.0 if successes == 0 else special.bdtrc(successes - 1, count, chance)
    return bool(min(at_most, at_least) >= alpha / 2.0)


def _ratio(difference: float, error: float) -> float | None:
    if error > 0.0:
        return difference / error
    return 0.0 if difference == 0.0 else None
