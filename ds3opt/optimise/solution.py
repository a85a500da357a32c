"""What an optimisation returns: the answer, its certificate and what a planner asks next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from ds3opt.policies import Policy

UNITS = {
    "flop": "FLOP",
    "energy": "J",
    "money": "USD",
    "carbon": "kg",
    "accelerator_hours": "accelerator-hours",
    "power": "W",
    "time": "s",
    "count": "accelerators",
}
"""The base unit of every dimension that a limit may have, as results write it."""
BASELINES = (
    ("training_optimal_ratio", "the loss law's own training-optimal ratio"),
    ("tokens_per_parameter_20", "20 tokens per parameter"),
)
"""Rules for training that stand beside every optimum: name and words."""


class Status(Enum):
    """How a solve ended; the value is the message."""

    OPTIMAL = "optimal within the requested gap"
    NOT_CONVERGED = "stopped before the requested gap was reached"
    INFEASIBLE = "no allocation keeps every limit"
    EVALUATED = "scored as given"

    @property
    def code(self) -> str:
        """The status as one word, for JSON."""
        return self.name.lower()


@dataclass(frozen=True)
class Placement:
    """What a task is served on, and what that takes."""

    accelerators: int
    """Of a replica; 0 where somebody else serves the model."""
    sequences: int
    """Traces that the replica works on at once."""
    latency_seconds: float | None
    """Longest time of a request, waiting included; None where unknown."""
    max_latency_seconds: float | None
    """What the class allows."""
    accelerator_hours: float
    """Of all tasks that the row stands for, idle time included."""
    energy_joules: float | None
    """Of the site; None where the accelerator's power is unknown."""


@dataclass(frozen=True)
class TaskAllocation:
    """What one task does, or one part of its requests where they are split between two policies."""

    name: str
    """The class in the scenario."""
    difficulty: float | None
    """None where the class was measured, as are its skills."""
    skills: int | None
    share: float
    """Share of all tasks, this part only."""
    fraction: float
    """Part of the task's requests that this row stands for; 1 unless they are split."""
    policy: Policy | None
    """None: not attempted."""
    steps: float
    """Whole steps of one trace (real under `steps: continuous`)."""
    token_budget: float
    """Tokens that one task may generate, all traces and branches together."""
    expected_tokens: float
    """Tokens that one task generates on average."""
    accuracy: float
    value: float
    """Worth of one solved task."""
    inference_flop: float
    """Of all tasks that this row stands for, verification included."""
    token_budget_range: tuple[float, float] | None = None
    """Token budgets of the same policy that keep the answer within the gap, others unchanged."""
    alternatives: tuple[str, ...] = ()
    """Other policies that keep the answer within the gap, in words."""
    model: str | None = None
    """The existing model that serves it; None for the one that is trained."""
    way: str | None = None
    """How an existing model answers, where it was measured as a whole and has no policy."""
    period: str | None = None
    """Part of the day in which it is served, where there are several."""
    placement: Placement | None = None
    """What it is served on; None without hardware."""
    level: int | None = None
    """Of the task, on a skill graph; its difficulty is 0 then."""
    reasoning_level: int | None = None
    """Level at which it is reasoned; None without a skill graph, or where nothing can be done."""

    @property
    def attempted(self) -> bool:
        """Whether the row gets any inference compute."""
        return self.policy is not None or self.way is not None

    @property
    def words(self) -> str:
        """What serves the row, as a planner would say it."""
        how = self.policy.words() if self.policy is not None else self.way
        if how is None:
            return "not attempted"
        return how if self.model is None else f"{self.model}: {how}"


@dataclass(frozen=True)
class LearnedGraph:
    """What a model of a skill graph has learned."""

    concepts: float
    """That the model has room for."""
    concept_probability: float
    """Chance that one of them is learned."""
    learned_level: int
    """Highest level at which half of the skills or more compose; 0 if there is none."""
    levels: int
    learning_threshold: float
    """Training tokens per parameter from which concepts are learned."""
    required_links: float
    """Learned concepts that a skill needs."""
    skills: str
    """exact or chernoff."""

    @property
    def concepts_learned(self) -> float:
        """On average."""
        return self.concepts * self.concept_probability


@dataclass(frozen=True)
class ClassOutcome:
    """One class of the mix, its tasks together."""

    name: str
    share: float
    accuracy: float
    min_accuracy: float
    expected_tokens: float
    inference_flop: float


@dataclass(frozen=True)
class Certificate:
    """Between which values the optimum lies."""

    quantity: str
    """accuracy, value, loss, or the resource that is minimised."""
    lower: float
    upper: float
    requested_gap: float
    relative: bool
    """Whether the requested gap is relative."""

    @property
    def gap(self) -> float:
        """Distance between the bounds, relative to the upper where the request is."""
        width = self.upper - self.lower
        return width / self.upper if self.relative and self.upper > 0 else width


@dataclass(frozen=True)
class LimitUse:
    """How much of one limit the answer uses, and what more of it would bring."""

    name: str
    limit: float
    used: float
    binding: bool
    shadow_price_per_doubling: float | None
    """Change of the objective for each doubling of the limit, at the margin; None if unknown."""
    unit: str
    kind: str = "at most"
    """at most, or at least."""
    shadow_price: float | None = None
    """Change of the objective for each unit of the limit, at the margin; None if unknown."""
    relative_cost_per_point: float | None = None
    """For a required accuracy: relative change of the minimised resource per accuracy point."""


