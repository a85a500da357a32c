"""What is served: the task classes, their shares and what judges their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from ds3opt.schema.candidates import Measured
from ds3opt.schema.fitted import JointDraws
from ds3opt.schema.observed import FittedClass, ObservedAccuracy
from ds3opt.schema.quantities import (
    ContradictionError,
    Count,
    FlopOrZero,
    Fraction,
    NonNegative,
    ParametersOrZero,
    Positive,
    PositiveFraction,
    Seconds,
    Section,
    Tokens,
    TokensOrZero,
)
from ds3opt.schema.spread import LevelSpread, SkillSpread, SpreadField
from ds3opt.units import parse_quantity


class Directionality(Section):
    """How well the search finds the next skill, from the directedness of its walk, DS3 (16)."""

    delta: Fraction
    """0: a random walk over the relevant skills; 1: always toward the next skill."""
    relevant_ratio: NonNegative
    """Irrelevant skills in reach for each one that the task needs: M = ceil(m (1 + ratio))."""


class Verifier(Section):
    """What can judge answers or steps of a class, how well, and at what cost."""

    kind: Literal["none", "outcome", "process"]
    """outcome judges whole answers (best_of_n); process also single steps (tree_of_thought)."""
    true_positive_rate: PositiveFraction = 1.0
    """Chance that something right is accepted."""
    false_positive_rate: Annotated[Fraction, Field(lt=1)] = 0.0
    """Chance that something wrong is accepted."""
    discrimination: NonNegative | None = None
    """For a verifier that scores instead of accepting, such as a reward model: by how many standard
    deviations right answers score above wrong ones. Its area under the curve is
    Phi(discrimination / sqrt 2); the answer with the best score is taken."""
    parameters: ParametersOrZero = 0.0
    """Parameters of a verifier model; it reads the prompt and every token that it judges."""
    flop_per_check: FlopOrZero = 0.0
    """FLOP of one check that is not a model, such as running tests."""
    name: Annotated[str, Field(max_length=200)] = ""
    """Where the figures are from; a file of `ds3opt fit verifier` gives it."""
    draws: JointDraws = ""
    """Joint draws of the rates and the discrimination, as such a file has them."""

    @model_validator(mode="after")
    def _better_than_chance(self) -> Verifier:
        rates = {"true_positive_rate", "false_positive_rate"} & self.model_fields_set
        if self.discrimination is not None and rates:
            raise ValueError(
                "give either discrimination, for a verifier that scores, or the rates of one that "
                "accepts and refuses"
            )
        if self.true_positive_rate < self.false_positive_rate:
            raise ValueError(
                f"true_positive_rate {self.true_positive_rate:g} is below false_positive_rate "
                f"{self.false_positive_rate:g}: such a verifier prefers wrong answers"
            )
        return self


class WrongAnswers(Section):
    """How wrong answers split: a geometric spectrum, or shares listed from the most frequent."""

    count: Annotated[StrictInt, Field(ge=1, le=1000)] | None = None
    """Number of distinct wrong answers."""
    decay: PositiveFraction = 1.0
    """Each wrong answer's share over that of the one before; 1 is an even split, DS3 (62)."""
    shares: tuple[Positive, ...] | None = None
    """Shares of the wrong answers; at most 1 in sum, the rest abstain."""
    name: Annotated[str, Field(max_length=200)] = ""
    """Where the decay is from; a file of `ds3opt fit voting` gives it."""
    draws: JointDraws = ""
    """Joint draws of the decay, the top share and the plateau, as such a file has them."""

    @model_validator(mode="after")
    def _one_form(self) -> WrongAnswers:
        if (self.count is None) == (self.shares is None):
            raise ValueError("give either count (with decay) or shares")
        if self.shares is not None and sum(self.shares) > 1 + 1e-9:
            raise ValueError(f"shares sum to {sum(self.shares):g}; at most 1")
        return self


def _worth(value: object) -> float:
    money = isinstance(value, str) and ("USD" in value or "$" in value)
    return parse_quantity(value, "money" if money else "ratio")


_OF_THE_LAW = (
    "difficulty",
    "level",
    "skills",
    "fatigue",
    "directionality",
    "tokens_per_step",
    "max_output_tokens",
    "context_tokens",
    "observed",
    "fitted",
    "draws",
)
"""Keys of a class that say how often, and at what length, a trace succeeds."""
_DRAWN = ("difficulty", "skills", "directionality", "fatigue")
_UNUSED = {"difficulty": 2.0, "skills": 1}
"""Stand where a class was measured; nothing depends on them."""
_TO_FIT = 0
"""Stands for skills that are to be fitted."""


