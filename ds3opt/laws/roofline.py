"""Seconds and bytes of serving a model on accelerators: what bounds a step, and what fits."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval

LARGEST = 1e40
"""Largest size, count or rate taken, so that no product of a few of them overflows."""
LEAST_SHARE = 1e-6
"""Least share of a peak that an efficiency may be."""
ACTIVATION_BYTES = 2.0
"""Bytes of one activation sent between accelerators, bf16."""
Sizes = FloatArray | float
"""A figure of one thing, or of many."""


class _Sizes:
    """Fields as float64 arrays from 0 up, each checked once."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is not None:
                checked = interval(field.name, value, 0, LARGEST)
                object.__setattr__(self, field.name, checked)


@dataclass(frozen=True)
class Device(_Sizes):
    """One accelerator at the precision in use; each figure a number or an array."""

    flop_per_s: Sizes
    """Peak of dense arithmetic."""
    bandwidth_bytes_per_s: Sizes
    """Peak of its own memory."""
    memory_bytes: Sizes
    link_bytes_per_s: Sizes
    """To the other accelerators of its group, each direction."""
    board_power_watts: Sizes
    """Most that it draws for long, its TDP."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in fields(self):
            interval(field.name, getattr(self, field.name), 1.0 / LARGEST, LARGEST)


@dataclass(frozen=True)
class ModelShape(_Sizes):
    """What of a model matters to serving; numbers or arrays that broadcast together."""

    parameters: Sizes
    """All that must be in memory."""
    active_parameters: Sizes
    """Used by one token."""
    routed_parameters: Sizes
    """Part of `parameters` that lies in routed experts; 0 if dense."""
    experts: Sizes
    """Routed experts of a layer; 1 if dense."""
    active_experts: Sizes
    """Routed experts that one token uses; 1 if dense."""
    layers: Sizes
    width: Sizes
    """Of the residual stream, which accelerators exchange."""
    attention_width: Sizes
    """Heads x head width; summed over the layers of full attention, divided by `layers`."""
    kv_elements_per_token: Sizes
    """Cached for each token, over all layers of full attention."""
    bytes_per_weight: Sizes
    bytes_per_kv_element: Sizes
    bytes_per_routed_weight: Sizes | None = None
    """Where experts are stored otherwise than the rest; None for `bytes_per_weight`."""
    windowed_kv_elements_per_token: Sizes = 0.0
    """Cached for each of the last `window_tokens`, over all layers of windowed attention."""
    windowed_attention_width: Sizes = 0.0
    """As `attention_width`, of the layers of windowed attention."""
    window_tokens: Sizes = 0.0
    state_elements_per_sequence: Sizes = 0.0
    """Recurrent state of a sequence, read and written at every step, over all layers."""
    cache_shards: Sizes = LARGEST
    """Most accelerators that a token's cache is divided over: its KV heads; 1 for a latent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("experts", "cache_shards"):
            interval(name, getattr(self, name), 1, LARGEST)

    @property
    def weight_bytes(self) -> FloatArray:
        """Bytes of all weights."""
        return self._fixed_bytes() + self._routed_bytes()

    def touched_weight_bytes(self, tokens: ArrayLike) -> FloatArray:
        """Weights read by a step of so many tokens: ``w (N_fixed + N_routed (1 - (1 - k/E)^B))``.

        Each token picks its k of E experts independently and evenly.
        """
        with np.errstate(divide="ignore"):
            missed = np.log1p(-np.minimum(_array(self.active_experts) / self.experts, 1.0))
        touched = -np.expm1(_array(tokens) * missed)
        return self._fixed_bytes() + self._routed_bytes() * touched

    def cached_bytes(self, context_tokens: ArrayLike) -> FloatArray:
        """Bytes kept for a sequence of so many tokens: keys, values and recurrent state."""
        return self.kv_bytes(context_tokens) + self.state_bytes

    def kv_bytes(self, context_tokens: ArrayLike) -> FloatArray:
        """Keys and values of a sequence of so many tokens."""
        tokens = _array(context_tokens)
        windowed = _array(self.windowed_kv_elements_per_token)
        elements = _array(self.kv_elements_per_token) * tokens
        elements = elements + windowed * np.minimum(tokens, self.window_tokens)
        return elements * self.bytes_per_kv_element

    @property
    def state_bytes(self) -> FloatArray:
        """Recurrent state of a sequence."""
        return _array(self.state_elements_per_sequence) * self.bytes_per_kv_element

    def token_flop(self, context_tokens: ArrayLike) -> FloatArray:
        """FLOP of one token that attends to so many: ``2 N_a + 4 layers width context``."""
        tokens = _array(context_tokens)
        attended = _array(self.attention_width) * tokens
        attended = attended + _array(self.windowed_attention_width) * np.minimum(
            tokens, self.window_tokens
        )
        return 2.0 * _array(self.active_parameters) + 4.0 * _array(self.layers) * attended

    def _fixed_bytes(self) -> FloatArray:
        fixed = np.maximum(_array(self.parameters) - self.routed_parameters, 0.0)
        return fixed * self.bytes_per_weight

    def _routed_bytes(self) -> FloatArray:
        size = self.bytes_per_routed_weight
        return _array(self.routed_parameters) * (self.bytes_per_weight if size is None else size)


