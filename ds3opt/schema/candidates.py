"""Models that exist: what they are, where they run, and how well they were measured to do."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, StrictBool, StrictInt, model_validator

from ds3opt.laws._types import FloatArray
from ds3opt.laws.populations import BetaProblems, CountedProblems, Population, SingleRate
from ds3opt.schema.fitted import JointDraws, parsed_draws
from ds3opt.schema.model_shape import ModelShapeSpec, StoredPrecision
from ds3opt.schema.quantities import (
    ContradictionError,
    Flop,
    Fraction,
    Positive,
    PositiveFraction,
    PricePerToken,
    Seconds,
    Section,
    Tokens,
)

Name = Annotated[str, Field(min_length=1, max_length=80)]


class BetaPopulation(Section):
    """Chance of solving a problem in one trace, over problems: Beta, and a part never solved."""

    alpha: Annotated[Positive, Field(ge=1e-9, le=1e9)]
    """First parameter of the Beta distribution."""
    beta: Annotated[Positive, Field(ge=1e-9, le=1e9)]
    """Second parameter of the Beta distribution."""
    solvable: PositiveFraction = 1.0
    """Share of problems that can be solved at all."""
    name: Annotated[str, Field(max_length=200)] = ""
    """Where the population is from; a file of `ds3opt fit coverage` gives it."""
    fitted_samples: tuple[Positive, Positive] | None = None
    """Fewest and most traces of a problem that it was fitted to."""
    draws: JointDraws = ""
    """Joint draws of alpha, beta and solvable, as such a file has them."""

    @model_validator(mode="after")
    def _possible_draws(self) -> BetaPopulation:
        names, rows = parsed_draws(self.draws)
        for name, column in zip(names, rows.T, strict=True):
            wrong = (column <= 0.0) | ((column > 1.0) if name == "solvable" else False)
            if np.any(wrong):
                number = int(np.argmax(wrong))
                most = " and at most 1" if name == "solvable" else ""
                raise ContradictionError(
                    "draws",
                    f"draw {number + 1} has {name} = {column[number]:g}: must be above 0{most}",
                )
        return self

    def drawn(self) -> FloatArray | None:
        """The draws of alpha, beta and solvable, (constant, draw); None where fewer than two."""
        names, rows = parsed_draws(self.draws)
        constants = ("alpha", "beta", "solvable")
        if len(rows) < 2 or not set(constants) <= set(names):
            return None
        return np.stack([rows[:, names.index(name)] for name in constants])


class SolvedCount(Section):
    """One problem that was tried several times."""

    samples: Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]
    """How often it was tried."""
    correct: Annotated[StrictInt, Field(ge=0)]
    """How often it was solved."""

    @model_validator(mode="after")
    def _possible(self) -> SolvedCount:
        if self.correct > self.samples:
            raise ValueError(f"{self.correct} of {self.samples} samples cannot be correct")
        return self


class Outcome(Section):
    """One measured way of answering: what it reached, and what it generated."""

    policy: Name
    """The way in words, such as `weighted vote, REBASE`."""
    accuracy: Fraction
    """Share of tasks solved."""
    samples: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 1
    """Traces that run side by side for one task."""
    output_tokens: Tokens | None = None
    """Tokens generated for one task, all traces together."""
    flop: Annotated[Flop, Field(le=1e30)] | None = None
    """Inference FLOP of one task without judging; tokens follow from two FLOP a parameter."""
    judged: StrictBool = False
    """Whether the class's verifier model reads every trace, and is charged for it."""

    @model_validator(mode="after")
    def _sized(self) -> Outcome:
        if (self.output_tokens is None) == (self.flop is None):
            raise ValueError("give either output_tokens or flop")
        return self


class Measured(Section):
    """How well a model does on one class, in one of four forms."""

    accuracy: Fraction | None = None
    """Share of tasks solved in one trace."""
    success_counts: tuple[SolvedCount, ...] | None = None
    """Counts per problem, in place or a CSV file with the columns samples and correct."""
    population: BetaPopulation | None = None
    """Distribution of the chance over problems, in place or a file of `ds3opt fit coverage`."""
    outcomes: Annotated[tuple[Outcome, ...], Field(min_length=1)] | None = None
    """Ways of answering that were measured as a whole."""
    output_tokens: Tokens | None = None
    """Tokens of one trace on average; all but `outcomes` need it."""
    longest_output_tokens: Tokens | None = None
    """Tokens of the longest trace, for max_latency; left out: as the average."""

    @model_validator(mode="after")
    def _one_form(self) -> Measured:
        forms = ("accuracy", "success_counts", "population", "outcomes")
        given = [form for form in forms if getattr(self, form) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(forms)}")
        if self.outcomes is None and self.output_tokens is None:
            raise ValueError("output_tokens is missing: how long is a trace on average?")
        if self.success_counts == ():
            raise ContradictionError("success_counts", "success_counts is empty")
        if self.output_tokens is not None and self.longest_output_tokens is not None:
            average, longest = self.output_tokens, self.longest_output_tokens
            if longest < average:
                raise ContradictionError(
                    "longest_output_tokens",
                    f"the longest trace, {longest:g} tokens, is shorter than the average, "
                    f"{average:g}",
                )
        return self

    def over(self) -> Population:
        """The problems that were measured, as a law sees them."""
        if self.accuracy is not None:
            return SingleRate(self.accuracy)
        if self.success_counts is not None:
            tried = np.array([one.samples for one in self.success_counts], dtype=np.float64)
            right = np.array([one.correct for one in self.success_counts], dtype=np.float64)
            return CountedProblems(tried, right)
        assert self.population is not None
        spread = self.population
        return BetaProblems(spread.alpha, spread.beta, spread.solvable)


class Hosted(Section):
    """A model that somebody else serves, paid by the token."""

    input_price: PricePerToken
    """USD for each token read."""
    output_price: PricePerToken
    """USD for each token generated."""
    output_tokens_per_s: Positive | None = None
    """Speed of one trace; classes with max_latency need it."""
    first_token: Seconds | None = None
    """Time before the first token."""


class Candidate(Section):
    """A model that exists."""

    name: Name
    """Name of the model in reports."""
    shape: ModelShapeSpec | None = None
    """Of the catalogue of models, a Hugging Face config.json, or in place."""
    hosted: Hosted | None = None
    """Served elsewhere at a price per token, and not on hardware.inference."""
    weights: StoredPrecision | None = None
    """Overrides hardware.inference.weights."""
    loss: Positive | None = None
    """Pretraining loss (nats/token), for classes without measurements."""
    measured: dict[str, Measured] = Field(default_factory=dict)
    """By name of the class; a class with neither measurements nor loss cannot use the model."""

    @model_validator(mode="after")
    def _known(self) -> Candidate:
        if self.shape is None and self.hosted is None:
            raise ValueError("give a shape, to run the model, or hosted, to buy its tokens")
        if self.loss is None and not self.measured:
            raise ValueError("nothing says how well it does: give measured classes or a loss")
        if self.loss is not None and self.shape is None:
            raise ValueError("a loss needs a shape beside it")
        if self.loss is not None and self.hosted is not None:
            raise ValueError(
                "a hosted model is known by its measurements: give measured classes, no loss"
            )
        by_flop = [
            outcome
            for one in self.measured.values()
            for outcome in one.outcomes or ()
            if outcome.flop is not None
        ]
        if by_flop and self.shape is None:
            raise ValueError("outcomes measured in flop need a shape")
        return self
