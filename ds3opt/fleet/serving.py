"""What serving one task takes of accelerators: replica and batch, seconds, joules and latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet.models import shapes_at
from ds3opt.laws.power import board_power_watts, facility_joules
from ds3opt.laws.roofline import (
    Device,
    Efficiency,
    ModelShape,
    decode_step,
    prefill_seconds,
    sequences_that_fit,
    usable_bytes,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_BISECTIONS = 22
"""Enough for every whole number of sequences that a replica may work on."""
_SHORTEST = 1.0
"""Tokens of a trace: also a task that needs no step is answered with one."""


@dataclass(frozen=True)
class Server:
    """How models are served."""

    device: Device
    efficiency: Efficiency
    replica_sizes: tuple[int, ...]
    """Accelerators that one copy of the model may be split over."""
    max_sequences: float
    utilisation: float
    idle_power: float
    """Of a board, over its board power."""
    queueing_allowance: float
    shares_memory: bool
    shares_reads: bool
    host_watts: float
    power_usage_effectiveness: float
    weights: str
    kv_cache: str
    seconds_factors: tuple[float, float] | None = None
    """Tenth and ninetieth percentile of true over predicted accelerator time."""
    joules_factors: tuple[float, float] | None = None
    """The same of energy."""

    @property
    def usable_bytes(self) -> float:
        """Memory of one accelerator for weights and caches."""
        return float(usable_bytes(self.device, self.efficiency))

    @property
    def largest_replica(self) -> str:
        """What the largest replica holds, in words."""
        largest = max(self.replica_sizes)
        accelerators = "1 accelerator" if largest == 1 else f"{largest} accelerators"
        usable = largest * self.usable_bytes / 1e9
        return f"a replica of {accelerators} has {usable:.4g} GB for weights and caches"


@dataclass(frozen=True)
class Requests:
    """Requests to serve; arrays (request,)."""

    prompt_tokens: FloatArray
    samples: FloatArray
    """Traces of a request."""
    branches: FloatArray
    """Candidate steps of a trace at a time."""
    step_tokens: FloatArray
    trace_tokens: FloatArray
    """Of the longest trace that the token budget allows, one branch."""
    longest_check_flop: FloatArray
    """What judging takes when every trace is as long as it may be."""
    max_latency: FloatArray
    """Seconds; inf where there is none."""

    @property
    def width(self) -> FloatArray:
        """Sequences that a request keeps going at a time."""
        return self.samples * self.branches

    def take(self, index: IntArray) -> Requests:
        """A selection of requests, in order."""
        return Requests(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Deployment:
    """Replica and batch of every request, (request,)."""

    accelerators: FloatArray
    """Of a replica; 0 where no replica can serve the request."""
    sequences: FloatArray
    """That a replica works on at once."""

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether a replica holds the model and keeps the latency."""
        return np.asarray(self.accelerators > 0.0)


@dataclass(frozen=True)
class Use:
    """What one request takes, (request,); inf where it cannot be served."""

    accelerator_seconds: FloatArray
    """Idle time included."""
    joules: FloatArray
    """Of the site."""


def deployment(
    server: Server,
    shape: ModelShape,
    requests: Requests,
    batches: Sequence[FloatArray] | None = None,
) -> Deployment:
    """The replica and batch of least accelerator time for requests that use their whole budget.

    A replica works on as many sequences as its memory holds and the latency allows: more never
    make a token dearer. `shape` has one model for every request.
    """
    count = requests.prompt_tokens.size
    least = np.full(count, np.inf)
    chosen, sequences = np.zeros(count), np.zeros(count)
    for number, size in enumerate(server.replica_sizes):
        batch = batch_of(server, shape, requests, size) if batches is None else batches[number]
        use = used(server, shape, requests, requests.trace_tokens, size, batch)
        better = use.accelerator_seconds < least * (1.0 - 1e-12)
        least = np.where(better, use.accelerator_seconds, least)
        chosen = np.where(better, float(size), chosen)
        sequences = np.where(better, batch, sequences)
    return Deployment(chosen, sequences)


