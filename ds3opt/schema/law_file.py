"""Files of fitted laws: what `ds3opt fit` writes and a scenario names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ds3opt.schema.fitted import Estimate, FittedData, Text, only_these, source_of
from ds3opt.schema.model import Capability, LossCoefficients
from ds3opt.schema.quantities import Positive, Section, Tokens
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
TASK_CONSTANTS = ("difficulty", "skills", "directionality", "fatigue")
"""What is fitted of a class of tasks."""
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


class TaskClassFit(Estimate):
    """A class of tasks as measured accuracies explain it."""

    identified: tuple[str, ...] = ()
    """Constants that the data bound on both sides."""
    doubts: tuple[Text, ...] = ()
    """What the data do not tell, and what speaks against the fit."""

    @model_validator(mode="after")
    def _complete(self) -> TaskClassFit:
        only_these(set(self.values), TASK_CONSTANTS)
        skills, iota, fatigue = (self.values[name] for name in TASK_CONSTANTS[1:])
        if skills != int(skills) or not 1 <= skills <= 1e6:
            raise ValueError(f"skills are a whole number from 1 up, not {skills:g}")
        if not 0.0 < iota <= 1.0:
            raise ValueError(f"directionality is above 0 and at most 1, not {iota:g}")
        if not 0.0 <= fatigue <= 1.0:
            raise ValueError(f"fatigue is from 0 to 1, not {fatigue:g}")
        return self


class TasksFile(Section):
    """Fitted classes of tasks."""

    kind: Literal["tasks"]
    """What the file holds."""
    version: Literal[1] = 1
    """Of this layout."""
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What reports call it."""
    data: FittedData
    """What it was fitted to."""
    loss: Text = ""
    """Where the losses of the models are from: a column, or a law."""
    ds3opt_version: Text = ""
    """What fitted it."""
    tokens_per_step: Tokens = 25.0
    """Tokens of one reasoning step, on which the numbers of skills depend."""
    slope: Positive = 5.0
    """Of the sigmoid of a step, on which the difficulties depend."""
    classes: Annotated[dict[str, TaskClassFit], Field(min_length=1)]
    """A fit for each class."""

    @property
    def source(self) -> str:
        """The data in one line."""
        return source_of(self.data)


LawFile = (
    LossLawFile
    | CapabilityFile
    | TasksFile
    | PopulationFile
    | VotingFile
    | VerifierFile
    | DirectionalityFile
)
KINDS: dict[str, type[LawFile]] = {
    "loss_law": LossLawFile,
    "capability": CapabilityFile,
    "tasks": TasksFile,
    "coverage": PopulationFile,
    "voting": VotingFile,
    "verifier": VerifierFile,
    "directionality": DirectionalityFile,
}
"""Every kind of law file by the word in its `kind`."""
