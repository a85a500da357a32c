"""What may be trained: the loss law, ranges of size and data, and the shape that follows size."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from ds3opt.laws.loss import DEFAULT_LOSS_LAW, LOSS_LAWS, LossLaw
from ds3opt.schema.candidates import Candidate
from ds3opt.schema.fitted import FittedSpan, JointDraws, RepetitionDecay
from ds3opt.schema.model_shape import ModelShapeSpec
from ds3opt.schema.quantities import (
    NonNegative,
    Number,
    Parameters,
    Positive,
    PositiveFraction,
    Section,
    Tokens,
    TokensOrZero,
)
from ds3opt.schema.skill_graph import SkillGraphSpec


class Capability(Section):
    """How loss becomes the success of one step: a sigmoid, DS3 (2), (65)."""

    slope: Positive = 5.0
    """Steepness, per nat/token."""
    scale: PositiveFraction = 1.0
    """Height of the sigmoid."""
    offset: NonNegative = 0.0
    """Success of a step by chance."""
    name: Annotated[str, Field(max_length=200)] = ""
    """Where the sigmoid is from; a file of `ds3opt fit accuracy` gives it."""
    fitted_loss: tuple[Number, Number] | None = None
    """Lowest and highest loss that the sigmoid was fitted on; beyond them answers say so."""
    draws: JointDraws = ""
    """Joint draws of difficulty, slope, scale and offset, as such a file has them."""

    @model_validator(mode="after")
    def _probability(self) -> Capability:
        if self.scale + self.offset > 1.0:
            raise ValueError(f"scale + offset is {self.scale + self.offset:g}, above 1")
        return self


class LossCoefficients(Section):
    """A loss law in place: ``L = irreducible + A / N**alpha + B / D**beta``, DS3 (1)."""

    irreducible: NonNegative
    """E, nats/token."""
    parameter_coefficient: Positive
    """A."""
    data_coefficient: Positive
    """B."""
    parameter_exponent: Positive
    """alpha."""
    data_exponent: Positive
    """beta."""
    name: Annotated[str, Field(max_length=200)] = ""
    """What reports call the law."""
    source: Annotated[str, Field(max_length=2000)] = ""
    """Where the constants are from."""
    repetition: RepetitionDecay | None = None
    """What repeated tokens are worth; left out: as much as fresh ones."""
    fitted_range: FittedSpan | None = None
    """What the law was fitted on; beyond it answers say so."""
    draws: JointDraws = ""
    """Joint draws of the constants, as a file of `ds3opt fit loss` has them."""

    def law(self) -> LossLaw:
        """The law itself."""
        repeats, span = self.repetition, self.fitted_range
        return LossLaw(
            self.irreducible,
            self.parameter_coefficient,
            self.data_coefficient,
            self.parameter_exponent,
            self.data_exponent,
            name=self.name or "given in the scenario",
            source=self.source,
            fitted_range=None if span is None else span.range(),
            repetition=None if repeats is None else repeats.repetition(),
        )


DEFAULT_TOKENS_PER_PARAMETER = 20.0
"""Of a skill graph, DS3 appendix B."""


def _known_law(value: object) -> object:
    if isinstance(value, str) and value not in LOSS_LAWS:
        import difflib

        near = difflib.get_close_matches(value, LOSS_LAWS, n=1)
        hint = (
            f"; did you mean {near[0]}?"
            if near
            else "; see `ds3opt laws list`, or name the file of a fitted one"
        )
        raise ValueError(f"no loss law is named {value!r}{hint}")
    return value


def _as_range(value: object) -> object:
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError(f"a range is [lowest, highest], not {len(value)} numbers")
        return {"min": value[0], "max": value[1]}
    if isinstance(value, dict):
        return value
    return {"min": value, "max": value}


class _Range(Section):
    @model_validator(mode="after")
    def _upright(self) -> Any:
        low, high = getattr(self, "min", None), getattr(self, "max", None)
        if low is not None and high is not None and low > high:
            raise ValueError(f"the range is upside down: min {low:g} is above max {high:g}")
        return self


class ParameterRange(_Range):
    """Allowed model sizes; one number fixes the size."""

    min: Parameters = 1e5
    """Smallest model allowed."""
    max: Parameters = 1e14
    """Largest model allowed."""


class TokenRange(_Range):
    """Allowed training tokens; one number fixes them."""

    min: Tokens = 1e6
    """Fewest training tokens allowed."""
    max: Tokens = 1e18
    """Most training tokens allowed, repeats included."""
    unique: Tokens | None = None
    """Distinct tokens there are; more training tokens repeat them (needs a law that says how)."""


class RatioRange(_Range):
    """Allowed training tokens per parameter; one number fixes the ratio."""

    min: Positive | None = None
    """Fewest training tokens per parameter."""
    max: Positive | None = None
    """Most training tokens per parameter."""


class TrainableShape(ModelShapeSpec):
    """A shape that may be trained."""

    dense_equivalent: Parameters | None = None
    """Size of the dense model that the loss law takes in its place; left out: its parameters, and
    for a model with experts the geometric mean of all and active parameters, a rule of thumb."""

    @property
    def loss_parameters(self) -> float:
        """N of the loss law."""
        if self.dense_equivalent is not None:
            return self.dense_equivalent
        return math.sqrt(self.parameters * self.active)


class Shape(Section):
    """Layers, widths and key-value heads: the cost of attention and, on hardware, of memory."""

    width_per_layer: Annotated[Positive, Field(le=1e6)] | None = None
    """Width = this x layers, parameters = 12 layers width^2, so attention follows model size."""
    layers: Positive | None = None
    """Fixed number of layers, whatever the size."""
    attention_width: Positive | None = None
    """Fixed attention width, whatever the size."""
    head_width: Annotated[Positive, Field(ge=1, le=1e6)] = 128.0
    """Width of an attention head; on hardware, with width_per_layer."""
    query_heads_per_kv_head: Annotated[Positive, Field(ge=1, le=1e6)] = 8.0
    """Heads that share a key-value head (grouped-query attention); on hardware, with
    width_per_layer."""
    list: Annotated[tuple[TrainableShape, ...], Field(min_length=1)] | None = None
    """The only shapes that may be trained: names of the catalogue of models, Hugging Face
    config.json files, or in place."""

    @model_validator(mode="after")
    def _one_form(self) -> Shape:
        fixed = self.layers is not None and self.attention_width is not None
        partly = (self.layers is None) != (self.attention_width is None)
        forms = fixed + (self.width_per_layer is not None) + (self.list is not None)
        if partly or forms != 1:
            raise ValueError(
                "give either width_per_layer, or both layers and attention_width, or a list"
            )
        return self


RangeOf = BeforeValidator(_as_range)


def _as_token_range(value: object) -> object:
    return value if value == "infinite" else _as_range(value)


class Model(Section):
    """The model to train."""

    loss_law: Annotated[str | LossCoefficients, BeforeValidator(_known_law)] = DEFAULT_LOSS_LAW
    """A named law (`ds3opt laws list`), a file that `ds3opt fit loss` wrote, or coefficients in
    place."""
    capability: Capability = Capability()
    """How loss becomes the success of one reasoning step: in place, or a file that
    `ds3opt fit accuracy` wrote."""
    skill_graph: SkillGraphSpec | None = None
    """Concepts and skills in place of loss_law and capability; `{}` takes the paper's constants."""
    parameters: Annotated[ParameterRange, RangeOf] = ParameterRange()
    """Allowed model sizes."""
    training_tokens: Annotated[
        Literal["infinite"] | TokenRange, BeforeValidator(_as_token_range)
    ] = TokenRange()
    """A range, or `infinite`: data without end and training not charged, DS3 Figs 9 and 16."""
    tokens_per_parameter: Annotated[RatioRange, RangeOf] = RatioRange()
    """Allowed training tokens per parameter; with a skill_graph 20 unless given."""
    shape: Shape | None = None
    """Without it the cost of attention is left out."""
    training_sequence_tokens: TokensOrZero = 0.0
    """Sequence length in training; with a shape, adds the attention term of DS3 (6)."""
    context_tokens: Tokens | None = None
    """Longest prompt and trace together that the model can hold."""
    train: StrictBool = True
    """Whether a model may be trained; false leaves the candidates alone."""
    candidates: tuple[Candidate, ...] = ()
    """Models that exist and may serve classes, alone or beside the one that is trained."""

    @model_validator(mode="after")
    def _consistent(self) -> Model:
        if self.skill_graph is not None:
            self._check_skill_graph(self.skill_graph)
        if not self.train and not self.candidates:
            raise ValueError("train: false leaves nothing to serve with: list candidates")
        names = [candidate.name for candidate in self.candidates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two candidates are named {twice[0]!r}")
        if self.training_tokens == "infinite":
            ratio = self.tokens_per_parameter
            if ratio.min is not None or ratio.max is not None:
                raise ValueError(
                    "tokens_per_parameter has no meaning with infinite training_tokens"
                )
        elif self.training_tokens.unique is not None:
            law = self.loss_law
            known = LOSS_LAWS.get(law) if isinstance(law, str) else law
            if known is None or known.repetition is None:
                with_repetition = [n for n, law in LOSS_LAWS.items() if law.repetition is not None]
                raise ValueError(
                    "training_tokens.unique needs a loss law that says what repeated tokens are "
                    f"worth: {', '.join(with_repetition)}"
                )
        return self

    @property
    def graph_ratio(self) -> float | None:
        """Training tokens per parameter of a skill graph; None where a range is allowed."""
        if "tokens_per_parameter" not in self.model_fields_set:
            return DEFAULT_TOKENS_PER_PARAMETER
        ratio = self.tokens_per_parameter
        return ratio.min if ratio.min == ratio.max else None

    def _check_skill_graph(self, spec: SkillGraphSpec) -> None:
        for name in ("loss_law", "capability"):
            if name in self.model_fields_set:
                raise ValueError(f"skill_graph takes the place of {name}: give one of them")
        if self.candidates:
            raise ValueError(
                "candidates go with a loss law or measurements, not with a skill_graph"
            )
        if self.training_tokens == "infinite":
            raise ValueError(
                "skill_graph needs training tokens: infinite data has no texts to count"
            )
        if self.training_tokens.unique is not None:
            raise ValueError("a skill_graph does not know what repeated tokens are worth")
        fixed = self.graph_ratio
        graph = spec.graph(fixed or DEFAULT_TOKENS_PER_PARAMETER)
        threshold = graph.learning_threshold
        most = self.tokens_per_parameter.max
        if fixed is None and most is not None and most < threshold:
            raise ValueError(
                f"tokens_per_parameter ends at {most:g}, below the learning threshold of "
                f"{threshold:.2f}, where the theory does not hold; fix one ratio to look there"
            )
        if spec.skills == "exact" or (fixed and self.parameters.min == self.parameters.max):
            return
        if fixed is None:
            raise ValueError(
                "chernoff skills are no smooth function of the ratio: fix tokens_per_parameter, or "
                "take skills: exact"
            )
        least = graph.concepts(self.parameters.min)
        if float(graph.concept_probability(least, fixed, spec.concepts)) < 1.0:
            raise ValueError(
                "chernoff skills fall where concepts are gained, unless all are learned: they are "
                f"not at {fixed:g} tokens per parameter for the smallest allowed model; raise "
                "parameters.min, fix parameters, or take skills: exact"
            )
