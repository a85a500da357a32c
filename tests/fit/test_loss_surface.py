"""Log loss and its derivatives, against the law itself and mpmath."""

import mpmath as mp
import numpy as np
import pytest

from ds3opt.fit.loss_surface import Surface
from ds3opt.laws.loss import LossLaw, Repetition

LAW = LossLaw(1.87, 521.0, 1488.0, 0.353, 0.341, repetition=Repetition(15.4, 5.3))
RUNS = np.random.default_rng(2)
N = 10 ** RUNS.uniform(7.5, 10.5, 40)
D = 10 ** RUNS.uniform(9.0, 12.0, 40)
UNIQUE = np.where(np.arange(40) % 3 == 0, np.inf, D / 10 ** RUNS.uniform(-0.5, 1.7, 40))


def test_fresh_tokens_have_the_loss_of_the_law():
    surface = Surface(np.log(N), np.log(D))
    at = surface.coordinates(LAW)[None, :]
    assert surface.log_loss(at)[0][0] == pytest.approx(np.log(LAW.loss(N, D)), abs=1e-13)
    constants = surface.constants(at)[0]
    assert constants == pytest.approx([1.87, 521.0, 1488.0, 0.353, 0.341], rel=1e-12)


def test_repeated_tokens_have_the_loss_of_the_law():
    surface = Surface(np.log(N), np.log(D), np.log(UNIQUE))
    at = surface.coordinates(LAW)[None, :]
    told = [float(LAW.loss(*run)) for run in zip(N, D, UNIQUE, strict=True)]
    assert surface.log_loss(at)[0][0] == pytest.approx(np.log(told), abs=1e-13)
    assert surface.constants(at)[0][5:] == pytest.approx([15.4, 5.3], rel=1e-12)


def precise(at, n, d, unique, centre):
    """Log loss in 40 digits, written as the paper has it."""
    a, b, e, log_alpha, log_beta, log_rd, log_rn = at
    alpha, beta, rd, rn = (mp.exp(x) for x in (log_alpha, log_beta, log_rd, log_rn))
    big_a, big_b = mp.exp(a + alpha * centre[0]), mp.exp(b + beta * centre[1])
    n, d = mp.mpf(n), mp.mpf(d)
    if np.isfinite(unique):
        unique = mp.mpf(unique)
        balance = (alpha * big_a / (beta * big_b)) ** (1 / (alpha + beta))
        filled = balance * (balance * unique) ** (beta / alpha)
        if d > unique:
            d = unique * (1 + rd * (1 - mp.exp(-(d / unique - 1) / rd)))
        if n > filled:
            n = filled * (1 + rn * (1 - mp.exp(-(n / filled - 1) / rn)))
    return mp.log(mp.exp(e) + big_a / n**alpha + big_b / d**beta)


def test_values_and_derivatives_agree_with_mpmath():
    surface = Surface(np.log(N), np.log(D), np.log(UNIQUE))
    at = surface.coordinates(LAW)
    value, slopes = surface.log_loss(at[None, :])
    with mp.workdps(40):
        for run in range(0, 40, 4):
            own = (N[run], D[run], UNIQUE[run], surface.centre)
            assert value[0, run] == pytest.approx(float(precise(at, *own)), abs=1e-13)
            for one in range(7):

                def moved(x, one=one, own=own):
                    return precise([*at[:one], x, *at[one + 1 :]], *own)

                expected = float(mp.diff(moved, mp.mpf(at[one])))
                assert slopes[0, run, one] == pytest.approx(expected, abs=1e-12), (run, one)


def test_extreme_coordinates_stay_finite():
    surface = Surface(np.log(N), np.log(D), np.log(UNIQUE))
    corners = np.array(
        [[-30, -30, -14, -6.9, -6.9, -4.6, -4.6], [30, 30, 1, 2.3, 2.3, 9.2, 9.2]], float
    )
    value, slopes = surface.log_loss(corners)
    assert np.isfinite(value).all()
    assert np.isfinite(slopes).all()
