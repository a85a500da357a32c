"""Coverage of a Beta population and pass@k, against their definitions."""

import json
from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.coverage import beta_coverage, pass_at_k

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


def test_reference_values(shared) -> None:
    kinds = set()
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        given, expected = case["inputs"], case["expected"]
        if case["fn"] == "coverage":
            value = beta_coverage(given["alpha"], given["beta"], given["A"], given["k"])
        elif case["fn"] == "log_fail":
            missed = beta_coverage(
                given["alpha"], given["beta"], given["A"], given["k"], complement=True
            )
            value = np.log(missed)
        elif case["fn"] == "pass_at_k":
            value = pass_at_k(given["n"], given["c"], given["k"])
        elif case["fn"] == "k_for_coverage_int":
            k, target = expected, given["P"]
            ends = beta_coverage(given["alpha"], given["beta"], given["A"], np.array([k - 1, k]))
            assert ends[0] < target <= ends[1]
            continue
        else:
            continue
        kinds.add(case["fn"])
        assert value == pytest.approx(expected, rel=case["rtol"]), given
    assert kinds == {"coverage", "log_fail", "pass_at_k"}


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
