"""Maps from loss to score: published maps recovered, forecasts, uncertainty."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.fit.accuracy import Scores, fit_accuracy
from ds3opt.fit.score_maps import MAPS, Scaled, score
from ds3opt.laws.capability import step_skill_success

SIGMOID = {"difficulty": 2.4, "slope": 5.0, "scale": 0.7, "offset": 0.25}
EXPONENTIAL = {"floor": 0.15, "coefficient": 2.079, "rate": 0.756}
"""Gadre et al. 2024, the mean of 17 tasks on C4: error 0.850 - 2.079 exp(-0.756 L)."""
LADDER = np.array([190e6, 370e6, 760e6, 1.3e9, 3e9])


def ladder() -> tuple[np.ndarray, np.ndarray]:
    """Sizes and tokens of a ladder of small models, and two large ones."""
    n, ratio = (x.ravel() for x in np.meshgrid(LADDER, [20.0, 40.0, 100.0, 200.0]))
    return np.append(n, [7e9, 13e9]), np.append(n * ratio, [4e12, 5e12])


def made(form: str, values: dict[str, float], noise: float = 0.0, count: int = 30) -> Scores:
    loss = np.linspace(1.9, 3.2, count)
    jitter = noise * np.random.default_rng(0).standard_normal(count)
    return Scores(loss, np.asarray(score(form, values, loss)) + jitter)


@pytest.mark.parametrize(("form", "values"), [("sigmoid", SIGMOID), ("exponential", EXPONENTIAL)])
def test_a_map_is_recovered(form, values):
    fit = fit_accuracy(made(form, values), form=form)
    assert fit.values == pytest.approx(values, rel=1e-6)
    assert fit.agreeing > 0.8 * fit.starts
    assert fit.at_edge == ()


@pytest.mark.parametrize("form", list(MAPS))
def test_derivatives_agree_with_differences(form):
    loss = np.linspace(1.0, 2.0, 9)
    kind = MAPS[form](Scaled.of(loss))
    at = kind.grid()[::7]
    _, slopes = kind.scores(at, loss)
    for one in range(at.shape[1]):
        step = np.zeros(at.shape[1])
        step[one] = 1e-6
        above, below = kind.scores(at + step, loss)[0], kind.scores(at - step, loss)[0]
        # error of the difference: round-off 1e-10 and a third derivative below 1e4
        assert slopes[:, :, one] == pytest.approx((above - below) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("form", list(MAPS))
def test_constants_give_the_scores_of_the_coordinates(form):
    loss = np.linspace(1.0, 2.0, 9)
    kind = MAPS[form](Scaled.of(loss))
    for at in kind.grid()[::11]:
        values = dict(zip(kind.constants, kind.values(at[None, :])[0], strict=True))
        told = kind.scores(at[None, :], loss)[0][0]
        assert np.asarray(score(form, values, loss)) == pytest.approx(told, abs=1e-12)


def test_the_sigmoid_is_that_of_the_scenario():
    loss = np.array([1.0, 2.0, 3.0])
    expected = step_skill_success(loss, 2.4, slope=5.0, scale=0.7, offset=0.25)
    assert score("sigmoid", SIGMOID, loss) == pytest.approx(expected, rel=1e-15)


def test_published_chains_are_recovered_and_forecast(shared):
    """Eight tasks of Bhagia et al. 2024: their law and map make the data, this fit finds them.

    Their printed forecasts of the 13B model on 5T tokens come out of both the map and the chain.
    """
    with open(shared("data/task_accuracy_maps.csv"), encoding="utf-8") as file:
        rows = [
            {k: v if k == "task" else float(v) for k, v in row.items()}
            for row in csv.DictReader(file)
        ]
    n, d = ladder()
    for row in rows:
        loss = row["A"] / n ** row["alpha"] + row["B"] / d ** row["beta"] + row["E_bpb"]
        told = row["sig_a"] / (1 + np.exp(-row["sig_k"] * (loss - row["sig_L0"]))) + row["sig_b"]
        fit = fit_accuracy(Scores(loss, told, n, d))
        expected = {
            "difficulty": row["sig_L0"],
            "slope": row["sig_k"],
            "scale": -row["sig_a"],
            "offset": row["sig_a"] + row["sig_b"],
        }
        assert fit.values == pytest.approx(expected, rel=1e-5), row["task"]
        predicted = score("sigmoid", fit.values, np.array(row["pred_bpb_13B5T"]))
        assert float(predicted) == pytest.approx(row["pred_acc_13B5T"], abs=1e-6)
        errors = {one.route: one for one in fit.forecasts}
        assert list(errors) == ["map", "two-step", "direct"]
        assert errors["map"].runs == 4
        assert abs(errors["map"].largest) < 1e-6
        assert abs(errors["two-step"].largest) < 1e-3


def test_the_direct_form_forecasts_scores_made_by_it():
    """-ln score = A / N^alpha + B / D^beta, Krajewski et al. 2025."""
    n, d = ladder()
    told = np.exp(-(40.0 / n**0.2 + 60.0 / d**0.2))
    loss = 1.0 + 300.0 / n**0.3 + 900.0 / d**0.3
    errors = {one.route: one for one in fit_accuracy(Scores(loss, told, n, d)).forecasts}
    assert abs(errors["direct"].largest) < 1e-6
    assert errors["direct"].mean < 1e-6


def test_what_is_left_out_is_the_largest():
    """Without sizes, the lowest losses; with a law's losses there is no map of measured ones."""
    scores = made("sigmoid", SIGMOID)
    (only,) = fit_accuracy(scores).forecasts
    assert (only.route, only.runs) == ("map", 6)
    spoilt = scores.score.copy()
    spoilt[0] -= 0.2  # the lowest loss
    assert fit_accuracy(Scores(scores.loss, spoilt)).forecasts[0].largest == pytest.approx(
        0.2, abs=1e-4
    )
    n, d = ladder()
    loss = 1.0 + 300.0 / n**0.3 + 900.0 / d**0.3
    told = Scores(loss, np.asarray(score("sigmoid", SIGMOID, loss)), n, d, loss_is_measured=False)
    assert [one.route for one in fit_accuracy(told).forecasts] == ["two-step", "direct"]


