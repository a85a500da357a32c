"""How well a verifier tells right from wrong samples: rates, area under the curve, choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ds3opt.fit.bootstrap import resampling_weights
from ds3opt.fit.doubts import Doubt, few_resamples
from ds3opt.laws._types import FloatArray
from ds3opt.laws.scored_choice import discrimination_of, scored_choice_success
from ds3opt.laws.voting import verified_choice_success

CONSTANTS = ("true_positive_rate", "false_positive_rate", "discrimination", "area_under_curve")
"""Columns of `VerifierFit.draws`."""
APART = 0.05
"""Difference of the two areas from which on it is told of."""
OFF = 0.02
"""Root mean square error of both forms from which on it is told of: two points."""


@dataclass(frozen=True)
class Scored:
    """Scored samples; a higher score is meant to be better."""

    problem: FloatArray  # (sample,) position of its problem
    right: FloatArray  # (sample,) 1 or 0
    score: FloatArray  # (sample,)

    @property
    def two_valued(self) -> bool:
        """Whether scores are verdicts."""
        return len(np.unique(self.score)) <= 2

    def groups(self) -> list[tuple[FloatArray, FloatArray]]:
        """Scores and verdicts of each problem, the best score first."""
        order = np.lexsort((-self.score, self.problem))
        cuts = np.flatnonzero(np.diff(self.problem[order])) + 1
        parts = zip(
            np.split(self.score[order], cuts), np.split(self.right[order], cuts), strict=True
        )
        return list(parts)


@dataclass(frozen=True)
class Choice:
    """Accuracy of a verifier's choice among k samples, over the problems."""

    samples: int
    accepted: float
    """Measured, choosing evenly among accepted samples."""
    accepted_fitted: float
    ranked: float
    """Measured, choosing the best score."""
    ranked_fitted: float
    oracle: float
    """Measured, of a verifier that never errs."""


@dataclass(frozen=True)
class VerifierFit:
    """A verifier and what is known of it."""

    values: dict[str, float]
    draws: FloatArray  # (draw, constant)
    threshold: float
    pooled_area: float
    """Of samples of different problems too."""
    mixed: int
    """Problems that have right and wrong samples."""
    weight_ratio: float | None
    """Mean score of right over that of wrong samples; None where a score is negative."""
    perfect: bool
    """Whether no wrong sample scored as high as a right one of its problem."""
    choices: tuple[Choice, ...]

    @property
    def rms_of_rates(self) -> float | None:
        """Root mean square of accept-and-refuse predictions less the measured best score."""
        return _rms([one.accepted_fitted - one.ranked for one in self.choices if one.samples > 1])

    @property
    def rms_of_scores(self) -> float | None:
        """The same of the predictions of two normal distributions of scores."""
        return _rms([one.ranked_fitted - one.ranked for one in self.choices if one.samples > 1])


def _rms(off: Sequence[float]) -> float | None:
    return float(np.sqrt(np.mean(np.square(off)))) if off else None


def obstacles(scored: Scored) -> Iterator[Doubt]:
    """What makes a fit impossible."""
    if not scored.score.size:
        hint = "name them with --column score=HEADER"
        yield Doubt("no_scores", "the log has no scores", hint=hint)
    elif scored.right.all() or not scored.right.any():
        what = "right" if scored.right.any() else "wrong"
        yield Doubt("degenerate", f"every scored sample is {what}: nothing to tell apart")
    elif len(np.unique(scored.score)) < 2:
        yield Doubt("degenerate", "every score is the same: nothing is told apart")
    elif not any(0.0 < right.mean() < 1.0 for _, right in scored.groups()):
        yield Doubt(
            "one_sided",
            "no problem has right and wrong samples: whether scores tell them apart is unknown",
            hint="sample each problem several times",
        )