@dataclass(frozen=True)
class ResourceUse:
    """What the answer takes of one resource."""

    name: str
    """energy, cost, carbon or accelerator_hours."""
    training: float
    inference: float
    inference_factors: tuple[float, float] | None = None
    """Between which parts of `inference` the true amount lies in four cases of five, from errors
    on models that the calibration did not see; None where nothing was measured."""

    @property
    def band(self) -> tuple[float, float] | None:
        """Tenth and ninetieth percentile of the total."""
        if self.inference_factors is None:
            return None
        low, high = self.inference_factors
        return self.training + low * self.inference, self.training + high * self.inference

    @property
    def total(self) -> float:
        """Training and inference together."""
        return self.training + self.inference


@dataclass(frozen=True)
class ServingPeriod:
    """Serving in one part of the day."""

    name: str
    hours: float
    """Of every day."""
    accelerators: float | None
    """Held on average; None where the scenario has no horizon."""
    power_watts: float | None
    """Of the site on average."""
    share_of_tasks: float
    share_of_training: float
    """Part of the training that is placed in it."""


@dataclass(frozen=True)
class TrainingPlan:
    """The training run on its accelerators."""

    accelerators: float | None
    """At a time; None where the scenario does not limit them."""
    seconds: float | None
    """From start to end."""
    accelerator_hours: float
    power_watts: float | None
    """Of the site while it trains."""
    utilisation: float
    goodput: float


@dataclass(frozen=True)
class Baseline:
    """The best that a fixed rule for training reaches under the same limits."""

    name: str
    words: str
    value: float | None
    """Its objective; None where it is infeasible."""
    parameters: float | None
    training_tokens: float | None


@dataclass(frozen=True)
class FrontierPoint:
    """One row of the Pareto table."""

    limit: float
    status: Status
    objective: float | None
    upper: float | None
    """Bound on the other side: above for accuracy, below where a resource is minimised."""
    parameters: float | None
    training_tokens: float | None
    training_flop: float | None
    inference_flop: float | None
    expected_tokens: float | None
    """Generated tokens per task on average."""


@dataclass(frozen=True)
class Note:
    """Something that a planner should know before trusting the answer."""

    code: str
    path: str
    """The scenario key it is about."""
    message: str


@dataclass(frozen=True)
class Infeasibility:
    """Why nothing is feasible, and what would be."""

    limit: str
    """The scenario key of the limit that cannot be kept."""
    given: float
    smallest_feasible: float | None
    """Least value of the limit (greatest, for a required accuracy) that can be kept."""
    unit: str
    message: str


@dataclass(frozen=True)
class Solution:
    """The answer to a scenario."""

    scenario: str
    objective: str
    """accuracy, value, loss or a resource, as the scenario says."""
    target: tuple[str, float] | None
    """What must be reached where a resource is minimised: ("accuracy", 0.8) or ("loss", 1.99)."""
    status: Status
    certificate: Certificate | None = None
    parameters: float | None = None
    training_tokens: float | None = None
    unique_tokens: float | None = None
    """Distinct training tokens there are; None where the scenario does not limit them."""
    loss: float | None = None
    accuracy: float | None = None
    value: float | None = None
    """Worth of solved tasks per task served; equals accuracy unless classes have values."""
    training_flop: float | None = None
    inference_flop: float | None = None
    tasks_served: float = 0.0
    served_tokens: float = 0.0
    horizon_seconds: float | None = None
    tasks: tuple[TaskAllocation, ...] = ()
    classes: tuple[ClassOutcome, ...] = ()
    limits: tuple[LimitUse, ...] = ()
    resources: tuple[ResourceUse, ...] = ()
    """What hardware makes of the work, as far as figures are known."""
    training_plan: TrainingPlan | None = None
    periods: tuple[ServingPeriod, ...] = ()
    scope: str | None = None
    """Over which models and token budgets the certificate holds; None for all."""
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Ranges of parameters, training_tokens, tokens_per_parameter within the gap."""
    baselines: tuple[Baseline, ...] = ()
    frontier_over: str | None = None
    frontier: tuple[FrontierPoint, ...] = ()
    warnings: tuple[Note, ...] = ()
    infeasibility: Infeasibility | None = None
    loss_law: str = ""
    loss_law_source: str = ""
    learned: LearnedGraph | None = None
    """What the model has learned of a skill graph; None with a loss law."""

    @property
    def total_flop(self) -> float | None:
        """Training and inference together."""
        if self.training_flop is None or self.inference_flop is None:
            return None
        return self.training_flop + self.inference_flop

    @property
    def tokens_per_parameter(self) -> float | None:
        """Training tokens per parameter."""
        if self.parameters is None or self.training_tokens is None:
            return None
        return self.training_tokens / self.parameters

    @property
    def mean_tokens(self) -> float | None:
        """Tokens generated per task on average over the mix."""
        if not self.tasks:
            return None
        return math.fsum(row.share * row.expected_tokens for row in self.tasks)


def frontier_point(limit: float, solved: Solution) -> FrontierPoint:
    """A solution as a row of a Pareto table over the limit that it was solved for."""
    certificate = solved.certificate
    if solved.status is Status.INFEASIBLE or certificate is None:
        return FrontierPoint(limit, Status.INFEASIBLE, *[None] * 7)
    minimised = certificate.relative or solved.objective == "loss"
    ends = (certificate.lower, certificate.upper)
    reached, bound = reversed(ends) if minimised else ends
    return FrontierPoint(
        limit,
        solved.status,
        reached,
        bound,
        solved.parameters,
        solved.training_tokens,
        solved.training_flop,
        solved.inference_flop,
        solved.mean_tokens,
    )
