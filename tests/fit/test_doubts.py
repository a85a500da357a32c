"""What is said of bad runs and scores: what stops a fit, what is only told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ds3opt.fit import doubts, score_doubts
from ds3opt.fit.accuracy import Scores, fit_accuracy
from ds3opt.fit.loss import LossRuns, fit_loss
from ds3opt.laws.loss import LossLaw

LAW = LossLaw(1.82, 482.0, 2085.0, 0.348, 0.366)


def made(count: int = 30, noise: float = 0.002) -> LossRuns:
    generator = np.random.default_rng(4)
    n = 10 ** generator.uniform(7.5, 10.0, count)
    d = n * 10 ** generator.uniform(0.3, 2.5, count)
    return LossRuns(n, d, LAW.loss(n, d) * np.exp(noise * generator.standard_normal(count)))


def codes(found) -> list[str]:
    return [one.code for one in found]


def test_good_runs_raise_no_doubt():
    runs = made(40)
    assert list(doubts.obstacles(runs)) == []
    assert list(doubts.doubts_of_runs(runs)) == []
    assert list(doubts.doubts_of_fit(runs, fit_loss(runs, draws=40))) == []


@pytest.mark.parametrize(("count", "irreducible"), [(5, None), (4, 1.5)])
def test_too_few_runs(count, irreducible):
    found = list(doubts.obstacles(made(count), irreducible))
    assert codes(found) == ["too_few_runs"]
    assert found[0].message == f"{count} runs are too few for {count} constants"


def test_degenerate_runs():
    runs = made()
    one_size = replace(runs, parameters=np.full(30, 1e9))
    assert "1 model size, 3 are needed" in next(doubts.obstacles(one_size)).message
    two = replace(runs, training_tokens=np.where(np.arange(30) < 9, 1e10, 1e11))
    assert "2 amounts of tokens" in next(doubts.obstacles(two)).message
    ray = replace(runs, training_tokens=20.0 * runs.parameters)
    assert "every run has 20 tokens per parameter" in next(doubts.obstacles(ray)).message
    flat = replace(runs, loss=np.full(30, 2.5))
    assert codes(doubts.obstacles(flat)) == ["degenerate"]


def test_losses_below_a_fixed_irreducible_loss_are_named():
    runs = made()
    found = next(doubts.obstacles(runs, float(np.sort(runs.loss)[1])))
    assert found.code == "below_irreducible"
    assert set(found.rows) == set(np.argsort(runs.loss)[:2].tolist())


def test_doubtful_runs():
    runs = made()
    twice = runs.take(np.array([*range(30), 3, 3]))
    (found,) = doubts.doubts_of_runs(twice)
    assert (found.code, found.rows) == ("duplicates", (30, 31))
    near = replace(runs, training_tokens=runs.parameters * np.linspace(18, 24, 30))
    assert codes(doubts.doubts_of_runs(near)) == ["narrow_ratio"]
    assert codes(doubts.doubts_of_runs(runs.take(np.arange(12)))) == ["few_runs"]
    perplexity = replace(runs, loss=np.exp(runs.loss + 1))
    assert "is it perplexity?" in next(doubts.doubts_of_runs(perplexity)).message
    billions = replace(runs, parameters=runs.parameters / 1e9)
    assert codes(doubts.doubts_of_runs(billions)) == ["unit"]
    fresh = replace(runs, unique_tokens=2.0 * runs.training_tokens)
    assert codes(doubts.doubts_of_runs(fresh)) == ["no_repeats"]


def test_an_outlier_is_named():
    runs = made()
    spoilt = runs.loss.copy()
    spoilt[7] *= 1.3
    runs = replace(runs, loss=spoilt)
    found = [one for one in doubts.doubts_of_fit(runs, fit_loss(runs)) if one.code == "outliers"]
    assert found[0].rows == (7,)


def test_what_the_fit_says_against_itself():
    runs = made()
    fit = fit_loss(runs, draws=40)
    lonely = replace(fit, agreeing=1)
    assert codes(doubts.doubts_of_fit(runs, lonely)) == ["few_starts_agree"]
    edge = replace(fit, at_edge=("irreducible", "data_exponent"))
    assert codes(doubts.doubts_of_fit(runs, edge)) == ["not_identified"] * 2
    wide = replace(fit, draws=fit.draws * np.linspace(0.2, 3.0, 40)[:, None])
    assert set(codes(doubts.doubts_of_fit(runs, wide))) == {"wide"}
    low = replace(runs, loss=np.where(np.arange(30) == 2, 1.5, runs.loss))
    assert "below_irreducible" in codes(doubts.doubts_of_fit(low, fit))
    mixed = replace(runs, loss=np.where(np.arange(30) % 2, runs.loss, 0.4 * runs.loss))
    assert "poor_fit" in codes(doubts.doubts_of_fit(mixed, fit_loss(mixed)))


def scores(count: int = 20) -> Scores:
    loss = np.linspace(1.5, 3.0, count)
    return Scores(loss, 0.2 + 0.6 / (1 + np.exp(6 * (loss - 2.2))))


def test_good_scores_raise_no_doubt():
    assert list(score_doubts.obstacles(scores(), 4)) == []
    assert list(score_doubts.doubts_of_scores(scores(), 4)) == []
    assert list(score_doubts.doubts_of_fit(scores(), fit_accuracy(scores()))) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": np.zeros(20)}, "none solved"),
        ({"score": np.ones(20)}, "all solved"),
        ({"score": np.full(20, 0.3)}, "every score is 0.3"),
        ({"loss": np.where(np.arange(20) < 9, 2.0, 3.0)}, "only 2 different losses"),
        ({"score": np.linspace(0.1, 0.9, 20)}, "scores rise with loss"),
    ],
)
def test_scores_that_cannot_be_fitted(changed, message):
    assert message in next(score_doubts.obstacles(replace(scores(), **changed), 4)).message


def test_too_few_scores():
    assert codes(score_doubts.obstacles(scores(4), 4)) == ["too_few_models"]
    assert codes(score_doubts.obstacles(scores(4), 3)) == []


def test_doubtful_scores():
    assert codes(score_doubts.doubts_of_scores(scores(11), 4)) == ["few_models"]
    twice = scores().take(np.array([*range(20), 5]))
    (found,) = score_doubts.doubts_of_scores(twice, 4)
    assert (found.code, found.rows) == ("duplicates", (20,))
    early = Scores(
        np.linspace(2.6, 3.6, 20), 0.2 + 0.6 / (1 + np.exp(3 * np.linspace(0.4, 1.4, 20)))
    )
    assert "middle_outside" in codes(score_doubts.doubts_of_fit(early, fit_accuracy(early)))
    spoilt = scores().score.copy()
    spoilt[0] -= 0.3
    worse = replace(scores(), score=spoilt)
    assert "poor_forecast" in codes(score_doubts.doubts_of_fit(worse, fit_accuracy(worse)))


def test_columns_that_are_swapped_are_asked_about():
    runs = made()
    swapped = replace(runs, parameters=runs.training_tokens, training_tokens=runs.parameters)
    found = {one.code: one.message for one in doubts.doubts_of_runs(swapped)}
    assert "are the two columns swapped" in found["swapped"]


def test_a_term_that_does_nothing_is_told():
    runs = made(60, noise=0.01)
    generator = np.random.default_rng(1)
    without = 1.8 + 482.0 * runs.parameters**-0.35
    noise = np.exp(0.01 * generator.standard_normal(60))
    flat = replace(runs, loss=without * noise)
    found = {one.code: one.message for one in doubts.doubts_of_fit(flat, fit_loss(flat, draws=0))}
    assert "training tokens" in found["idle_term"]
    assert "idle_term" not in codes(doubts.doubts_of_fit(runs, fit_loss(runs, draws=0)))


@pytest.mark.parametrize(("count", "told"), [(0, False), (2, True), (39, True), (40, False)])
def test_few_resamples_are_told(count, told):
    assert bool(list(doubts.few_resamples(count))) == told
