"""Answers of existing models against closed forms, enumeration and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.laws.populations import beta_quadrature
from ds3opt.policies import BestOfN, ChainOfThought, MajorityVote, Policy, TaskTraits
from ds3opt.schema.candidates import Measured


def answer_success(measured: Measured, policy: Policy, who: TaskTraits) -> float | None:
    return policy.success_over(measured.over(), who)


Oracle = Callable[[str], ModuleType]
SPLIT = (0.5, 0.3, 0.2)
COUNTS = [(20, 0), (20, 3), (10, 5), (40, 39), (20, 20)]


def traits(right: float = 1.0, wrong: float = 0.0) -> TaskTraits:
    return TaskTraits(np.array([right]), np.array([wrong]), (SPLIT,), np.zeros(1, dtype=np.intp))


def population(alpha: float, beta: float, solvable: float = 1.0) -> Measured:
    given = {"alpha": alpha, "beta": beta, "solvable": solvable}
    return Measured.model_validate({"population": given, "output_tokens": 100})


def counts(pairs: list[tuple[int, int]]) -> Measured:
    given = [{"samples": n, "correct": c} for n, c in pairs]
    return Measured.model_validate({"success_counts": given, "output_tokens": 100})


def rate(accuracy: float) -> Measured:
    return Measured.model_validate({"accuracy": accuracy, "output_tokens": 100})


# ------------------------------------------------------------------------------- quadrature


@given(st.floats(0.02, 300), st.floats(0.02, 300), st.integers(0, 200))
def test_quadrature_is_exact_for_polynomials(alpha: float, beta: float, degree: int) -> None:
    """Moments of x and of 1 - x up to twice the nodes."""
    node, weight = beta_quadrature(alpha, beta, 101)
    with mpmath.workdps(40):
        a, b = mpmath.mpf(alpha), mpmath.mpf(beta)
        right = float(mpmath.beta(a + degree, b) / mpmath.beta(a, b))
        wrong = float(mpmath.beta(a, b + degree) / mpmath.beta(a, b))
    # nodes that crowd at an end of a pole are found to a few units of the whole interval
    assert node**degree @ weight == pytest.approx(right, abs=2e-12)
    assert (1.0 - node) ** degree @ weight == pytest.approx(wrong, abs=2e-12)
    assert weight.sum() == pytest.approx(1.0, abs=1e-14)
    assert np.all((node >= 0.0) & (node <= 1.0))


@pytest.mark.parametrize("alpha", [1e-9, 1.0, 1e6, 1e150, 1e300])
@pytest.mark.parametrize("beta", [1e-9, 0.3, 1.5e6, 1e300])
def test_quadrature_of_narrow_populations(alpha: float, beta: float) -> None:
    node, weight = beta_quadrature(alpha, beta, 400)
    assert node @ weight == pytest.approx(alpha / (alpha + beta), abs=1e-12)


@pytest.mark.parametrize(
    ("nodes", "wanted"), [(1, [0.5]), (2, [0.5 - 3**-0.5 / 2, 0.5 + 3**-0.5 / 2])]
)
def test_few_nodes(nodes: int, wanted: list[float]) -> None:
    node, weight = beta_quadrature(1.0, 1.0, nodes)
    assert sorted(node) == pytest.approx(wanted)
    assert weight == pytest.approx([1.0 / nodes] * nodes)


def test_a_sum_of_parameters_of_one() -> None:
    """The arcsine law, whose recurrence is 0 / 0 in its first term."""
    node, weight = beta_quadrature(0.5, 0.5, 9)
    wanted = 0.5 - 0.5 * np.cos((2 * np.arange(9) + 1) * math.pi / 18)
    assert np.sort(node) == pytest.approx(wanted, abs=1e-14)
    assert weight == pytest.approx([1 / 9] * 9)


# ------------------------------------------------------------------------------- one rate


def test_a_rate_says_nothing_of_several_traces() -> None:
    assert answer_success(rate(0.4), ChainOfThought(), traits()) == 0.4
    assert answer_success(rate(0.4), BestOfN(samples=2), traits()) is None
    assert answer_success(rate(0.4), MajorityVote(samples=3), traits()) is None


# ------------------------------------------------------------------------------- populations


@given(st.floats(0.05, 50), st.floats(0.05, 50), st.floats(0.01, 1), st.integers(2, 60))
def test_a_perfect_verifier_covers(alpha: float, beta: float, part: float, samples: int) -> None:
    """`1 - prod (b + i) / (a + b + i)` of the part that can be solved."""
    found = answer_success(population(alpha, beta, part), BestOfN(samples=samples), traits())
    missed = math.prod((beta + i) / (alpha + beta + i) for i in range(samples))
    assert found == pytest.approx(part * (1.0 - missed), abs=1e-12)


@given(st.floats(0.05, 50), st.floats(0.05, 50), st.floats(0.01, 1))
def test_one_trace_solves_the_mean(alpha: float, beta: float, part: float) -> None:
    found = answer_success(population(alpha, beta, part), ChainOfThought(), traits())
    assert found == pytest.approx(part * alpha / (alpha + beta), abs=1e-12)


def uniform_mean(policy: Policy, who: TaskTraits, points: int = 200_001) -> float:
    """Mean over an even spread of chances, by Simpson's rule."""
    chance = np.linspace(0.0, 1.0, points)
    weight = np.full(points, 2.0)
    weight[1::2] = 4.0
    weight[[0, -1]] = 1.0
    right = policy.answer_success(chance, who.take(np.zeros(points, dtype=np.intp)))
    return float(weight @ right / weight.sum())


