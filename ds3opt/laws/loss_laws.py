"""Loss laws side by side: one for each row of the arrays that they are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws._types import ArrayLike, FloatArray, refuse
from ds3opt.laws.loss import FittedRange, LossLaw, Repetition

_COEFFICIENTS = (
    "irreducible",
    "parameter_coefficient",
    "data_coefficient",
    "parameter_exponent",
    "data_exponent",
)


@dataclass(frozen=True)
class LossLaws:
    """Several loss laws, such as the draws of a fit, asked at once.

    The first axis of every argument is the law: ``loss(N, D)`` with arrays (law, ...) is the loss
    of each row under its own law.

    >>> toy = LossLaw(1.0, 8.0, 27.0, 0.5, 0.5)
    >>> other = LossLaw(2.0, 8.0, 27.0, 0.5, 0.5)
    >>> LossLaws.of([toy, other]).loss([[64.0], [64.0]], [[729.0], [729.0]]).tolist()
    [[3.0], [4.0]]
    """

    irreducible: Any  # FloatArray (law,), where one law has a float
    parameter_coefficient: FloatArray  # (law,)
    data_coefficient: FloatArray  # (law,)
    parameter_exponent: FloatArray  # (law,)
    data_exponent: FloatArray  # (law,)
    data_decay: FloatArray | None = None  # (law,) of repeated tokens
    parameter_decay: FloatArray | None = None  # (law,)
    name: str = ""
    source: str = ""
    note: str = ""
    fitted_range: FittedRange | None = field(default=None)

    @staticmethod
    def of(laws: Sequence[LossLaw]) -> LossLaws:
        """Laws in their order; all of them know what repetition does, or none.

        Raises
        ------
        ValueError : where some laws know of repetition and others do not.
        """
        known = [law.repetition for law in laws if law.repetition is not None]
        if known and len(known) < len(laws):
            raise refuse("repetition", "stated by every law or by none", len(known))
        first = laws[0]
        arrays: dict[str, Any] = {
            name: np.array([getattr(law, name) for law in laws]) for name in _COEFFICIENTS
        }
        if known:
            arrays["data_decay"] = np.array([one.data_decay for one in known])
            arrays["parameter_decay"] = np.array([one.parameter_decay for one in known])
        return LossLaws(
            **arrays,
            name=first.name,
            source=first.source,
            note=first.note,
            fitted_range=first.fitted_range,
        )

    def __len__(self) -> int:
        return int(self.data_exponent.size)

    def take(self, index: NDArray[np.intp]) -> LossLaws:
        """The laws at an index, which may repeat."""
        arrays = {
            one.name: getattr(self, one.name)[index]
            for one in fields(self)
            if isinstance(getattr(self, one.name), np.ndarray)
        }
        return replace(self, **arrays)

    def loss(
        self, parameters: ArrayLike, training_tokens: ArrayLike, unique_tokens: ArrayLike = np.inf
    ) -> FloatArray:
        """`LossLaw.loss` of every row, (law, ...)."""
        return self._along(parameters).loss(parameters, training_tokens, unique_tokens)

    def training_tokens_for(
        self, loss: ArrayLike, parameters: ArrayLike, unique_tokens: ArrayLike = np.inf
    ) -> FloatArray:
        """`LossLaw.training_tokens_for` of every row, (law, ...)."""
        return self._along(parameters).training_tokens_for(loss, parameters, unique_tokens)

    def optimal_tokens(self, parameters: ArrayLike) -> FloatArray:
        """`LossLaw.optimal_tokens` of every row, (law, ...)."""
        return self._along(parameters).optimal_tokens(parameters)

    def largest_parameters(self, loss: ArrayLike) -> FloatArray:
        """Any, as for every `LossLaw`."""
        return np.full(np.shape(loss), np.inf)[()]

    def _along(self, rows: ArrayLike) -> LossLaw:
        """The laws with axes for what follows the first axis of an argument."""
        return self._column if np.ndim(rows) == 2 else self._flat

    @cached_property
    def _flat(self) -> LossLaw:
        return self._shaped((-1,))

    @cached_property
    def _column(self) -> LossLaw:
        return self._shaped((-1, 1))

    def _shaped(self, shape: tuple[int, ...]) -> LossLaw:
        # the formulas of a law take coefficients of any shape that broadcasts
        coefficients: dict[str, Any] = {
            name: getattr(self, name).reshape(shape) for name in _COEFFICIENTS
        }
        repetition = None
        if self.data_decay is not None and self.parameter_decay is not None:
            repetition = Repetition(
                self.data_decay.reshape(shape),  # type: ignore[arg-type]
                self.parameter_decay.reshape(shape),  # type: ignore[arg-type]
            )
        return LossLaw(**coefficients, name=self.name, repetition=repetition)
