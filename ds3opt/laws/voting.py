"""Choosing one of several answers: by a vote, weighted or not, or by a verifier that errs."""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from scipy import special

from ds3opt.laws._binomial import log_binomial_mass
from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws._votes import SUM_TOLERANCE, TIE, beaten, vote_weights, win_shares

_HORNER_LIMIT = 1000
_MOST_TOGETHER = 600
"""Votes up to which masses of one mean serve every number of them without underflow."""


def _shares(wrong_answer_shares: ArrayLike) -> tuple[float, ...]:
    shares = interval("wrong_answer_shares", wrong_answer_shares, 0, 1)
    if shares.ndim != 1:
        raise refuse("wrong_answer_shares", "a sequence of numbers", str(shares.shape))
    total = float(shares.sum())
    if total > 1.0 + SUM_TOLERANCE:
        raise refuse("sum of wrong_answer_shares", "in [0, 1]", total)
    return tuple(float(share) for share in shares if share > 0.0)


def _whole_samples(samples: int) -> int:
    count = int(samples)
    if count != samples or count < 1:
        raise refuse("samples", "a whole number >= 1", samples)
    return count


def majority_vote_weights(samples: int, wrong_answer_shares: ArrayLike) -> FloatArray:
    """Chance to win the vote given the number of correct votes, ``W[0], ..., W[samples]``.

    `weighted_vote_weights` with all votes of equal weight.

    Parameters
    ----------
    samples : k >= 1 votes, whole.
    wrong_answer_shares : c_j, how wrong votes split, sum at most 1; the rest abstains and never
        wins nor ties.

    >>> majority_vote_weights(3, [0.5, 0.5]).tolist()    # 1/6: half of the time a 3-way tie
    [0.0, 0.16666666666666666, 1.0, 1.0]
    """
    return weighted_vote_weights(samples, wrong_answer_shares)


def weighted_vote_weights(
    samples: int, wrong_answer_shares: ArrayLike, weight_ratio: float = 1.0
) -> FloatArray:
    """Chance to win a weighted vote given the number of correct votes, ``W[0], ..., W[samples]``.

    ``W[y0] = E[1{all Y_j <= g y0} / (1 + #{Y_j = g y0})]`` over the other ``samples - y0`` votes,
    which fall on wrong answer j with probability c_j; ties are drawn by lot.

    Parameters
    ----------
    samples : k >= 1 votes, whole.
    wrong_answer_shares : c_j, how wrong votes split, sum at most 1; the rest abstains and never
        wins nor ties.
    weight_ratio : g > 0, weight of a right vote over that of a wrong one. 1 is majority vote; from
        k on, one right vote outweighs all others, which is coverage.

    Returns
    -------
    Read-only array of k + 1 probabilities, kept for later calls. It does not depend on the success
    of a single sample.

    Notes
    -----
    With ratio 1 the inner part of DS3 eq. (38) and (60), whose sum over compositions of k grows as
    k^J. Here a convolution per wrong answer, O(J k^3) in all, of positive terms only. The weights
    of Wu et al. (arXiv 2408.00724), which a reward model gives, vary from vote to vote; here every
    vote has the mean weight of its kind.

    >>> weighted_vote_weights(3, [1.0], 2.0).tolist()    # one right vote ties with two wrong ones
    [0.0, 0.5, 1.0, 1.0]
    """
    ratio = float(interval("weight_ratio", weight_ratio, 0, np.inf, bounds="(]"))
    return vote_weights(_whole_samples(samples), _shares(wrong_answer_shares), ratio)


