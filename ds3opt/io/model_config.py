"""From a Hugging Face config.json to a model's shape: every weight counted, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ds3opt.io.config_json import OWN_SHAPE_HINT, ConfigJson, read_config
from ds3opt.laws import shapes

_PATTERNS = ("sliding_window_pattern", "_sliding_window_pattern", "no_rope_layer_interval")
_WINDOWED_TYPES = frozenset(("sliding_attention", "chunked_attention"))


@dataclass(frozen=True)
class _Family:
    """How the models of one `model_type` are built, where their config.json does not say."""

    feed_forward: Callable[[ConfigJson], _FeedForward]
    tied: bool = False
    query_key_norm: bool = False
    query_key_value_bias: bool = False
    sinks: bool = False
    """One learnt number for each head."""
    norms: int = 2
    """Norms of the residual width in a layer."""
    window_pattern: int = 0
    """Every so many layers one attends fully; 0: all layers are alike."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values of transformers' configuration class for keys that a config may leave out."""


@dataclass(frozen=True)
class _FeedForward:
    """Feed-forward weights over all layers, and how they are routed."""

    fixed: float
    """Used by every token: dense layers, shared experts, routers."""
    routed: float = 0.0
    experts: int = 1
    active_experts: int = 1


def shape_from_config(path: str | Path) -> dict[str, Any]:
    """The shape of a model from its config.json, as `ModelShapeSpec` takes it.

    Counts the weights of the language model: vision encoders and layers for speculative decoding
    (multi-token prediction) are left out.

    Raises
    ------
    UsageError, ScenarioError : at the line of what is wrong, with the key that is missing.
    """
    outer = read_config(path)
    config = outer.inner("text_config") if outer.has("text_config") else outer
    kind = config.model_type
    if kind == "nemotron_h":
        shape = _hybrid(config)
    elif kind in _LATENT:
        shape = _latent(config)
    elif kind in _FAMILIES:
        family = _FAMILIES[kind]
        shape = _decoder(config.with_defaults(family.defaults), family, outer)
    else:
        known = ", ".join(sorted({*_FAMILIES, *_LATENT, "nemotron_h"}))
        config.refuse(
            "model_type", f'"{kind[:40]}" is not known here', f"known are {known}; {OWN_SHAPE_HINT}"
        )
    quantisation = outer.data.get("quantization_config")
    if isinstance(quantisation, dict) and quantisation.get("quant_method") == "mxfp4":
        shape["routed_precision"] = "mxfp4"
    return {"source": f"{path}", **shape}


def _decoder(config: ConfigJson, family: _Family, outer: ConfigJson) -> dict[str, Any]:
    """A stack of layers that all have (grouped-query) attention and a feed-forward part."""
    layers, width = config.whole("num_hidden_layers"), config.whole("hidden_size")
    heads, kv_heads, head_width = _heads(config, width)
    feed_forward = family.feed_forward(config)
    attention = float(shapes.attention_parameters(width, heads, head_width, kv_heads))
    if config.flag("attention_bias", family.query_key_value_bias):
        attention += (heads + 2 * kv_heads) * head_width
        attention += 0 if family.query_key_value_bias else width
    attention += 2 * head_width if family.query_key_norm else 0
    attention += heads if family.sinks else 0
    tied = config.flag("tie_word_embeddings", outer.flag("tie_word_embeddings", family.tied))
    fixed = layers * (attention + family.norms * width) + feed_forward.fixed
    shape = _shape(config, fixed, feed_forward, tied)
    shape |= {"heads": heads, "head_width": head_width, "kv_heads": kv_heads}
    windowed = _windowed_layers(config, layers, family)
    if windowed:
        window = config.whole("sliding_window", "attention_chunk_size")
        shape["windowed"] = {"layers": windowed, "window_tokens": window}
    return shape


