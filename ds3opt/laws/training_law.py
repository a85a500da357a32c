"""What the optimiser asks of a law of training: how good a model gets, and what that takes."""

from __future__ import annotations

from typing import Protocol

from ds3opt.laws._types import ArrayLike, FloatArray
from ds3opt.laws.loss import FittedRange


class TrainingLaw(Protocol):
    """A law under which more parameters and more tokens never make a model worse.

    `loss` is any measure that falls as a model gets better and rises with nothing. At a fixed loss
    the logarithm of the training tokens must be convex in that of the parameters.
    """

    @property
    def irreducible(self) -> float:
        """A loss that no model goes below."""

    @property
    def name(self) -> str:
        """What the law is called."""

    @property
    def source(self) -> str:
        """Publication and the place in it."""

    @property
    def note(self) -> str:
        """What a user of this law should know first."""

    @property
    def fitted_range(self) -> FittedRange | None:
        """What the law was fitted on; None where that is not said."""

    def loss(
        self,
        parameters: ArrayLike,
        training_tokens: ArrayLike,
        unique_tokens: ArrayLike = ...,
    ) -> FloatArray:
        """Loss of a model of this size trained on so many tokens."""

    def training_tokens_for(
        self, loss: ArrayLike, parameters: ArrayLike, unique_tokens: ArrayLike = ...
    ) -> FloatArray:
        """Fewest training tokens with which a model of this size reaches the loss; inf if none."""

    def optimal_tokens(self, parameters: ArrayLike) -> FloatArray:
        """Training tokens that are compute-optimal for a model size."""

    def largest_parameters(self, loss: ArrayLike) -> FloatArray:
        """Largest model that can be as bad as this loss; inf where any can."""