def fit_verifier(
    scored: Scored,
    *,
    threshold: float | None = None,
    draws: int = 0,
    seed: int = 0,
) -> VerifierFit:
    """Rates at a threshold, and the distance of right from wrong scores on the same problem.

    Parameters
    ----------
    scored : that `obstacles` finds nothing against.
    threshold : samples that score as high or higher are accepted; left out: where the rates are
        farthest apart.
    draws, seed : resamples of the problems; the threshold is kept.

    Notes
    -----
    The distance d' comes from the area under the curve within problems, as a choice is among
    samples of one problem: scores that only tell easy problems from hard ones have an area above
    1/2 over all samples and are no help.
    """
    groups = scored.groups()
    cut = best_threshold(scored) if threshold is None else threshold
    table = np.array([_of_problem(score, right, cut) for score, right in groups])
    pairs = float(np.nansum(np.where(np.isnan(table[:, 4]), 0.0, table[:, 1] * table[:, 3])))
    weights = np.concatenate(
        [np.ones((1, len(groups))), resampling_weights(len(groups), draws, seed)]
    )
    found = _constants(weights, table, 1.0 - 0.5 / max(pairs, 1.0))
    values = dict(zip(CONSTANTS, map(float, found[0]), strict=True))
    positive = bool(np.all(scored.score >= 0.0))
    right, wrong = scored.right > 0.0, scored.right == 0.0
    low = float(scored.score[wrong].mean())
    return VerifierFit(
        values=values,
        draws=found[1:],
        threshold=float(cut),
        pooled_area=area(scored.score, scored.right),
        mixed=int(np.sum(~np.isnan(table[:, 4]))),
        weight_ratio=float(scored.score[right].mean()) / low if positive and low > 0.0 else None,
        perfect=bool(np.nanmin(table[:, 4]) >= 1.0),
        choices=tuple(_choices(groups, values, cut)),
    )


