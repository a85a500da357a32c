"""Files of fitted laws: what `ds3opt fit` writes and a scenario names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ds3opt.schema.fitted import Estimate, FittedData, Text, only_these, source_of
from ds3opt.schema.model import Capability, LossCoefficients
from ds3opt.schema.quantities import Section
from ds3opt.schema.sample_law_file import (
    DirectionalityFile,
    PopulationFile,
    VerifierFile,
    VotingFile,
)

CONSTANTS = {
    "sigmoid": ("difficulty", "slope", "scale", "offset"),
    "exponential": ("floor", "coefficient", "rate"),
}
"""Constants of each form of a map from loss to score."""
_DECAYS = ("data_decay", "parameter_decay")
_LOSS = (
    "irreducible",
    "parameter_coefficient",
    "data_coefficient",
    "parameter_exponent",
    "data_exponent",
)


class LossLawFile(Estimate):
    """A fitted loss law, DS3 (1)."""

    kind: Literal["loss_law"]
    """What the file holds."""
    version: Literal[1] = 1
    """Of this layout."""
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What reports call the law."""
    data: FittedData
    """What it was fitted to."""
    ds3opt_version: Text = ""
    """What fitted it."""

    @model_validator(mode="after")
    def _complete(self) -> LossLawFile:
        only_these(set(self.values), _LOSS, (*_LOSS, *_DECAYS))
        self.coefficients()
        return self

    @property
    def source(self) -> str:
        """The data in one line."""
        return source_of(self.data)

    def coefficients(self) -> dict[str, Any]:
        """What a scenario takes for the law, as plain data."""
        values = {name: self.values[name] for name in _LOSS}
        span = self.fitted_range.model_dump(exclude_none=True)
        found: dict[str, Any] = {
            **values,
            "name": self.name,
            "source": self.source,
            "fitted_range": {**span, "source": self.source},
            "draws": self.draws,
        }
        if _DECAYS[0] in self.values:
            found["repetition"] = {name: self.values[name] for name in _DECAYS}
        LossCoefficients.model_validate(found)
        return found


class TaskMap(Estimate):
    """How the score of one task follows loss."""

    form: Literal["sigmoid", "exponential"]
    """sigmoid: scale / (1 + exp(slope (loss - difficulty))) + offset; exponential:
    floor + coefficient exp(-rate loss)."""

    @model_validator(mode="after")
    def _complete(self) -> TaskMap:
        only_these(set(self.values), CONSTANTS[self.form])
        if self.form == "sigmoid":
            Capability.model_validate(self.sigmoid())
        return self

    def sigmoid(self) -> dict[str, Any]:
        """Slope, scale and offset, and where they were fitted, as a scenario takes them."""
        found: dict[str, Any] = {k: self.values[k] for k in ("slope", "scale", "offset")}
        if self.draws:
            found["draws"] = self.draws
        if self.fitted_range.loss is not None:
            found["fitted_loss"] = list(self.fitted_range.loss)
        return found


class CapabilityFile(Section):
    """Fitted maps from loss to the scores of tasks."""

    kind: Literal["capability"]
    """What the file holds."""
    version: Literal[1] = 1
    """Of this layout."""
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What reports call it."""
    data: FittedData
    """What it was fitted to."""
    loss: Text = ""
    """Which loss the maps take: a column, or a law."""
    ds3opt_version: Text = ""
    """What fitted it."""
    tasks: Annotated[dict[str, TaskMap], Field(min_length=1)]
    """A map for each task."""

    @property
    def source(self) -> str:
        """The data in one line."""
        return source_of(self.data)


LawFile = (
    LossLawFile | CapabilityFile | PopulationFile | VotingFile | VerifierFile | DirectionalityFile
)
KINDS: dict[str, type[LawFile]] = {
    "loss_law": LossLawFile,
    "capability": CapabilityFile,
    "coverage": PopulationFile,
    "voting": VotingFile,
    "verifier": VerifierFile,
    "directionality": DirectionalityFile,
}
"""Every kind of law file by the word in its `kind`."""
