"""What an explanation says, free of how it was found."""

from __future__ import annotations

from dataclasses import dataclass

from ds3opt.optimise.solution import Solution


@dataclass(frozen=True)
class Rival:
    """One policy at its best for a class, with the plan's model and at its prices."""

    policy: str
    """In words."""
    family: str
    """Its name without integers; for an existing model, its name."""
    chosen: bool
    """Whether the plan uses it for some of the class."""
    accuracy: float
    token_budget: tuple[float, float]
    """Least and most over the class's tasks."""
    tokens: float
    """Generated per task on average."""
    flop: float
    """Of inference per task, verification included."""
    lost: float
    """What the objective loses at least, with this model, if the class must use it."""
    accuracy_at_own_compute: float | None
    """When it may spend what the class spends in the plan; None where no limit has a price."""


@dataclass(frozen=True)
class Mechanism:
    """One thing that holds a class back, and what its absence would change."""

    code: str
    words: str
    accuracy: float
    """Of the class without it, at the plan's prices."""
    gain: float
    """What the objective gains at most, with this model."""
    policy: str
    """What the class would use then."""


@dataclass(frozen=True)
class TurningPoint:
    """How far one quantity would have to move for another kind of policy to be best."""

    code: str
    words: str
    dimension: str
    now: float
    below: float | None
    """The nearest value below at which another policy is best; None within the range looked at."""
    policy_below: str | None
    above: float | None
    policy_above: str | None


@dataclass(frozen=True)
class ClassExplanation:
    """Why one class is served as it is."""

    name: str
    share: float
    accuracy: float
    policy: str
    """What most of it uses."""
    rivals: tuple[Rival, ...]
    mechanisms: tuple[Mechanism, ...]
    """The one that holds it back most first."""
    turning_points: tuple[TurningPoint, ...]

    @property
    def binding(self) -> Mechanism | None:
        """What holds it back most; None where nothing would gain anything."""
        return self.mechanisms[0] if self.mechanisms else None


@dataclass(frozen=True)
class Branching:
    """Chain against tree of thought for a class's typical task, by the exact rule."""

    name: str
    skills: int
    step_success: float
    branches: int
    offered: bool
    """Whether the scenario lets the class branch."""
    steps: float
    """Of a chain for the FLOP that the class's token budget takes."""
    levels: float
    """Of a tree for the same FLOP."""
    crossover: float
    """Step success below which the tree is better, steps and levels whole."""
    crossover_continuous: float
    threshold: float
    """Step success below which the tree can win at length: epsilon-dagger."""
    reasoning_level: int | None = None
    """Of the plan, at which skills and step success are told; None without a skill graph."""

    @property
    def better(self) -> str:
        """The better of the two at the class's step success."""
        return "tree" if self.step_success < self.crossover else "chain"


@dataclass(frozen=True)
class Depth:
    """How reasoning depth steepens the return on a better model, for one skill of a class."""

    name: str
    step_success: float
    steps_per_skill: float
    """That a trace of the class may take."""
    steepest: float
    """Whole steps per skill at which success rises most steeply with step success."""
    amplification: float
    """At the steps per skill of the plan, over a single step."""
    largest: float
    reasoning_level: int | None = None
    """Of the plan; None without a skill graph."""


@dataclass(frozen=True)
class Exchange:
    """Training against inference FLOP around the plan."""

    training_flop: float
    inference_flop: float
    accuracy: float
    training_exponent: float
    """a: accuracy per decade of training FLOP."""
    inference_exponent: float
    """b: accuracy per decade of inference FLOP."""
    decades: float
    """To either side, over which the exponents were taken."""
    method: str
    contour: tuple[ContourPoint, ...]
    set_aside: tuple[str, ...] = ()
    """Limits that were set aside, since the two amounts of FLOP take their place."""

    @property
    def decades_per_decade(self) -> float | None:
        """Decades of inference that one decade of training replaces; None where b is 0."""
        if self.inference_exponent <= 0.0:
            return None
        return self.training_exponent / self.inference_exponent

    @property
    def flop_per_flop(self) -> float | None:
        """Inference FLOP that one more training FLOP saves at equal accuracy."""
        ratio = self.decades_per_decade
        if ratio is None or self.training_flop <= 0.0:
            return None
        return ratio * self.inference_flop / self.training_flop


@dataclass(frozen=True)
class ContourPoint:
    """The least inference for the plan's accuracy with another amount of training."""

    training_flop: float
    inference_flop: float | None
    """That suffices; None where no inference reaches the accuracy."""
    too_little: float | None
    """That certainly does not suffice."""


@dataclass(frozen=True)
class Explanation:
    """Why the answer to a scenario is what it is."""

    solution: Solution
    unit: str
    """What is lost and gained: points of accuracy, value or money."""
    price_per_percent: float
    """What one percent more of what serving takes would add to the objective, at the margin."""
    classes: tuple[ClassExplanation, ...] = ()
    branching: tuple[Branching, ...] = ()
    depths: tuple[Depth, ...] = ()
    exchange: Exchange | None = None
    not_applicable: tuple[str, ...] = ()
    """What was left out, and why."""
