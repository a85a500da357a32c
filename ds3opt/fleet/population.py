"""How often a policy answers right, from what was measured of single traces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.coverage import beta_coverage, pass_at_k
from ds3opt.policies import Policy, TaskTraits
from ds3opt.schema.candidates import Measured

FloatArray = NDArray[np.float64]

_NODES = 400
"""Of Gauss-Jacobi quadrature: exact for majority votes of 799 traces."""


def answer_success(measured: Measured, policy: Policy, traits: TaskTraits) -> float | None:
    """Chance of a right answer over the measured problems; None where it was not measured.

    One measured rate says nothing of several traces on one problem, so it serves single traces
    only. Counts and populations serve every policy whose answer follows from whole traces.
    """
    single = policy.samples == 1
    if measured.accuracy is not None:
        return measured.accuracy if single else None
    perfect = bool(
        np.all(traits.true_positive_rate == 1.0) and np.all(traits.false_positive_rate == 0.0)
    )
    coverage = policy.outcome_checks > 0 and perfect
    if measured.success_counts is not None:
        samples = np.array([one.samples for one in measured.success_counts], dtype=np.float64)
        correct = np.array([one.correct for one in measured.success_counts], dtype=np.float64)
        if single:
            return float(np.mean(correct / samples))
        if coverage:
            if np.any(samples < policy.samples):
                return None
            return float(np.mean(pass_at_k(samples, correct, float(policy.samples))))
        return float(np.mean(_answers(policy, correct / samples, traits)))
    population = measured.population
    assert population is not None
    alpha, beta, solvable = population.alpha, population.beta, population.solvable
    if single or coverage:
        return float(beta_coverage(alpha, beta, solvable, float(policy.samples)))
    node, weight = beta_quadrature(alpha, beta, _NODES)
    never = float(_answers(policy, np.zeros(1), traits)[0])
    return solvable * float(_answers(policy, node, traits) @ weight) + (1.0 - solvable) * never


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


def _answers(policy: Policy, chance: FloatArray, traits: TaskTraits) -> FloatArray:
    """Success of the policy where a trace has these chances, for the traits of one task."""
    index = np.zeros(chance.size, dtype=np.intp)
    return np.asarray(policy.answer_success(chance, traits.take(index)))
