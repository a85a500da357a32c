"""Populations from counts: published fits, recovery, intervals, an independent maximum."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import betaln

from ds3opt.fit.bootstrap import spread
from ds3opt.fit.coverage import Counts, CoverageFit, fit_coverage
from ds3opt.fit.coverage_doubts import doubts_of_counts, doubts_of_fit, obstacles
from ds3opt.laws.coverage import log_counts_chance

TABLE = {
    ("MATH", "Llama-3-70B-Instruct"): ((0.32, 0.50), (0.36, 0.49), (0.966, 1)),
    ("MATH", "Llama-3-8B-Instruct"): ((0.28, 0.43), (0.73, 1.16), (0.989, 1)),
    ("MATH", "Pythia-2.8B"): ((0.21, 0.36), (8.7, 21.5), (0.864, 1)),
    ("GSM8K", "Llama-3-8B-Instruct"): ((0.85, 1.45), (0.30, 0.40), (0.999, 1)),
    ("CodeContests", "Llama-3-70B-Instruct"): ((0.03, 0.05), (0.19, 0.66), (0.64, 1)),
    ("CodeContests", "Gemma-2B"): ((0.01, 0.91), (35, 1158), (0.05, 1)),
}
"""Intervals of fits by another program, same likelihood, to counts of 10,000 samples."""


def made(
    alpha: float, beta: float, solvable: float, problems: int, samples: int, seed: int = 0
) -> Counts:
    generator = np.random.default_rng(seed)
    psi = generator.beta(alpha, beta, problems) * (generator.random(problems) < solvable)
    tried = np.full(problems, float(samples))
    return Counts(tried, generator.binomial(samples, psi).astype(float))


def published(shared) -> dict[tuple[str, str], Counts]:
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with open(shared("data/success_counts.csv"), encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["benchmark"], row["model"])
            found.setdefault(key, []).append((float(row["n_samples"]), float(row["n_correct"])))
    return {key: Counts(*np.array(rows).T) for key, rows in found.items()}


def independent(counts: Counts) -> float:
    """Greatest log likelihood by Nelder and Mead over all three constants."""
    s, n = counts.correct, counts.samples

    def lost(x: np.ndarray) -> float:
        a, b = np.exp(x[:2])
        part = 1.0 / (1.0 + np.exp(-x[2]))
        log_mass = betaln(a + s, b + n - s) - betaln(a, b)
        never = np.log(1.0 - part + part * np.exp(log_mass))
        return -float(np.sum(np.where(s > 0, np.log(part) + log_mass, never)))

    options = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-8, "fatol": 1e-9}
    starts = ([0.0, 1.0, 1.0], [-1.5, 0.0, 4.0], [-1.0, 4.0, -0.5])
    return max(-float(minimize(lost, s, method="Nelder-Mead", options=options).fun) for s in starts)


@pytest.mark.parametrize("key", list(TABLE))
def test_published_counts(shared, key):
    counts = published(shared)[key]
    fit = fit_coverage(counts)
    for (low, high), value in zip(TABLE[key], fit.values.values(), strict=True):
        assert low <= value <= high
    assert fit.profile is not None
    # the stated lower ends are resampled or by profile, of the same size
    assert fit.profile[0] == pytest.approx(TABLE[key][2][0], abs=0.05)
    assert fit.profile[1] == 1.0


def test_two_heaps_of_the_larger_model(shared):
    fits = {
        size: fit_coverage(published(shared)[("MATH", f"Llama-3-{size}-Instruct")], draws=400)
        for size in ("8B", "70B")
    }
    assert fits["70B"].bimodal == 1.0
    # 76 % of another 1,000 resamples; the standard error of 400 is 2 points
    assert fits["8B"].bimodal == pytest.approx(0.76, abs=0.07)


def test_unsolvable_problems_of_the_smallest_models(shared):
    fit = fit_coverage(published(shared)[("MATH", "Pythia-160M")])
    assert fit.likelihood_ratio == pytest.approx(2.97, abs=0.01)
    assert fit.p_value == pytest.approx(0.04, abs=0.005)


@pytest.mark.parametrize("truth", [(0.4, 1.2, 1.0), (0.8, 3.0, 0.7), (2.0, 0.5, 0.9)])
def test_the_maximum_is_that_of_another_method(truth):
    counts = made(*truth, problems=200, samples=60, seed=4)
    fit = fit_coverage(counts)
    assert fit.log_likelihood >= independent(counts) - 1e-6
    assert fit.agreeing > 0.5 * fit.starts


@pytest.mark.parametrize("truth", [(0.4, 1.2, 1.0), (0.8, 3.0, 0.7), (2.0, 0.5, 0.9)])
def test_constants_are_recovered(truth):
    fit = fit_coverage(made(*truth, problems=1500, samples=100, seed=1), draws=200)
    for index, value in enumerate(truth):
        found = spread(fit.draws[:, index])
        assert found is not None
        # within 3.5 standard errors: 1 of 2,000 numbers lies further out
        assert abs(fit.draws[:, index].mean() - value) <= 3.5 * found.standard_error + 1e-3


def test_a_point_mass_is_found_and_tested():
    some = fit_coverage(made(1.0, 3.0, 0.6, problems=300, samples=200))
    assert some.p_value < 1e-6
    assert some.profile is not None
    assert some.profile[0] < 0.6 < some.profile[1] < 0.75
    none = fit_coverage(made(1.0, 3.0, 1.0, problems=300, samples=200))
    assert none.p_value > 0.02


def test_counts_that_stop_at_the_first_success_are_fitted_alike():
    generator = np.random.default_rng(5)
    psi = generator.beta(0.6, 2.0, 4000)
    tries = np.minimum(generator.geometric(np.maximum(psi, 1e-12)), 500)
    right = tries < 500
    counts = Counts(tries.astype(float), right.astype(float))
    assert counts.stopped_at_success
    fit = fit_coverage(counts)
    # standard errors 0.02 and 0.08, by resamples
    assert fit.values["alpha"] == pytest.approx(0.6, abs=0.07)
    assert fit.values["beta"] == pytest.approx(2.0, abs=0.28)
    assert {one.code for one in doubts_of_counts(counts)} == {"stopped_at_success"}


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_order_of_problems_does_not_matter(seed, order):
    counts = made(0.7, 1.5, 0.8, problems=60, samples=30, seed=seed)
    index = list(range(60))
    order.shuffle(index)
    first = fit_coverage(counts)
    again = fit_coverage(Counts(counts.samples[index], counts.correct[index]))
    assert first.log_likelihood == pytest.approx(again.log_likelihood, rel=1e-9)
    assert list(first.values.values()) == pytest.approx(list(again.values.values()), rel=1e-3)


def test_the_same_seed_gives_the_same_draws():
    counts = made(0.7, 1.5, 0.8, problems=60, samples=30)
    one, two, other = (fit_coverage(counts, draws=20, seed=seed) for seed in (3, 3, 4))
    assert one.draws.tobytes() == two.draws.tobytes() != other.draws.tobytes()


def test_problems_all_alike_have_no_spread():
    counts = Counts(np.full(50, 40.0), np.full(50, 20.0))
    fit = fit_coverage(counts)
    assert fit.at_edge
    assert "not_identified" in {one.code for one in doubts_of_fit(counts, fit, [])}


@pytest.mark.parametrize(
    ("samples", "correct", "code"),
    [
        ([4, 4, 4, 4], [1, 5, 2, 0], "more_correct_than_tried"),
        ([4, 4, 4], [1, 3, 2], "too_few_problems"),
        ([4, 4, 4, 4], [0, 0, 0, 0], "degenerate"),
        ([4, 4, 4, 4], [4, 4, 4, 4], "degenerate"),
        ([1, 1, 1, 1], [0, 1, 0, 1], "one_sample"),
    ],
)
def test_what_cannot_be_fitted(samples, correct, code):
    counts = Counts(np.array(samples, float), np.array(correct, float))
    assert [one.code for one in obstacles(counts)] == [code]


def test_what_is_doubtful():
    few = made(0.5, 2.0, 1.0, problems=12, samples=8)
    assert {one.code for one in doubts_of_counts(few)} == {"few_problems", "few_samples"}
    yes_or_no = Counts(np.full(40, 10.0), np.array([0.0, 1.0] * 20))
    assert "at_most_once" in {one.code for one in doubts_of_counts(yes_or_no)}
    fit = CoverageFit({}, np.empty((0, 3)), 0.0, 0.0, (0.1, 1.0), 20, 20, ())
    told = {one.code for one in doubts_of_fit(few, fit, [0.01, -0.05], [10, 1e4])}
    assert told == {"solvable_unknown", "poor_fit", "extrapolation"}


def test_chance_of_counts_is_a_mean_over_the_population():
    # of psi^2 (1 - psi)^3 over Beta(2, 3), by the moments of a Beta distribution
    expected = np.log((2 * 3) * (3 * 4 * 5) / (5 * 6 * 7 * 8 * 9))
    assert float(log_counts_chance(2.0, 3.0, 2.0, 3.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_intervals_cover():
    """Nominal 95 % intervals of 160 simulated benchmarks hold the truth in 90 to 98 %.

    The binomial standard error of 160 is 1.7 points, so a true 95 % lies in it but for 1 in 500.
    """
    truth = (0.6, 1.8)
    held = np.zeros(2)
    for seed in range(160):
        fit = fit_coverage(made(*truth, 1.0, problems=150, samples=50, seed=seed), draws=300)
        for index, value in enumerate(truth):
            found = spread(fit.draws[:, index])
            assert found is not None
            held[index] += found.low <= value <= found.high
    assert np.all(held / 160 >= 0.90)
    assert np.all(held / 160 <= 0.985)