def test_the_band_holds_its_share_of_the_residuals():
    scores = made("sigmoid", SIGMOID, noise=0.02, count=200)
    fit = fit_accuracy(scores)
    inside = (fit.residuals >= fit.band[0]) & (fit.residuals <= fit.band[1])
    assert inside.mean() == pytest.approx(0.8, abs=0.01)
    # 80 % of a normal spread of 0.02 lie within 1.28 of it; the ends have an error of 0.0024
    assert fit.band == pytest.approx((-0.0256, 0.0256), abs=0.0075)


def test_held_constants_stay():
    scores = made("sigmoid", SIGMOID, noise=0.01)
    fit = fit_accuracy(scores, offset=0.2, ceiling=1.0, draws=10)
    assert fit.values["offset"] == 0.2
    assert fit.values["scale"] == pytest.approx(0.8, rel=1e-12)
    assert np.all(fit.draws[:, 3] == 0.2)
    assert fit.fixed == ("offset", "ceiling")


def test_a_ceiling_alone_is_held_too():
    scores = made("sigmoid", SIGMOID)
    fit = fit_accuracy(scores, ceiling=0.95, draws=10)  # the ceiling of the map that made them
    assert fit.values == pytest.approx(SIGMOID, rel=1e-6)
    assert fit.draws[:, 2] + fit.draws[:, 3] == pytest.approx(np.full(10, 0.95), rel=1e-12)
    assert fit_accuracy(scores, ceiling=1.0).values["offset"] < 1.0


def test_scores_that_rise_leave_a_flat_map_that_says_so():
    loss = np.linspace(1.0, 2.0, 12)
    fit = fit_accuracy(Scores(loss, 0.3 + 0.2 * loss))
    assert "scale" in fit.at_edge
    assert fit.values["scale"] > 0.0


def test_a_map_stays_a_probability():
    """Scores at both ends: scale and offset are within what a scenario accepts."""
    loss = np.linspace(1.0, 4.0, 20)
    fit = fit_accuracy(Scores(loss, np.where(loss < 2.5, 1.0, 0.0)), draws=5)
    assert 0.0 <= fit.values["offset"] <= 1.0
    assert fit.values["scale"] + fit.values["offset"] <= 1.0 + 1e-12


@settings(max_examples=10)
@given(st.floats(1e-3, 1e3), st.floats(-5.0, 5.0), st.randoms(use_true_random=False))
def test_the_unit_of_loss_and_the_order_do_not_matter(unit, shift, random):
    scores = made("sigmoid", SIGMOID, noise=0.01)
    order = list(range(len(scores)))
    random.shuffle(order)
    fit = fit_accuracy(scores)
    other = fit_accuracy(Scores(unit * (scores.loss[order] + shift), scores.score[order]))
    assert other.huber_sum == pytest.approx(fit.huber_sum, rel=1e-6)
    assert other.values["slope"] * unit == pytest.approx(fit.values["slope"], rel=1e-3)
    assert other.values["difficulty"] / unit - shift == pytest.approx(
        fit.values["difficulty"], abs=1e-3
    )


@pytest.mark.slow
def test_intervals_of_a_map_cover_the_truth():
    """Nominal 95 % intervals over 200 data sets: 90 to 98 % with three standard errors on top."""
    sets, hits = 200, np.zeros(4)
    generator = np.random.default_rng(11)
    loss = np.linspace(1.6, 3.2, 60)
    clean = np.asarray(score("sigmoid", SIGMOID, loss))
    truth = [SIGMOID[name] for name in ("difficulty", "slope", "scale", "offset")]
    for one in range(sets):
        noisy = clean + 0.01 * generator.standard_normal(loss.size)
        draws = fit_accuracy(Scores(loss, noisy), draws=400, seed=one).draws
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        hits += (low <= truth) & (truth <= high)
    error = 3.0 * np.sqrt(0.95 * 0.05 / sets)
    assert np.all(hits / sets >= 0.90 - error), hits / sets
    assert np.all(hits / sets <= 0.98 + error), hits / sets
