"""The shape of one model: what of it matters to memory, arithmetic and cache."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, model_validator

from ds3opt.laws.roofline import ModelShape
from ds3opt.laws.shapes import (
    BYTES_PER_ELEMENT,
    active_parameters,
    kv_elements_per_token,
    latent_attention_width,
    latent_kv_elements_per_token,
    routed_parameters,
)
from ds3opt.schema.quantities import (
    ContradictionError,
    Count,
    NonNegative,
    Parameters,
    ParametersOrZero,
    Section,
    Tokens,
    WholeNumbers,
)
from ds3opt.units import format_quantity

StoredPrecision = Literal["fp32", "bf16", "fp16", "fp8", "int8", "fp4", "int4", "mxfp4"]
"""Number formats of weights and of cached keys and values."""


def _is_whole(value: float) -> float:
    if not value.is_integer():
        raise ValueError(f"a whole number is expected, not {value:g}")
    return value


Whole = Annotated[Count, AfterValidator(_is_whole), WholeNumbers(1.0)]
"""A whole number of things, 1 or more."""
WholeOrZero = Annotated[NonNegative, AfterValidator(_is_whole), WholeNumbers()]

_ROUNDED = 0.02
"""Published totals agree with each other to their second digit or so."""
_NARROWEST, _WIDEST = 1 / 8, 8.0
"""Heads together over the width: 0.76 in Gemma 3 27B, 2 in Qwen3 235B, 2.9 in DeepSeek-V3."""


def _shown(parameters: float) -> str:
    return format_quantity(parameters, "parameters", 4).removesuffix(" parameters")


def bytes_per_element(precision: StoredPrecision) -> float:
    """Bytes of a weight or cached element in a number format, scales included."""
    return BYTES_PER_ELEMENT[precision]


class LatentAttention(Section):
    """Multi-head latent attention: one compressed vector is cached for all heads."""

    rank: Whole
    """Width of the compressed keys and values (`kv_lora_rank`)."""
    rope_width: WholeOrZero = 0.0
    """Width of the key with positions that is cached beside them (`qk_rope_head_dim`)."""


class WindowedLayers(Section):
    """Layers that attend to the last tokens only."""

    layers: Whole
    """How many of the layers with attention."""
    window_tokens: Tokens
    """How far back they attend."""


class ModelShapeSpec(Section):
    """A model's shape, as a catalogue or a scenario writes it."""

    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """Name in reports."""
    model_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Identifier on the Hugging Face Hub."""
    aliases: tuple[str, ...] = ()
    """Identifiers of other models of exactly this shape."""
    source: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """Where the figures come from."""
    note: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """What a reader must know about the figures."""
    parameters: Parameters
    """All parameters that must be in memory, embeddings included."""
    active_parameters: Parameters | None = None
    """Parameters that one token passes, embeddings included; left out: all but idle experts."""
    routed_parameters: ParametersOrZero | None = None
    """Parameters in routed experts; left out: those that explain the active ones."""
    experts: Whole = 1.0
    """Routed experts of a layer; 1 if dense."""
    active_experts: Whole = 1.0
    """Routed experts that one token uses."""
    layers: Whole
    """Layers of the stack."""
    width: Whole
    """Width of the residual stream (`hidden_size`)."""
    heads: Whole
    """Attention heads for queries."""
    head_width: Count | None = None
    """Width of a head; left out: width / heads."""
    kv_heads: Whole | None = None
    """Heads for keys and values; left out: one for every head."""
    latent: LatentAttention | None = None
    """Multi-head latent attention, in place of kv_heads."""
    attention_layers: WholeOrZero | None = None
    """Layers with attention, where others have a state space instead; left out: all."""
    windowed: WindowedLayers | None = None
    """Layers with attention that see a window only."""
    state_elements: WholeOrZero = 0.0
    """Elements of recurrent state (Mamba) that a sequence keeps, over all layers."""
    state_precision: StoredPrecision | None = None
    """Number format of the recurrent state; left out: that of the KV cache."""
    routed_precision: StoredPrecision | None = None
    """Number format in which routed experts are published, where it is finer than the rest's."""
    vocabulary: Whole | None = None
    """Tokens of the vocabulary."""
    tied_embeddings: StrictBool | None = None
    """Whether the output layer shares the table of the token embedding."""
    context_tokens: Tokens | None = None
    """Longest prompt and answer together."""

    @model_validator(mode="after")
    def _attention_adds_up(self) -> ModelShapeSpec:
        if self.latent is not None and self.kv_heads is not None:
            raise ContradictionError(
                "kv_heads", "latent attention has no kv_heads", "give one of the two"
            )
        if self.head_width is None and self.width % self.heads:
            raise ContradictionError(
                "heads",
                f"the width {self.width:g} is no multiple of {self.heads:g} heads",
                "give head_width",
            )
        together = self.heads * self._head_width
        if not _NARROWEST <= together / self.width <= _WIDEST:
            raise ContradictionError(
                "heads" if self.head_width is None else "head_width",
                f"heads x head_width is {together:g}, beside a width of {self.width:g}",
                f"from {_NARROWEST:g} to {_WIDEST:g} times the width is plausible",
            )
        kv_heads = self.heads if self.kv_heads is None else self.kv_heads
        if self.heads % kv_heads:
            raise ContradictionError(
                "kv_heads",
                f"{self.heads:g} heads cannot share {kv_heads:g} kv_heads evenly",
                "kv_heads divides heads",
            )
        if self._attention_layers > self.layers:
            raise ContradictionError(
                "attention_layers",
                f"{self._attention_layers:g} layers with attention are more than "
                f"the {self.layers:g} layers",
            )
        if self.windowed is not None and self.windowed.layers > self._attention_layers:
            raise ContradictionError(
                "windowed.layers",
                f"{self.windowed.layers:g} windowed layers are more than "
                f"the {self._attention_layers:g} layers with attention",
            )
        return self

    @model_validator(mode="after")
    def _experts_add_up(self) -> ModelShapeSpec:
        total, active, routed = self.parameters, self.active_parameters, self.routed_parameters
        for key, part in (("active_parameters", active), ("routed_parameters", routed)):
            if part is not None and part > total:
                raise ContradictionError(
                    key, f"{_shown(part)} is above the parameters, {_shown(total)}"
                )
        if self.active_experts > self.experts:
            raise ContradictionError(
                "active_experts",
                f"{self.active_experts:g} is above the {self.experts:g} experts of a layer",
            )
        if self.experts == self.active_experts:
            if active is not None and active < total * (1.0 - _ROUNDED):
                raise ContradictionError(
                    "active_parameters",
                    f"{_shown(active)} is below the parameters, {_shown(total)}, "
                    "though no expert is idle",
                    "give experts and active_experts",
                )
        elif active is None and routed is None:
            raise ContradictionError(
                "experts", "a model with idle experts needs active_parameters or routed_parameters"
            )
        elif active is not None:
            self._routing_adds_up(active)
        return self

    def _routing_adds_up(self, active: float) -> None:
        total, used = self.parameters, f"{self.active_experts:g} of {self.experts:g} experts"
        if self.routed_parameters is None:
            least = total * self.active_experts / self.experts
            if active < least * (1.0 - _ROUNDED):
                raise ContradictionError(
                    "active_parameters",
                    f"{_shown(active)} is too few: {used} alone would be {_shown(least)} "
                    f"if all {_shown(total)} parameters were routed",
                )
            return
        follows = float(
            active_parameters(total, self.routed_parameters, self.experts, self.active_experts)
        )
        if abs(follows - active) > _ROUNDED * total:
            raise ContradictionError(
                "active_parameters",
                f"{_shown(active)} contradicts routed_parameters "
                f"{_shown(self.routed_parameters)}: with {used}, {_shown(follows)} are active",
                "leave one of the two out",
            )

    @property
    def _head_width(self) -> float:
        return self.width / self.heads if self.head_width is None else self.head_width

    @property
    def _attention_layers(self) -> float:
        return self.layers if self.attention_layers is None else self.attention_layers

    @property
    def routed(self) -> float:
        """Parameters in routed experts, given or derived; 0 if dense."""
        if self.routed_parameters is not None:
            return self.routed_parameters
        if self.active_parameters is None:
            return 0.0
        derived = routed_parameters(
            self.parameters, self.active_parameters, self.experts, self.active_experts
        )
        return min(float(derived), self.parameters)

    @property
    def active(self) -> float:
        """Parameters that one token passes, given or derived."""
        if self.active_parameters is not None:
            return self.active_parameters
        return float(
            active_parameters(self.parameters, self.routed, self.experts, self.active_experts)
        )

    @property
    def lookup_parameters(self) -> float:
        """Part of the parameters that is looked up and not multiplied: an untied embedding."""
        if self.vocabulary is None or self.tied_embeddings is not False:
            return 0.0
        return self.vocabulary * self.width

    def model_shape(
        self, weights: StoredPrecision = "bf16", kv_cache: StoredPrecision = "bf16"
    ) -> ModelShape:
        """What the laws of serving take, in the given number formats.

        Routed experts published in a finer format than `weights` stay in it.
        """
        windowed = 0.0 if self.windowed is None else self.windowed.layers
        full = self._attention_layers - windowed
        shards = 1.0  # every accelerator of a group keeps the whole latent
        if self.latent is None:
            kv_heads = shards = self.heads if self.kv_heads is None else self.kv_heads
            cached = float(kv_elements_per_token(1, kv_heads, self._head_width))
            across = self.heads * self._head_width
        else:
            cached = float(
                latent_kv_elements_per_token(1, self.latent.rank, self.latent.rope_width)
            )
            across = float(
                latent_attention_width(self.heads, self.latent.rank, self.latent.rope_width)
            )
        bytes_per_weight = bytes_per_element(weights)
        kv_bytes = bytes_per_element(kv_cache)
        # The laws count recurrent state in cached elements, so a wider one counts for more.
        state_bytes = bytes_per_element(self.state_precision or kv_cache)
        routed_bytes = bytes_per_element(self.routed_precision or weights)
        return ModelShape(
            parameters=self.parameters,
            active_parameters=self.active,
            routed_parameters=self.routed,
            experts=self.experts,
            active_experts=self.active_experts,
            layers=self.layers,
            width=self.width,
            attention_width=across * full / self.layers,
            kv_elements_per_token=cached * full,
            bytes_per_weight=bytes_per_weight,
            bytes_per_kv_element=kv_bytes,
            bytes_per_routed_weight=min(routed_bytes, bytes_per_weight),
            windowed_kv_elements_per_token=cached * windowed,
            windowed_attention_width=across * windowed / self.layers,
            window_tokens=0.0 if self.windowed is None else self.windowed.window_tokens,
            state_elements_per_sequence=self.state_elements * state_bytes / kv_bytes,
            cache_shards=shards,
        )
