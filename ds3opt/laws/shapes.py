"""What a transformer is made of: parameters, cached elements, widths; dense shapes by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws.roofline import ModelShape

BYTES_PER_ELEMENT: Mapping[str, float] = MappingProxyType(
    {
        "fp32": 4.0,
        "bf16": 2.0,
        "fp16": 2.0,
        "fp8": 1.0,
        "int8": 1.0,
        "fp4": 0.5 + 1 / 16,
        "int4": 0.5 + 1 / 16,
        "mxfp4": 0.5 + 1 / 32,
    }
)
"""Bytes of a weight or of a cached element, scales of blocks included.

fp4 is NVIDIA's NVFP4, one byte of scale for 16 elements, and int4 is charged alike; mxfp4 shares a
byte between 32 elements (OCP Microscaling Formats 1.0). Scales of 8-bit formats, a few bytes for a
channel or for 128 x 128 weights, are left out.
"""

MOST_SHAPES = 1_000_000
"""Longest list that `shapes_by_rule` makes."""

_TOLERANCE = 1e-9


def _size(name: str, value: ArrayLike) -> FloatArray:
    return interval(name, value, 0, np.inf, bounds="[)")


def attention_parameters(
    width: ArrayLike, heads: ArrayLike, head_width: ArrayLike, kv_heads: ArrayLike
) -> FloatArray:
    """Weights of one attention layer: ``2 width head_width (heads + kv_heads)``.

    Queries and output take ``width * heads * head_width`` each, keys and values
    ``width * kv_heads * head_width`` each; biases and norms are not counted. `kv_heads` equals
    `heads` in multi-head attention, is 1 in multi-query attention, and lies between in
    grouped-query attention (Ainslie et al., arXiv 2305.13245).

    >>> float(attention_parameters(4096, 32, 128, 8))    # a layer of Llama-3.1-8B
    41943040.0
    """
    all_heads = _size("heads", heads) + _size("kv_heads", kv_heads)
    return np.asarray(2.0 * _size("width", width) * _size("head_width", head_width) * all_heads)[()]


def latent_attention_width(
    heads: ArrayLike, latent_rank: ArrayLike, rope_width: ArrayLike
) -> FloatArray:
    """Width of latent attention as it is decoded: ``heads (latent_rank + rope_width / 2)``.

    Scores are taken over ``latent_rank + rope_width``, the sum over ``latent_rank``, both for each
    head, on the cache as it is (DeepSeek-V2, arXiv 2405.04434, section 2.1.2). Attention without a
    latent has ``heads * head_width``.

    >>> float(latent_attention_width(128, 512, 64))    # DeepSeek-V3
    69632.0
    """
    width = _size("latent_rank", latent_rank) + _size("rope_width", rope_width) / 2.0
    return np.asarray(_size("heads", heads) * width)[()]


def latent_attention_parameters(
    width: ArrayLike,
    heads: ArrayLike,
    *,
    latent_rank: ArrayLike,
    rope_width: ArrayLike,
    content_width: ArrayLike,
    value_width: ArrayLike,
    query_rank: ArrayLike = 0,
) -> FloatArray:
    """Weights of one layer of multi-head latent attention, norms not counted.

    Parameters
    ----------
    width, heads : of the layer, >= 0.
    latent_rank : width of the compressed keys and values that are cached.
    rope_width : width of the one key with positions that all heads share, cached beside them.
    content_width : width of a head's query and key without positions.
    value_width : width of a head's value.
    query_rank : width that queries are compressed to; 0 where they are not.

    Notes
    -----
    DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C.

    >>> shape = dict(latent_rank=512, rope_width=64, content_width=128, value_width=128)
    >>> float(latent_attention_parameters(7168, 128, query_rank=1536, **shape))    # DeepSeek-V3
    187105280.0
    """
    d, h = _size("width", width), _size("heads", heads)
    rank, query = _size("latent_rank", latent_rank), _size("query_rank", query_rank)
    rope, value = _size("rope_width", rope_width), _size("value_width", value_width)
    content = _size("content_width", content_width)
    query_width = h * (content + rope)
    queries = np.where(query > 0, query * (d + query_width), d * query_width)
    return np.asarray(queries + d * (rank + rope) + rank * h * (content + value) + h * value * d)[
        ()
    ]


def feed_forward_parameters(
    width: ArrayLike, inner_width: ArrayLike, *, matrices: ArrayLike = 3
) -> FloatArray:
    """Weights of one feed-forward layer: ``matrices * width * inner_width``.

    A gated unit (SwiGLU, GeGLU) has 3 matrices, a plain one 2 (Shazeer, arXiv 2002.05202).

    >>> float(feed_forward_parameters(4096, 14336))    # a layer of Llama-3.1-8B
    176160768.0
    """
    return np.asarray(
        _size("matrices", matrices) * _size("width", width) * _size("inner_width", inner_width)
    )[()]


def state_space_parameters(
    width: ArrayLike,
    heads: ArrayLike,
    head_width: ArrayLike,
    state_width: ArrayLike,
    *,
    groups: ArrayLike = 1,
    kernel: ArrayLike = 4,
) -> FloatArray:
    """Weights of one Mamba-2 layer, its inner norm, convolution and its bias included.

    With ``inner = heads * head_width`` and ``mixed = inner + 2 groups state_width``: projections
    in to ``inner + mixed + heads`` and out of ``inner``, a convolution of `kernel` taps over
    ``mixed``, a norm of ``inner`` and three numbers a head (Dao and Gu, arXiv 2405.21060).

    >>> float(state_space_parameters(4480, 128, 80, 128, groups=8))    # Nemotron-Nano-9B-v2
    147446144.0
    """
    d, h = _size("width", width), _size("heads", heads)
    inner = h * _size("head_width", head_width)
    mixed = inner + 2.0 * _size("groups", groups) * _size("state_width", state_width)
    convolution = mixed * (_size("kernel", kernel) + 1.0)
    return np.asarray(d * (inner + mixed + h) + convolution + 3.0 * h + inner + inner * d)[()]


def embedding_parameters(
    vocabulary: ArrayLike, width: ArrayLike, *, tied: bool = False
) -> FloatArray:
    """Weights of the token embedding and of the output layer, one table if `tied`.

    >>> float(embedding_parameters(128256, 4096))    # Llama-3.1-8B
    1050673152.0
    """
    tables = 1.0 if tied else 2.0
    return np.asarray(tables * _size("vocabulary", vocabulary) * _size("width", width))[()]


def dense_parameters(
    *,
    layers: ArrayLike,
    width: ArrayLike,
    heads: ArrayLike,
    head_width: ArrayLike,
    kv_heads: ArrayLike,
    inner_width: ArrayLike,
    vocabulary: ArrayLike = 0,
    tied: bool = False,
    matrices: ArrayLike = 3,
) -> FloatArray:
    """All weights of a dense decoder without biases: layers, two norms in each, a last norm.

    >>> float(
    ...     dense_parameters(
    ...         layers=32,
    ...         width=4096,
    ...         heads=32,
    ...         head_width=128,
    ...         kv_heads=8,
    ...         inner_width=14336,
    ...         vocabulary=128256,
    ...     )
    ... )    # Llama-3.1-8B
    8030261248.0
    """
    attention = attention_parameters(width, heads, head_width, kv_heads)
    feed_forward = feed_forward_parameters(width, inner_width, matrices=matrices)
    d, depth = _size("width", width), _size("layers", layers)
    outside = embedding_parameters(vocabulary, d, tied=tied) + d
    return np.asarray(depth * (attention + feed_forward + 2.0 * d) + outside)[()]


def active_parameters(
    parameters: ArrayLike,
    routed_parameters: ArrayLike,
    experts: ArrayLike,
    active_experts: ArrayLike,
) -> FloatArray:
    """Parameters that one token passes: all but its share of idle experts.

    ``parameters - routed_parameters (1 - active_experts / experts)``; embeddings count.

    >>> float(active_parameters(46.7e9, 45.1e9, 8, 2))    # Mixtral 8x7B: 12.9e9
    12875000000.0
    """
    used = _share_used(experts, active_experts)
    total = _size("parameters", parameters)
    return np.asarray(total - _size("routed_parameters", routed_parameters) * (1.0 - used))[()]


def routed_parameters(
    parameters: ArrayLike,
    active_parameters: ArrayLike,
    experts: ArrayLike,
    active_experts: ArrayLike,
) -> FloatArray:
    """Parameters in routed experts, from what one token passes; 0 where all experts are used.

    The inverse of `active_parameters`, for models published by their totals only.

    >>> float(routed_parameters(46.7e9, 12.875e9, 8, 2))
    45100000000.0
    """
    idle = 1.0 - _share_used(experts, active_experts)
    rest = _size("parameters", parameters) - _size("active_parameters", active_parameters)
    some = np.where(idle > 0.0, idle, 1.0)
    return np.where(idle > 0.0, rest / some, 0.0)[()]


def _share_used(experts: ArrayLike, active_experts: ArrayLike) -> FloatArray:
    of = interval("experts", experts, 1, np.inf, bounds="[)")
    share = interval("active_experts", active_experts, 0, np.inf, bounds="[)") / of
    return interval("active_experts / experts", share, 0, 1)


def kv_elements_per_token(
    layers: ArrayLike, kv_heads: ArrayLike, head_width: ArrayLike
) -> FloatArray:
    """Elements cached for a token: ``2 layers kv_heads head_width``, a key and a value.

    Only layers with attention count: layers of state space cache nothing that grows.

    >>> float(2 * kv_elements_per_token(80, 8, 128) / 1024)    # KiB in bf16: Llama-3.1-70B
    320.0
    """
    heads = _size("layers", layers) * _size("kv_heads", kv_heads)
    return np.asarray(2.0 * heads * _size("head_width", head_width))[()]


def latent_kv_elements_per_token(
    layers: ArrayLike, latent_rank: ArrayLike, rope_width: ArrayLike
) -> FloatArray:
    """Elements cached for a token by latent attention: ``layers (latent_rank + rope_width)``.

    DeepSeek-V2, arXiv 2405.04434, table 1.

    >>> float(2 * latent_kv_elements_per_token(61, 512, 64))    # bytes in bf16: DeepSeek-V3
    70272.0
    """
    cached = _size("latent_rank", latent_rank) + _size("rope_width", rope_width)
    return np.asarray(_size("layers", layers) * cached)[()]


def state_space_elements(
    layers: ArrayLike,
    heads: ArrayLike,
    head_width: ArrayLike,
    state_width: ArrayLike,
    *,
    groups: ArrayLike = 1,
    kernel: ArrayLike = 4,
) -> FloatArray:
    """Elements of state that Mamba-2 layers keep for a sequence, the convolution's included.

    ``layers (inner state_width + (kernel - 1) (inner + 2 groups state_width))``, ``inner`` as in
    `state_space_parameters`.

    >>> float(state_space_elements(27, 128, 80, 128, groups=8))    # Nemotron-Nano-9B-v2
    36384768.0
    """
    inner = _size("heads", heads) * _size("head_width", head_width)
    state = _size("state_width", state_width)
    taps = np.maximum(_size("kernel", kernel) - 1.0, 0.0)
    mixed = inner + 2.0 * _size("groups", groups) * state
    return np.asarray(_size("layers", layers) * (inner * state + taps * mixed))[()]


@dataclass(frozen=True)
class DenseShapes:
    """Dense shapes from small to large; every array has one entry a shape."""

    parameters: FloatArray
    layers: FloatArray
    width: FloatArray
    heads: FloatArray
    kv_heads: FloatArray
    attention_width: FloatArray
    kv_elements_per_token: FloatArray

    def __len__(self) -> int:
        return len(self.parameters)

    def model_shape(self, bytes_per_weight: float, bytes_per_kv_element: float) -> ModelShape:
        """The same as the laws of serving take them."""
        return ModelShape(
            parameters=self.parameters,
            active_parameters=self.parameters,
            routed_parameters=0.0,
            experts=1.0,
            active_experts=1.0,
            layers=self.layers,
            width=self.width,
            attention_width=self.attention_width,
            kv_elements_per_token=self.kv_elements_per_token,
            bytes_per_weight=bytes_per_weight,
            bytes_per_kv_element=bytes_per_kv_element,
            cache_shards=self.kv_heads,
        )


def shapes_by_rule(
    smallest: float,
    largest: float,
    *,
    width_per_layer: float = 128.0,
    head_width: float = 128.0,
    query_heads_per_kv_head: float = 8.0,
) -> DenseShapes:
    """Every dense shape of the rule between two sizes, both included: one for a number of layers.

    ``width = width_per_layer * layers`` to the nearest whole head (at least one),
    ``parameters = 12 layers width^2`` (without embeddings), and one key-value head for
    `query_heads_per_kv_head` heads, rounded down (at least one). No field falls as layers rise.

    Parameters
    ----------
    smallest, largest : parameters; shapes within 1e-9 of either belong to the list.
    width_per_layer : > 0; about 128 for GPT-3 and Llama 65B.
    head_width : > 0.
    query_heads_per_kv_head : >= 1.

    Notes
    -----
    The count is that of DS3's rule, as in `ds3opt.laws.compute.layers_times_width`.

    >>> shapes_by_rule(6e9, 9e9).layers.tolist()
    [32.0, 33.0, 34.0, 35.0]
    """
    ratio = float(interval("width_per_layer", width_per_layer, 0, np.inf, bounds="()"))
    head = float(interval("head_width", head_width, 0, np.inf, bounds="()"))
    group = float(interval("query_heads_per_kv_head", query_heads_per_kv_head, 1, np.inf))
    least = float(_size("smallest", smallest)) * (1.0 - _TOLERANCE)
    most = float(_size("largest", largest)) * (1.0 + _TOLERANCE)

    def heads_of(layers: ArrayLike) -> FloatArray:
        return np.maximum(1.0, np.rint(ratio * np.asarray(layers) / head))

    def parameters_of(layers: ArrayLike) -> FloatArray:
        return 12.0 * np.asarray(layers) * (heads_of(layers) * head) ** 2

    def first_above(size: float, *, strictly: bool) -> int:
        def reached(layers: int) -> bool:
            parameters = parameters_of(layers)
            return bool(parameters > size if strictly else parameters >= size)

        high = 1
        while not reached(high):
            high *= 2
        low = high // 2  # not reached, or 0
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    first, end = first_above(least, strictly=False), first_above(most, strictly=True)
    if end - first > MOST_SHAPES:
        raise refuse(
            "the range of sizes", f"narrow enough for {MOST_SHAPES:,} shapes", f"{end - first:,}"
        )
    layers = np.arange(first, end, dtype=np.float64)
    heads = heads_of(layers)
    kv_heads = np.maximum(1.0, np.floor(heads / group))
    return DenseShapes(
        parameters=parameters_of(layers),
        layers=layers,
        width=heads * head,
        heads=heads,
        kv_heads=kv_heads,
        attention_width=heads * head,
        kv_elements_per_token=kv_elements_per_token(layers, kv_heads, head),
    )
