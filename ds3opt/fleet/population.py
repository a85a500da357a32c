"""How often a policy answers right, from what was measured of single traces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.coverage import beta_coverage, pass_at_k
from ds3opt.laws.populations import beta_quadrature
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


def _answers(policy: Policy, chance: FloatArray, traits: TaskTraits) -> FloatArray:
    """Success of the policy where a trace has these chances, for the traits of one task."""
    index = np.zeros(chance.size, dtype=np.intp)
    return np.asarray(policy.answer_success(chance, traits.take(index)))