@np.errstate(under="ignore")
def vote_weights_up_to(
    most: int, wrong_answer_shares: ArrayLike, weight_ratio: float = 1.0
) -> list[FloatArray]:
    """`weighted_vote_weights` for every number of votes from 1 to `most`, all at once.

    The masses of wrong votes are shared by all numbers of votes, so it takes about as long as the
    last of them alone.

    Parameters
    ----------
    most : whole, in [1, 600]; more would underflow.
    wrong_answer_shares, weight_ratio : as there.

    >>> [w.tolist() for w in vote_weights_up_to(2, [1.0])]
    [[0.0, 1.0], [0.0, 0.5, 1.0]]
    """
    count = _whole_samples(most)
    if count > _MOST_TOGETHER:
        raise refuse("most", f"at most {_MOST_TOGETHER}", most)
    shares = _shares(wrong_answer_shares)
    ratio = float(interval("weight_ratio", weight_ratio, 0, np.inf, bounds="(]"))
    found = [np.concatenate([[0.0], np.ones(k)]) for k in range(1, count + 1)]
    for right in range(1, count):
        threshold = ratio * right
        if threshold > (count - right) * (1.0 + TIE):
            break
        wins = win_shares(shares, threshold, count - right, every=True)
        for wrong in range(1, count - right + 1):
            found[right + wrong - 1][right] = (
                0.0 if beaten(shares, threshold, wrong) else wins[wrong]
            )
    return found


def majority_vote_success(
    success: ArrayLike, samples: int, wrong_answer_shares: ArrayLike
) -> FloatArray:
    """Probability that the correct answer wins the vote of `samples` independent traces.

    ``sum over y0 of C(k, y0) psi^y0 (1 - psi)^(k - y0) W[y0]``, see `majority_vote_weights`.

    Parameters
    ----------
    success : psi in [0, 1], chance that one trace is correct.
    samples : k >= 1 votes, whole.
    wrong_answer_shares : c_j, how wrong votes split, sum at most 1.

    Notes
    -----
    DS3 eq. (38) and (60), with j over the wrong answers only. Tends to 1 or 0 as samples grow, by
    whether psi exceeds ``(1 - psi) max_j c_j``.

    >>> float(majority_vote_success(0.6, 3, [1.0]).round(12))    # 0.6^3 + 3 * 0.6^2 * 0.4
    0.648
    >>> majority_vote_success([0.2, 0.7], 1, [0.5, 0.5]).round(12).tolist()    # one vote decides
    [0.2, 0.7]
    """
    return weighted_vote_success(success, samples, wrong_answer_shares)


@np.errstate(under="ignore")
def weighted_vote_success(
    success: ArrayLike,
    samples: int,
    wrong_answer_shares: ArrayLike,
    weight_ratio: float = 1.0,
) -> FloatArray:
    """Probability that the correct answer wins a vote in which correct votes weigh more.

    Parameters
    ----------
    success : psi in [0, 1], chance that one trace is correct.
    samples : k >= 1 votes, whole.
    wrong_answer_shares : c_j, how wrong votes split, sum at most 1.
    weight_ratio : g > 0, see `weighted_vote_weights`.

    Notes
    -----
    Tends to 1 or 0 as samples grow, by whether ``g psi`` exceeds ``(1 - psi) max_j c_j``.

    >>> float(weighted_vote_success(0.6, 3, [1.0], 3.0).round(12))    # 1 - 0.4^3
    0.936
    """
    psi = interval("success", success, 0, 1)
    return _mean_weight(psi, weighted_vote_weights(samples, wrong_answer_shares, weight_ratio))


def _mean_weight(psi: FloatArray, weights: FloatArray) -> FloatArray:
    """``sum over y of C(k, y) psi^y (1 - psi)^(k - y) W[y]``, all terms positive."""
    k = weights.size - 1
    if k > _HORNER_LIMIT:
        return _by_masses(psi, weights)
    # Bernstein form: powers of the smaller of psi and 1 - psi.
    low = psi <= 0.5
    other = 1.0 - psi
    odds = np.where(low, psi / np.where(low, other, 1.0), other / np.where(low, 1.0, psi))
    terms = _binomials(k) * weights
    up = np.full(psi.shape, terms[k])
    down = np.full(psi.shape, terms[0])
    for index in range(1, k + 1):
        up = up * odds + terms[k - index]
        down = down * odds + terms[index]
    value = np.where(low, up, down) * np.where(low, other, psi) ** k
    return np.asarray(np.minimum(value, 1.0))[()]


@lru_cache(maxsize=64)
def _binomials(samples: int) -> FloatArray:
    return np.array([float(comb(samples, votes)) for votes in range(samples + 1)])


