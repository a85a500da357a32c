"""Coverage of a Beta population and pass@k, against their definitions."""

import json
from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.coverage import (
    beta_binomial_masses,
    beta_coverage,
    beta_majority_vote,
    coverage_power_law,
    log_power_law_factor,
    pass_at_k,
    samples_for_coverage,
)
from ds3opt.laws.voting import truncated_geometric_shares

shape = st.floats(1e-2, 1e3)
unit = st.floats(0.0, 1.0)
traces = st.integers(0, 10**6)


DIGITS = 1e-11
"""Relative error: terms of up to a thousand times ten, each to a few units in the last place."""


def exact(alpha: float, beta: float, solvable: float, samples: float) -> tuple[float, float]:
    """Coverage and its complement with fifty digits."""
    with mpmath.workdps(50):
        a, b, c, k = (mpmath.mpf(x) for x in (alpha, beta, solvable, samples))
        missed = mpmath.beta(a, b + k) / mpmath.beta(a, b)
        return float(c * (1 - missed)), float(1 - c + c * missed)


def reference(case: dict) -> float | None:
    """What our laws make of a reference case; None where it is of another law."""
    x = case["inputs"]
    population = [x[name] for name in ("alpha", "beta", "A") if name in x]
    match case["fn"]:
        case "coverage":
            return float(beta_coverage(*population, x["k"]))
        case "log_fail":
            return float(beta_coverage(*population, x["k"], complement=True, log=True))
        case "asym_C":
            return float(np.exp(log_power_law_factor(*population)))
        case "coverage_asym":
            return float(coverage_power_law(*population, x["k"]))
        case "coverage_asym_shifted":
            return float(coverage_power_law(*population, x["k"], shifted=True))
        case "log10_k_for_coverage":
            return float(samples_for_coverage(x["P"], *population, log10=True))
        case "k_for_coverage_int":
            return float(samples_for_coverage(x["P"], *population))
        case "pass_at_k":
            return float(pass_at_k(x["n"], x["c"], x["k"]))
        case "mv_accuracy":
            split = truncated_geometric_shares(x["lam"], x["n_wrong"])
            return float(beta_majority_vote(*population, x["k"], split))
    return None


def test_reference_values(shared) -> None:
    kinds = set()
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        value = reference(case)
        if value is not None:
            kinds.add(case["fn"])
            assert value == pytest.approx(case["expected"], rel=case["rtol"], abs=0.0), case
    assert len(kinds) == 9


@given(shape, shape, unit, traces)
def test_coverage_against_fifty_digits(alpha, beta, solvable, samples) -> None:
    covered, missed = exact(alpha, beta, solvable, samples)
    found = beta_coverage(alpha, beta, solvable, samples)
    assert found == pytest.approx(covered, rel=DIGITS, abs=1e-300)
    rest = beta_coverage(alpha, beta, solvable, samples, complement=True)
    assert rest == pytest.approx(missed, rel=DIGITS, abs=1e-300)


@pytest.mark.parametrize(
    ("alpha", "beta", "samples"), [(0.3, 1.7, 1), (2.0, 0.5, 7), (0.05, 3.0, 50), (8.0, 8.0, 3)]
)
def test_coverage_is_an_average_over_the_population(alpha, beta, samples) -> None:
    """By quadrature of `1 - (1 - x)^k` over the density, not by the closed form."""
    with mpmath.workdps(30):
        a, b = mpmath.mpf(alpha), mpmath.mpf(beta)

        # in y = x^a below one half and y = (1 - x)^b above it the density has no pole
        def lower(y):
            return (1 - y ** (1 / a)) ** (samples + b - 1) / a

        def upper(y):
            return y ** (samples / b) * (1 - y ** (1 / b)) ** (a - 1) / b

        half = mpmath.mpf(1) / 2
        missed = mpmath.quad(lower, [0, half**a]) + mpmath.quad(upper, [0, half**b])
        missed /= mpmath.gamma(a) * mpmath.gamma(b) / mpmath.gamma(a + b)
    got = beta_coverage(alpha, beta, 0.8, samples, complement=True)
    assert got == pytest.approx(0.2 + 0.8 * float(missed), rel=1e-9)