class TaskClass(Section):
    """One class of tasks: with difficulty and skills, or measured."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """Name of the class in reports."""
    share: PositiveFraction
    """Share of all tasks; the shares of a mix sum to 1."""
    difficulty: SpreadField | None = None
    """With a loss law: pretraining loss (nats/token) at the middle of the step's sigmoid: without
    offset and at full scale, where a step succeeds half the time; or a task of a file that
    `ds3opt fit accuracy` wrote, such as maps.yaml#code. Left out, as skills, where `measured`."""
    level: LevelSpread | None = None
    """With model.skill_graph, in place of difficulty: level of the skills that tasks name."""
    skills: SkillSpread
    """Skills a task needs, in order."""
    prompt_tokens: TokensOrZero = 0.0
    """Tokens that are read before a trace begins."""
    max_output_tokens: Tokens | None = None
    """Cap on the tokens of one trace."""
    context_tokens: Tokens | None = None
    """Cap on prompt and trace together."""
    tokens_per_step: Tokens | None = None
    """Overrides reasoning.tokens_per_step."""
    directionality: PositiveFraction | Directionality | None = None
    """Overrides reasoning.directionality."""
    fatigue: Fraction | None = None
    """Overrides reasoning.fatigue."""
    value: Annotated[float, BeforeValidator(_worth), Field(ge=0, le=1e30)] = 1.0
    """Worth of a solved task, for `objective: value`; in USD for `objective: net_value`."""
    min_accuracy: Fraction = 0.0
    """Accuracy that this class must reach."""
    max_latency: Seconds | None = None
    """Time that a request may take at most, waiting included."""
    deferrable: Fraction = 0.0
    """Share of its tasks that can wait for another period of the day."""
    verifier: Verifier = Verifier(kind="none")
    """What can judge answers or steps: in place, or a file of `ds3opt fit verifier`."""
    wrong_answers: WrongAnswers | None = None
    """How wrong answers split, in place or a file of `ds3opt fit voting`; votes are offered only
    where this is known."""
    measured: Measured | None = None
    """How often a trace of the model was measured to succeed, in place of difficulty and skills:
    accuracy, success_counts or population, with output_tokens. Needs one fixed model."""
    observed: Annotated[tuple[ObservedAccuracy, ...], Field(min_length=1)] | None = None
    """Measured accuracies that difficulty, skills, directionality and fatigue are fitted to, those
    that the class gives held fixed: in place, a CSV file, or a class of a file that
    `ds3opt fit tasks` wrote, such as tasks.yaml#algebra."""
    fitted: FittedClass | None = None
    """What stands behind fitted constants; `observed` fills it in."""
    draws: JointDraws = ""
    """Joint draws of difficulty, skills, directionality and fatigue; `observed` fills it in."""

    @model_validator(mode="before")
    @classmethod
    def _measured_or_not(cls, data: Any) -> Any:
        known = isinstance(data, dict) and data.get("measured") is None
        if known and data.get("observed") is not None:
            data = {"skills": _TO_FIT, **data}
        if not isinstance(data, dict) or data.get("measured") is None:
            return data
        for key in _OF_THE_LAW:
            if key in data:
                raise ContradictionError(
                    key, f"{key} has no meaning for a class that was measured", f"leave {key} out"
                )
        return {**_UNUSED, **data}

    def held(self) -> dict[str, float]:
        """Of the constants that measured accuracies tell, those that the class itself gives."""
        found: dict[str, float] = {}
        for name in ("difficulty", "skills"):
            spread = getattr(self, name)
            if spread is not None and not (name == "skills" and spread.values == (_TO_FIT,)):
                if spread.values is None or len(spread.values) != 1:
                    raise ContradictionError(
                        name,
                        f"beside observed, {name} is one number, which is held fixed",
                        f"leave {name} out to have it fitted",
                    )
                found[name] = float(spread.values[0])
        if isinstance(self.directionality, Directionality):
            raise ContradictionError(
                "directionality",
                "beside observed, directionality is one number, which is held fixed",
                "leave directionality out to have it fitted",
            )
        for name in ("directionality", "fatigue"):
            if getattr(self, name) is not None:
                found[name] = float(getattr(self, name))
        return found

    @model_validator(mode="after")
    def _draws_of_its_constants(self) -> TaskClass:
        names = self.draws.split("\n", 1)[0].split()
        strange = [name for name in names if name not in _DRAWN]
        if strange:
            raise ContradictionError(
                "draws", f"draws has {strange[0]}, which is none of {', '.join(_DRAWN)}"
            )
        return self

    @model_validator(mode="after")
    def _observed_tells_something(self) -> TaskClass:
        if self.observed is not None and len(self.held()) == 4:
            raise ContradictionError(
                "observed",
                "difficulty, skills, directionality and fatigue are all given: nothing is left to "
                "fit",
                "leave out what is to be fitted",
            )
        return self

    @model_validator(mode="after")
    def _measured_of_traces(self) -> TaskClass:
        if self.measured is None:
            return self
        if self.measured.outcomes is not None:
            raise ContradictionError(
                "measured.outcomes",
                "ways of answering that were measured as a whole belong to a model",
                "list them under model.candidates[0].measured",
            )
        if self.measured.longest_output_tokens is not None:
            raise ContradictionError(
                "measured.longest_output_tokens",
                "longest_output_tokens goes with model.candidates",
                "list the model there to limit its latency",
            )
        return self


class Workload(Section):
    """Tasks to serve, or a number of served tokens."""

    tasks: Count | None = None
    """Tasks served over the horizon."""
    horizon: Seconds | None = None
    """How long the tasks take to arrive; limits on power and on a fleet count over it."""
    mix: tuple[TaskClass, ...] | None = None
    """The task classes."""
    served_tokens: TokensOrZero | None = None
    """Tokens served over the model's life, for objectives of pretraining loss."""

    @model_validator(mode="after")
    def _consistent(self) -> Workload:
        if self.served_tokens is not None and (self.mix is not None or self.tasks is not None):
            raise ValueError("give either served_tokens, or tasks and mix")
        if self.mix is None and self.served_tokens is None:
            raise ValueError("give tasks and mix, or served_tokens")
        if self.mix is not None:
            if self.tasks is None:
                raise ValueError("tasks is missing: how many tasks are served over the horizon?")
            if not self.mix:
                raise ValueError("mix is empty: list at least one task class")
            total = sum(task.share for task in self.mix)
            if abs(total - 1.0) > 1e-6:
                raise ValueError(f"the shares of mix sum to {total:.6g}, not to 1")
            names = [task.name for task in self.mix]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two task classes are named {twice[0]!r}")
        return self
