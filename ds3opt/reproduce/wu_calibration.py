"""Wu et al. Table 4 as numbers of the laws: one number per ingredient, each from one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.coverage import beta_majority_vote
from ds3opt.laws.populations import BetaProblems
from ds3opt.laws.scored_choice import scored_choice_success
from ds3opt.laws.tilt import tilted_success
from ds3opt.laws.voting import (
    majority_vote_success,
    truncated_geometric_shares,
    weighted_vote_success,
)
from ds3opt.reproduce.published import TABLE4, WRONG_ANSWERS

FloatArray = NDArray[np.float64]

ALPHAS = {"math": (0.3, 0.4), "gsm8k": (0.9, 1.3)}
"""Assumed first parameters of the populations: one row has too few numbers to give them. Fits to
Brown et al.'s counts on the same benchmarks lie about there."""
_SPREAD = 0.25
"""Standard deviation of the logarithm of the weight ratio over problems, assumed."""
_ROUNDS = 12


@dataclass(frozen=True)
class Calibration:
    """Numbers with which the laws give a model's measured accuracies on one benchmark."""

    problems: BetaProblems
    shares: FloatArray
    """Of wrong answers."""
    weight_ratio: float
    """Weight of a right vote over that of a wrong one, the median over problems."""
    discrimination: float
    """Of the reward model, standard deviations."""
    tilt: float
    """Odds that REBASE gives a trace over those of sampling."""

    def vote(self, samples: int, weight_ratio: float, tilt: float) -> float:
        """Accuracy of a vote, in percent.

        The ratio of weights differs between problems, log-normally about its median: with one ratio
        for all a few votes would tie, or not, on all problems at once.
        """
        # few votes have few outcomes, so that more ratios are needed
        node, mass = np.polynomial.hermite_e.hermegauss(11 if samples <= 16 else 5)
        ratios = [float(weight_ratio * np.exp(_SPREAD * z)) for z in node]
        found = self.problems.mean(
            lambda psi: np.tensordot(
                mass / mass.sum(),
                [
                    weighted_vote_success(tilted_success(psi, tilt), samples, self.shares, ratio)
                    for ratio in ratios
                ],
                axes=1,
            )
        )
        assert found is not None
        return 100.0 * found

    def best(self, samples: int, tilt: float) -> float:
        """Accuracy of the best-scored of n, in percent."""
        found = self.problems.mean(
            lambda psi: scored_choice_success(
                tilted_success(psi, tilt), samples, self.discrimination
            )
        )
        assert found is not None
        return 100.0 * found


def rising_root(
    of: Callable[[float], float], low: float, high: float, wanted: float, rounds: int = _ROUNDS
) -> float | None:
    """Where a rising function has a value, on a logarithmic scale; None if nowhere."""
    below, above = of(low), of(high)
    if not below <= wanted <= above:
        return None
    for _ in range(rounds):
        middle = float(np.sqrt(low * high))
        value = of(middle)
        if value < wanted:
            low, below = middle, value
        else:
            high, above = middle, value
    part = (wanted - below) / (above - below) if above > below else 0.5
    return float(low * (high / low) ** part)


@lru_cache(maxsize=64)
def calibrated(model: str, benchmark: str, alpha: float) -> Calibration | None:
    """One number per ingredient, each from one row; None where no spectrum of errors fits.

    The mean is that of greedy decoding, which is not quite that of a sample.
    """
    rows = TABLE4[model]
    accuracy = {way: getattr(row, benchmark).accuracy for way, row in rows.items()}
    samples = rows["sampling+MV"].samples
    mean = accuracy["greedy"] / 100.0
    problems = BetaProblems(alpha, alpha * (1.0 - mean) / mean)

    def voted(decay: float) -> float:
        shares = truncated_geometric_shares(decay, WRONG_ANSWERS)
        return 100.0 * float(
            beta_majority_vote(problems.alpha, problems.beta, 1.0, samples, shares)
        )

    decay = rising_root(voted, 1e-3, 1.0, accuracy["sampling+MV"])
    if decay is None:
        return None
    shares = truncated_geometric_shares(decay, WRONG_ANSWERS)
    plain = Calibration(problems, shares, 1.0, 1.0, 1.0)
    ratio = rising_root(
        lambda g: plain.vote(samples, g, 1.0), 0.7, 6.0, accuracy["sampling+WV"], rounds=7
    )
    sharp = rising_root(
        lambda d: Calibration(problems, shares, 1.0, d, 1.0).best(samples, 1.0),
        1e-3,
        8.0,
        accuracy["sampling+BoN"],
    )
    tilt = rising_root(
        lambda rho: (
            100.0
            * float(
                problems.mean(
                    lambda psi: majority_vote_success(tilted_success(psi, rho), samples, shares)
                )
                or 0.0
            )
        ),
        0.5,
        20.0,
        accuracy["rebase+MV"],
    )
    if ratio is None or sharp is None or tilt is None:
        return None
    return Calibration(problems, shares, ratio, sharp, tilt)


def all_calibrations() -> dict[tuple[str, str, float], Calibration | None]:
    """By model, benchmark and assumed alpha."""
    return {
        (model, benchmark, alpha): calibrated(model, benchmark, alpha)
        for model in TABLE4
        for benchmark, alphas in ALPHAS.items()
        for alpha in alphas
    }