@given(shape, shape, unit, traces)
def test_coverage_has_the_bounds_of_a_chance_and_its_complement(alpha, beta, part, samples) -> None:
    covered = beta_coverage(alpha, beta, part, samples)
    missed = beta_coverage(alpha, beta, part, samples, complement=True)
    assert 0.0 <= covered <= part
    assert 1.0 - part <= missed <= 1.0
    assert covered + missed == pytest.approx(1.0, abs=4e-16)


@given(shape, shape, st.integers(0, 1000))
def test_coverage_rises_with_traces_ever_more_slowly(alpha, beta, samples) -> None:
    k = samples + np.arange(3.0)
    covered = beta_coverage(alpha, beta, 1.0, k)
    assert np.all(np.diff(covered) >= -DIGITS)
    assert np.diff(covered, 2)[0] <= 2.0 * DIGITS


@given(shape, shape, unit)
def test_no_trace_covers_nothing_and_one_covers_the_mean(alpha, beta, part) -> None:
    assert beta_coverage(alpha, beta, part, 0) == 0.0
    mean = part * alpha / (alpha + beta)
    assert beta_coverage(alpha, beta, part, 1) == pytest.approx(mean, rel=DIGITS, abs=1e-300)


@given(shape, shape, st.integers(1, 10**5))
def test_one_more_trace_misses_as_the_gamma_recurrence_says(alpha, beta, samples) -> None:
    """`missed(k + 1) / missed(k) = (b + k) / (a + b + k)`."""
    k = np.array([samples, samples + 1.0])
    missed = beta_coverage(alpha, beta, 1.0, k, complement=True)
    if missed[1] < 1e-300:
        return
    ratio = (beta + samples) / (alpha + beta + samples)
    assert missed[1] / missed[0] == pytest.approx(ratio, rel=2.0 * DIGITS)


def test_extremes_of_coverage_stay_chances() -> None:
    tiny, huge = 1e-300, 1e300
    alpha, beta, k = (axis.ravel() for axis in np.meshgrid([tiny, 1.0, huge], [tiny, 1.0, huge],
                                                           [0.0, 1.0, 1e15]))  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        covered = beta_coverage(alpha, beta, 1.0, k)
    known = ~np.isnan(covered)
    assert np.all((covered[known] >= 0.0) & (covered[known] <= 1.0))
    # a population far from both ends of what doubles hold
    assert beta_coverage(1e6, 1e-6, 1.0, 1) == pytest.approx(1.0, abs=1e-8)
    assert beta_coverage(1e-9, 1.0, 1.0, 1e6) < 1e-7
    assert beta_coverage(1.0, 1.0, 1.0, 1e12, complement=True) == pytest.approx(1e-12, rel=1e-2)


def test_a_population_is_broadcast() -> None:
    alpha, k = np.array([[0.5], [2.0]]), np.array([1.0, 4.0, 16.0])
    table = beta_coverage(alpha, 3.0, 0.9, k)
    assert table.shape == (2, 3)
    assert table[1, 2] == beta_coverage(2.0, 3.0, 0.9, 16.0)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((0, 1, 1, 1), "alpha"), ((1, -1, 1, 1), "beta"), ((1, 1, 1.1, 1), "solvable"),
        ((1, 1, 1, -1), "samples"), ((np.nan, 1, 1, 1), "alpha"), ((1, 1, 1, np.inf), "samples"),
        ((np.inf, 1, 1, 1), "alpha"),
    ],
)  # fmt: skip
def test_what_is_no_population_is_refused(values, name) -> None:
    with pytest.raises(ValueError, match=name):
        beta_coverage(*values)


def test_logs_of_coverage_hold_where_it_underflows() -> None:
    log = beta_coverage(400.0, 1e-3, 1.0, 1e9, complement=True, log=True)
    with mpmath.workdps(40):
        exact_log = float(
            mpmath.log(mpmath.beta(400, mpmath.mpf("1e-3") + 10**9))
            - mpmath.log(mpmath.beta(400, mpmath.mpf("1e-3")))
        )
    assert log < -745.0
    assert log == pytest.approx(exact_log, rel=1e-12)
    assert beta_coverage(1.0, 1.0, 0.0, 3, log=True) == -np.inf
    assert beta_coverage(1.0, 1.0, 0.75, 3, log=True) == pytest.approx(np.log(0.75 * 0.75))
    assert beta_coverage(1.0, 1.0, 0.5, 1, complement=True, log=True) == pytest.approx(np.log(0.75))