@pytest.mark.parametrize("right", [0.6, 0.9, 1.0])
@pytest.mark.parametrize("wrong", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("samples", [2, 7, 50])
def test_a_fallible_verifier_over_an_even_spread(right: float, wrong: float, samples: int) -> None:
    policy, who = BestOfN(samples=samples), traits(right, wrong)
    found = answer_success(population(1.0, 1.0), policy, who)
    assert found == pytest.approx(uniform_mean(policy, who), abs=1e-9)


def test_a_vote_over_an_even_spread() -> None:
    """Each share of right traces has the chance 1 / (k + 1) there."""
    for samples in (2, 5, 12):
        won = float(sum(_vote_weights(samples)))
        found = answer_success(population(1.0, 1.0), MajorityVote(samples=samples), traits())
        assert found == pytest.approx(won / (samples + 1), abs=1e-12)


def _vote_weights(samples: int) -> list[Fraction]:
    """Chance that so many right traces win, by going through all splits of the wrong ones."""
    shares = [Fraction(s).limit_denominator(10) for s in SPLIT]
    found = []
    for right in range(samples + 1):
        wrong = samples - right
        won = Fraction(0)
        for first in range(wrong + 1):
            for second in range(wrong - first + 1):
                split = (first, second, wrong - first - second)
                if right == 0 or max(split) > right:
                    continue
                chance = Fraction(math.factorial(wrong))
                for share, votes in zip(shares, split, strict=True):
                    chance *= share**votes / math.factorial(votes)
                won += chance / (1 + sum(votes == right for votes in split))
        found.append(won)
    return found


def drawn(measured: Measured, runs: int, seed: int) -> Any:
    """Chances of problems of a population."""
    spread = measured.population
    assert spread is not None
    rng = np.random.default_rng(seed)
    chance = rng.beta(spread.alpha, spread.beta, runs)
    return np.where(rng.random(runs) < spread.solvable, chance, 0.0)


def simulated(policy: Policy, chance: Any, who: TaskTraits, seed: int) -> Any:
    """Whether the answer is right, one run for each chance, trace by trace."""
    rng = np.random.default_rng(seed)
    runs, samples = chance.size, policy.samples
    right = rng.random((runs, samples)) < chance[:, None]
    if isinstance(policy, MajorityVote):
        which = 1 + rng.choice(len(SPLIT), size=right.shape, p=SPLIT)
        answer = np.where(right, 0, which)
        votes = np.stack([(answer == a).sum(axis=1) for a in range(len(SPLIT) + 1)], axis=1)
        return np.argmax(votes + 0.5 * rng.random(votes.shape), axis=1) == 0
    accepted = rng.random(right.shape) < np.where(
        right, who.true_positive_rate[0], who.false_positive_rate[0]
    )
    accepted = np.where(accepted.any(axis=1, keepdims=True), accepted, True)
    chosen = np.argmax(accepted * (1.0 + rng.random(right.shape)), axis=1)
    return right[np.arange(runs), chosen]


@pytest.mark.parametrize(
    "measured", [population(0.3, 1.2, 0.8), population(4.0, 2.0, 0.5)], ids=str
)
@pytest.mark.parametrize(
    ("policy", "who"),
    [
        (BestOfN(samples=6), traits()),
        (BestOfN(samples=6), traits(0.8, 0.3)),
        (BestOfN(samples=3), traits(0.5, 0.5)),
        (MajorityVote(samples=7), traits()),
        (MajorityVote(samples=4), traits()),
    ],
)
def test_populations_against_simulation(
    measured: Measured, policy: Policy, who: TaskTraits
) -> None:
    won = simulated(policy, drawn(measured, 100_000, 5), who, 6)
    found = answer_success(measured, policy, who)
    assert found is not None
    assert abs(won.mean() - found) < 4.5 * won.std() / math.sqrt(won.size)


def test_a_problem_that_is_never_solved_can_still_be_voted_on() -> None:
    """Only solvable problems bring right answers, whatever the policy."""
    for policy in (MajorityVote(samples=5), BestOfN(samples=4)):
        whole = answer_success(population(2.0, 3.0, 1.0), policy, traits(0.9, 0.2))
        half = answer_success(population(2.0, 3.0, 0.5), policy, traits(0.9, 0.2))
        assert whole is not None
        assert half == pytest.approx(0.5 * whole)


def test_a_verifier_that_knows_nothing_is_one_trace() -> None:
    found = answer_success(population(0.7, 1.9), BestOfN(samples=9), traits(0.4, 0.4))
    assert found == pytest.approx(0.7 / 2.6, abs=1e-12)


def test_narrow_populations_are_a_single_chance() -> None:
    narrow = population(3e6, 7e6)
    for policy in (MajorityVote(samples=9), BestOfN(samples=4)):
        # half the variance of the chance, times the most that a second derivative can be
        spread = 0.5 * 0.3 * 0.7 / 1e7 * policy.samples * (policy.samples - 1)
        for who in (traits(), traits(0.9, 0.1)):
            wanted = policy.answer_success(np.array([0.3]), who)[0]
            assert answer_success(narrow, policy, who) == pytest.approx(wanted, abs=spread)


# ------------------------------------------------------------------------------- counts


def test_one_trace_of_counts_is_the_mean_rate() -> None:
    wanted = sum(c / n for n, c in COUNTS) / len(COUNTS)
    assert answer_success(counts(COUNTS), ChainOfThought(), traits()) == pytest.approx(wanted)


def test_coverage_of_counts_is_pass_at_k() -> None:
    for samples in (2, 5, 10):
        wanted = sum(
            1 - math.comb(n - c, samples) / math.comb(n, samples) for n, c in COUNTS
        ) / len(COUNTS)
        found = answer_success(counts(COUNTS), BestOfN(samples=samples), traits())
        assert found == pytest.approx(wanted, rel=1e-12)


def test_more_traces_than_were_tried_are_not_covered() -> None:
    assert answer_success(counts(COUNTS), BestOfN(samples=10), traits()) is not None
    assert answer_success(counts(COUNTS), BestOfN(samples=11), traits()) is None


@pytest.mark.parametrize("policy", [MajorityVote(samples=5), BestOfN(samples=4)])
def test_other_answers_take_the_rate_of_each_problem(policy: Policy, oracle: Oracle) -> None:
    who = traits(0.9, 0.2)
    exact = oracle("enumeration")
    wanted = Fraction(0)
    for n, c in COUNTS:
        chance = Fraction(c, n)
        if isinstance(policy, MajorityVote):
            shares = [Fraction(s).limit_denominator(10) for s in SPLIT]
            wanted += exact.majority_vote(chance, policy.samples, shares)
        else:
            wanted += exact.verified_choice(chance, policy.samples, Fraction(9, 10), Fraction(1, 5))
    found = answer_success(counts(COUNTS), policy, who)
    assert found == pytest.approx(float(wanted) / len(COUNTS), rel=1e-12)


@given(st.floats(0.05, 20), st.floats(0.05, 20), st.floats(0.1, 1), st.floats(0, 1))
@settings(max_examples=20)
def test_success_is_a_chance_that_rises_with_traces(
    alpha: float, beta: float, right: float, share: float
) -> None:
    who = traits(right, right * share * 0.999)
    previous = 0.0
    for samples in (2, 3, 8):
        found = answer_success(population(alpha, beta), BestOfN(samples=samples), who)
        assert found is not None
        assert -1e-12 <= found <= 1.0 + 1e-12
        assert found >= previous - 1e-12
        previous = found


@pytest.mark.parametrize(("alpha", "beta"), [(0.32, 0.98), (0.02, 81.0), (2.0, 3.0)])
@pytest.mark.parametrize("samples", [1000, 30_000, 100_000])
def test_quadrature_keeps_up_with_many_traces(alpha: float, beta: float, samples: int) -> None:
    """A scoring verifier without error, averaged, is the closed form of a perfect one."""
    problems = population(alpha, beta).over()
    covered = problems.covered(samples)
    found = problems.mean(
        lambda chance: -np.expm1(samples * np.log1p(-np.minimum(chance, 1 - 1e-16))), samples
    )
    assert found == pytest.approx(covered, rel=1e-9)
