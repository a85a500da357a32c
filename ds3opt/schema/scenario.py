"""The scenario: everything a planner knows, in one file."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StrictInt, ValidationInfo, field_validator, model_validator

from ds3opt.schema.graph_scenario import check_graph
from ds3opt.schema.hardware import Hardware
from ds3opt.schema.limits import LIMITS, LimitName, Limits
from ds3opt.schema.model import Model
from ds3opt.schema.quantities import (
    ContradictionError,
    Fraction,
    Parameters,
    Positive,
    PositiveFraction,
    Section,
    Tokens,
)
from ds3opt.schema.reasoning import Reasoning
from ds3opt.schema.uncertain import UncertainNumber
from ds3opt.schema.workload import Workload
from ds3opt.units import parse_quantity


class LikeModel(Section):
    """The loss of a model that is named by its size."""

    parameters: Parameters
    """Size of the model."""
    training_tokens: Tokens | None = None
    """Left out: as many as the loss law calls compute-optimal for this size."""


class LossTarget(Section):
    """A pretraining loss, named by a model that reaches it."""

    like: LikeModel
    """The model whose loss must be reached."""


class Minimise(Section):
    """Least of something, for a required accuracy or pretraining loss."""

    minimise: Literal[
        "total_flop",
        "training_flop",
        "inference_flop",
        "energy",
        "cost",
        "carbon",
        "accelerator_hours",
        "loss",
    ]
    """What is to be as small as possible."""
    accuracy: Annotated[Fraction, Field(ge=1e-6)] | None = None
    """Share of tasks that must be solved."""
    loss: Positive | LossTarget | None = None
    """Pretraining loss (nats/token) that must be reached."""

    @model_validator(mode="after")
    def _one_target(self) -> Minimise:
        targets = [t for t in ("accuracy", "loss") if getattr(self, t) is not None]
        if self.minimise == "loss":
            if targets:
                raise ValueError("`minimise: loss` takes no target")
        elif len(targets) != 1:
            raise ValueError(
                f"give what must be reached with the least {self.minimise}: either accuracy or loss"
            )
        return self


class Frontier(Section):
    """The Pareto table: the optimum over a range of one limit."""

    over: LimitName = "total_flop"
    """The limit that varies."""
    from_: float = Field(alias="from")
    """Its smallest value."""
    to: float
    """Its largest value."""
    points: Annotated[StrictInt, Field(ge=2, le=1000)] = 13
    """How many values, evenly spaced in the logarithm."""

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _parsed(cls, value: Any, info: ValidationInfo) -> float:
        """The ends are quantities of the limit that varies, within its own bounds."""
        name = info.data.get("over", "total_flop")
        found = parse_quantity(value, LIMITS[name])
        Limits.model_validate({name: found})
        return found

    @model_validator(mode="after")
    def _upright(self) -> Frontier:
        if self.from_ <= 0.0:
            raise ValueError(f"from {self.from_:g} is not above 0")
        if self.from_ >= self.to:
            raise ValueError(f"the range is upside down: from {self.from_:g} to {self.to:g}")
        return self


class Solver(Section):
    """How close to the optimum the answer must be, and how long to try."""

    gap: PositiveFraction = 1e-4
    """Largest distance between the answer and its upper bound, absolute accuracy (or value)."""
    resource_gap: PositiveFraction = 1e-3
    """The same for objectives that minimise a resource, relative."""
    max_cells: Annotated[StrictInt, Field(ge=1)] = 20_000
    """Search cells to examine before giving up on the gap."""


class Scenario(Section):
    """A scenario for `ds3opt solve`."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = "scenario"
    """Title of the report."""
    description: str = ""
    """What the scenario is about, for readers."""
    workload: Workload
    """What is served."""
    model: Model = Model()
    """What may be trained."""
    reasoning: Reasoning = Reasoning()
    """How tasks are worked on."""
    hardware: Hardware | None = None
    """What training and serving run on; without it only FLOP count."""
    limits: Limits = Limits()
    """Upper limits on resources."""
    objective: Literal["accuracy", "value", "net_value"] | Minimise = "accuracy"
    """accuracy: most tasks solved. value: most worth of solved tasks. net_value: worth of solved
    tasks less cost, which needs no limit. Or least of a resource."""
    frontier: Frontier | None = None
    """The Pareto table to print beside the answer."""
    solver: Solver = Solver()
    """How close to the optimum the answer must be."""
    _uncertain: tuple[UncertainNumber, ...] = PrivateAttr(default=())

    @property
    def uncertain(self) -> tuple[UncertainNumber, ...]:
        """Numbers that are not known exactly; the keys themselves hold their point values."""
        return self._uncertain

    def with_uncertain(self, numbers: tuple[UncertainNumber, ...]) -> Scenario:
        """A copy with other numbers that are not known exactly."""
        copy = self.model_copy()
        copy._uncertain = numbers
        return copy

    @field_validator("objective", mode="before")
    @classmethod
    def _known_objective(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in ("accuracy", "value", "net_value"):
            raise ValueError(
                f"no objective is named {value!r}; accuracy, value, net_value or a mapping such "
                "as {minimise: total_flop, accuracy: 0.8}"
            )
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        about_loss = isinstance(self.objective, Minimise) and (
            self.objective.minimise == "loss" or self.objective.loss is not None
        )
        if about_loss and self.workload.mix is not None:
            raise ContradictionError(
                "objective", "an objective of pretraining loss takes workload.served_tokens, no mix"
            )
        if not about_loss and self.workload.mix is None:
            raise ValueError("workload.mix is missing: this objective needs task classes")
        for task in self.workload.mix or ():
            if task.min_accuracy > 0.0 and self.reasoning.budgets == "shared":
                raise ValueError(
                    f"min_accuracy of {task.name!r} goes with budgets: per_task: one shared token "
                    "budget cannot favour a class"
                )
            valued = self.objective in ("value", "net_value")
            if task.min_accuracy > 0.0 and task.value == 0.0 and valued:
                raise ValueError(
                    f"class {task.name!r} has a min_accuracy but no value: give it a value above 0"
                )
        check_graph(self)
        self._one_model_was_measured()
        names = [task.name for task in self.workload.mix or ()]
        for index, candidate in enumerate(self.model.candidates):
            for measured in candidate.measured:
                if measured not in names:
                    near = difflib.get_close_matches(measured, names, n=1)
                    raise ContradictionError(
                        ("model", "candidates", index, "measured", measured),
                        f"{candidate.name!r} is measured on {measured!r}, which is no class of the "
                        f"mix: {', '.join(names)}",
                        f"did you mean {near[0]}?" if near else "",
                    )
        if isinstance(self.objective, Minimise) and self.objective.minimise != "loss":
            return self
        fleet = self.hardware is not None and self.hardware.inference is not None
        counted = fleet and self.hardware.inference.count is not None  # type: ignore[union-attr]
        if self.objective != "net_value" and not self.limits.given() and not counted:
            raise ValueError(
                "no limit is given: set limits.total_flop, limits.cost, limits.energy or another"
            )
        return self

    def _one_model_was_measured(self) -> None:
        """Measurements of a class are of one model: refuse where training may choose another."""
        measured = [i for i, t in enumerate(self.workload.mix or ()) if t.measured is not None]
        if not measured:
            return
        model = self.model
        place = ("workload", "mix", measured[0], "measured")
        listed = model.shape is not None and model.shape.list is not None
        if model.candidates or listed or self.hardware is not None:
            raise ContradictionError(
                place,
                "with candidates, a list of shapes or hardware it must be said which model was "
                "measured",
                "list the model in model.candidates, with the measurement under "
                f"measured.{self.workload.mix[measured[0]].name}",  # type: ignore[index]
            )
        tokens, ratio = model.training_tokens, model.tokens_per_parameter
        sized = model.parameters.min == model.parameters.max
        trained = (
            tokens == "infinite"
            or tokens.min == tokens.max
            or (ratio.min is not None and ratio.min == ratio.max)
            or not {"training_tokens", "tokens_per_parameter"} & model.model_fields_set
        )
        if not (sized and trained):
            key = "parameters" if not sized else "training_tokens"
            raise ContradictionError(
                place,
                "the class was measured on one model, so its success does not follow what is "
                f"trained, and model.{key} leaves that open",
                f"give model.{key} one value"
                + (" or infinite, which leaves training out" if sized else "")
                + "; to choose among models that were measured, list them in model.candidates",
            )
