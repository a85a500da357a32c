"""Loss laws from runs: the published refit, recovery, invariances, coverage of intervals."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.fit.bootstrap import spread
from ds3opt.fit.loss import CONSTANTS, LossRuns, fit_loss, law_constants
from ds3opt.fit.robust import huber
from ds3opt.laws.loss import LOSS_LAWS, LossLaw, Repetition, optimal_size

LAW = LossLaw(1.82, 482.0, 2085.0, 0.348, 0.366)
NAMES = dict(zip(CONSTANTS, ("E", "A", "B", "alpha", "beta"), strict=False))


def made(count: int, seed: int, noise: float = 0.0, law: LossLaw = LAW) -> LossRuns:
    """Runs of a known law, sizes and ratios spread evenly in the logarithm."""
    generator = np.random.default_rng(seed)
    n = 10 ** generator.uniform(7.5, 10.0, count)
    d = n * 10 ** generator.uniform(0.3, 2.5, count)
    return LossRuns(n, d, law.loss(n, d) * np.exp(noise * generator.standard_normal(count)))


@pytest.fixture(scope="module")
def published(shared) -> LossRuns:
    """The 240 runs of the replication: without those of least tokens per parameter."""
    with open(shared("data/chinchilla_training_runs.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    n, c, loss = (
        np.array([float(row[name]) for row in rows])
        for name in ("Model Size", "Training FLOP", "loss")
    )
    d = c / 6.0 / n
    kept = d / n > 0.45
    assert kept.sum() == 240
    return LossRuns(n[kept], d[kept], loss[kept])


def test_the_published_runs_have_the_fit_of_the_replication(published, shared):
    """Besiroglu et al. 2024, refitted from 4,500 starts by another program."""
    reference = json.loads(shared("data/chinchilla_refit_reference.json").read_text())
    fit = fit_loss(published, draws=400, seed=0)
    assert fit.huber_sum <= 0.0010183
    assert fit.huber_sum == pytest.approx(reference["drop5"]["huber_sum"], rel=1e-9)
    for name, value in fit.values.items():
        assert value == pytest.approx(reference["drop5"][NAMES[name]], rel=1e-5)
    assert fit.rms_log_error == pytest.approx(reference["drop5"]["rmse_log"], rel=1e-5)
    assert fit.agreeing == fit.polished == fit.starts
    assert fit.at_edge == ()
    bootstrap = reference["bootstrap"]  # 400 draws know a standard error to 4 %
    for column, name in enumerate(fit.names):
        found = spread(fit.draws[:, column])
        assert found.standard_error == pytest.approx(bootstrap["se"][NAMES[name]], rel=0.15)
    joint = np.corrcoef(np.log(fit.draws[:, 1]), fit.draws[:, 3])[0, 1]
    assert joint == pytest.approx(bootstrap["corr_log"][0][3], abs=1e-3)


def test_published_laws_fit_the_published_runs_as_the_reference_says(published, shared):
    """The objective itself: Huber sums of two printed laws."""
    reference = json.loads(shared("data/chinchilla_refit_reference.json").read_text())["drop5"]
    for name, key in (
        ("besiroglu2024", "huber_at_besiroglu"),
        ("hoffmann2022_rounded", "huber_at_hoffmann_rounded"),
    ):
        told = LOSS_LAWS[name].loss(published.parameters, published.training_tokens)
        total = float(huber(np.log(told / published.loss), 1e-3).sum())
        assert total == pytest.approx(reference[key], rel=1e-9)


@pytest.mark.slow
def test_all_245_runs(published, shared):
    reference = json.loads(shared("data/chinchilla_refit_reference.json").read_text())["drop0"]
    with open(shared("data/chinchilla_training_runs.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    n = np.array([float(row["Model Size"]) for row in rows])
    d = np.array([float(row["Training FLOP"]) for row in rows]) / 6.0 / n
    fit = fit_loss(LossRuns(n, d, np.array([float(row["loss"]) for row in rows])))
    assert fit.huber_sum == pytest.approx(reference["huber_sum"], rel=1e-9)
    assert fit.values["data_exponent"] == pytest.approx(reference["beta"], rel=1e-5)


def test_a_law_is_recovered_without_noise():
    fit = fit_loss(made(40, 0))
    assert law_constants(fit.law) == pytest.approx(law_constants(LAW), rel=1e-7)
    assert fit.huber_sum < 1e-18
    assert fit.agreeing > 0.9 * fit.polished


def test_repetition_is_recovered_with_the_law():
    law = LossLaw(1.87, 521.0, 1488.0, 0.353, 0.353, repetition=Repetition(15.4, 5.3))
    generator = np.random.default_rng(1)
    n = 10 ** generator.uniform(7.5, 10, 120)
    unique = 10 ** generator.uniform(8, 10.5, 120)
    d = unique * np.where(generator.random(120) < 0.4, 1.0, 10 ** generator.uniform(0, 1.8, 120))
    loss = np.array([float(law.loss(*run)) for run in zip(n, d, unique, strict=True)])
    fit = fit_loss(LossRuns(n, d, loss, unique))
    assert fit.names == CONSTANTS
    assert tuple(fit.values.values()) == pytest.approx(law_constants(law), rel=1e-6)


def test_a_decay_that_no_run_shows_is_the_published_one():
    """Runs small enough that unique tokens fill them: nothing is said of R_N*."""
    law = LossLaw(1.87, 521.0, 1488.0, 0.353, 0.353, repetition=Repetition(9.0, 5.3))
    generator = np.random.default_rng(5)
    n = 10 ** generator.uniform(6, 7.5, 60)
    unique = 40.0 * n
    d = unique * 10 ** generator.uniform(-0.5, 1.5, 60)
    loss = np.array([float(law.loss(*run)) for run in zip(n, d, unique, strict=True)])
    fit = fit_loss(LossRuns(n, d, loss, unique), draws=3)
    assert fit.fixed == ("parameter_decay",)
    assert fit.law.repetition.data_decay == pytest.approx(9.0, rel=1e-5)
    assert fit.law.repetition.parameter_decay == pytest.approx(5.309743)
    assert np.all(fit.draws[:, 6] == fit.law.repetition.parameter_decay)


def test_unique_tokens_that_never_run_out_change_nothing():
    runs = made(30, 3, 0.01)
    plenty = LossRuns(runs.parameters, runs.training_tokens, runs.loss, 2.0 * runs.training_tokens)
    assert fit_loss(plenty).law == fit_loss(runs).law


def test_a_fixed_irreducible_loss_stays():
    runs = made(40, 1, 0.003)
    fit = fit_loss(runs, irreducible=1.69, draws=20)
    assert fit.law.irreducible == 1.69
    assert fit.fixed == ("irreducible",)
    assert np.all(fit.draws[:, 0] == 1.69)
    assert fit_loss(runs).huber_sum < fit.huber_sum
    none = LossLaw(0.0001, 30.0, 60.0, 0.15, 0.15)
    fit = fit_loss(made(40, 1, 0.0, none), irreducible=0.0)
    assert fit.law.irreducible == 0.0
    assert fit.law.data_exponent == pytest.approx(0.15, rel=1e-3)


def test_runs_that_do_not_identify_a_constant_say_so():
    """A pure sum of two powers: the irreducible loss runs to its end."""
    n, d = (x.ravel() for x in np.meshgrid(np.logspace(7, 10, 6), np.logspace(9, 12, 6)))
    fit = fit_loss(LossRuns(n, d, 40.0 / n**0.2 + 50.0 / d**0.15))
    assert fit.at_edge == ("irreducible",)


def test_draws_are_those_of_the_seed():
    runs = made(25, 8, 0.01)
    first, again, other = (fit_loss(runs, draws=5, seed=seed).draws for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=8)
@given(
    st.integers(0, 2**16),
    st.floats(1e-9, 1e3),
    st.floats(1e-9, 1e3),
    st.floats(0.1, 10.0),
    st.randoms(use_true_random=False),
)
def test_units_and_order_do_not_matter(seed, size_unit, token_unit, loss_unit, random):
    """Sizes in billions, tokens in millions, losses in bits: the same law in other units."""
    runs = made(24, seed, 0.004)
    order = list(range(24))
    random.shuffle(order)
    fit = fit_loss(runs)
    other = fit_loss(
        LossRuns(
            runs.parameters[order] * size_unit,
            runs.training_tokens[order] * token_unit,
            runs.loss[order] * loss_unit,
        )
    )
    assert other.huber_sum == pytest.approx(fit.huber_sum, rel=1e-6)
    told = other.law.loss(1e9 * size_unit, 2e10 * token_unit) / loss_unit
    assert float(told) == pytest.approx(float(fit.law.loss(1e9, 2e10)), rel=1e-5)


def test_many_laws_have_their_optimum_at_once():
    laws = [LAW, LOSS_LAWS["hoffmann2022"]]
    columns = np.array([law_constants(law) for law in laws])[:, 1:5].T
    expected = [law.compute_optimal(1e22)[0] for law in laws]
    assert optimal_size(1e22, *columns) == pytest.approx(expected, rel=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "tail"), [(60, "normal"), (60, "t"), (150, "normal")])
def test_intervals_cover_the_truth_as_often_as_they_say(count, tail):
    """Nominal 95 % intervals of constants and of the optimum, over data sets of a known law.

    Between 90 and 98 %, with three standard errors of the simulation on top.
    """
    sets, hits = 200, np.zeros(7)
    generator = np.random.default_rng(7)
    budgets = (1e22, 5.76e23)
    truth = [*law_constants(LAW), *(float(LAW.compute_optimal(c)[0]) for c in budgets)]
    for one in range(sets):
        runs = made(count, 1000 + one)
        noise = 0.005 * generator.standard_normal(count)
        if tail == "t":
            noise = 0.004 * generator.standard_t(3, count)
        noisy = LossRuns(runs.parameters, runs.training_tokens, runs.loss * np.exp(noise))
        draws = fit_loss(noisy, draws=300, seed=one).draws
        sizes = [optimal_size(c, *draws[:, 1:5].T) for c in budgets]
        for column, values in enumerate([*draws.T, *sizes]):
            found = spread(values)
            hits[column] += found.low <= truth[column] <= found.high
    error = 3.0 * np.sqrt(0.95 * 0.05 / sets)
    assert np.all(hits / sets >= 0.90 - error), hits / sets
    assert np.all(hits / sets <= 0.98 + error), hits / sets
