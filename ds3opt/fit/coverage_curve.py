"""A population of problems from a published curve of pass@k: least squares, for want of counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ds3opt.fit.coverage import CONSTANTS
from ds3opt.fit.doubts import Doubt
from ds3opt.fit.robust import minimise
from ds3opt.laws._types import FloatArray
from ds3opt.laws.coverage import beta_coverage
from ds3opt.laws.populations import BetaProblems

_NO_THRESHOLD = 1e3
"""Residuals of coverage are below 1, so that none lies beyond and the sum is one of squares."""
_STARTS = ((0.05, 0.3, 1.0, 3.0), (0.3, 1.0, 5.0, 50.0), (0.3, 0.7, 1.0))
_LOW = np.array([np.log(1e-4), np.log(1e-4), 1e-3])
_HIGH = np.array([np.log(1e4), np.log(1e6), 1.0])
_SAME = 1e-3
_EDGE = 1e-6
OFF = 0.02
"""Root mean square error of a curve from which on it is told of: two points."""


@dataclass(frozen=True)
class Curve:
    """Coverage with so many samples."""

    samples: FloatArray  # (point,)
    coverage: FloatArray  # (point,)
    standard_error: FloatArray | None = None  # (point,)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class CurveFit:
    """A fitted curve; nothing says how well its constants are known."""

    values: dict[str, float]
    residuals: FloatArray  # (point,), measured - fitted
    starts: int
    agreeing: int
    fixed: tuple[str, ...]
    at_edge: tuple[str, ...]

    @property
    def population(self) -> BetaProblems:
        """The population as a law."""
        return BetaProblems(*(self.values[name] for name in CONSTANTS))

    @property
    def rms_error(self) -> float:
        """Root mean square of the residuals."""
        return float(np.sqrt(np.mean(self.residuals**2)))


def fit_curve(curve: Curve, *, solvable: float | None = None) -> CurveFit:
    """The population whose coverage comes closest to a curve.

    Parameters
    ----------
    curve : more points than constants.
    solvable : to hold fixed; None fits it.

    Notes
    -----
    What DS3 III-D does. Points of one curve come from the same samples of the same problems, so
    that neither a likelihood nor errors of the constants follow from them.
    """
    starts = np.array(list(product(*_STARTS)))
    starts[:, :2] = np.log(starts[:, :2])
    free = np.ones(3)
    if solvable is not None:
        starts[:, 2], free[2] = solvable, 0.0
        starts = np.unique(starts, axis=0)
    k, measured, error = curve.samples, curve.coverage, curve.standard_error
    weight = np.ones(len(curve)) if error is None else np.min(error) / error

    def residuals(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        from scipy.special import digamma

        a, b, part = np.exp(at[:, :1]), np.exp(at[:, 1:2]), at[:, 2:]
        whole = beta_coverage(a, b, 1.0, k)
        missed = beta_coverage(a, b, 1.0, k, complement=True)
        both = digamma(a + b) - digamma(a + b + k)
        of_a = -part * missed * a * both
        of_b = -part * missed * b * (both + digamma(b + k) - digamma(b))
        slopes = np.stack([of_a, of_b, whole], axis=2)
        return (part * whole - measured) * weight, slopes * weight[:, None]

    found = minimise(
        residuals, starts, low=_LOW, high=_HIGH, delta=_NO_THRESHOLD, free=free, rows=len(curve)
    )
    best = found.coordinates[int(np.argmin(found.sums))]
    a, b, part = float(np.exp(best[0])), float(np.exp(best[1])), float(best[2])
    least = float(found.sums.min())
    pressed = (best <= _LOW + _EDGE) | (best >= _HIGH - _EDGE)
    pressed[2] = False
    return CurveFit(
        values=dict(zip(CONSTANTS, (a, b, part), strict=True)),
        residuals=measured - np.asarray(beta_coverage(a, b, part, k)),
        starts=len(starts),
        agreeing=int(np.sum(found.sums <= least * (1.0 + _SAME) + 1e-12 * len(curve))),
        fixed=() if solvable is None else ("solvable",),
        at_edge=tuple(name for name, one in zip(CONSTANTS, pressed, strict=True) if one),
    )


def obstacles(curve: Curve, constants: int = 3) -> Iterator[Doubt]:
    """What makes a fit impossible."""
    distinct, first = np.unique(curve.samples, return_index=True)
    copies = np.setdiff1d(np.arange(len(curve)), first)
    if copies.size:
        k = curve.samples[copies[0]]
        yield Doubt(
            "duplicates",
            f"k = {k:g} stands twice",
            (int(np.flatnonzero(curve.samples == k)[0]), int(copies[0])),
            hint="one curve at a time: choose it with --where, as --where metric=coverage",
        )
        return
    if len(distinct) <= constants:
        points = "1 point is" if len(curve) == 1 else f"{len(curve)} points are"
        yield Doubt("too_few_points", f"{points} too few for {constants} constants")
        return
    for value, what in ((0.0, "none solved"), (1.0, "all solved")):
        if np.all(curve.coverage == value):
            yield Doubt("degenerate", f"every point is {value:g}, {what}: there is nothing to fit")
            return
    order = np.argsort(curve.samples)
    falls = np.flatnonzero(np.diff(curve.coverage[order]) < -OFF)
    if falls.size:
        one, two = (int(order[i]) for i in (falls[0], falls[0] + 1))
        yield Doubt(
            "falling",
            "coverage falls with more samples, which it cannot",
            (one, two),
            hint="is it the accuracy of a vote?",
        )


def doubts_of_curve(curve: Curve, fit: CurveFit) -> Iterator[Doubt]:
    """What a user should know of a fit to a curve."""
    yield Doubt(
        "no_interval",
        "no interval follows from a curve: its points come from the same samples of the same "
        "problems",
        hint="fit the counts of each problem, if they can be had",
    )
    if fit.at_edge:
        names = " and ".join(fit.at_edge)
        yield Doubt(
            "not_identified",
            f"{names} runs to the end of what is allowed: this curve does not identify it",
        )
    if fit.rms_error > OFF:
        yield Doubt("poor_fit", f"rms error is {100 * fit.rms_error:.2g} points: the form is rough")
