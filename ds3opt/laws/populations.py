"""Problems that differ in how often one trace solves them, and the mean of a policy over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws.coverage import (
    beta_binomial_masses,
    beta_coverage,
    pass_at_k,
    samples_for_coverage,
)
from ds3opt.laws.saturation import vote_limit, vote_plateau

_NODES = 400
"""Of Gauss-Jacobi quadrature: exact for polynomials of degree 799, such as votes of 799 traces."""
_NODES_PER_ROOT = 4.0
"""Nodes for each root of the traces: nodes lie 1 / nodes^2 apart at the ends, where an answer of k
traces changes within 1 / k."""
_BLOCK = 4_000_000
"""Elements of a table that is summed at once, for memory."""

Answer = Callable[[FloatArray], FloatArray]
"""From chances of single traces to chances of a right answer."""


class Population(ABC):
    """Problems and their chances of being solved in one trace."""

    @abstractmethod
    def single(self) -> float:
        """Share that one trace solves."""

    @abstractmethod
    def covered(self, samples: int) -> float | None:
        """Share that one of k traces solves; None where that was not measured."""

    @abstractmethod
    def mean(self, answer: Answer, samples: int = 1) -> float | None:
        """Share that a policy of so many traces solves which makes this of one trace.

        None where it is not known.
        """

    @abstractmethod
    def masses(self, samples: int) -> FloatArray | None:
        """Chances over all problems that 0, ..., k of k traces are right."""

    @abstractmethod
    def vote_plateau(self, wrong_answer_shares: ArrayLike, weight_ratio: float) -> float | None:
        """Share that ever more votes solve."""

    @abstractmethod
    def limit(self, answer: Answer) -> float | None:
        """Share that a policy solves whose answer for ever more traces is this of one trace."""

    @property
    @abstractmethod
    def solvable(self) -> float | None:
        """Share that any number of traces solves; None where that is not known."""

    @abstractmethod
    def samples_for(self, target: float) -> float | None:
        """Fewest traces of which one solves a problem with this chance.

        inf where no number does, None where more traces were needed than were measured.
        """

    def log10_samples_for(self, target: float) -> float | None:
        """The decimal logarithm of that, where the number itself is beyond doubles."""
        found = self.samples_for(target)
        return None if found is None or not 0.0 < found < np.inf else float(np.log10(found))


@dataclass(frozen=True)
class SingleRate(Population):
    """One measured rate, which says nothing of several traces on one problem."""

    accuracy: float

    def single(self) -> float:
        """The rate."""
        return self.accuracy

    def covered(self, samples: int) -> float | None:
        """Known for one trace."""
        return self.accuracy if samples == 1 else None

    def mean(self, answer: Answer, samples: int = 1) -> float | None:
        """Not known."""
        return None

    def masses(self, samples: int) -> FloatArray | None:
        """Not known."""
        return None

    def vote_plateau(self, wrong_answer_shares: ArrayLike, weight_ratio: float) -> float | None:
        """Not known."""
        return None

    def limit(self, answer: Answer) -> float | None:
        """Not known."""
        return None

    @property
    def solvable(self) -> float | None:
        """Not known."""
        return None

    def samples_for(self, target: float) -> float | None:
        """One, or not known."""
        return 1.0 if target <= self.accuracy else None


@dataclass(frozen=True)
class CountedProblems(Population):
    """Problems that were each tried several times.

    Coverage is the unbiased estimate from the counts. Everything else takes the rate of each
    problem for its chance, which beats a fitted Beta where votes are decided near their threshold.
    """

    samples: FloatArray  # (problem,)
    correct: FloatArray  # (problem,)

    def __post_init__(self) -> None:
        if np.size(self.samples) == 0:
            raise refuse("samples", "of at least one problem", "none")
        tried = interval("samples", self.samples, 1, np.inf, bounds="[)")
        right = interval("correct", self.correct, 0, np.inf, bounds="[)")
        if np.any(right > tried):
            raise refuse("correct", "at most samples", float(np.max(right - tried + tried)))

    @property
    def rates(self) -> FloatArray:
        """Share of right traces, per problem."""
        return np.asarray(self.correct / self.samples)

    def single(self) -> float:
        """Mean rate."""
        return float(np.mean(self.rates))

    def covered(self, samples: int) -> float | None:
        """Mean of unbiased pass@k; None where a problem was tried less often."""
        if np.any(self.samples < samples):
            return None
        return float(np.mean(pass_at_k(self.samples, self.correct, float(samples))))

    def mean(self, answer: Answer, samples: int = 1) -> float | None:
        """Over the rates."""
        return float(np.mean(answer(self.rates)))

    def masses(self, samples: int) -> FloatArray | None:
        """Mean of binomials with the rates."""
        from scipy.special import gammaln, xlog1py, xlogy

        k = float(samples)
        y = np.arange(k + 1.0)
        ways = gammaln(k + 1.0) - gammaln(y + 1.0) - gammaln(k - y + 1.0)
        rate, weight = np.unique(self.rates, return_counts=True)
        total = np.zeros(y.size)
        rows = max(1, _BLOCK // y.size)
        with np.errstate(under="ignore"):
            for begin in range(0, rate.size, rows):
                part = rate[begin : begin + rows, None]
                mass = np.exp(ways + xlogy(y, part) + xlog1py(k - y, -part))
                total += weight[begin : begin + rows] @ mass
        return np.asarray(total / total.sum())

    def vote_plateau(self, wrong_answer_shares: ArrayLike, weight_ratio: float) -> float | None:
        """Share of problems whose rate is above the threshold."""
        return self.limit(lambda rate: vote_limit(rate, wrong_answer_shares, weight_ratio))

    def limit(self, answer: Answer) -> float | None:
        """Mean over the rates."""
        return self.mean(answer)

    @property
    def solvable(self) -> float | None:
        """Share that was solved at least once, which may be too little."""
        return float(np.mean(self.correct > 0.0))

    def samples_for(self, target: float) -> float | None:
        """By unbiased pass@k, which rises with k."""
        if target <= 0.0:
            return 0.0
        most = int(np.min(self.samples))
        reached = self.covered(most)
        if reached is None or reached < target:
            return None
        low, high = 0, most
        while high - low > 1:
            middle = (low + high) // 2
            found = self.covered(middle)
            low, high = (low, middle) if found is not None and found >= target else (middle, high)
        return float(high)


@dataclass(frozen=True)
class BetaProblems(Population):
    """Chances that follow Beta(alpha, beta) on a part of the problems and are 0 on the rest.

    DS3 (58), after Levi (arXiv 2410.16377), whose alpha and beta are swapped.
    """

    alpha: float
    beta: float
    part: float = 1.0

    def single(self) -> float:
        """``part alpha / (alpha + beta)``."""
        return float(beta_coverage(self.alpha, self.beta, self.part, 1.0))

    def covered(self, samples: int) -> float:
        """DS3 (59)."""
        return float(beta_coverage(self.alpha, self.beta, self.part, float(samples)))

    def mean(self, answer: Answer, samples: int = 1) -> float | None:
        """By Gauss-Jacobi quadrature."""
        nodes = max(_NODES, int(_NODES_PER_ROOT * np.sqrt(samples)))
        node, weight = beta_quadrature(self.alpha, self.beta, nodes)
        never = float(answer(np.zeros(1))[0])
        return self.part * float(answer(node) @ weight) + (1.0 - self.part) * never

    def masses(self, samples: int) -> FloatArray | None:
        """Of a beta-binomial, and none right of the part that is never solved."""
        mass = self.part * beta_binomial_masses(self.alpha, self.beta, samples)
        mass[0] += 1.0 - self.part
        return mass

    def vote_plateau(self, wrong_answer_shares: ArrayLike, weight_ratio: float) -> float | None:
        """In closed form."""
        top = float(np.max(np.asarray(wrong_answer_shares, dtype=np.float64)))
        return float(vote_plateau(self.alpha, self.beta, self.part, top, weight_ratio))

    def limit(self, answer: Answer) -> float | None:
        """By quadrature; the answer must be continuous."""
        return self.mean(answer)

    @property
    def solvable(self) -> float | None:
        """As stated."""
        return self.part

    def samples_for(self, target: float) -> float:
        """The exact inverse of coverage."""
        return float(samples_for_coverage(target, self.alpha, self.beta, self.part))

    def log10_samples_for(self, target: float) -> float | None:
        """The exact inverse of coverage, in logarithms."""
        found = samples_for_coverage(target, self.alpha, self.beta, self.part, log10=True)
        return float(found) if np.isfinite(found) else None


@lru_cache(maxsize=64)
def beta_quadrature(alpha: float, beta: float, nodes: int) -> tuple[FloatArray, FloatArray]:
    """Gauss nodes in [0, 1] and weights of sum 1 of a Beta density.

    Notes
    -----
    Eigenvalues and first components of the eigenvectors of the Jacobi matrix (Golub and Welsch,
    Math. Comp. 23, 1969). Neither needs the integral of the density, which leaves the range of
    doubles where a population is narrow.

    >>> node, weight = beta_quadrature(1.0, 1.0, 2)    # Gauss-Legendre on [0, 1]
    >>> node.round(6).tolist(), weight.round(6).tolist()
    ([0.211325, 0.788675], [0.5, 0.5])
    """
    from scipy.linalg import eigh_tridiagonal

    n = np.arange(1.0, nodes)
    total = alpha + beta
    twice = 2.0 * n + (total - 2.0)
    middle = (alpha - beta) / twice * ((total - 2.0) / (twice + 2.0))
    diagonal = np.concatenate([[(alpha - beta) / total], middle])
    # factors in pairs, none of which overflows; for n = 1 the last is 1, also where it is 0 / 0
    last = (n + (total - 2.0))[1:] / (twice - 1.0)[1:]
    square = n / twice * ((n + (beta - 1.0)) / twice) * ((n + (alpha - 1.0)) / (twice + 1.0))
    beside = np.sqrt(square * np.concatenate([np.ones(min(nodes - 1, 1)), last]))
    value, vector = eigh_tridiagonal(0.5 * (1.0 + diagonal), beside)
    weight = vector[0] ** 2
    return np.clip(value, 0.0, 1.0), weight / weight.sum()