def _latent(config: ConfigJson) -> dict[str, Any]:
    """DeepSeek-V2 and its heirs: latent attention, first layers dense, then routed experts."""
    layers, width = config.whole("num_hidden_layers"), config.whole("hidden_size")
    heads = config.whole("num_attention_heads")
    rank, query_rank = config.whole("kv_lora_rank"), config.whole("q_lora_rank", default=0)
    rope = config.whole("qk_rope_head_dim")
    content, value = config.whole("qk_nope_head_dim"), config.whole("v_head_dim")
    attention = float(
        shapes.latent_attention_parameters(
            width,
            heads,
            latent_rank=rank,
            rope_width=rope,
            content_width=content,
            value_width=value,
            query_rank=query_rank,
        )
    )
    dense = config.whole("first_k_dense_replace", default=0, least=0)
    if dense > layers:
        config.refuse("first_k_dense_replace", f"{dense} is above num_hidden_layers {layers}")
    every = config.whole("moe_layer_freq", default=1)
    first = -(-dense // every) * every  # the first multiple that is not dense
    sparse = len(range(first, layers, every))
    inner = config.whole("moe_intermediate_size")
    shared = inner * config.whole("n_shared_experts", default=0, least=0)
    feed_forward = _mixture(
        config,
        sparse_layers=sparse,
        dense_layers=layers - sparse,
        experts=config.whole("n_routed_experts"),
        inner=inner,
        shared_inner=shared,
        dense_inner=config.whole("intermediate_size"),
        router_bias=config.data.get("topk_method") == "noaux_tc",
    )
    fixed = layers * (attention + 2 * width + rank + query_rank) + feed_forward.fixed
    tied = config.flag("tie_word_embeddings", False)
    shape = _shape(config, fixed, feed_forward, tied)
    # A query is wider than a value; their mean gives the FLOP of scores and sum together.
    head_width = (content + rope + value) / 2
    latent = {"rank": rank, "rope_width": rope}
    return shape | {"heads": heads, "head_width": head_width, "latent": latent}


def _hybrid(config: ConfigJson) -> dict[str, Any]:
    """Nemotron-H: every layer is attention, Mamba-2, feed-forward or experts, one norm each."""
    layers, width = config.whole("num_hidden_layers"), config.whole("hidden_size")
    kinds = _layer_kinds(config, layers)
    heads, kv_heads, head_width = _heads(config, width)
    mamba = {
        "heads": config.whole("mamba_num_heads"),
        "head_width": config.whole("mamba_head_dim"),
        "state_width": config.whole("ssm_state_size", "mamba_state_dim"),
        "groups": config.whole("n_groups", "mamba_num_groups"),
        "kernel": config.whole("conv_kernel", default=4),
    }
    attention = shapes.attention_parameters(width, heads, head_width, kv_heads)
    fixed = float(
        kinds.count("*") * attention
        + kinds.count("M") * shapes.state_space_parameters(width, **mamba)
        + kinds.count("-") * 2 * width * config.whole("intermediate_size")
        + layers * width
    )
    feed_forward = _FeedForward(0.0)
    if "E" in kinds:
        feed_forward = _mixture(
            config,
            sparse_layers=kinds.count("E"),
            experts=config.whole("n_routed_experts"),
            inner=config.whole("moe_intermediate_size"),
            shared_inner=config.whole("n_shared_experts", default=1, least=0)
            * config.whole("moe_shared_expert_intermediate_size"),
            router_bias=True,
            matrices=2,
        )
    tied = config.flag("tie_word_embeddings", False)
    fixed += feed_forward.fixed
    shape = _shape(config, fixed, feed_forward, tied)
    shape |= {"heads": heads, "head_width": head_width, "kv_heads": kv_heads}
    shape["attention_layers"] = kinds.count("*")
    shape["state_elements"] = float(shapes.state_space_elements(kinds.count("M"), **mamba))
    if config.data.get("mamba_ssm_cache_dtype") == "float32":
        shape["state_precision"] = "fp32"
    return shape


def _layer_kinds(config: ConfigJson, layers: int) -> str:
    kinds = config.data.get("hybrid_override_pattern")
    if kinds is None:
        config.missing("hybrid_override_pattern")
    if not isinstance(kinds, str) or set(kinds) - set("M*-E"):
        config.refuse("hybrid_override_pattern", "must be text of M, *, - and E, one a layer")
    if len(kinds) != layers:
        config.refuse(
            "hybrid_override_pattern", f"names {len(kinds)} layers, num_hidden_layers is {layers}"
        )
    return kinds


def _shape(
    config: ConfigJson, fixed: float, feed_forward: _FeedForward, tied: bool
) -> dict[str, Any]:
    """What every shape has, from the weights inside the layers."""
    width, vocabulary = config.whole("hidden_size"), config.whole("vocab_size")
    embeddings = float(shapes.embedding_parameters(vocabulary, width, tied=tied))
    parameters = fixed + feed_forward.routed + embeddings + width  # and a last norm
    routing = {
        "active_parameters": float(
            shapes.active_parameters(
                parameters, feed_forward.routed, feed_forward.experts, feed_forward.active_experts
            )
        ),
        "routed_parameters": feed_forward.routed,
        "experts": feed_forward.experts,
        "active_experts": feed_forward.active_experts,
    }
    longest = config.whole("max_position_embeddings", default=0)
    return {
        "parameters": parameters,
        **(routing if feed_forward.routed else {}),
        "layers": config.whole("num_hidden_layers"),
        "width": width,
        "vocabulary": vocabulary,
        "tied_embeddings": tied,
        **({"context_tokens": longest} if longest else {}),
    }


def _heads(config: ConfigJson, width: int) -> tuple[int, int, int]:
    heads = config.whole("num_attention_heads")
    kv_heads = config.whole("num_key_value_heads", default=heads)
    if heads % kv_heads:
        config.refuse("num_key_value_heads", f"{kv_heads} does not divide {heads} heads")
    if width % heads and not config.has("head_dim"):
        config.missing("head_dim")
    return heads, kv_heads, config.whole("head_dim", default=width // heads)


def _windowed_layers(config: ConfigJson, layers: int, family: _Family) -> int:
    """How many layers attend to a window."""
    if not config.has("sliding_window") and not config.has("attention_chunk_size"):
        return 0
    if not config.flag("use_sliding_window", True):
        return 0
    kinds = config.words("layer_types")
    if kinds:
        if len(kinds) != layers:
            config.refuse("layer_types", f"names {len(kinds)} layers, not {layers}")
        return sum(kind in _WINDOWED_TYPES for kind in kinds)
    if config.has("max_window_layers"):  # of Qwen: the layers below it attend fully
        return layers - min(layers, config.whole("max_window_layers", least=0))
    pattern = config.whole(*_PATTERNS, default=family.window_pattern, least=0)
    return layers - layers // pattern if pattern else layers


def _mixture(
    config: ConfigJson,
    *,
    sparse_layers: int,
    experts: int,
    inner: int,
    dense_layers: int = 0,
    shared_inner: int = 0,
    dense_inner: int = 0,
    router_bias: bool = False,
    expert_bias: bool = False,
    shared_gate: bool = False,
    matrices: int = 3,
) -> _FeedForward:
    """Layers of routed experts behind a router, beside shared experts and dense layers."""
    width = config.whole("hidden_size")
    active = config.whole("num_experts_per_tok", "experts_per_token")
    if active > experts:
        config.refuse("num_experts_per_tok", f"{active} is above the {experts} experts of a layer")
    expert = float(shapes.feed_forward_parameters(width, inner, matrices=matrices))
    expert += (matrices - 1) * inner + width if expert_bias else 0
    router = (width + router_bias) * experts + (width if shared_gate else 0)
    shared = float(shapes.feed_forward_parameters(width, shared_inner, matrices=matrices))
    dense = float(shapes.feed_forward_parameters(width, dense_inner, matrices=matrices))
    return _FeedForward(
        fixed=sparse_layers * (router + shared) + dense_layers * dense,
        routed=sparse_layers * experts * expert,
        experts=experts,
        active_experts=active,
    )


def _dense(config: ConfigJson) -> _FeedForward:
    layers, width = config.whole("num_hidden_layers"), config.whole("hidden_size")
    inner = config.whole("intermediate_size")
    bias = 2 * inner + width if config.flag("mlp_bias", False) else 0
    return _FeedForward(layers * (float(shapes.feed_forward_parameters(width, inner)) + bias))


def _mixtral(config: ConfigJson) -> _FeedForward:
    return _mixture(
        config,
        sparse_layers=config.whole("num_hidden_layers"),
        experts=config.whole("num_local_experts"),
        inner=config.whole("intermediate_size"),
    )


def _qwen_mixture(config: ConfigJson) -> _FeedForward:
    layers = config.whole("num_hidden_layers")
    sparse = layers // config.whole("decoder_sparse_step", default=1)
    if config.data.get("mlp_only_layers"):
        config.refuse("mlp_only_layers", "must be empty", OWN_SHAPE_HINT)
    # Qwen3 writes this size though it has no shared expert.
    shared = config.model_type == "qwen2_moe"
    return _mixture(
        config,
        sparse_layers=sparse,
        dense_layers=layers - sparse,
        experts=config.whole("num_experts", "num_local_experts"),
        inner=config.whole("moe_intermediate_size"),
        shared_inner=config.whole("shared_expert_intermediate_size") if shared else 0,
        dense_inner=config.whole("intermediate_size") if sparse < layers else 0,
        shared_gate=shared,
    )


def _llama4(config: ConfigJson) -> _FeedForward:
    layers = config.whole("num_hidden_layers")
    sparse = layers // config.whole("interleave_moe_layer_step", default=1)
    inner = config.whole("intermediate_size")
    return _mixture(
        config,
        sparse_layers=sparse,
        dense_layers=layers - sparse,
        experts=config.whole("num_local_experts"),
        inner=inner,
        shared_inner=inner,
        dense_inner=config.whole("intermediate_size_mlp") if sparse < layers else 0,
    )


def _gpt_oss(config: ConfigJson) -> _FeedForward:
    return _mixture(
        config,
        sparse_layers=config.whole("num_hidden_layers"),
        experts=config.whole("num_local_experts", "num_experts"),
        inner=config.whole("intermediate_size"),
        router_bias=True,
        expert_bias=True,
    )


_LATENT = frozenset(("deepseek_v2", "deepseek_v3", "kimi_k2"))
_QWEN: dict[str, Any] = {"use_sliding_window": False}
_FAMILIES = {
    "llama": _Family(_dense),
    "mistral": _Family(_dense),
    "qwen2": _Family(_dense, query_key_value_bias=True, defaults=_QWEN),
    "qwen3": _Family(_dense, query_key_norm=True, defaults={**_QWEN, "head_dim": 128}),
    "phi3": _Family(_dense),
    "gemma": _Family(_dense, tied=True, defaults={"head_dim": 256}),
    "gemma2": _Family(_dense, tied=True, norms=4, window_pattern=2, defaults={"head_dim": 256}),
    "gemma3_text": _Family(
        _dense,
        tied=True,
        query_key_norm=True,
        norms=4,
        window_pattern=6,
        defaults={
            "vocab_size": 262_208,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "sliding_window": 4096,
            "max_position_embeddings": 131_072,
        },
    ),
    "mixtral": _Family(_mixtral),
    "qwen2_moe": _Family(_qwen_mixture, query_key_value_bias=True, defaults=_QWEN),
    "qwen3_moe": _Family(_qwen_mixture, query_key_norm=True, defaults=_QWEN),
    "llama4_text": _Family(_llama4, window_pattern=4, defaults={"head_dim": 128}),
    "gpt_oss": _Family(_gpt_oss, sinks=True, window_pattern=2, defaults={"head_dim": 64}),
}
