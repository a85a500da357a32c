"""The score of a task from loss: a map, its uncertainty, and how well it forecasts larger runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.fit.bootstrap import resampling_weights
from ds3opt.fit.loss import LossRuns, fit_loss
from ds3opt.fit.robust import minimise
from ds3opt.fit.score_maps import MAPS, Scaled, ScoreMap, score
from ds3opt.laws._types import FloatArray

HUBER = 0.01
"""Residual of a score beyond which a run pulls no harder: one point."""
BAND = 0.8
"""Share of the runs that the residual band holds."""
HELD_OUT = 0.2
"""Share of the runs, the largest, that a forecast leaves out."""
_SAME = 0.01
_LEAST_LOGIT = 1e-9
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Scores:
    """Scores of one task, one element of each array for each model."""

    loss: FloatArray
    """What the map takes; of the task, or of a loss law."""
    score: FloatArray
    """In [0, 1]."""
    parameters: FloatArray | None = None
    training_tokens: FloatArray | None = None
    loss_is_measured: bool = True
    """False: a law gives the loss from size and tokens."""

    def __len__(self) -> int:
        return len(self.score)

    @property
    def size(self) -> FloatArray:
        """What makes a run large: its compute, or where that is not known a low loss."""
        if self.parameters is None or self.training_tokens is None:
            return -self.loss
        return 6.0 * self.parameters * self.training_tokens

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Scores:
        """The chosen models."""
        n, d = self.parameters, self.training_tokens
        return Scores(
            self.loss[chosen],
            self.score[chosen],
            None if n is None else n[chosen],
            None if d is None else d[chosen],
            self.loss_is_measured,
        )


@dataclass(frozen=True)
class Forecast:
    """Errors of one route at runs that were left out, as score points in [0, 1]."""

    route: str
    """map: from the measured loss; two-step: loss from size and tokens, then the map; direct:
    score from size and tokens."""
    runs: int
    """Left out, the largest."""
    largest: float
    """Forecast minus measured score of the largest run."""
    mean: float
    """Mean absolute error over the runs left out."""


@dataclass(frozen=True)
class AccuracyFit:
    """A fitted map and what is known of it."""

    form: str
    values: dict[str, float]
    draws: FloatArray  # (draw, constant)
    residuals: FloatArray  # (run,), measured - fitted
    band: tuple[float, float]
    """Quantiles of the residuals between which `BAND` of them lie."""
    huber_sum: float
    starts: int
    agreeing: int
    fixed: tuple[str, ...]
    at_edge: tuple[str, ...]
    forecasts: tuple[Forecast, ...]

    @property
    def rms_error(self) -> float:
        """Root mean square of the residuals."""
        return float(np.sqrt(np.mean(self.residuals**2)))


@dataclass(frozen=True)
class _Fitted:
    at: FloatArray  # (1, coordinate)
    sums: FloatArray
    free: FloatArray
    low: FloatArray
    high: FloatArray
    form: ScoreMap


def fit_accuracy(
    scores: Scores,
    *,
    form: str = "sigmoid",
    offset: float | None = None,
    ceiling: float | None = None,
    draws: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> AccuracyFit:
    """Map of least Huber sum of the residuals of score.

    Parameters
    ----------
    scores : more than there are constants, of losses that are not all the same.
    form : of `MAPS`.
    offset : score at infinite loss to hold fixed, such as 0.25 for four choices; None fits it.
    ceiling : score of the best model to hold fixed, sigmoid only; None fits it.
    draws, seed : resamples of the models, each fitted anew from the estimate.

    Notes
    -----
    Both the chain of Bhagia et al. 2024 (arXiv:2412.04403, loss from size and tokens, then a
    sigmoid) and the direct form of Krajewski et al. 2025 (arXiv:2512.08894,
    ``-ln score = A / N^alpha + B / D^beta``) are asked to forecast the largest runs from the
    others. A residual band belongs to every map: it says how far single models lie off it.
    """
    fitted = _fit(scores, form, offset, ceiling)
    drawn = np.empty((0, fitted.at.shape[1]))
    if draws:
        drawn = _resampled(scores, fitted, draws, seed, progress)
    told = fitted.form.scores(fitted.at, scores.loss)[0][0]
    residuals = scores.score - told
    tail = (1.0 - BAND) / 2.0
    low, high = (float(x) for x in np.quantile(residuals, (tail, 1.0 - tail)))
    least = float(fitted.sums.min())
    held = [("offset", offset), ("ceiling", ceiling)]
    return AccuracyFit(
        form=form,
        values=dict(
            zip(fitted.form.constants, map(float, fitted.form.values(fitted.at)[0]), strict=True)
        ),
        draws=fitted.form.values(drawn),
        residuals=residuals,
        band=(low, high),
        huber_sum=least,
        starts=len(fitted.sums),
        agreeing=int(np.sum(fitted.sums <= least * (1.0 + _SAME) + len(scores) * 1e-18)),
        fixed=tuple(name for name, value in held if value is not None),
        at_edge=_at_edge(fitted),
        forecasts=tuple(_forecasts(scores, form, offset, ceiling)),
    )


_NATURAL = (("offset", "low"), ("scale", "high"), ("ceiling", "high"))
"""Ends that a map may well have: no score by chance, all solved."""


def _at_edge(fitted: _Fitted) -> tuple[str, ...]:
    """Constants that ran to an end that is no natural one."""
    at, free = fitted.at[0], fitted.free > 0.0
    ends = {"low": at <= fitted.low + 1e-9, "high": at >= fitted.high - 1e-9}
    return tuple(
        name
        for index, name in enumerate(fitted.form.coordinates)
        for end, there in ends.items()
        if free[index] and there[index] and (name, end) not in _NATURAL
    )


def _fit(scores: Scores, form: str, offset: float | None, ceiling: float | None) -> _Fitted:
    kind: ScoreMap = MAPS[form](Scaled.of(scores.loss), offset, ceiling)
    low, high = kind.box()
    starts = kind.grid()
    free = np.ones(starts.shape[1])
    for index, value in kind.held.items():
        starts[:, index], free[index] = value, 0.0
    starts = np.unique(starts, axis=0)

    def residuals(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        told, slopes = kind.scores(at, scores.loss)
        return told - scores.score, slopes

    found = minimise(
        residuals, starts, low=low, high=high, delta=HUBER, free=free, rows=len(scores)
    )
    best = found.coordinates[[np.argmin(found.sums)]]
    return _Fitted(best, found.sums, free, low, high, kind)


def _resampled(
    scores: Scores, fitted: _Fitted, draws: int, seed: int, progress: Progress | None
) -> FloatArray:
    def residuals(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        told, slopes = fitted.form.scores(at, scores.loss)
        return told - scores.score, slopes

    return minimise(
        residuals,
        np.repeat(fitted.at, draws, axis=0),
        low=fitted.low,
        high=fitted.high,
        delta=HUBER,
        weights=resampling_weights(len(scores), draws, seed),
        free=fitted.free,
        rows=len(scores),
        progress=None if progress is None else lambda share: progress("resamples", share),
    ).coordinates


def _forecasts(
    scores: Scores, form: str, offset: float | None, ceiling: float | None
) -> list[Forecast]:
    """Every route that the rest of the runs can carry."""
    count = max(1, round(HELD_OUT * len(scores)))
    order = np.argsort(scores.size, kind="stable")
    rest, held = scores.take(order[:-count]), scores.take(order[-count:])
    constants = len(MAPS[form].constants)
    if len(rest) <= constants or float(np.ptp(rest.loss)) <= 0.0:
        return []
    fitted = _fit(rest, form, offset, ceiling)
    values = dict(
        zip(fitted.form.constants, map(float, fitted.form.values(fitted.at)[0]), strict=True)
    )
    routes = [("map" if scores.loss_is_measured else "two-step", score(form, values, held.loss))]
    runs = _as_runs(rest, rest.loss)
    if runs is not None and held.parameters is not None and held.training_tokens is not None:
        if scores.loss_is_measured and bool(np.all(rest.loss > 0.0)):
            law = fit_loss(runs).law
            told = law.loss(held.parameters, held.training_tokens)
            routes.append(("two-step", score(form, values, told)))
        solved = _as_runs(rest, -np.log(np.clip(rest.score, _LEAST_LOGIT, 1.0 - _LEAST_LOGIT)))
        if solved is not None:
            law = fit_loss(solved, irreducible=0.0).law
            told = np.exp(-law.loss(held.parameters, held.training_tokens))
            routes.append(("direct", told))
    return [_error(route, told, held.score) for route, told in routes]


def _as_runs(scores: Scores, loss: FloatArray) -> LossRuns | None:
    """The runs, if there are enough of different sizes and tokens to fit a law."""
    n, d = scores.parameters, scores.training_tokens
    if n is None or d is None or len(scores) < 8:
        return None
    if min(len(np.unique(n)), len(np.unique(d))) < 3 or float(np.ptp(d / n)) <= 0.01 * float(
        np.min(d / n)
    ):
        return None
    return LossRuns(n, d, loss)


def _error(route: str, told: FloatArray, measured: FloatArray) -> Forecast:
    off = told - measured
    return Forecast(route, len(off), float(off[-1]), float(np.mean(np.abs(off))))
