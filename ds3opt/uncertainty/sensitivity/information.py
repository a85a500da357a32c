"""What it is worth to know a constant, from draws alone: shares of variance, and regret removed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_DEGREE = 4
"""Of the polynomials of one constant, on the scale of normal scores."""
_ROWS_PER_TERM = 8
"""Draws that each term of a regression needs at least."""
_FEW_VALUES = 12
"""A constant with no more values than this is taken value by value."""
_FOLDS = 10


@dataclass(frozen=True)
class Share:
    """Part of the variance of an answer that knowing a constant removes."""

    value: float
    """At least 0."""
    standard_error: float


@dataclass(frozen=True)
class Worth:
    """Expected regret that is left with the best plan, or that knowledge removes from it."""

    value: float
    """At least 0, in the unit of the objective."""
    standard_error: float

    @property
    def clear(self) -> bool:
        """Whether it stands clear of the noise of the draws."""
        return self.value > 2.0 * self.standard_error


def variance_share(constants: FloatArray, answer: FloatArray) -> Share:
    """First-order share of an answer's variance that knowing some constants together removes.

    ``Var(E[Y | X]) / Var(Y)``, the first-order index of Sobol (Mathematics and Computers in
    Simulation 55, 2001, 271-280), with the conditional mean from a regression on the draws.

    Parameters
    ----------
    constants : (draw, constant). answer : (draw,), finite.

    Notes
    -----
    The explained share of a regression is positive even for a constant without any effect, on
    average by the number of its terms over the number of draws. That is removed: both variances are
    taken per degree of freedom, so a constant without effect reads 0 on average, before values
    below 0 are put on 0. The standard error has the spread of the residuals' share, and the spread
    that the explained share has without any effect.
    """
    count = answer.size
    if count < 3 or np.ptp(answer) <= 1e-12 * max(float(np.max(np.abs(answer))), 1e-300):
        return Share(0.0, 0.0)
    basis = regressors(constants)
    terms = basis.shape[1]
    if count <= terms + 1:
        return Share(0.0, 1.0)
    fitted = basis @ _coefficients(basis, answer)
    left, whole = (answer - fitted) ** 2, (answer - np.mean(answer)) ** 2
    unexplained = (np.sum(left) / (count - terms)) / (np.sum(whole) / (count - 1))
    influence = left / np.mean(whole) - unexplained * whole / np.mean(whole)
    noise = 2.0 * (terms - 1) / count**2 * min(float(unexplained), 1.0) ** 2
    error = math.sqrt(float(np.var(influence)) / count + noise)
    return Share(min(max(1.0 - float(unexplained), 0.0), 1.0), error)


def regret(values: FloatArray, best: FloatArray) -> Worth:
    """Expected regret of the plan that is best on average, against knowing every constant.

    Parameters
    ----------
    values : (draw, plan) of each plan. best : (draw,) the optimum of each draw.
    """
    lost = np.maximum(best - values[:, _best_on_average(values)], 0.0)
    return Worth(float(np.mean(lost)), float(np.std(lost)) / math.sqrt(lost.size))


def regret_removed(constants: FloatArray, values: FloatArray) -> Worth:
    """Expected gain from choosing among plans once some constants are known.

    The expected value of partial perfect information, ``E[max_j E[V_j | X]] - max_j E[V_j]``, with
    the conditional means from regressions on the draws (Strong, Oakley and Brennan, Medical
    Decision Making 34, 2014, 311-326).

    Parameters
    ----------
    constants : (draw, constant) that are known. values : (draw, plan) of each plan.

    Notes
    -----
    We depart from the paper in how noise is kept out. The largest of several estimated means is
    too large on average, so that noise would read as value. Here the plan for a draw is chosen by
    regressions on other draws (ten folds), and what it gains is read off in the draw itself, which
    had no part in the choice. The gain is that of a rule which could be followed; on average it is
    no more than what knowledge is worth, and falls short of it by mistakes of the regressions. The
    standard error is that of cross-validation after Nadeau and Bengio (Machine Learning 52, 2003,
    239-281), which is on the safe side.
    """
    count, plans = values.shape
    folds = _folds(count)
    basis = regressors(constants)
    if plans < 2 or count < _FOLDS * 2:
        return Worth(0.0, 0.0)
    # against the plan whose regret is told, so that no more is removed than there is
    usual = _best_on_average(values)
    gain = np.zeros(count)
    for fold in range(_FOLDS):
        held = folds == fold
        known, there = values[~held], values[held]
        ahead = known - known[:, [usual]]
        expected = basis[held] @ _coefficients(basis[~held], ahead)
        chosen = np.argmax(expected, axis=1)
        # where no plan is expected to be ahead the usual one stays
        chosen = np.where(np.max(expected, axis=1) > 0.0, chosen, usual)
        gain[held] = there[np.arange(chosen.size), chosen] - there[:, usual]
    # the folds' choices share most of their draws, so that their gains vary together
    error = float(np.std(gain)) / math.sqrt(count) * math.sqrt(1.0 + _FOLDS / (_FOLDS - 1.0))
    return Worth(max(float(np.mean(gain)), 0.0), error)


def _best_on_average(values: FloatArray) -> int:
    return int(np.argmax(np.mean(values, axis=0)))


def _folds(count: int) -> IntArray:
    """Fold of each draw: draws are in random order already."""
    return np.arange(count, dtype=np.intp) % _FOLDS


def _coefficients(basis: FloatArray, target: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.lstsq(basis, target, rcond=1e-9)[0])


# -- regressors -------------------------------------------------------------------------------


def regressors(constants: FloatArray) -> FloatArray:
    """Functions of some constants, (draw, term), of which conditional means are made.

    Parameters
    ----------
    constants : (draw, constant).

    Notes
    -----
    One constant: polynomials of its normal scores (the normal quantile of its rank), which tails
    do not upset; or one mean for each value where there are few. Several that are drawn together:
    polynomials of each of their principal directions, and products of two. There are fewer terms
    where there are few draws.
    """
    count = constants.shape[0]
    rows, group, sizes = np.unique(constants, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(count)
    if len(rows) <= min(_FEW_VALUES, count // _ROWS_PER_TERM) and np.min(sizes) > 1:
        return np.asarray(group[:, None] == np.arange(len(rows)), dtype=np.float64)
    scores = _scores(_directions(constants))
    most = max(count // _ROWS_PER_TERM, 2)
    width = scores.shape[1]
    terms = [np.ones(count), *scores.T]
    products = [scores[:, i] * scores[:, j] for i in range(width) for j in range(i + 1)]
    powers = [[*(scores**degree).T] for degree in range(3, _DEGREE + 1)]
    for more in (products, *powers):
        if len(terms) + len(more) > most:
            break
        terms += more
    basis = np.column_stack(terms[:most])
    # orthonormal columns: powers are nearly parallel
    found, triangle = np.linalg.qr(basis)
    size = np.abs(np.diag(triangle))
    return np.asarray(found[:, size > 1e-9 * np.max(size)] * math.sqrt(count))


def _directions(constants: FloatArray) -> FloatArray:
    """Principal directions of the standardised constants, every one that varies at all."""
    spread = np.std(constants, axis=0)
    known = constants[:, spread > 0.0]
    if known.shape[1] <= 1:
        return known if known.shape[1] else constants[:, :1]
    standard = (known - np.mean(known, axis=0)) / np.std(known, axis=0)
    vectors, sizes, _ = np.linalg.svd(standard, full_matrices=False)
    return np.asarray(vectors[:, sizes > 1e-6 * sizes[0]])


def _scores(columns: FloatArray) -> FloatArray:
    """Normal scores of the ranks in each column; equal values share theirs."""
    count = columns.shape[0]
    found = np.empty_like(columns)
    for index, column in enumerate(columns.T):
        _, group, sizes = np.unique(column, return_inverse=True, return_counts=True)
        middle = np.cumsum(sizes) - 0.5 * (sizes - 1)  # mean rank, from 1
        found[:, index] = ndtri((middle[group] - 0.5) / count)
    return found
