"""Shapes of models and the machines that serve them, batch by batch: slow and literal."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

BYTES = {
    "fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625, "int4": 0.5625,
    "mxfp4": 0.53125,
}  # fmt: skip


class Shape(NamedTuple):
    """One model as its server sees it."""

    total: float
    active: float
    routed: float
    experts: float
    used_experts: float
    layers: float
    width: float
    attention: float  # width, on average over the layers
    kv: float  # elements a token
    window_kv: float
    window_attention: float
    window: float
    state: float
    shards: float
    weight_bytes: float
    routed_bytes: float
    kv_bytes: float
    loss_size: float


def lattice(scenario: Any) -> list[Shape]:
    """Every shape that may be trained, smallest first."""
    model = scenario.model
    if not model.train:
        return []
    inference = scenario.hardware.inference if scenario.hardware else None
    weights = inference.weights if inference else "bf16"
    cache = inference.kv_cache if inference else "bf16"
    spec = model.shape
    if spec is not None and spec.list is not None:
        found = [listed(one, weights, cache) for one in spec.list]
        return sorted(found, key=lambda shape: shape.total)
    ratio = (spec.width_per_layer if spec is not None else None) or 128.0
    head = spec.head_width if spec is not None else 128.0
    group = spec.query_heads_per_kv_head if spec is not None else 8.0
    found, layers = [], 0
    while True:
        layers += 1
        # half a head is rounded to the even number, as IEEE arithmetic does
        heads = max(1.0, float(round(ratio * layers / head)))
        width = heads * head
        size = 12.0 * layers * width * width
        if size > model.parameters.max * (1 + 1e-9):
            return found
        if size < model.parameters.min * (1 - 1e-9):
            continue
        kv = max(1.0, math.floor(heads / group))
        found.append(
            Shape(
                size, size, 0.0, 1.0, 1.0, layers, width, width, 2.0 * layers * kv * head,
                0.0, 0.0, 0.0, 0.0, kv, BYTES[weights], BYTES[weights], BYTES[cache], size,
            )
        )  # fmt: skip


def listed(spec: Any, weights: str, cache: str) -> Shape:
    """A shape from its figures."""
    total, idle = spec.parameters, 1.0 - spec.active_experts / spec.experts
    routed = spec.routed_parameters
    if routed is None:
        few = spec.active_parameters is None or idle == 0.0
        routed = 0.0 if few else min((total - spec.active_parameters) / idle, total)
    active = spec.active_parameters
    if active is None:
        active = total - routed * idle
    head = spec.width / spec.heads if spec.head_width is None else spec.head_width
    attentive = spec.layers if spec.attention_layers is None else spec.attention_layers
    windowed = 0.0 if spec.windowed is None else spec.windowed.layers
    if spec.latent is None:
        kv_heads = spec.heads if spec.kv_heads is None else spec.kv_heads
        kv, across, shards = 2.0 * kv_heads * head, spec.heads * head, kv_heads
    else:
        kv, shards = spec.latent.rank + spec.latent.rope_width, 1.0
        across = spec.heads * (spec.latent.rank + spec.latent.rope_width / 2.0)
    finer = BYTES[spec.routed_precision] if spec.routed_precision else BYTES[weights]
    size = getattr(spec, "dense_equivalent", None)
    if size is None:
        size = math.sqrt(total * active)
    return Shape(
        total, active, routed, spec.experts, spec.active_experts, spec.layers, spec.width,
        across * (attentive - windowed) / spec.layers, kv * (attentive - windowed), kv * windowed,
        across * windowed / spec.layers,
        0.0 if spec.windowed is None else spec.windowed.window_tokens,
        spec.state_elements * BYTES[spec.state_precision or cache], shards, BYTES[weights],
        min(finer, BYTES[weights]), BYTES[cache], size,
    )  # fmt: skip


class Machine:
    """The accelerators that serve, with their measured efficiencies."""

    def __init__(self, scenario: Any) -> None:
        hardware, part = scenario.hardware, scenario.hardware.inference
        chip, calibration = part.accelerator, part.calibration
        rates = chip.dense_flop_per_s
        self.part = part
        own = part.weights if part.weights in ("fp8", "int8", "fp4") else "bf16"
        kind = part.arithmetic or (own if getattr(rates, own) is not None else "bf16")
        self.flop = getattr(rates, kind)
        self.band = chip.bandwidth_bytes_per_s
        self.memory = chip.memory_bytes
        self.link = chip.link_bytes_per_s or 1e9
        self.board = chip.board_power_watts or 1.0
        self.host, self.pue = hardware.host_power, hardware.power_usage_effectiveness
        serving, power, capacity = calibration.serving, calibration.power, calibration.capacity
        self.at = serving
        share = serving.compute
        self.compute = share.narrow if kind in ("fp8", "int8", "fp4") else share.sixteen_bit
        self.power = power
        eight = part.weights in ("fp8", "int8")
        experts = serving.expert_layer_seconds
        self.expert_layer = experts.eight_bit if eight else experts.sixteen_bit
        self.usable = capacity.usable_memory * self.memory - capacity.reserve_bytes

    def step(
        self, m: Shape, b: Any, context: Any, n: Any, prompt: Any, length: Any
    ) -> tuple[Any, Any, Any]:
        """Seconds of one decoding step, and utilisation of memory and of arithmetic."""
        at = self.at
        read = b * prompt / length
        memory = (self.touched(m, b + read) + 2.0 * b * m.state) / n / self.band
        cache = b * self.cached(m, context) / np.minimum(n, m.shards) / self.band
        work = b * self.token_flop(m, context) + read * self.token_flop(m, prompt / 2.0)
        compute = work / n / self.flop
        sent = 2.0 * (n - 1.0) / n * (b + read) * m.width * 2.0 / self.link * at.exchange
        wait = np.where(np.asarray(n) > 1, at.allreduce_seconds, 0.0)
        layer = at.layer_seconds + (self.expert_layer if m.routed > 0 else 0.0)
        reading = np.where(np.asarray(prompt) > 0, 1.0 - np.exp(-b / np.asarray(length)), 0.0)
        seconds = np.maximum(memory / at.memory + cache / at.cache, compute / self.compute)
        seconds = seconds + 2.0 * m.layers * (wait + sent)
        seconds = seconds + m.layers * (layer + at.prompt_layer_seconds * reading)
        seconds = seconds + b * at.sequence_seconds
        return seconds, (memory + cache) / seconds, compute / seconds

    def prefill(self, m: Shape, prompt: float, n: Any) -> Any:
        """Seconds to read one prompt alone."""
        at = self.at
        memory = (self.touched(m, prompt) + m.state) / n / at.memory
        memory = memory + self.cached(m, prompt) / np.minimum(n, m.shards) / at.cache
        compute = prompt * self.token_flop(m, prompt / 2.0) / n / self.flop / self.compute
        sent = 2.0 * (n - 1.0) / n * prompt * m.width * 2.0 / self.link * at.exchange
        wait = np.where(np.asarray(n) > 1, at.allreduce_seconds, 0.0)
        layer = at.layer_seconds + (self.expert_layer if m.routed > 0 else 0.0)
        layer = layer + at.prompt_layer_seconds
        return np.maximum(memory / self.band, compute) + m.layers * (2.0 * (wait + sent) + layer)

    def touched(self, m: Shape, tokens: Any) -> Any:
        """Bytes of weights that a step of so many tokens reads."""
        share = 1.0 - (1.0 - m.used_experts / m.experts) ** np.asarray(tokens, dtype=float)
        return (m.total - m.routed) * m.weight_bytes + m.routed * m.routed_bytes * share

    def cached(self, m: Shape, tokens: Any) -> Any:
        """Bytes of keys and values of one sequence."""
        return (m.kv * tokens + m.window_kv * np.minimum(tokens, m.window)) * m.kv_bytes

    def token_flop(self, m: Shape, context: Any) -> Any:
        """FLOP of one token with so many before it."""
        seen = m.attention * context + m.window_attention * np.minimum(context, m.window)
        return 2.0 * m.active + 4.0 * m.layers * seen

    def sequences(self, m: Shape, r: Request, n: int) -> int:
        """The most sequences of a replica that memory holds and the latency allows; 0 for none."""
        weights = (m.total - m.routed) * m.weight_bytes + m.routed * m.routed_bytes
        free = self.usable - weights / n
        if free <= 0:
            return 0
        each = self.cached(m, r.kept(self.part)) / min(n, m.shards) + m.state / n
        fit = self.part.max_sequences if each == 0 else min(free / each, self.part.max_sequences)
        most = int(fit * (1 + 1e-12))
        if most < 1 or not math.isfinite(r.limit):
            return most
        tried = np.arange(1, most + 1)
        good = tried[self.latency(m, r, n, tried) <= r.limit]
        return int(good.max()) if good.size else 0

    def latency(self, m: Shape, r: Request, n: Any, b: Any) -> Any:
        """Longest time of a request, waiting included."""
        seconds, _, _ = self.step(
            m, b, r.context(self.part, 2.0 * r.longest), n, r.prompts(self.part), r.longest
        )
        turns = np.maximum(r.width / np.asarray(b, dtype=float), 1.0)
        judging = r.longest_check / (n * self.flop * self.compute)
        whole = self.prefill(m, max(r.prompt, 1.0), n) + r.longest * seconds * turns + judging
        return (1.0 + self.part.queueing_allowance) * whole

    def use(self, m: Shape, r: Request, n: int, b: int, trace: Any, check: Any) -> tuple[Any, Any]:
        """Accelerator-seconds and joules of one request with traces of so many tokens."""
        seconds, memory, compute = self.step(
            m, float(b), r.context(self.part, trace), float(n), r.prompts(self.part), trace
        )
        share = self.power.base + self.power.memory * memory + self.power.compute * compute
        busy = n * r.width * trace * seconds / b
        checking = check / (self.flop * self.compute)
        idle = (busy + checking) * (1.0 / self.part.utilisation - 1.0)
        held = busy + checking + idle
        full = min(1.0, self.power.base + self.power.compute)
        boards = np.minimum(share, 1.0) * busy + full * checking + self.part.idle_power * idle
        return held, self.pue * (self.board * boards + self.host * held)

    def placed(self, m: Shape, r: Request) -> tuple[int, int] | None:
        """Replica and sequences of least accelerator time where every trace is at its longest."""
        found = []
        for n in sorted(self.part.accelerators_per_replica):
            b = self.sequences(m, r, n)
            if b:
                found.append((float(self.use(m, r, n, b, r.longest, 0.0)[0]), n, b))
        if not found:
            return None
        least = min(held for held, _, _ in found)
        return next((n, b) for held, n, b in found if held <= least * (1 + 1e-11))


class Request(NamedTuple):
    """A request as the server sees it."""

    prompt: float
    samples: float
    branches: float
    step_tokens: float
    longest: float  # tokens of one trace
    longest_check: float
    limit: float

    @property
    def width(self) -> float:
        return self.samples * self.branches

    def kept(self, part: Any) -> float:
        """Tokens in memory for each sequence."""
        if part.prefix_sharing == "none":
            return self.prompt + self.longest
        extra = self.branches * self.step_tokens if self.branches > 1 else 0.0
        return (self.prompt + self.samples * (self.longest + extra)) / self.width

    def prompts(self, part: Any) -> float:
        """Prompt tokens that are read for each sequence."""
        return self.prompt / (self.branches if part.prefix_sharing == "none" else self.width)

    def context(self, part: Any, trace: Any) -> Any:
        """Tokens that a sequence looks at, on average over its trace."""
        if part.prefix_sharing == "memory_and_reads":
            return self.prompt / self.width + 0.5 * trace / self.branches
        return self.prompt + 0.5 * trace