@dataclass(frozen=True)
class Efficiency(_Sizes):
    """How far an accelerator and its software stay behind their peaks; the default is ideal."""

    memory: Sizes = 1.0
    """Share of the peak bandwidth at which weights and recurrent states are read, in (0, 1]."""
    cache: Sizes = 1.0
    """Share of the peak bandwidth at which attention reads keys and values, in (0, 1]."""
    compute: Sizes = 1.0
    """Share of the peak FLOP/s that large matrix products reach, in (0, 1]."""
    exchange: Sizes = 0.0
    """Time of exchanging activations over that at the peak link bandwidth; 0 hides all of it."""
    allreduce_seconds: Sizes = 0.0
    """Latency of one all-reduce; two to a layer."""
    layer_seconds: Sizes = 0.0
    """Start of the kernels of one layer, from a captured graph."""
    expert_layer_seconds: Sizes = 0.0
    """More of it where the layer routes tokens to experts."""
    prompt_layer_seconds: Sizes = 0.0
    """More of it in a step that reads a prompt, whose kernels start one by one."""
    sequence_seconds: Sizes = 0.0
    """Host time of a step for each sequence: scheduling, sampling, writing out."""
    usable_memory: Sizes = 1.0
    """Share of the memory that weights and caches may fill, in (0, 1]."""
    reserve_bytes: Sizes = 0.0
    """Memory of each accelerator that activations and the runtime take."""
    base_power: Sizes = 1.0
    """Share of the board power that is drawn while serving, before any work is counted."""
    memory_power: Sizes = 0.0
    """More of it at full memory bandwidth."""
    compute_power: Sizes = 0.0
    """More of it at full FLOP/s."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("memory", "cache", "compute", "usable_memory"):
            interval(name, getattr(self, name), LEAST_SHARE, 1)


IDEAL = Efficiency()
"""The roofline itself: every peak reached, no overhead."""


@dataclass(frozen=True)
class DecodeStep:
    """One token more for each sequence; times in seconds."""

    seconds: FloatArray
    memory_seconds: FloatArray
    """Reading weights and caches."""
    compute_seconds: FloatArray
    """Arithmetic, hidden behind the reading or hiding it."""
    communication_seconds: FloatArray
    overhead_seconds: FloatArray
    """Starting kernels, and the host."""
    memory_utilisation: FloatArray
    """Bytes read over what the peak bandwidth would have read, in [0, 1]."""
    compute_utilisation: FloatArray
    """FLOP done over what the peak would have done, in [0, 1]."""


def decode_step(
    shape: ModelShape,
    device: Device,
    efficiency: Efficiency = IDEAL,
    *,
    sequences: ArrayLike,
    context_tokens: ArrayLike,
    accelerators: ArrayLike = 1,
    prompt_tokens: ArrayLike = 0,
    output_tokens: ArrayLike = np.inf,
) -> DecodeStep:
    """One step of continuous batching: ``max(memory, compute) + communication + overhead``.

    Memory is ``touched weights / (n BW eta_m) + B cache / (n BW eta_kv)``, compute
    ``B (2 N_a + 4 layers width context) / (n F eta_c)``, communication two all-reduces a layer.
    `seconds` never falls with `sequences`, `context_tokens` or a size of the model (parameters
    that are added to routed ones being added to all), and ``sequences / seconds`` never falls with
    `sequences`.

    Parameters
    ----------
    shape, device, efficiency : the model, one accelerator, how far from its peaks.
    sequences : B > 0, sequences that get a token.
    context_tokens : S >= 0, mean tokens before it, prompt included.
    accelerators : n >= 1, that share every layer (tensor parallel).
    prompt_tokens : P >= 0, of each request; read once, in the same steps.
    output_tokens : L >= 1, tokens generated for each reading of a prompt; inf leaves reading out.

    Notes
    -----
    Reading prompts adds P / L tokens for each generated one, the mean over the steps of a server
    that is never idle. Requests that end at random leave a share ``1 - exp(-B / L)`` of the steps
    with a prompt to read. The cache is divided over ``min(n, cache_shards)`` accelerators.

    >>> llama = ModelShape(70.55e9, 70.55e9, 0, 1, 1, 80, 8192, 8192, 163840, 2, 2)
    >>> h100 = Device(989e12, 3.35e12, 80e9, 450e9, 700)
    >>> step = decode_step(llama, h100, sequences=1, context_tokens=1536, accelerators=2)
    >>> f"{1e3 * step.seconds:.2f} ms"    # (141.1 GB + 0.5 GB) / (2 * 3.35 TB/s)
    '21.13 ms'
    """
    b = interval("sequences", sequences, 1.0 / LARGEST, LARGEST)
    s = interval("context_tokens", context_tokens, 0, LARGEST)
    n = interval("accelerators", accelerators, 1, LARGEST)
    p = interval("prompt_tokens", prompt_tokens, 0, LARGEST)
    length = interval("output_tokens", output_tokens, 1, np.inf)
    read = b * p / length

    weights = shape.touched_weight_bytes(b + read) + 2.0 * b * shape.state_bytes
    weights = weights / n / device.bandwidth_bytes_per_s
    cache = b * shape.kv_bytes(s) / _shards(shape, n) / device.bandwidth_bytes_per_s
    flop = b * shape.token_flop(s) + read * shape.token_flop(p / 2.0)
    ideal_compute = flop / n / device.flop_per_s
    memory = weights / efficiency.memory + cache / efficiency.cache
    compute = ideal_compute / efficiency.compute
    communication = _allreduce_seconds(shape, device, efficiency, b + read, n)
    reading = np.where(p > 0.0, -np.expm1(-b / length), 0.0)
    overhead = _layer_seconds(shape, efficiency, reading)
    overhead = overhead + b * _array(efficiency.sequence_seconds)
    seconds = np.maximum(memory, compute) + communication + overhead
    return DecodeStep(
        *np.broadcast_arrays(
            seconds,
            memory,
            compute,
            communication,
            overhead,
            (weights + cache) / seconds,
            ideal_compute / seconds,
        )
    )


def prefill_seconds(
    shape: ModelShape,
    device: Device,
    efficiency: Efficiency = IDEAL,
    *,
    prompt_tokens: ArrayLike,
    accelerators: ArrayLike = 1,
) -> FloatArray:
    """Time to read one prompt alone: ``(2 N_a P + 2 layers width P^2) / (n F eta_c)`` or more.

    More where reading the weights takes longer, and by communication and overhead.

    Parameters
    ----------
    prompt_tokens : P > 0.
    accelerators : n >= 1.

    >>> llama = ModelShape(70.55e9, 70.55e9, 0, 1, 1, 80, 8192, 8192, 163840, 2, 2)
    >>> h100 = Device(989e12, 3.35e12, 80e9, 450e9, 700)
    >>> f"{prefill_seconds(llama, h100, prompt_tokens=4000, accelerators=8):.4f}"
    '0.0740'
    """
    p = interval("prompt_tokens", prompt_tokens, 1.0 / LARGEST, LARGEST)
    n = interval("accelerators", accelerators, 1, LARGEST)
    weights = (shape.touched_weight_bytes(p) + shape.state_bytes) / n
    cache = shape.kv_bytes(p) / _shards(shape, n)
    memory = weights / efficiency.memory + cache / efficiency.cache
    memory = memory / device.bandwidth_bytes_per_s
    compute = p * shape.token_flop(p / 2.0) / n / device.flop_per_s / efficiency.compute
    communication = _allreduce_seconds(shape, device, efficiency, p, n)
    overhead = _layer_seconds(shape, efficiency, 1.0)
    return np.asarray(np.maximum(memory, compute) + communication + overhead)[()]


def usable_bytes(device: Device, efficiency: Efficiency) -> FloatArray:
    """Memory of one accelerator for weights and caches: ``u M - reserve``; below 0 for none."""
    return _array(efficiency.usable_memory) * device.memory_bytes - efficiency.reserve_bytes


def sequences_that_fit(
    shape: ModelShape,
    device: Device,
    efficiency: Efficiency = IDEAL,
    *,
    cached_tokens: ArrayLike,
    accelerators: ArrayLike = 1,
) -> FloatArray:
    """Sequences whose caches fit beside the weights, whole or not; 0 where the weights do not fit.

    ``(u n M - W - n reserve) / cache``, a cache counting n times for the share of it that every
    accelerator holds alike; infinite for a model that caches nothing.

    Parameters
    ----------
    cached_tokens : tokens kept for each sequence, >= 0.
    accelerators : n >= 1.

    >>> llama = ModelShape(70.55e9, 70.55e9, 0, 1, 1, 80, 8192, 8192, 163840, 2, 2)
    >>> h100 = Device(989e12, 3.35e12, 80e9, 450e9, 700)
    >>> fit = sequences_that_fit(llama, h100, cached_tokens=1000, accelerators=[1, 2, 4])
    >>> fit.round(1).tolist()    # 320 KiB a token beside 141.1 GB
    [0.0, 57.7, 546.0]
    """
    n = interval("accelerators", accelerators, 1, LARGEST)
    tokens = interval("cached_tokens", cached_tokens, 0, LARGEST)
    free = usable_bytes(device, efficiency) - shape.weight_bytes / n
    cache = shape.kv_bytes(tokens) / _shards(shape, n) + shape.state_bytes / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(free > 0.0, free / cache, 0.0))[()]


def _array(value: ArrayLike) -> FloatArray:
    return np.asarray(value, dtype=np.float64)


def _shards(shape: ModelShape, accelerators: FloatArray) -> FloatArray:
    """Accelerators that share a cache, the others repeat it."""
    return np.minimum(accelerators, shape.cache_shards)


def _layer_seconds(
    shape: ModelShape, efficiency: Efficiency, reading: FloatArray | float
) -> FloatArray:
    """Starting all layers, a share `reading` of the time with a prompt among the tokens."""
    routed = np.where(_array(shape.routed_parameters) > 0.0, efficiency.expert_layer_seconds, 0.0)
    each = efficiency.layer_seconds + routed + efficiency.prompt_layer_seconds * reading
    return _array(shape.layers) * each


def _allreduce_seconds(
    shape: ModelShape,
    device: Device,
    efficiency: Efficiency,
    tokens: FloatArray,
    accelerators: FloatArray,
) -> FloatArray:
    """Two all-reduces a layer: ``2 layers (latency + 2 (n-1)/n B width bytes / link)``."""
    sent = 2.0 * (1.0 - 1.0 / accelerators) * tokens * (_array(shape.width) * ACTIVATION_BYTES)
    latency = np.where(accelerators > 1.0, efficiency.allreduce_seconds, 0.0)
    transfer = sent / device.link_bytes_per_s * efficiency.exchange
    return 2.0 * _array(shape.layers) * (latency + transfer)
