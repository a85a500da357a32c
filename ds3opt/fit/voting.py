"""How wrong answers split, from votes: the decay of a geometric spectrum that explains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ds3opt.fit.bootstrap import resampling_weights
from ds3opt.laws._types import FloatArray
from ds3opt.laws.coverage import beta_binomial_masses
from ds3opt.laws.saturation import vote_plateau, vote_threshold
from ds3opt.laws.voting import (
    decay_of_top_share,
    majority_vote_weights,
    top_share_from_plateau,
    truncated_geometric_shares,
)

CONSTANTS = ("decay", "top_share", "plateau")
"""Columns of `VotingFit.draws`."""
VOTES = (3, 5, 10, 20, 40, 64)
"""Numbers of votes that a fit to answers looks at."""
MOST_VOTES = 128
"""Votes of a curve up to which it is looked at; beyond them it is flat."""
LEAST_DECAY = 1e-6
"""Of a scenario, in which a decay is above 0."""
_NODES = 33
_FINE = 1001
_TRIALS = 40_000
"""Drawn votes in all, for each number of votes."""
_FEWEST, _MOST = 50, 1000
"""Of a problem."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class AnswerCounts:
    """What the samples of each problem answered."""

    samples: FloatArray  # (problem,)
    right: FloatArray  # (problem,)
    wrong: tuple[FloatArray, ...]
    """By problem: how often each wrong answer was given, the most frequent first."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def unread(self) -> FloatArray:
        """Samples without an answer, by problem; they do not vote."""
        given = np.array([float(one.sum()) for one in self.wrong])
        return np.asarray(self.samples - self.right - given)


@dataclass(frozen=True)
class Voters:
    """Problems whose votes are predicted.

    masses(k) has a row for each kind of problem, the chances that 0, ..., k of k votes are right.
    The first row of weights is the estimate, the others are resamples; None: a row for each.
    """

    masses: Callable[[int], FloatArray]  # (row, k + 1)
    weights: FloatArray | None  # (1 + draw, row)
    plateaus: Callable[[FloatArray], FloatArray]
    """Plateau of the estimate and of every draw, from the top share of each."""
    top_shares: Callable[[float], FloatArray]
    """The inverse for one plateau."""


@dataclass(frozen=True)
class VotingFit:
    """A spectrum of wrong answers and what is known of it."""

    wrong_answers: int
    values: dict[str, float]
    draws: FloatArray  # (draw, constant)
    samples: FloatArray  # (point,)
    fitted: FloatArray  # (1 + draw, point)
    measured: FloatArray | None  # (1 + draw, point) of those that were fitted
    fitted_to: FloatArray
    """Numbers of votes that were fitted."""

    @property
    def shares(self) -> FloatArray:
        """Shares of the wrong answers, the most frequent first."""
        return truncated_geometric_shares(self.values["decay"], self.wrong_answers)

    @property
    def at_edge(self) -> str | None:
        """Which end of the possible spectra the fit lies at."""
        top = self.values["top_share"]
        if top >= 1.0 - 1e-6:
            return "one"
        return "even" if top <= (1.0 + 1e-6) / self.wrong_answers else None


def counted_voters(samples: FloatArray, right: FloatArray, draws: int = 0, seed: int = 0) -> Voters:
    """Problems of known counts; votes up to their samples are drawn without replacement.

    Parameters
    ----------
    samples, right : (problem,) n and c.
    draws, seed : resamples of the problems.

    Notes
    -----
    Drawn without replacement, the number of right votes is hypergeometric, which makes the mean
    over problems unbiased as pass@k is. More votes than samples take c / n for the chance.
    """
    rows, inverse = np.unique(np.stack([samples, right], axis=1), axis=0, return_inverse=True)
    given = np.concatenate(
        [np.ones((1, len(samples))), resampling_weights(len(samples), draws, seed)]
    )
    pooled = np.zeros((len(given), len(rows)))
    np.add.at(pooled.T, inverse.ravel(), given.T)
    pooled /= len(samples)
    rates = rows[:, 1] / rows[:, 0]

    def masses(k: int) -> FloatArray:
        return _drawn(rows[:, 0], rows[:, 1], k)

    def plateaus(top: FloatArray) -> FloatArray:
        above = rates > np.asarray(vote_threshold(top))[:, None]
        return np.asarray(np.sum(pooled * above, axis=1))

    def top_shares(plateau: float) -> FloatArray:
        order = np.argsort(rates)
        below = np.cumsum(pooled[:, order], axis=1)
        first = np.minimum(np.sum(below < 1.0 - plateau - 1e-12, axis=1), len(order) - 1)
        after = np.minimum(first + 1, len(order) - 1)
        at = 0.5 * (rates[order[first]] + rates[order[after]])
        return np.asarray(at / np.maximum(1.0 - at, 1e-12))

    return Voters(masses, pooled, plateaus, top_shares)


def _drawn(samples: FloatArray, right: FloatArray, k: int) -> FloatArray:
    """Chances of 0, ..., k right ones of k, of each row; with replacement beyond its samples."""
    from scipy.special import gammaln, xlog1py, xlogy

    def ways(n: FloatArray, part: FloatArray) -> FloatArray:
        inside = (part >= 0.0) & (part <= n)
        kept = np.where(inside, part, 0.0)
        found = gammaln(n + 1.0) - gammaln(kept + 1.0) - gammaln(n - kept + 1.0)
        return np.where(inside, found, -np.inf)

    y = np.arange(k + 1.0)
    n, c = samples[:, None], right[:, None]
    enough = n >= k
    tried = np.maximum(n, float(k))
    without = ways(c, y) + ways(tried - c, k - y) - ways(tried, np.full_like(tried, float(k)))
    rate = c / n
    again = ways(np.full_like(n, float(k)), y) + xlogy(y, rate) + xlog1py(k - y, -rate)
    with np.errstate(under="ignore"):
        mass = np.exp(np.where(enough, without, again))
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def beta_voters(constants: FloatArray) -> Voters:
    """Problems of a Beta population.

    Parameters
    ----------
    constants : (1 + draw, 3) alpha, beta and the solvable share, the estimate first.
    """
    a, b, part = constants.T

    def masses(k: int) -> FloatArray:
        found = part[:, None] * beta_binomial_masses(a, b, k)
        found[:, 0] += 1.0 - part
        return np.asarray(found)

    return Voters(
        masses,
        None,
        lambda top: np.asarray(vote_plateau(a, b, part, np.clip(top, 0.0, 1.0))),
        lambda plateau: np.asarray(
            top_share_from_plateau(np.minimum(plateau, part * (1.0 - 1e-9)), a, b, part)
        ),
    )


def measured_votes(answers: AnswerCounts, votes: Sequence[int], seed: int = 0) -> FloatArray:
    """How often the vote of so many samples of each problem is right, shape (problem, votes).

    Parameters
    ----------
    votes : numbers of samples that vote, none above the samples of a problem.
    seed : of the order in which samples are drawn, without replacement; ties are shared out.
    """
    generator = np.random.default_rng(seed)
    trials = int(np.clip(_TRIALS // max(len(answers), 1), _FEWEST, _MOST))
    unread = answers.unread
    found = np.zeros((len(answers), len(votes)))
    rows = np.arange(trials)[:, None]
    for i, wrong in enumerate(answers.wrong):
        if answers.right[i] == 0.0:
            continue
        kinds = len(wrong) + 2
        each = np.concatenate([[answers.right[i]], wrong, [unread[i]]]).astype(np.int64)
        drawn = generator.permuted(np.tile(np.repeat(np.arange(kinds), each), (trials, 1)), axis=1)
        for j, k in enumerate(votes):
            flat = (rows * kinds + drawn[:, :k]).ravel()
            tally = np.bincount(flat, minlength=trials * kinds).reshape(trials, kinds)[:, :-1]
            most = tally.max(axis=1)
            level = np.sum(tally == most[:, None], axis=1)
            wins = (tally[:, 0] == most) & (most > 0)
            found[i, j] = float(np.mean(wins / level))
    return found


def leads(answers: AnswerCounts) -> FloatArray:
    """Whether the right answer is the most frequent of all samples of each problem; ties shared."""
    found = np.zeros(len(answers))
    for i, wrong in enumerate(answers.wrong):
        right = answers.right[i]
        most = float(wrong[0]) if len(wrong) else 0.0
        if right >= most and right > 0.0:
            found[i] = 1.0 if right > most else 1.0 / (1.0 + float(np.sum(wrong == most)))
    return found


def agreement(answers: AnswerCounts) -> float | None:
    """Chance that two wrong answers to a problem are the same, without bias; None if unknown."""
    found = []
    for wrong in answers.wrong:
        total = float(wrong.sum())
        if total >= 2.0:
            found.append(float(np.sum(wrong * (wrong - 1.0))) / (total * (total - 1.0)))
    return float(np.mean(found)) if found else None


def spectrum(answers: AnswerCounts, ranks: int, fewest: int = 10) -> FloatArray | None:
    """Mean share of the most frequent wrong answer, the next one, and so on.

    Parameters
    ----------
    ranks : how many.
    fewest : wrong answers of a problem that takes part; of fewer the top one looks too frequent.
    """
    rows = [
        np.pad(wrong[:ranks] / wrong.sum(), (0, max(0, ranks - len(wrong))))
        for wrong in answers.wrong
        if float(wrong.sum()) >= fewest
    ]
    return np.mean(rows, axis=0) if rows else None


def fit_votes(
    voters: Voters,
    votes: Sequence[int],
    measured: FloatArray,
    wrong_answers: int,
    asked: Sequence[int],
    progress: Progress | None = None,
) -> VotingFit:
    """The spectrum whose exact votes come closest to measured ones.

    Parameters
    ----------
    voters : whose votes they are.
    votes, measured : (point,) and (1 + draw, point), accuracy of so many votes.
    wrong_answers : J >= 2.
    asked : numbers of votes to predict.

    Notes
    -----
    DS3 calibrates (62), (63) on the plateau alone. Here all measured votes count, by least squares
    in the share of the most frequent wrong answer.
    """
    nodes = np.linspace(1.0 / wrong_answers, 1.0, _NODES)
    fine = np.linspace(nodes[0], nodes[-1], _FINE)
    known = {k: i for i, k in enumerate(votes)}
    curves = {}
    miss = np.zeros((len(measured), _FINE))
    wanted = sorted({*votes, *asked})
    for turn, k in enumerate(wanted):
        if progress is not None:
            progress("votes", turn / len(wanted))
        curve = _between(nodes, _predicted(voters, k, nodes, wrong_answers), fine)
        if k in known:
            miss += (curve - measured[:, [known[k]]]) ** 2
        if k in asked:
            curves[k] = curve
    top = _lowest(miss, fine)
    fitted = np.stack([_at(curves[k], top, fine) for k in asked], axis=1)
    return _found(voters, top, wrong_answers, asked, fitted, measured, np.array(votes, float))


def fit_plateau(
    voters: Voters,
    plateau: float,
    wrong_answers: int,
    asked: Sequence[int],
    progress: Progress | None = None,
) -> VotingFit:
    """The spectrum that makes votes saturate at an accuracy, DS3 (62), (63).

    Raises
    ------
    ValueError : no spectrum of so many wrong answers gives the plateau; its message names those
        that are possible.
    """
    low, high = (
        float(voters.plateaus(np.full(_rows(voters), end))[0]) for end in (1.0, 1 / wrong_answers)
    )
    if not low - 1e-9 <= plateau <= high + 1e-9:
        raise ValueError(
            f"with {wrong_answers} wrong answers votes on these problems saturate between "
            f"{100 * low:.4g} and {100 * high:.4g} %"
        )
    top = np.clip(voters.top_shares(plateau), 1.0 / wrong_answers, 1.0)
    nodes = np.linspace(1.0 / wrong_answers, 1.0, _NODES)
    fine = np.linspace(nodes[0], nodes[-1], _FINE)
    columns = []
    for turn, k in enumerate(asked):
        if progress is not None:
            progress("votes", turn / len(asked))
        curve = _between(nodes, _predicted(voters, k, nodes, wrong_answers), fine)
        columns.append(_at(curve, top, fine))
    fitted = np.stack(columns, axis=1)
    return _found(voters, top, wrong_answers, asked, fitted, None, np.empty(0), plateau)


def _rows(voters: Voters) -> int:
    return len(voters.masses(1)) if voters.weights is None else len(voters.weights)


def _predicted(voters: Voters, k: int, nodes: FloatArray, wrong_answers: int) -> FloatArray:
    """Accuracy of k votes of the estimate and every draw, at spectra of such top shares."""
    decays = decay_of_top_share(nodes, wrong_answers)
    weights = np.stack(
        [
            majority_vote_weights(k, truncated_geometric_shares(one, wrong_answers))
            for one in np.atleast_1d(decays)
        ]
    )
    each = voters.masses(k) @ weights.T
    return np.asarray(each if voters.weights is None else voters.weights @ each)


def _between(nodes: FloatArray, values: FloatArray, fine: FloatArray) -> FloatArray:
    from scipy.interpolate import CubicSpline

    return np.asarray(CubicSpline(nodes, values, axis=1)(fine))


def _lowest(miss: FloatArray, fine: FloatArray) -> FloatArray:
    """Where each row is least, by a parabola through the least point and its neighbours."""
    best = np.argmin(miss, axis=1)
    inner = np.clip(best, 1, len(fine) - 2)
    rows = np.arange(len(miss))
    left, middle, right = (miss[rows, inner + step] for step in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    shift = np.where(bend > 0.0, 0.5 * (left - right) / np.where(bend > 0.0, bend, 1.0), 0.0)
    moved = fine[inner] + np.clip(shift, -1.0, 1.0) * (fine[1] - fine[0])
    return np.asarray(np.where(best == inner, moved, fine[best]))


def _at(curve: FloatArray, top: FloatArray, fine: FloatArray) -> FloatArray:
    """Each row of a curve at its own place."""
    place = (top - fine[0]) / (fine[1] - fine[0])
    first = np.clip(np.floor(place).astype(int), 0, len(fine) - 2)
    rest = place - first
    rows = np.arange(len(curve))
    return np.asarray(curve[rows, first] * (1.0 - rest) + curve[rows, first + 1] * rest)


def _found(
    voters: Voters,
    top: FloatArray,
    wrong_answers: int,
    asked: Sequence[int],
    fitted: FloatArray,
    measured: FloatArray | None,
    votes: FloatArray,
    plateau: float | None = None,
) -> VotingFit:
    inside = np.clip(top, 1.0 / wrong_answers, 1.0)
    decay = np.maximum(np.atleast_1d(decay_of_top_share(inside, wrong_answers)), LEAST_DECAY)
    high = voters.plateaus(inside) if plateau is None else np.full(len(top), plateau)
    draws = np.column_stack([decay, inside, high])
    return VotingFit(
        wrong_answers=wrong_answers,
        values=dict(zip(CONSTANTS, map(float, draws[0]), strict=True)),
        draws=draws[1:],
        samples=np.array(asked, float),
        fitted=fitted,
        measured=measured,
        fitted_to=votes,
    )
