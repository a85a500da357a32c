"""Majority vote: independent traces, the most frequent answer wins, no verifier."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ds3opt.laws.populations import Population
from ds3opt.laws.voting import weighted_vote_success, weighted_vote_weights
from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind

_CELLS = 64


@dataclass(frozen=True)
class MajorityVote(Policy):
    """`samples` traces vote; wrong answers split by the class's error spectrum, DS3 (38), (60)."""

    name: ClassVar[str] = "majority_vote"
    needs: ClassVar[VerifierKind] = VerifierKind.NONE

    @property
    def needs_wrong_answers(self) -> bool:
        """A vote depends on what else is voted for."""
        return True

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """The right answer has the most votes, ties drawn at random."""
        return vote_success(trace_success, self.samples, traits)

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds from the Bernstein form of the vote, tabulated on cells of trace success."""
        return vote_slope(low, high, self.samples, traits)

    def covers(self, traits: TaskTraits) -> bool:
        """Only a vote of one."""
        return self.samples == 1

    def plateau(self, population: Population, traits: TaskTraits) -> float | None:
        """Problems whose right answer comes more often than the most frequent wrong one."""
        return vote_plateau_over(population, traits)

    def options(self) -> dict[str, Any]:
        """Traces that vote."""
        return {"samples": self.samples}

    def words(self) -> str:
        """As a planner would say it."""
        return f"majority vote of {self.samples}"


def vote_success(
    trace_success: FloatArray, votes: int, traits: TaskTraits, weight_ratio: float = 1.0
) -> FloatArray:
    """Chance that the right answer wins, by the error spectrum of each task."""
    result = np.zeros_like(trace_success)
    for index in np.unique(traits.spectrum):
        if index < 0:
            continue
        here = np.broadcast_to(traits.spectrum == index, trace_success.shape)
        result[here] = weighted_vote_success(
            trace_success[here], votes, traits.wrong_answer_shares[index], weight_ratio
        )
    return result


def vote_slope(
    low: FloatArray, high: FloatArray, votes: int, traits: TaskTraits, weight_ratio: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Bounds on the first, and minus the second, derivative of `vote_success` on [low, high]."""
    slope, curvature = np.zeros_like(low), np.zeros_like(low)
    first = np.clip((low * _CELLS).astype(np.intp), 0, _CELLS - 1)
    last = np.clip((high * _CELLS).astype(np.intp), 0, _CELLS - 1)
    for index in np.unique(traits.spectrum):
        if index < 0:
            continue
        here = np.broadcast_to(traits.spectrum == index, low.shape)
        shares = traits.wrong_answer_shares[index]
        slopes, curvatures = _derivative_bounds(votes, shares, weight_ratio)
        slope[here] = slopes[first[here], last[here]]
        curvature[here] = curvatures[first[here], last[here]]
    return slope, curvature


def vote_plateau_over(
    population: Population, traits: TaskTraits, weight_ratio: float = 1.0
) -> float | None:
    """Share of problems that ever more votes solve, for the traits of one task."""
    index = int(traits.spectrum[0])
    if index < 0:
        return None
    return population.vote_plateau(traits.wrong_answer_shares[index], weight_ratio)


@lru_cache(maxsize=256)
def _derivative_bounds(
    samples: int, shares: tuple[float, ...], weight_ratio: float
) -> tuple[FloatArray, FloatArray]:
    """Largest slope and largest minus second derivative between cells i and j, (cell, cell).

    With ``V(x) = sum_y Bin(y; k, x) W[y]`` the derivatives are binomial sums of differences of W.
    On a cell every binomial probability is at most its value at the point of the cell nearest
    its own peak, which bounds the sums; a running maximum then covers ranges of cells.
    """
    weights = weighted_vote_weights(samples, shares, weight_ratio)
    first = np.diff(weights)
    second = np.maximum(-np.diff(weights, 2), 0.0)
    slope = samples * _largest_on_cells(first)
    curvature = samples * (samples - 1.0) * _largest_on_cells(second)
    return _range_maximum(slope), _range_maximum(curvature)


def _largest_on_cells(coefficients: FloatArray) -> FloatArray:
    from scipy.special import gammaln, xlog1py, xlogy

    degree = coefficients.size - 1
    if degree < 0:
        return np.zeros(_CELLS)
    y = np.arange(degree + 1.0)
    edges = np.linspace(0.0, 1.0, _CELLS + 1)
    peak = y / max(degree, 1)
    x = np.clip(peak, edges[:-1, None], edges[1:, None])  # (cell, y)
    log_pmf = (
        gammaln(degree + 1.0)
        - gammaln(y + 1.0)
        - gammaln(degree - y + 1.0)
        + xlogy(y, x)
        + xlog1py(degree - y, -x)
    )
    largest = np.exp(log_pmf) @ np.maximum(coefficients, 0.0)
    return np.asarray(np.minimum(largest, np.max(coefficients, initial=0.0)) * (1.0 + 1e-9))


def _range_maximum(cells: FloatArray) -> FloatArray:
    table = np.zeros((_CELLS, _CELLS))
    for i in range(_CELLS):
        table[i, i:] = np.maximum.accumulate(cells[i:])
    return table
