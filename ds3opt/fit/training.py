"""Utilisation of training runs from measured ones."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws._types import FloatArray
from ds3opt.laws.training_run import attention_share, model_flop_utilisation

Names = NDArray[np.str_]
_SCALE = 0.1
"""Error, relative, from which on a run weighs less."""


@dataclass(frozen=True)
class TrainingRuns:
    """Measured training runs, one element of each array for each."""

    model: Names
    accelerator: Names
    precision: Names
    parameters: FloatArray
    layers: FloatArray
    attention_width: FloatArray
    sequence_tokens: FloatArray
    accelerators: FloatArray
    utilisation: FloatArray
    """Model FLOP over peak FLOP of the precision, in (0, 1]."""

    def __len__(self) -> int:
        return len(self.utilisation)

    @property
    def attention_share(self) -> FloatArray:
        """Share of the FLOP that attention takes."""
        return attention_share(
            self.parameters,
            layers=self.layers,
            attention_width=self.attention_width,
            sequence_tokens=self.sequence_tokens,
        )

    def take(self, chosen: NDArray[np.bool_]) -> TrainingRuns:
        """The chosen runs."""
        return TrainingRuns(*(getattr(self, field.name)[chosen] for field in fields(self)))


def fit_training(runs: TrainingRuns) -> tuple[float, float]:
    """Utilisation of matrix products and of attention, of least robust relative error.

    The runs should share an accelerator and a precision. Residuals are logarithms under a Cauchy
    loss; both utilisations lie in (0, 1) by substitution.
    """
    from scipy.optimize import least_squares

    share = runs.attention_share

    def residuals(x: FloatArray) -> FloatArray:
        matrix, attention = _shares(x)
        told = model_flop_utilisation(matrix, attention, share)
        return np.asarray(np.log(runs.utilisation / told))

    found = least_squares(residuals, np.zeros(2), loss="cauchy", f_scale=_SCALE)
    matrix, attention = _shares(found.x)
    return float(matrix), float(attention)


def held_out_training(runs: TrainingRuns) -> FloatArray:
    """Utilisation of each run as predicted from the runs of other models."""
    told = np.full(len(runs), np.nan)
    for model in sorted(set(runs.model.tolist())):
        left = runs.model == model
        if left.all():
            continue
        matrix, attention = fit_training(runs.take(~left))
        told[left] = model_flop_utilisation(matrix, attention, runs.take(left).attention_share)
    return told


def _shares(x: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0)))