# ------------------------------------------------------------------------ power law, inverse


@given(st.floats(0.05, 1.5), st.floats(0.1, 50), unit)
def test_the_power_law_is_the_limit_and_the_shifted_one_is_close(alpha, beta, part) -> None:
    exact_ = beta_coverage(alpha, beta, part, 1e9)
    assert coverage_power_law(alpha, beta, part, 1e9) == pytest.approx(exact_, rel=1e-6)
    k = 100.0 * (1.0 + beta)
    shifted = coverage_power_law(alpha, beta, part, k, shifted=True)
    missed = part - beta_coverage(alpha, beta, part, k)
    assert abs(shifted - beta_coverage(alpha, beta, part, k)) <= 1e-3 * missed + 1e-12


def test_the_power_law_is_negative_for_few_traces() -> None:
    assert coverage_power_law(0.35, 4.2, 1.0, 1.0) < -0.6


@given(st.floats(1e-2, 50), st.floats(1e-2, 1e3), st.floats(0.01, 1.0), st.integers(1, 10**7))
def test_samples_undo_coverage(alpha, beta, part, samples) -> None:
    target = float(beta_coverage(alpha, beta, part, samples))
    if target >= part or part - target < 1e-12 * part:
        return
    found = float(samples_for_coverage(target, alpha, beta, part))
    # a target between two numbers of traces asks for the larger
    assert found <= samples
    ends = beta_coverage(alpha, beta, part, np.array([max(found - 1.0, 0.0), found]))
    assert ends[0] < target
    assert ends[1] >= target * (1.0 - 1e-12)
    missed = -np.log1p(-target / part)
    gained = alpha / (alpha + beta + samples)  # at least, by one more trace
    if gained > 1e-9 * max(missed, 1e-300) and part - target > 1e-3 * part:
        assert found == samples
    real = 10.0 ** float(samples_for_coverage(target, alpha, beta, part, log10=True))
    assert real <= found * (1.0 + 1e-9)


def test_targets_at_and_beyond_the_ends() -> None:
    found = samples_for_coverage([0.0, 0.6, 0.7, 1.0], 0.5, 2.0, 0.6)
    assert found.tolist() == [0.0, np.inf, np.inf, np.inf]
    logs = samples_for_coverage([0.0, 0.6], 0.5, 2.0, 0.6, log10=True)
    assert logs.tolist() == [-np.inf, np.inf]
    assert samples_for_coverage(0.5, 1.0, 1.0, 0.0) == np.inf
    # beyond what doubles hold: (1 - P)^(-1/a) with a = 1e-4 is 10^10000
    assert samples_for_coverage(0.9, 1e-4, 1.0) == np.inf
    assert samples_for_coverage(0.9, 1e-4, 1.0, log10=True) == pytest.approx(1e4, rel=1e-4)
    assert samples_for_coverage(1e-9, 1.0, 1.0) == 1.0


def test_samples_of_a_table() -> None:
    table = samples_for_coverage([[0.5], [0.8]], [0.3205, 0.405], [0.981, 0.508])
    assert table.shape == (2, 2)
    assert table[:, 0].tolist() == [6.0, 104.0]  # MATH, Llama-3-8B-Instruct


@pytest.mark.parametrize(
    ("values", "name"),
    [((1.1, 1, 1), "target"), ((0.5, 0, 1), "alpha"), ((np.nan, 1, 1), "target")],
)
def test_targets_that_are_no_chance_are_refused(values, name) -> None:
    with pytest.raises(ValueError, match=name):
        samples_for_coverage(*values)


# --------------------------------------------------------------------------------- votes


@given(shape, shape, st.integers(1, 300))
def test_masses_of_right_traces(alpha, beta, samples) -> None:
    mass = beta_binomial_masses(alpha, beta, samples)
    y = np.arange(samples + 1.0)
    assert mass.sum() == pytest.approx(1.0, rel=1e-12)
    assert mass @ y == pytest.approx(samples * alpha / (alpha + beta), rel=1e-10)
    if mass[0] > 1e-290:
        missed = beta_coverage(alpha, beta, 1.0, samples, complement=True)
        assert mass[0] == pytest.approx(missed, rel=1e-10)


