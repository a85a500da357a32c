"""Files of what is fitted to samples: a population, how wrong answers split, a verifier."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ds3opt.schema.candidates import BetaPopulation
from ds3opt.schema.fitted import Count, Estimate, FittedData, Text, only_these, source_of
from ds3opt.schema.workload import Verifier, WrongAnswers

RATES = ("true_positive_rate", "false_positive_rate")
VERIFIER_FORMS = ("rates", "scores")
"""How a scenario may take a verifier: as one that accepts, or as one that ranks."""


class _Fitted(Estimate):
    version: Literal[1] = 1
    """Of this layout."""
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What reports call it."""
    data: FittedData
    """What it was fitted to."""
    ds3opt_version: Text = ""
    """What fitted it."""

    @property
    def source(self) -> str:
        """The data in one line."""
        return source_of(self.data)


class PopulationFile(_Fitted):
    """A fitted population of problems: Beta(alpha, beta) on a share, the rest never solved."""

    kind: Literal["coverage"]
    """What the file holds."""

    @model_validator(mode="after")
    def _complete(self) -> PopulationFile:
        only_these(set(self.values), ("alpha", "beta", "solvable"))
        BetaPopulation.model_validate(self.population())
        return self

    def population(self) -> dict[str, Any]:
        """What a scenario takes for the population, as plain data."""
        found: dict[str, Any] = {**self.values, "name": self.name, "draws": self.draws}
        if self.fitted_range.samples is not None:
            found["fitted_samples"] = list(self.fitted_range.samples)
        return found


class VotingFile(_Fitted):
    """How wrong answers split, fitted to votes."""

    kind: Literal["voting"]
    """What the file holds."""
    wrong_answers: Annotated[Count, Field(ge=2, le=1000)]
    """Number of distinct wrong answers, which was given."""
    population: Text = ""
    """The problems that the votes were on: it holds for them alone."""

    @model_validator(mode="after")
    def _complete(self) -> VotingFile:
        only_these(set(self.values), ("decay", "top_share", "plateau"))
        WrongAnswers.model_validate(self.spectrum())
        return self

    def spectrum(self) -> dict[str, Any]:
        """What a scenario takes for wrong_answers, as plain data."""
        return {
            "count": self.wrong_answers,
            "decay": self.values["decay"],
            "name": self.name,
            "draws": self.draws,
        }


class VerifierFile(_Fitted):
    """How well a verifier tells right from wrong answers."""

    kind: Literal["verifier"]
    """What the file holds."""
    form: Literal["rates", "scores"]
    """How a scenario takes it unless it says."""
    threshold: float | None = None
    """Score from which on an answer is accepted."""
    parameters: Annotated[float, Field(ge=0)] = 0.0
    """Parameters of the verifier model, for its cost."""

    @model_validator(mode="after")
    def _complete(self) -> VerifierFile:
        only_these(set(self.values), (*RATES, "discrimination", "area_under_curve"))
        for form in VERIFIER_FORMS:
            Verifier.model_validate(self.verifier(form))
        return self

    def verifier(self, form: str | None = None) -> dict[str, Any]:
        """What a scenario takes for the verifier of a class, as plain data."""
        names = RATES if (form or self.form) == "rates" else ("discrimination",)
        return {
            "kind": "outcome",
            **{name: self.values[name] for name in names},
            "parameters": self.parameters,
            "name": self.name,
            "draws": self.draws,
        }


class DirectionalityFile(_Fitted):
    """Directionality of several models on the same problems, relative to one of them."""

    kind: Literal["directionality"]
    """What the file holds."""
    reference: Text
    """The model whose index is 1."""
    models: dict[str, Text]
    """Population of each model."""