def best_threshold(scored: Scored) -> float:
    """Score at which the share of accepted right samples most exceeds that of wrong ones."""
    order = np.argsort(-scored.score, kind="stable")
    score, right = scored.score[order], scored.right[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    true = np.cumsum(right)[ends] / right.sum()
    false = np.cumsum(1.0 - right)[ends] / (1.0 - right).sum()
    return float(score[ends[int(np.argmax(true - false))]])


def area(score: FloatArray, right: FloatArray) -> float:
    """Chance that a right sample scores above a wrong one, ties counted half; NaN without both.

    >>> area(np.array([1.0, 2.0, 2.0]), np.array([0.0, 0.0, 1.0]))
    0.75
    """
    good, bad = score[right > 0.0], np.sort(score[right == 0.0])
    if not good.size or not bad.size:
        return float("nan")
    below = np.searchsorted(bad, good, "left") + np.searchsorted(bad, good, "right")
    return float(below.mean() / (2.0 * bad.size))


def _of_problem(score: FloatArray, right: FloatArray, cut: float) -> tuple[float, ...]:
    """Accepted right, right, accepted wrong and wrong samples, and the area."""
    accepted = score >= cut
    good = float(right.sum())
    taken = float(right[accepted].sum())
    return taken, good, float(accepted.sum()) - taken, len(right) - good, area(score, right)


def _constants(weights: FloatArray, table: FloatArray, most: float) -> FloatArray:
    """Constants of each weighting of the problems."""
    sums = weights @ table[:, :4]
    true = sums[:, 0] / np.maximum(sums[:, 1], 1e-300)
    false = sums[:, 2] / np.maximum(sums[:, 3], 1e-300)
    known = ~np.isnan(table[:, 4])
    taken = weights[:, known]
    total = np.maximum(taken.sum(axis=1), 1e-300)
    # a resample without any mixed problem says nothing: even
    within = np.where(
        taken.sum(axis=1) > 0.0, taken @ np.minimum(table[known, 4], most) / total, 0.5
    )
    distance = discrimination_of(np.clip(within, 0.5, most))
    return np.column_stack([true, false, np.atleast_1d(distance), within])


def _choices(
    groups: Sequence[tuple[FloatArray, FloatArray]], values: dict[str, float], cut: float
) -> Iterator[Choice]:
    """Choices of 1, 2, 4, ... samples, up to half of those of a problem."""
    least = min(len(right) for _, right in groups)
    rates = np.array([float(right.mean()) for _, right in groups])
    distinct, inverse = np.unique(rates, return_inverse=True)
    weight = np.bincount(inverse.ravel()) / len(rates)
    count = 1
    while count == 1 or (2 * count <= least and count <= 1024):
        accepted, ranked, oracle = np.mean(
            [_measured(score, right, cut, count) for score, right in groups], axis=0
        )
        by_rates = verified_choice_success(
            distinct, count, values["true_positive_rate"], values["false_positive_rate"]
        )
        by_scores = scored_choice_success(distinct, count, values["discrimination"])
        yield Choice(
            count,
            float(accepted),
            float(weight @ by_rates),
            float(ranked),
            float(weight @ by_scores),
            float(oracle),
        )
        count *= 2


def _measured(
    score: FloatArray, right: FloatArray, cut: float, k: int
) -> tuple[float, float, float]:
    """Exact accuracy over all choices of k samples: among the accepted, by score, by an oracle."""
    n = len(score)
    ends = np.append(np.flatnonzero(np.diff(score)), n - 1) + 1
    starts = np.concatenate([[0], ends[:-1]])
    # the best score is in a group of ties if the samples lie behind its start, not all behind it
    chance = _left(n - starts, n, k) - _left(n - ends, n, k)
    held = np.diff(np.concatenate([[0.0], np.cumsum(right)[ends - 1]]))
    ranked = float(np.sum(chance * held / (ends - starts)))
    accepted = int(np.sum(score >= cut))
    good = float(right[:accepted].sum())
    none = float(_left(np.array([n - accepted]), n, k)[0])
    chosen = (1.0 - none) * good / accepted if accepted else 0.0
    if accepted < n:
        chosen += none * (float(right.sum()) - good) / (n - accepted)
    wrong = np.array([n - int(right.sum())])
    return chosen, ranked, 1.0 - float(_left(wrong, n, k)[0])


def _left(m: FloatArray, n: int, k: int) -> FloatArray:
    """Share of the sets of k of n that lie in a part of m, ``C(m, k) / C(n, k)``."""
    from scipy.special import gammaln

    kept = np.maximum(m, k).astype(float)
    log = gammaln(kept + 1.0) - gammaln(kept - k + 1.0)
    log = log - gammaln(n + 1.0) + gammaln(n - k + 1.0)
    return np.asarray(np.where(m >= k, np.exp(log), 0.0))


def doubts_of_verifier(scored: Scored, fit: VerifierFit, problems: int) -> Iterator[Doubt]:
    """What a user should know of the fit."""
    from ds3opt.fit.coverage_doubts import FEW_PROBLEMS

    yield from few_resamples(len(fit.draws))
    if fit.mixed < FEW_PROBLEMS:
        count = f"{fit.mixed} of {problems} problems have"
        yield Doubt("few_problems", f"{count} right and wrong samples: few to judge a verifier by")
    inside = fit.values["area_under_curve"]
    if fit.pooled_area - inside > APART:
        yield Doubt(
            "easy_from_hard",
            f"scores tell easy problems from hard ones (area {fit.pooled_area:.3f} over all "
            f"samples) more than right from wrong samples of a problem ({inside:.3f})",
            hint="the rates are of all samples and promise too much: take the scores",
        )
    if fit.perfect:
        yield Doubt(
            "perfect",
            "no wrong sample scores as high as a right one of its problem: the distance of the "
            "scores is a lower bound",
            hint="did the verifier see the answers?",
        )
    worst = min(
        (one for one in (fit.rms_of_rates, fit.rms_of_scores) if one is not None), default=0.0
    )
    if not scored.two_valued and worst > OFF:
        yield Doubt(
            "poor_fit",
            f"the measured choice by score is off either form by {100 * worst:.2g} points (rms)",
            hint="a verifier that is much better on some problems than on others does that",
        )
    if not len(fit.draws):
        yield Doubt("no_interval", "no interval without resamples")
