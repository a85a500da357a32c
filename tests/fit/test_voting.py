"""How wrong answers split: recovered, checked by enumeration, and where it cannot be told."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ds3opt.fit.voting import (
    AnswerCounts,
    agreement,
    beta_voters,
    counted_voters,
    fit_plateau,
    fit_votes,
    leads,
    measured_votes,
    spectrum,
)
from ds3opt.laws.coverage import pass_at_k
from ds3opt.laws.saturation import vote_plateau
from ds3opt.laws.voting import majority_vote_success, truncated_geometric_shares

SHARES = truncated_geometric_shares(0.6, 9)


def answers(problems: int = 200, tries: int = 60, seed: int = 0, unread: int = 0) -> AnswerCounts:
    generator = np.random.default_rng(seed)
    right = generator.binomial(tries, generator.beta(0.6, 1.0, problems)).astype(float)
    wrong = []
    for c in right:
        told = generator.multinomial(max(tries - int(c) - unread, 0), SHARES)
        wrong.append(np.array(sorted(told[told > 0], reverse=True), float))
    return AnswerCounts(np.full(problems, float(tries)), right, tuple(wrong))


def enumerated(right: int, wrong: list[int], unread: int, k: int) -> float:
    """Share of subsets whose vote is right, ties shared."""
    named = [0] * right + [i + 1 for i, n in enumerate(wrong) for _ in range(n)] + [-1] * unread
    total, found = 0, 0.0
    for subset in combinations(range(len(named)), k):
        tally: dict[int, int] = {}
        for i in subset:
            if named[i] >= 0:
                tally[named[i]] = tally.get(named[i], 0) + 1
        total += 1
        most = max(tally.values(), default=0)
        if most and tally.get(0, 0) == most:
            found += 1.0 / sum(n == most for n in tally.values())
    return found / total


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_measured_votes_are_those_of_all_subsets(k):
    one = AnswerCounts(np.array([9.0]), np.array([4.0]), (np.array([2.0, 1.0]),))
    exact = enumerated(4, [2, 1], 2, k)
    # 1000 draws of a number between 0 and 1: five standard errors
    assert measured_votes(one, [k])[0, 0] == pytest.approx(exact, abs=5 * 0.5 / np.sqrt(1000))


def test_votes_of_counted_problems_are_unbiased():
    """One vote and pass@k by the same masses, and the mean over all subsets."""
    n, c = np.array([9.0, 9.0, 6.0]), np.array([4.0, 0.0, 6.0])
    voters = counted_voters(n, c)
    assert voters.weights is not None
    for k in (1, 3, 6):
        row = (voters.weights @ voters.masses(k))[0]
        assert row.sum() == pytest.approx(1.0)
        assert 1.0 - row[0] == pytest.approx(float(np.mean(pass_at_k(n, c, float(k)))))
    beyond = voters.masses(20)
    assert np.isfinite(beyond).all()
    assert beyond.sum(axis=1) == pytest.approx(np.ones(3))


def test_the_decay_is_recovered_with_its_interval():
    told = answers(problems=300)
    votes = [3, 5, 10, 20, 40]
    voters = counted_voters(told.samples, told.right, 200, seed=1)
    each = measured_votes(told, votes)
    generator = np.random.default_rng(1)
    weights = generator.multinomial(300, np.full(300, 1 / 300), size=200) / 300
    measured = np.concatenate([each.mean(axis=0)[None], weights @ each])
    fit = fit_votes(voters, votes, measured, 9, [1, 40, 100])
    low, high = np.quantile(fit.draws[:, 0], [0.025, 0.975])
    assert low < 0.6 < high
    assert fit.values["decay"] == pytest.approx(0.6, abs=0.05)
    assert fit.fitted[0, 1] == pytest.approx(each[:, 4].mean(), abs=0.01)
    assert fit.fitted[0, 0] == pytest.approx(float(np.mean(told.right / told.samples)))


def test_a_plateau_of_a_beta_population_is_inverted():
    voters = beta_voters(np.array([[0.6, 1.0, 0.9], [0.7, 1.1, 0.9]]))
    plateau = float(vote_plateau(0.6, 1.0, 0.9, SHARES[0]))
    fit = fit_plateau(voters, plateau, 9, [1, 15])
    assert fit.values["decay"] == pytest.approx(0.6, abs=1e-9)
    assert fit.draws.shape == (1, 3)
    grid = (np.arange(20_000) + 0.5) / 20_000
    generator = np.random.default_rng(0)
    psi = generator.beta(0.6, 1.0, grid.size)
    accuracy = 0.9 * majority_vote_success(psi, 15, SHARES)
    error = 5 * float(np.std(accuracy)) / np.sqrt(grid.size)
    assert fit.fitted[0, 1] == pytest.approx(float(accuracy.mean()), abs=error)
    with pytest.raises(ValueError, match="saturate between"):
        fit_plateau(voters, 0.89, 9, [1])


def test_published_plateaus(shared):
    """DS3 Fig. 7: decays 0.752 and 0.592 from the least-squares populations, J = 9."""
    shared("theory/coverage_and_voting.md")
    small = beta_voters(np.array([[0.3205, 0.981, 1.0]]))
    large = beta_voters(np.array([[0.332, 0.408, 1.0]]))
    assert fit_plateau(small, 0.3963, 9, [1]).values["decay"] == pytest.approx(0.752, abs=2e-3)
    assert fit_plateau(large, 0.555, 9, [1]).values["decay"] == pytest.approx(0.592, abs=2e-3)
    curve = fit_plateau(small, 0.3963, 9, [3, 10, 100]).fitted[0]
    assert curve == pytest.approx([0.278, 0.345, 0.392], abs=2e-3)


def test_a_plateau_of_counted_problems():
    n, c = np.full(10, 100.0), np.array([0, 5, 10, 20, 28, 40, 60, 80, 90, 100.0])
    voters = counted_voters(n, c)
    fit = fit_plateau(voters, 0.5, 9, [1])
    # half of the problems have a share above 0.34, between 0.28 and 0.40
    assert fit.values["top_share"] == pytest.approx(0.34 / 0.66)
    assert float(voters.plateaus(np.array([fit.values["top_share"]]))[0]) == 0.5


def test_what_is_told_of_answers():
    told = AnswerCounts(
        np.array([10.0, 10.0, 4.0]),
        np.array([5.0, 2.0, 2.0]),
        (np.array([3.0, 2.0]), np.array([6.0]), np.array([2.0])),
    )
    assert leads(told).tolist() == [1.0, 0.0, 0.5]
    assert told.unread.tolist() == [0.0, 2.0, 0.0]
    # pairs alike: (3 + 1) of 10, all, all
    assert agreement(told) == pytest.approx((0.4 + 1.0 + 1.0) / 3)
    assert spectrum(told, 2, fewest=5).tolist() == pytest.approx([0.8, 0.2])
    assert spectrum(told, 2, fewest=50) is None


def test_edges_are_told():
    voters = beta_voters(np.array([[0.6, 1.0, 1.0]]))
    votes = [3, 10, 40]
    best = fit_votes(voters, votes, np.full((1, 3), 0.99), 9, votes)
    worst = fit_votes(voters, votes, np.full((1, 3), 0.01), 9, votes)
    assert (best.at_edge, worst.at_edge) == ("even", "one")


@pytest.mark.slow
def test_intervals_of_the_decay_cover():
    """Nominal 95 %: between 90 and 98 % of 200 simulated logs hold the true decay."""
    inside, votes = 0, [3, 5, 10, 20, 40]
    for seed in range(200):
        told = answers(problems=80, tries=40, seed=seed)
        voters = counted_voters(told.samples, told.right, 200, seed=seed)
        each = measured_votes(told, votes, seed)
        assert voters.weights is not None
        generator = np.random.default_rng(seed)
        weights = generator.multinomial(80, np.full(80, 1 / 80), size=200) / 80
        measured = np.concatenate([each.mean(axis=0)[None], weights @ each])
        draws = fit_votes(voters, votes, measured, 9, [3]).draws[:, 0]
        low, high = np.quantile(draws, [0.025, 0.975])
        inside += low <= 0.6 <= high
    assert 0.90 <= inside / 200 <= 0.98
