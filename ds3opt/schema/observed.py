"""Measured accuracies of a class, and where a fitted class is from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, model_validator

from ds3opt.errors import UsageError
from ds3opt.policies import Policy
from ds3opt.policies.short_form import measured_policy
from ds3opt.schema.fitted import Text
from ds3opt.schema.quantities import (
    ContradictionError,
    Fraction,
    Number,
    Parameters,
    Positive,
    Section,
    Tokens,
)


class ObservedAccuracy(Section):
    """One measured accuracy: of which model, at what budget, by what policy, on how many tasks."""

    model: Annotated[str, Field(max_length=200)] = ""
    """What the model is called."""
    loss: Positive | None = None
    """Its pretraining loss (nats/token); or parameters and training_tokens, from which the loss
    law gives it."""
    parameters: Parameters | None = None
    """Its size."""
    training_tokens: Tokens | None = None
    """Tokens it was trained on."""
    token_budget: Tokens | None = None
    """Tokens of one task, all traces together; or max_output_tokens."""
    max_output_tokens: Tokens | None = None
    """Cap on the tokens of one trace."""
    policy: Annotated[str, Field(max_length=80)] = "chain_of_thought"
    """In its short form: chain_of_thought, best_of_n:8, majority_vote:9, tree_of_thought:4; or
    pass@8, maj@8."""
    samples: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    """Traces, where policy does not say."""
    branches: Annotated[StrictInt, Field(ge=1, le=10_000)] | None = None
    """Candidate steps a level, where policy does not say."""
    accuracy: Fraction
    """Share of the problems that were solved."""
    problems: Annotated[StrictInt, Field(ge=1, le=10**12)]
    """How many were tried."""

    @model_validator(mode="after")
    def _complete(self) -> ObservedAccuracy:
        if self.loss is None and (self.parameters is None or self.training_tokens is None):
            raise ValueError("give the model's loss, or parameters and training_tokens")
        if self.token_budget is None and self.max_output_tokens is None:
            raise ValueError("give token_budget, of all traces, or max_output_tokens, of one")
        try:
            self.answering()
        except UsageError as error:
            told = error.problems[0]
            raise ContradictionError("policy", told.message, told.hint) from None
        return self

    def answering(self) -> tuple[Policy, bool]:
        """The policy, and whether it is coverage, in which nothing judges."""
        return measured_policy(self.policy, self.samples, self.branches)


class FittedClass(Section):
    """What stands behind a class whose constants were fitted."""

    source: Text = ""
    """The data."""
    fitted_loss: tuple[Number, Number] | None = None
    """Lowest and highest loss of the models that were measured; beyond them answers say so."""
    doubts: tuple[Text, ...] = ()
    """What the data do not tell; answers repeat it."""