def _by_masses(psi: FloatArray, weights: FloatArray) -> FloatArray:
    """The same sum where its terms over- and underflow: mass by mass, in logs."""
    k = weights.size - 1
    inner = (psi > 0.0) & (psi < 1.0)
    x = np.where(inner, psi, 0.5)
    log_x, log_y = np.log(x), np.log1p(-x)
    value = weights[k] * np.exp(k * log_x)
    for right in range(1, k):
        if weights[right] > 0.0:
            mass = np.exp(log_binomial_mass(right, k - right, x, 1.0 - x, log_x, log_y))
            value = value + mass * weights[right]
    return np.where(inner, np.minimum(value, 1.0), psi)[()]


def truncated_geometric_shares(decay: ArrayLike, wrong_answers: int) -> FloatArray:
    """Shares of wrong answers that fall off geometrically: ``c_j = lambda^(j-1) / sum_i lambda^i``.

    Parameters
    ----------
    decay : lambda in [0, 1]; 0 puts all on one wrong answer, 1 spreads evenly.
    wrong_answers : J >= 1, whole.

    Returns
    -------
    Shares along a new last axis of length J, largest first, summing to 1.

    Notes
    -----
    DS3 eq. (63), with the sum in place of ``(1 - lambda^J) / (1 - lambda)``, which is 0/0 at 1.

    >>> truncated_geometric_shares(0.5, 3).round(6).tolist()    # 4 : 2 : 1
    [0.571429, 0.285714, 0.142857]
    """
    ratio = interval("decay", decay, 0, 1)
    if int(wrong_answers) != wrong_answers or wrong_answers < 1:
        raise refuse("wrong_answers", "a whole number >= 1", wrong_answers)
    with np.errstate(under="ignore"):
        powers = ratio[..., np.newaxis] ** np.arange(int(wrong_answers))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def decay_from_plateau(
    plateau: ArrayLike,
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike,
    wrong_answers: int,
) -> FloatArray:
    """Decay of wrong answers for which majority vote saturates at an observed accuracy.

    With many votes a problem is won if its success psi exceeds the share of the top wrong answer,
    ``psi > (1 - psi) c_1``. Over a Beta(alpha, beta) population of which a part `solvable` can be
    solved at all, the plateau fixes c_1, and c_1 fixes the decay.

    Parameters
    ----------
    plateau : P in (0, solvable), accuracy of the vote as samples grow.
    alpha, beta : > 0, shape of the population's success probabilities.
    solvable : A in (0, 1].
    wrong_answers : J >= 2, whole.

    Raises
    ------
    ValueError
        Where no decay in [0, 1] gives the plateau: c_1 would lie outside [1/J, 1].

    Notes
    -----
    DS3 eq. (62) for c_1, then (63) solved for lambda.

    >>> from scipy.special import betainc
    >>> top = truncated_geometric_shares(0.5, 3)[0]
    >>> plateau = 1 - betainc(2.0, 3.0, top / (1 + top))    # problems with psi > (1 - psi) c_1
    >>> float(decay_from_plateau(plateau, 2.0, 3.0, 1.0, 3).round(9))
    0.5
    """
    if int(wrong_answers) != wrong_answers or wrong_answers < 2:
        raise refuse("wrong_answers", "a whole number >= 2", wrong_answers)
    top = top_share_from_plateau(plateau, alpha, beta, solvable)
    beyond = (top > 1.0 + 1e-12) | (top < (1.0 - 1e-12) / wrong_answers)
    if np.any(beyond):
        raise ValueError(
            f"plateau asks for a top wrong answer with share {top[beyond].flat[0]:g}, "
            f"which must be in [1/{wrong_answers}, 1]"
        )
    return decay_of_top_share(np.clip(top, 1.0 / wrong_answers, 1.0), wrong_answers)


def top_share_from_plateau(
    plateau: ArrayLike, alpha: ArrayLike, beta: ArrayLike, solvable: ArrayLike
) -> FloatArray:
    """Share of the top wrong answer for which a vote saturates at an accuracy, ``t / (1 - t)``.

    t is the success above which lies the part P / c of a Beta(a, b) population.

    Parameters
    ----------
    plateau : P in (0, c).
    alpha, beta : a, b > 0.
    solvable : c in (0, 1].

    Returns
    -------
    c_1 > 0; above 1 where no spectrum gives the plateau.

    Notes
    -----
    DS3 (62).

    >>> float(top_share_from_plateau(0.5, 1, 1, 1).round(12))
    1.0
    """
    accuracy = interval("plateau", plateau, 0, 1, bounds="()")
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    part = interval("solvable", solvable, 0, 1, bounds="(]")
    if np.any(accuracy >= part):
        raise refuse("plateau", "in (0, solvable)", float(np.max(accuracy)))
    threshold = special.betainccinv(a, b, accuracy / part)
    with np.errstate(over="ignore", divide="ignore"):
        return np.asarray(threshold / (1.0 - threshold))


