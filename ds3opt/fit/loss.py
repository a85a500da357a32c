"""A loss law from training runs: its constants, how well they are known, how well they fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from ds3opt.fit.bootstrap import resampling_weights
from ds3opt.fit.loss_surface import Surface
from ds3opt.fit.robust import huber, minimise
from ds3opt.laws._types import FloatArray
from ds3opt.laws.loss import MUENNIGHOFF_REPETITION, FittedRange, LossLaw, Repetition

HUBER = 1e-3
"""Residual of log loss beyond which a run pulls no harder; Hoffmann et al. 2022."""
CONSTANTS = (
    "irreducible",
    "parameter_coefficient",
    "data_coefficient",
    "parameter_exponent",
    "data_exponent",
    "data_decay",
    "parameter_decay",
)
"""Columns of `LossFit.draws`; the last two only where repetition was fitted."""
Progress = Callable[[str, float], None]

_EXPONENTS = (0.1, 0.3, 0.6, 1.0, 1.5)
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
_DECAYS = (2.0, 15.0)
"""Levels of the grid of starts."""
_MOST_POLISHED = 1250
"""Starts followed to their end, those of least Huber sum."""
_SAME = 0.01
"""Huber sums that agree to this share are the same minimum."""
_EXPONENT_ENDS = (log(1e-3), log(10.0))
_LARGEST_POWER = 600.0
"""Of e in the coefficients, so that they are float64 whatever the unit of sizes is."""
_DECAY_ENDS = (log(1e-2), log(1e4))
_LEAST_SHARE = 1e-6
"""Of the lowest loss: an irreducible loss below it is none."""


@dataclass(frozen=True)
class LossRuns:
    """Training runs, one element of each array for each."""

    parameters: FloatArray
    training_tokens: FloatArray
    loss: FloatArray
    """Nats per token, final."""
    unique_tokens: FloatArray | None = None
    """Distinct tokens, inf where they never ran short; None: every token was fresh."""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def training_flop(self) -> FloatArray:
        """6 N D."""
        return 6.0 * self.parameters * self.training_tokens

    @property
    def repeats(self) -> bool:
        """Whether any run saw tokens more than once."""
        return self.unique_tokens is not None and bool(
            np.any(self.training_tokens > self.unique_tokens * (1.0 + 1e-9))
        )

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> LossRuns:
        """The chosen runs."""
        unique = self.unique_tokens
        return LossRuns(
            self.parameters[chosen],
            self.training_tokens[chosen],
            self.loss[chosen],
            None if unique is None else unique[chosen],
        )


@dataclass(frozen=True)
class LossFit:
    """A fitted law and what is known of it."""

    law: LossLaw
    names: tuple[str, ...]
    """Constants, in the order of the columns of `draws`."""
    draws: FloatArray  # (draw, constant)
    """Joint draws; no rows where none were asked for."""
    huber_sum: float
    log_residuals: FloatArray  # (run,), ln measured - ln fitted
    starts: int
    """Of the grid."""
    polished: int
    """Starts followed to a minimum."""
    agreeing: int
    """Of those, how many reached the least sum within 1 %."""
    fixed: tuple[str, ...]
    """Constants that were given and not fitted."""
    at_edge: tuple[str, ...]
    """Constants that ran to the end of what was allowed: the data do not identify them."""

    @property
    def values(self) -> dict[str, float]:
        """Every constant by name."""
        return dict(zip(self.names, law_constants(self.law), strict=False))

    @property
    def rms_log_error(self) -> float:
        """Root mean square of the residuals of log loss."""
        return float(np.sqrt(np.mean(self.log_residuals**2)))


def law_constants(law: LossLaw) -> tuple[float, ...]:
    """Constants of a law in the order of `CONSTANTS`."""
    found = [getattr(law, name) for name in CONSTANTS[:5]]
    if law.repetition is not None:
        found += [law.repetition.data_decay, law.repetition.parameter_decay]
    return tuple(float(x) for x in found)


def fit_loss(
    runs: LossRuns,
    *,
    irreducible: float | None = None,
    draws: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> LossFit:
    """Law of least Huber sum of the residuals of log loss.

    Parameters
    ----------
    runs : more than there are constants, of three sizes and three amounts of tokens at least.
    irreducible : E to hold fixed, nats per token, >= 0 and below every loss; None fits it.
    draws : resamples of the runs, each fitted anew from the estimate and from the least-squares
        fit, for the uncertainty.
    seed : of the resamples.

    Notes
    -----
    The objective of Hoffmann et al. 2022 (arXiv:2203.15556, D.3), summed and not averaged, as in
    the replication of Besiroglu et al. 2024 (arXiv:2404.10102): with a mean the usual tolerance of
    an optimiser ends it early. Starts are a full grid of exponents and of shares of the loss at
    the centre of the data; theirs is in units of ln A at N = 1 and holds mostly absurd losses.
    Repetition is fitted jointly where some run saw its tokens more than once.
    """
    surface = _surface(runs)
    fixed: tuple[str, ...] = () if irreducible is None else ("irreducible",)
    box = _Box.of(runs, surface, irreducible)
    target = np.log(runs.loss)
    rows = len(runs)

    def residuals(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        told, slopes = surface.log_loss(at)
        return told - target, slopes

    def solved(
        starts: FloatArray,
        weights: FloatArray | None = None,
        delta: float = HUBER,
        stage: str = "",
    ) -> tuple[FloatArray, FloatArray]:
        found = minimise(
            residuals,
            starts,
            low=box.low,
            high=box.high,
            delta=delta,
            weights=weights,
            free=box.free,
            rows=rows,
            progress=None if progress is None else lambda share: progress(stage, share),
        )
        return found.coordinates, found.sums

    starts = _grid(runs, surface, irreducible)
    screened = huber(residuals(np.clip(starts, box.low, box.high))[0], HUBER).sum(axis=1)
    chosen = np.argsort(screened, kind="stable")[:_MOST_POLISHED]
    ends, sums = solved(starts[chosen], stage="starts")
    best = ends[np.argmin(sums)]
    least = float(sums.min())

    drawn = np.empty((0, surface.size))
    if draws:
        smooth, _ = solved(best[None, :], delta=inf, stage="starts")
        weights = resampling_weights(rows, draws, seed)
        tries = [
            solved(np.repeat(start, draws, axis=0), weights, stage="resamples")
            for start in (best[None, :], smooth)
        ]
        from_smooth = tries[1][1] < tries[0][1]
        drawn = np.where(from_smooth[:, None], tries[1][0], tries[0][0])

    free = box.free > 0.0
    edge = free & ((best <= box.low + 1e-9) | (best >= box.high - 1e-9))
    names = CONSTANTS[: surface.size]
    law = _law(surface.constants(best[None, :])[0], runs, irreducible)
    constants = surface.constants(drawn)
    if irreducible is not None:
        constants[:, 0] = irreducible
    unneeded = surface.size == 7 and not _some_beyond(law, runs)
    if unneeded:
        law, constants, fixed = _without_parameter_decay(law, constants, fixed)
    return LossFit(
        law=law,
        names=names,
        draws=constants,
        huber_sum=least,
        log_residuals=-residuals(best[None, :])[0][0],
        starts=len(starts),
        polished=len(chosen),
        agreeing=int(np.sum(sums <= least * (1.0 + _SAME) + _nothing(rows))),
        fixed=fixed,
        at_edge=tuple(_AT[i] for i in np.flatnonzero(edge) if _AT[i] not in fixed),
    )


_AT = ("parameter_coefficient", "data_coefficient", "irreducible", *CONSTANTS[3:])
"""The constant that each coordinate stands for."""


def fitted_range(runs: LossRuns, source: str = "") -> FittedRange:
    """What the runs span."""

    def ends(values: FloatArray) -> tuple[float, float]:
        return float(values.min()), float(values.max())

    return FittedRange(
        parameters=ends(runs.parameters),
        training_tokens=ends(runs.training_tokens),
        tokens_per_parameter=ends(runs.training_tokens / runs.parameters),
        source=source,
    )


def _nothing(rows: int) -> float:
    """Huber sum of residuals that are all rounding."""
    return rows * 0.5 * (1e-6 * HUBER) ** 2


def _surface(runs: LossRuns) -> Surface:
    unique = None
    if runs.repeats and runs.unique_tokens is not None:
        unique = np.log(runs.unique_tokens)
    return Surface(np.log(runs.parameters), np.log(runs.training_tokens), unique)


@dataclass(frozen=True)
class _Box:
    """Where coordinates may be, and which of them move."""

    low: FloatArray
    high: FloatArray
    free: FloatArray

    @staticmethod
    def of(runs: LossRuns, surface: Surface, irreducible: float | None) -> _Box:
        least, greatest = log(float(runs.loss.min())), log(float(runs.loss.max()))
        wide = (least - 30.0, greatest + 30.0)
        ends = [wide, wide, (least + log(_LEAST_SHARE), greatest)]
        for centre in surface.centre:
            steepest = log(_LARGEST_POWER / max(abs(centre), 1.0))
            ends.append((_EXPONENT_ENDS[0], min(_EXPONENT_ENDS[1], steepest)))
        ends += [_DECAY_ENDS] * (surface.size - 5)
        free = np.ones(surface.size)
        if irreducible is not None:
            ends[2] = (_log_irreducible(irreducible), greatest)
            free[2] = 0.0
        low, high = np.array(ends).T
        return _Box(low, high, free)


def _log_irreducible(irreducible: float) -> float:
    return log(irreducible) if irreducible > 0.0 else -700.0


def _grid(runs: LossRuns, surface: Surface, irreducible: float | None) -> FloatArray:
    """Starts that all have the median loss at the centre of the data."""
    middle = float(np.median(runs.loss))
    shares: tuple[float, ...] = _SHARES
    if irreducible is not None:
        shares = (irreducible / middle,)
    decays = [_DECAYS] * (surface.size - 5)
    return np.array(
        [
            (
                log(middle * (1.0 - none) * of_size),
                log(middle * (1.0 - none) * (1.0 - of_size)),
                _log_irreducible(middle * none),
                log(alpha),
                log(beta),
                *(log(x) for x in decay),
            )
            for none, of_size, alpha, beta, *decay in product(
                shares, _SHARES, _EXPONENTS, _EXPONENTS, *decays
            )
        ]
    )


def _law(constants: FloatArray, runs: LossRuns, irreducible: float | None) -> LossLaw:
    e, a, b, alpha, beta, *decays = (float(x) for x in constants)
    repetition = Repetition(decays[0], decays[1], "fitted with the law") if decays else None
    return LossLaw(
        e if irreducible is None else irreducible,
        a,
        b,
        alpha,
        beta,
        fitted_range=fitted_range(runs),
        repetition=repetition,
    )


def _some_beyond(law: LossLaw, runs: LossRuns) -> bool:
    """Whether some run has more parameters than its unique tokens can fill."""
    assert runs.unique_tokens is not None
    return bool(np.any(runs.parameters > law.optimal_parameters(runs.unique_tokens)))


def _without_parameter_decay(
    law: LossLaw, constants: FloatArray, fixed: tuple[str, ...]
) -> tuple[LossLaw, FloatArray, tuple[str, ...]]:
    """The law with the published decay of parameters, where no run says anything of it."""
    assert law.repetition is not None
    published = MUENNIGHOFF_REPETITION.parameter_decay
    source = f"data fitted; parameters from {MUENNIGHOFF_REPETITION.source}"
    repetition = Repetition(law.repetition.data_decay, published, source)
    constants = constants.copy()
    constants[:, 6] = published
    return replace(law, repetition=repetition), constants, (*fixed, "parameter_decay")