@given(shape, shape, unit, st.integers(1, 40))
def test_votes_over_a_population(alpha, beta, part, samples) -> None:
    split = [0.5, 0.3, 0.2]
    mean = part * alpha / (alpha + beta)
    for few in (1, 2):
        assert beta_majority_vote(alpha, beta, part, few, split) == pytest.approx(mean, rel=1e-11)
    won = beta_majority_vote(alpha, beta, part, samples, split)
    covered = beta_coverage(alpha, beta, part, samples)
    assert won <= covered * (1.0 + 1e-11)
    outweighs = beta_majority_vote(alpha, beta, part, samples, split, samples + 1.0)
    assert outweighs == pytest.approx(covered, rel=1e-10, abs=1e-300)


def test_the_plateau_of_papers_is_met_by_many_votes(shared) -> None:
    """Fig. 7's fits reproduce the measured vote within some hundredths, as the notes say."""
    split = truncated_geometric_shares(0.752, 9)
    found = [float(beta_majority_vote(0.3205, 0.981, 1.0, k, split)) for k in (3, 10, 100)]
    assert found == pytest.approx([0.278, 0.345, 0.392], abs=6e-4)


# ---------------------------------------------------------------------------- pass@k


def counted(n: int, c: int, k: int) -> float:
    """Share of the ways to draw k of n traces that hold a right one."""
    return float(1 - Fraction(comb(n - c, k), comb(n, k)))


def test_pass_at_k_counts_the_ways_to_draw() -> None:
    cases = [(n, c, k) for n in range(1, 26) for c in range(n + 1) for k in range(n + 1)]
    n, c, k = np.array(cases, dtype=float).T
    wanted = np.array([counted(*case) for case in cases])
    assert pass_at_k(n, c, k) == pytest.approx(wanted, rel=1e-14, abs=0.0)


@given(st.integers(1, 100_000), st.data())
def test_pass_at_k_of_many_traces(n, data) -> None:
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(0, n))
    with mpmath.workdps(40):
        missed = mpmath.binomial(n - c, k) / mpmath.binomial(n, k) if k <= n - c else mpmath.mpf(0)
        wanted = float(1 - missed)
    # a product of at most n factors, each rounded once
    assert pass_at_k(n, c, k) == pytest.approx(wanted, rel=1e-12, abs=1e-15)


@given(st.integers(1, 200), st.data())
def test_pass_at_k_and_its_ends(n, data) -> None:
    c = data.draw(st.integers(0, n))
    rising = pass_at_k(n, c, np.arange(n + 1.0))
    assert np.all(np.diff(rising) >= -1e-14)
    assert rising[0] == 0.0
    assert rising[1] == pytest.approx(c / n, rel=1e-13)
    assert rising[n] == (c > 0)
    # more wrong ones than are drawn, or a right one for sure
    assert np.all(rising[n - c + 1 :] == 1.0)


def test_pass_at_k_is_unbiased() -> None:
    """Its mean over everything that n traces of one chance can bring is the chance of k."""
    n, chance = 12, 0.3
    right = np.arange(n + 1)
    weight = np.array([comb(n, c) * chance**c * (1 - chance) ** (n - c) for c in range(n + 1)])
    for k in range(n + 1):
        mean = weight @ pass_at_k(n, right, k)
        assert mean == pytest.approx(1 - (1 - chance) ** k, rel=1e-13)


def test_the_complement_of_pass_at_k_keeps_its_digits() -> None:
    assert pass_at_k(1000, 600, 300, complement=True) == pytest.approx(
        float(Fraction(comb(400, 300), comb(1000, 300))), rel=1e-12
    )
    assert pass_at_k(10, 3, 8, complement=True) == 0.0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((10, 3, 11), "at most samples"), ((10, 11, 1), "at most samples"), ((-1, 0, 0), "samples"),
        ((10, -1, 1), "correct"), ((10, 1, -1), "k must be"), ((np.nan, 1, 1), "samples"),
    ],
)  # fmt: skip
def test_what_cannot_have_been_tried_is_refused(values, words) -> None:
    with pytest.raises(ValueError, match=words):
        pass_at_k(*values)
