"""Beta populations fitted to published coverage, by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.coverage import beta_coverage
from ds3opt.reproduce.published import COVERAGE, PYTHIA_COVERAGE, SAMPLES

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A Beta population with a part that can be solved at all."""

    alpha: float
    beta: float
    solvable: float
    rms: float
    """Root mean square of what it misses at the points, in probability."""

    def coverage(self, samples: FloatArray) -> FloatArray:
        """Chance that one of k samples is right."""
        return beta_coverage(self.alpha, self.beta, self.solvable, samples)


def points_of(model: str) -> tuple[FloatArray, FloatArray]:
    """Numbers of samples and the coverage that was measured there."""
    if model == "Pythia-2.8B":
        return np.array([*map(float, PYTHIA_COVERAGE)]), np.array([*PYTHIA_COVERAGE.values()])
    return np.array(SAMPLES, dtype=np.float64), np.array(COVERAGE[model])


@lru_cache(maxsize=16)
def fitted(model: str, *, all_solvable: bool) -> Fit:
    """The population whose coverage is closest to a model's measured one.

    Parameters
    ----------
    all_solvable : hold the solvable part at 1.
    """
    k, value = points_of(model)
    return fit_coverage(k, value, all_solvable=all_solvable)


def fit_coverage(samples: FloatArray, coverage: FloatArray, *, all_solvable: bool) -> Fit:
    """Least squares over ln alpha, ln beta and the logit of the solvable part."""
    from scipy.optimize import least_squares
    from scipy.special import expit

    def unpacked(x: FloatArray) -> tuple[float, float, float]:
        part = 1.0 if all_solvable else float(expit(x[2]))
        return float(np.exp(x[0])), float(np.exp(x[1])), part

    def misses(x: FloatArray) -> FloatArray:
        return np.asarray(beta_coverage(*unpacked(x), samples) - coverage)

    start = np.array([np.log(0.4), 0.0, 4.0])[: 2 if all_solvable else 3]
    best = least_squares(misses, start, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    return Fit(*unpacked(best.x), float(np.sqrt(np.mean(best.fun**2))))