def decay_of_top_share(top_share: ArrayLike, wrong_answers: int) -> FloatArray:
    """Decay of a geometric spectrum of J wrong answers whose most frequent has share c_1.

    Parameters
    ----------
    top_share : c_1 in [1/J, 1].
    wrong_answers : J >= 2, whole.

    Notes
    -----
    DS3 (63) solved for lambda, as ``1 / c_1 = 1 + lambda + ... + lambda^(J-1)``.

    >>> float(decay_of_top_share(4 / 7, 3).round(12))    # 4 : 2 : 1
    0.5
    """
    if int(wrong_answers) != wrong_answers or wrong_answers < 2:
        raise refuse("wrong_answers", "a whole number >= 2", wrong_answers)
    top = interval("top_share", top_share, 1.0 / wrong_answers, 1)
    # the sum is convex and rising, so Newton from 1 falls to it
    ratio = np.ones_like(top)
    for _ in range(200):
        value = np.zeros_like(ratio)
        slope = np.zeros_like(ratio)
        for _ in range(int(wrong_answers)):
            slope = slope * ratio + value
            value = value * ratio + 1.0
        change = (value - 1.0 / top) / slope
        ratio = np.clip(ratio - change, 0.0, 1.0)
        if np.all(np.abs(change) <= 1e-16):
            break
    return np.asarray(ratio)[()]


@np.errstate(under="ignore", divide="ignore")
def verified_choice_success(
    success: ArrayLike,
    samples: ArrayLike,
    true_positive_rate: ArrayLike = 1.0,
    false_positive_rate: ArrayLike = 0.0,
) -> FloatArray:
    """Probability that a fallible outcome verifier hands over a correct one of k samples.

    It accepts a correct sample with probability t, a wrong one with probability f, and the choice
    is even among the accepted, or among all if none is. A sample is accepted with probability
    ``a = t psi + f (1 - psi)``, and
    ``V = psi (t (1 + (1-a) + ... + (1-a)^(k-2)) + (1-a)^(k-1))``.

    Parameters
    ----------
    success : psi in [0, 1], chance that one sample is correct.
    samples : k >= 1.
    true_positive_rate : t in [0, 1].
    false_positive_rate : f in [0, 1].

    Returns
    -------
    Probability in [0, 1]. With ``t = 1, f = 0`` it is best of n, ``1 - (1 - psi)^k``; with
    ``t = f`` it is psi; it saturates at ``t psi / a``.

    Notes
    -----
    The first accepted of the samples in any order is an even choice among the accepted, which
    gives the sum. Not in DS3, whose best of n (32) has an oracle.

    >>> verified_choice_success(0.5, 2).item()    # 1 - 0.5^2
    0.75
    >>> float(verified_choice_success(0.2, 1000, 0.9, 0.1).round(6))    # 0.18 / (0.18 + 0.08)
    0.692308
    """
    psi = interval("success", success, 0, 1)
    k = interval("samples", samples, 1, np.inf, bounds="[)")
    t = interval("true_positive_rate", true_positive_rate, 0, 1)
    f = interval("false_positive_rate", false_positive_rate, 0, 1)
    accepted = np.minimum(t * psi + f * (1.0 - psi), 1.0)
    log_rejected = np.log1p(-accepted)
    # (k - 1) log(1 - a), which is 0 for one sample also if every sample is accepted.
    log_none = np.where(k > 1.0, np.where(k > 1.0, k - 1.0, 1.0) * log_rejected, 0.0)
    some = accepted > 0.0
    tries = np.where(some, -np.expm1(log_none) / np.where(some, accepted, 1.0), k - 1.0)
    return np.asarray(np.minimum(psi * (t * tries + np.exp(log_none)), 1.0))[()]