def batch_of(
    server: Server, shape: ModelShape, requests: Requests, accelerators: float
) -> FloatArray:
    """Sequences that a replica works on at once, (request,); 0 where it cannot serve any."""
    fit = sequences_that_fit(
        shape,
        server.device,
        server.efficiency,
        cached_tokens=_cached_tokens(server, requests),
        accelerators=accelerators,
    )
    most = np.floor(np.minimum(fit, server.max_sequences) * (1.0 + 1e-12))
    hurried = np.flatnonzero(np.isfinite(requests.max_latency) & (most >= 1.0))
    if hurried.size == 0:
        return most
    most[hurried] = _in_time(
        server, shapes_at(shape, hurried), requests.take(hurried), accelerators, most[hurried]
    )
    return most


def _in_time(
    server: Server,
    shape: ModelShape,
    requests: Requests,
    accelerators: float,
    most: FloatArray,
) -> FloatArray:
    """The most sequences with which the latency is kept; 0 where it never is.

    With fewer sequences than a request has traces these wait for each other; from there on the
    latency only rises with the sequences.
    """
    fewest = np.minimum(np.ceil(requests.width), most)
    found = np.where(_kept(server, shape, requests, accelerators, fewest), fewest, 0.0)
    whole = _kept(server, shape, requests, accelerators, most)
    found = np.where(whole, most, found)
    open_ = np.flatnonzero((found > 0.0) & ~whole)
    if open_.size == 0:
        return found
    shape, requests = shapes_at(shape, open_), requests.take(open_)
    low, high = fewest[open_], most[open_]
    for _ in range(_BISECTIONS):
        if np.all(high - low <= 1.0):
            break
        middle = np.floor(0.5 * (low + high))
        good = _kept(server, shape, requests, accelerators, middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    found[open_] = low
    return found


def _kept(
    server: Server,
    shape: ModelShape,
    requests: Requests,
    accelerators: float,
    sequences: FloatArray,
) -> NDArray[np.bool_]:
    found = latency_seconds(server, shape, requests, accelerators, sequences)
    return np.asarray(found <= requests.max_latency)


def latency_seconds(
    server: Server,
    shape: ModelShape,
    requests: Requests,
    accelerators: float | FloatArray,
    sequences: FloatArray,
) -> FloatArray:
    """Time of a request whose traces are as long as they may be, waiting included.

    Its prompt is read, every step of its longest trace takes a decoding step of the replica at the
    longest context, and the judge reads what was written; traces beyond the replica's sequences
    come in turns.
    """
    prompt = np.maximum(requests.prompt_tokens, 1.0)
    written = np.maximum(requests.trace_tokens, _SHORTEST)
    reading = prefill_seconds(
        shape, server.device, server.efficiency, prompt_tokens=prompt, accelerators=accelerators
    )
    step = decode_step(
        shape,
        server.device,
        server.efficiency,
        sequences=np.maximum(sequences, 1.0),
        context_tokens=_context(server, requests, 2.0 * written),
        accelerators=accelerators,
        prompt_tokens=_prompt_of_sequence(server, requests),
        output_tokens=written,
    )
    turns = np.maximum(requests.width / np.maximum(sequences, 1.0), 1.0)
    rate = accelerators * server.device.flop_per_s * server.efficiency.compute
    judging = requests.longest_check_flop / rate
    whole = reading + written * step.seconds * turns + judging
    return np.asarray((1.0 + server.queueing_allowance) * whole)


def least_latency_seconds(server: Server, shape: ModelShape, requests: Requests) -> FloatArray:
    """The shortest time in which any replica answers requests, alone on it, (request,)."""
    least = np.full(requests.prompt_tokens.size, np.inf)
    for size in server.replica_sizes:
        fit = sequences_that_fit(
            shape,
            server.device,
            server.efficiency,
            cached_tokens=_cached_tokens(server, requests),
            accelerators=size,
        )
        together = np.floor(np.minimum(np.minimum(fit, server.max_sequences), requests.width))
        found = latency_seconds(server, shape, requests, float(size), together)
        least = np.where(together >= 1.0, np.minimum(least, found), least)
    return least


def served(
    server: Server,
    shape: ModelShape,
    requests: Requests,
    trace_tokens: FloatArray,
    check_flop: FloatArray | float = 0.0,
) -> tuple[Deployment, Use, FloatArray]:
    """Requests where they take least: replicas and batches, what is taken, and latency, (request,).

    Where no replica keeps the latency, it is the shortest of all.
    """
    placed = deployment(server, shape, requests)
    replica, batch = placed.accelerators, placed.sequences
    use = used(server, shape, requests, trace_tokens, replica, batch, check_flop)
    kept = latency_seconds(
        server, shape, requests, np.maximum(replica, 1.0), np.maximum(batch, 1.0)
    )
    shortest = least_latency_seconds(server, shape, requests)
    return placed, use, np.where(placed.possible, kept, shortest)


def used(
    server: Server,
    shape: ModelShape,
    requests: Requests,
    trace_tokens: FloatArray,
    accelerators: float | FloatArray,
    sequences: FloatArray,
    check_flop: FloatArray | float = 0.0,
) -> Use:
    """What requests take whose traces have so many tokens on average, (request,).

    A trace's context is its prompt and, on average, half of what it generates. The replica's
    share of a sequence is its time over the sequences that it works on.
    """
    possible = (sequences >= 1.0) & (np.asarray(accelerators) >= 1.0)
    together = np.where(possible, sequences, 1.0)
    replica = np.where(possible, accelerators, 1.0)
    tokens = np.maximum(trace_tokens, _SHORTEST)
    step = decode_step(
        shape,
        server.device,
        server.efficiency,
        sequences=together,
        context_tokens=_context(server, requests, tokens),
        accelerators=replica,
        prompt_tokens=_prompt_of_sequence(server, requests),
        output_tokens=tokens,
    )
    watts = board_power_watts(
        server.device, server.efficiency, step.memory_utilisation, step.compute_utilisation
    )
    busy = replica * requests.width * tokens * step.seconds / together
    full = board_power_watts(server.device, server.efficiency, 0.0, 1.0)
    checking = np.asarray(check_flop) / (server.device.flop_per_s * server.efficiency.compute)
    idle = (busy + checking) * (1.0 / server.utilisation - 1.0)
    held = busy + checking + idle
    boards = (
        watts * busy + full * checking + server.idle_power * server.device.board_power_watts * idle
    )
    joules = facility_joules(
        boards,
        held,
        host_watts_per_accelerator=server.host_watts,
        power_usage_effectiveness=server.power_usage_effectiveness,
    )
    return Use(np.where(possible, held, np.inf), np.where(possible, joules, np.inf))


def _cached_tokens(server: Server, requests: Requests) -> FloatArray:
    """Tokens in the cache for each sequence when its trace is as long as it may be."""
    own = requests.trace_tokens
    if not server.shares_memory:
        return np.asarray(requests.prompt_tokens + own)
    # the branches of a trace share what it has written so far, and have one step of their own
    branching = requests.branches > 1.0
    of_trace = own + np.where(branching, requests.branches * requests.step_tokens, 0.0)
    return np.asarray((requests.prompt_tokens + requests.samples * of_trace) / requests.width)


def _prompt_of_sequence(server: Server, requests: Requests) -> FloatArray:
    """Prompt tokens that are read for each sequence."""
    if server.shares_memory:
        return requests.prompt_tokens / requests.width
    # the branches of one trace always begin from one reading
    return requests.prompt_tokens / requests.branches


def _context(server: Server, requests: Requests, tokens: FloatArray) -> FloatArray:
    """Cached tokens that a sequence reads at each step, on average over its trace."""
    if server.shares_reads:
        return np.asarray(
            requests.prompt_tokens / requests.width + 0.5 * tokens / requests.branches
        )
    return np.asarray(requests.prompt_tokens + 0.5 * tokens)
