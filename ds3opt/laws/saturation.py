"""Where votes stop improving: the plateau, and the votes from which on it is as good as reached."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval
from ds3opt.laws.voting import vote_weights_up_to

MOST_VOTES = 512
"""Votes up to which a plateau is looked for."""
_SCANS = (32, 128, MOST_VOTES)


def vote_threshold(top_share: ArrayLike, weight_ratio: ArrayLike = 1.0) -> FloatArray:
    """Success of a trace above which a vote of many traces is right, ``c_1 / (c_1 + g)``.

    There the right answer weighs as much as the most frequent wrong one, ``g psi = (1 - psi) c_1``.

    Parameters
    ----------
    top_share : c_1 in [0, 1], share of the most frequent wrong answer among wrong answers.
    weight_ratio : g > 0, weight of a right vote over that of a wrong one; with a tilted proposal,
        times its tilt.

    >>> float(vote_threshold(1.0)), float(vote_threshold(0.5, 2.0))
    (0.5, 0.2)
    """
    top = interval("top_share", top_share, 0, 1)
    ratio = interval("weight_ratio", weight_ratio, 0, np.inf, bounds="()")
    return np.asarray(top / (top + ratio))[()]


def vote_plateau(
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike,
    top_share: ArrayLike,
    weight_ratio: ArrayLike = 1.0,
) -> FloatArray:
    """Accuracy of a vote of ever more traces over a Beta population, ``c (1 - I_t(a, b))``.

    t is `vote_threshold`. Voting with all votes alike has ratio 1; a weighted vote has ratio g; a
    proposal whose odds are tilted by rho counts rho times.

    Parameters
    ----------
    alpha, beta : a, b > 0.
    solvable : c in [0, 1].
    top_share : c_1 in [0, 1].
    weight_ratio : g > 0.

    Notes
    -----
    What DS3 (62) inverts. The label ``|Y-1|`` there is ``|Y|-1``, the number of wrong answers.

    >>> float(vote_plateau(1, 1, 1, 1.0))    # problems solved more often than not
    0.5
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    part = interval("solvable", solvable, 0, 1)
    return np.asarray(part * special.betaincc(a, b, vote_threshold(top_share, weight_ratio)))[()]


def vote_limit(
    success: ArrayLike, wrong_answer_shares: ArrayLike, weight_ratio: float = 1.0
) -> FloatArray:
    """Chance that a vote of ever more traces is right on problems of given success.

    1 above `vote_threshold`, 0 below it, and a lot among the level answers on it.

    Parameters
    ----------
    success : psi in [0, 1].
    wrong_answer_shares : c_j, sum at most 1.
    weight_ratio : g > 0.

    >>> vote_limit([0.2, 0.5, 0.7], [1.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    psi = interval("success", success, 0, 1)
    shares = interval("wrong_answer_shares", wrong_answer_shares, 0, 1)
    ratio = interval("weight_ratio", weight_ratio, 0, np.inf, bounds="()")
    top = float(np.max(shares, initial=0.0))
    right, wrong = ratio * psi, (1.0 - psi) * top
    level = np.isclose(right, wrong, rtol=1e-12, atol=0.0) & (psi > 0.0)
    lot = 1.0 / (1.0 + np.sum(shares >= top * (1.0 - 1e-12)))
    return np.where(level, lot, np.where(right > wrong, 1.0, 0.0))[()]


def verified_choice_limit(
    success: ArrayLike, true_positive_rate: ArrayLike, false_positive_rate: ArrayLike
) -> FloatArray:
    """Chance that a fallible verifier's choice among ever more samples is correct.

    ``t psi / (t psi + f (1 - psi))``, the share of correct ones among the accepted.

    Parameters
    ----------
    success : psi in [0, 1].
    true_positive_rate, false_positive_rate : t, f in [0, 1].

    Returns
    -------
    Probability; without false positives 1 for every psi above 0, and where nothing is accepted psi.

    >>> verified_choice_limit([0.0, 0.02, 1.0], 0.8, 0.3).round(6).tolist()
    [0.0, 0.051613, 1.0]
    """
    psi = interval("success", success, 0, 1)
    t = interval("true_positive_rate", true_positive_rate, 0, 1)
    f = interval("false_positive_rate", false_positive_rate, 0, 1)
    right, accepted = t * psi, t * psi + f * (1.0 - psi)
    some = accepted > 0.0
    return np.where(some, right / np.where(some, accepted, 1.0), psi)[()]


def votes_to_plateau(
    masses: Callable[[int], FloatArray],
    plateau: float,
    wrong_answer_shares: ArrayLike,
    weight_ratio: float = 1.0,
    *,
    within: float = 0.01,
) -> tuple[int | None, FloatArray]:
    """Fewest votes from which on a vote stays near its plateau, and its accuracy up to there.

    More votes can make a vote worse, so every number of votes is looked at, up to 512.

    Parameters
    ----------
    masses : for k votes, the chances over all problems that 0, ..., k of them are right.
    plateau : accuracy of ever more votes.
    wrong_answer_shares, weight_ratio : of the vote.
    within : distance from the plateau, relative to it.

    Returns
    -------
    The number of votes, None where 512 do not do; and the accuracy of 1, 2, ... votes.

    >>> from ds3opt.laws.coverage import beta_binomial_masses
    >>> votes_to_plateau(lambda k: beta_binomial_masses(1, 1, k), 0.5, [1.0])[0]
    1
    """
    room = within * plateau
    for most in _SCANS:
        curve = vote_curve(masses, most, wrong_answer_shares, weight_ratio)
        away = np.flatnonzero(np.abs(curve - plateau) > room)
        first = int(away[-1]) + 2 if away.size else 1
        # settled for as many votes again, not just passing by
        if 2 * first <= most:
            return first, curve[: 2 * first]
    return None, curve


def vote_curve(
    masses: Callable[[int], FloatArray],
    most: int,
    wrong_answer_shares: ArrayLike,
    weight_ratio: float = 1.0,
) -> FloatArray:
    """Accuracy over all problems of 1, ..., `most` votes.

    Parameters
    ----------
    masses : for k votes, the chances over all problems that 0, ..., k of them are right.
    most : at most 600.
    wrong_answer_shares, weight_ratio : of the vote.

    >>> from ds3opt.laws.coverage import beta_binomial_masses
    >>> vote_curve(lambda k: beta_binomial_masses(1, 3, k), 2, [1.0]).round(12).tolist()
    [0.25, 0.25]
    """
    weights = vote_weights_up_to(most, wrong_answer_shares, weight_ratio)
    return np.array([float(masses(w.size - 1) @ w) for w in weights])
