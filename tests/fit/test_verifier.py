"""Verifiers: recovered, checked by enumeration of every choice, and what makes a fit impossible."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.fit.verifier import (
    Scored,
    area,
    best_threshold,
    doubts_of_verifier,
    fit_verifier,
    obstacles,
)
from ds3opt.laws._types import FloatArray
from ds3opt.laws.coverage import pass_at_k


def drawn(problems: int = 200, tries: int = 32, apart: float = 1.2, seed: int = 0) -> Scored:
    generator = np.random.default_rng(seed)
    psi = np.repeat(generator.beta(0.6, 1.0, problems), tries)
    right = (generator.random(psi.size) < psi).astype(float)
    score = generator.normal(apart * right)
    return Scored(np.repeat(np.arange(float(problems)), tries), right, score)


def verdicts(true: float, false: float, seed: int = 0) -> Scored:
    found = drawn(seed=seed)
    generator = np.random.default_rng(seed + 1)
    chance = np.where(found.right > 0.0, true, false)
    return Scored(found.problem, found.right, (generator.random(chance.size) < chance) * 1.0)


def test_a_scoring_verifier_is_recovered():
    fit = fit_verifier(drawn(), draws=300)
    low, high = np.quantile(fit.draws[:, 2], [0.025, 0.975])
    assert low < 1.2 < high
    assert high - low < 0.3
    # a share of 200 problems has a standard error of up to 0.035; most of it is common to both
    for one in fit.choices:
        assert one.ranked_fitted == pytest.approx(one.ranked, abs=0.02)
        assert one.ranked <= one.oracle + 1e-12
    assert fit.rms_of_scores is not None
    assert fit.rms_of_rates is not None
    assert fit.rms_of_scores < fit.rms_of_rates


def test_an_accepting_verifier_is_recovered():
    scored = verdicts(0.8, 0.3)
    fit = fit_verifier(scored, draws=300)
    assert scored.two_valued
    assert fit.threshold == 1.0
    for column, truth in ((0, 0.8), (1, 0.3)):
        low, high = np.quantile(fit.draws[:, column], [0.025, 0.975])
        assert low < truth < high
    # the best of equal scores is an even choice among the accepted
    for one in fit.choices:
        assert one.accepted_fitted == pytest.approx(one.accepted, abs=0.015)
        assert one.ranked == pytest.approx(one.accepted)


def enumerated(score: FloatArray, right: FloatArray, cut: float, k: int) -> tuple[float, ...]:
    accepted, ranked, oracle = [], [], []
    for subset in combinations(range(len(score)), k):
        s, r = score[list(subset)], right[list(subset)]
        taken = s >= cut
        accepted.append(r[taken].mean() if taken.any() else r.mean())
        ranked.append(r[s == s.max()].mean())
        oracle.append(r.max())
    return tuple(float(np.mean(x)) for x in (accepted, ranked, oracle))


SAMPLES = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=4, max_size=8)


@given(samples=SAMPLES, cut=st.integers(0, 3))
def test_choices_are_those_of_all_subsets(samples, cut):
    score = np.array([s for s, _ in samples], float)
    right = np.array([r for _, r in samples], float)
    scored = Scored(np.zeros(len(score)), right, score)
    if list(obstacles(scored)):
        return
    fit = fit_verifier(scored, threshold=float(cut))
    for one in fit.choices:
        exact = enumerated(score, right, cut, one.samples)
        assert (one.accepted, one.ranked, one.oracle) == pytest.approx(exact)
        tried, solved = float(len(right)), float(right.sum())
        assert one.oracle == pytest.approx(float(pass_at_k(tried, solved, float(one.samples))))


@given(samples=SAMPLES)
def test_the_area_is_a_share_of_pairs(samples):
    score = np.array([s for s, _ in samples], float)
    right = np.array([r for _, r in samples], float)
    pairs = [
        0.5 * (a == b) + (a > b)
        for a, r in zip(score, right, strict=True)
        for b, q in zip(score, right, strict=True)
        if r and not q
    ]
    found = area(score, right)
    assert (np.isnan(found) and not pairs) or found == pytest.approx(np.mean(pairs))


def test_the_threshold_is_where_rates_are_farthest_apart():
    found = drawn(problems=20)
    cut = best_threshold(found)
    right, wrong = found.right > 0, found.right == 0

    def gap(x: float) -> float:
        return float(np.mean(found.score[right] >= x) - np.mean(found.score[wrong] >= x))

    assert gap(cut) == pytest.approx(max(gap(x) for x in found.score))


@pytest.mark.parametrize(
    ("right", "score", "code"),
    [
        ([], [], "no_scores"),
        ([1, 1], [1, 2], "degenerate"),
        ([0, 0], [1, 2], "degenerate"),
        ([0, 1], [1, 1], "degenerate"),
    ],
)
def test_what_cannot_be_fitted(right, score, code):
    columns = (np.array(x, float) for x in (np.zeros(len(right)), right, score))
    assert [one.code for one in obstacles(Scored(*columns))] == [code]


def test_problems_all_right_or_all_wrong_tell_nothing():
    scored = Scored(np.array([0.0, 0, 1, 1]), np.array([1.0, 1, 0, 0]), np.array([2.0, 3, 1, 0]))
    assert [one.code for one in obstacles(scored)] == ["one_sided"]


def test_doubts():
    easy = drawn()
    rate = np.repeat([float(r.mean()) for _, r in easy.groups()], 32)
    hard = Scored(easy.problem, easy.right, easy.score + 3.0 * rate)
    codes = {one.code for one in doubts_of_verifier(hard, fit_verifier(hard), 200)}
    assert codes == {"easy_from_hard", "no_interval"}
    perfect = Scored(easy.problem, easy.right, easy.right)
    fit = fit_verifier(perfect, draws=10)
    assert fit.perfect
    assert np.isfinite(fit.values["discrimination"])
    assert "perfect" in {one.code for one in doubts_of_verifier(perfect, fit, 200)}


@pytest.mark.slow
def test_intervals_of_the_verifier_cover():
    """Nominal 95 %: between 90 and 98 % of 200 simulated logs hold the true distance."""
    inside = 0
    for seed in range(200):
        draws = fit_verifier(drawn(problems=80, tries=16, seed=seed), draws=300, seed=seed).draws
        low, high = np.quantile(draws[:, 2], [0.025, 0.975])
        inside += low <= 1.2 <= high
    assert 0.90 <= inside / 200 <= 0.98
