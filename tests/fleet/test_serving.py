"""Replica, batch, time and energy of requests against arithmetic by hand and brute force."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.fleet.serving import (
    Requests,
    Server,
    batch_of,
    deployment,
    latency_seconds,
    least_latency_seconds,
    used,
)
from ds3opt.laws.roofline import IDEAL, Device, Efficiency, ModelShape

DEVICE = Device(
    flop_per_s=1e14, bandwidth_bytes_per_s=1e12, memory_bytes=10e9, link_bytes_per_s=1e11,
    board_power_watts=400.0,
)  # fmt: skip
EFFICIENCY = Efficiency(
    memory=0.8, cache=0.5, compute=0.6, layer_seconds=2e-5, sequence_seconds=1e-6,
    allreduce_seconds=3e-6, exchange=1.5, usable_memory=0.9, reserve_bytes=1e9, base_power=0.3,
    memory_power=0.4, compute_power=1.1,
)  # fmt: skip
SHAPE = ModelShape(
    parameters=1e9, active_parameters=1e9, routed_parameters=0.0, experts=1.0, active_experts=1.0,
    layers=10.0, width=1000.0, attention_width=1000.0, kv_elements_per_token=4000.0,
    bytes_per_weight=2.0, bytes_per_kv_element=2.0, cache_shards=2.0,
)  # fmt: skip
SERVER = Server(
    device=DEVICE, efficiency=EFFICIENCY, replica_sizes=(1, 2, 4), max_sequences=64.0,
    utilisation=0.7, idle_power=0.15, queueing_allowance=0.2, shares_memory=False,
    shares_reads=False, host_watts=50.0, power_usage_effectiveness=1.2, weights="bf16",
    kv_cache="bf16",
)  # fmt: skip


def requests(
    prompt: float = 500.0, samples: float = 1.0, branches: float = 1.0, step: float = 25.0,
    trace: float = 200.0, check: float = 0.0, latency: float = math.inf,
) -> Requests:  # fmt: skip
    return Requests(
        *(np.array([v]) for v in (prompt, samples, branches, step, trace, check, latency))
    )


class Hand:
    """The same accelerator and model in plain numbers, one request at a time."""

    def __init__(self, server: Server, one: Requests, accelerators: float) -> None:
        self.server, self.n = server, accelerators
        self.prompt, self.samples, self.branches, self.step_tokens, self.longest, self.check, _ = (
            float(getattr(one, name)[0])
            for name in (
                "prompt_tokens", "samples", "branches", "step_tokens", "trace_tokens",
                "longest_check_flop", "max_latency",
            )
        )  # fmt: skip
        self.width = self.samples * self.branches

    def cache_tokens(self) -> float:
        if not self.server.shares_memory:
            return self.prompt + self.longest
        trace = self.longest
        if self.branches > 1:
            trace += self.branches * self.step_tokens
        return (self.prompt + self.samples * trace) / self.width

    def fit(self) -> float:
        """Sequences beside two gigabytes of weights, each cache on at most two accelerators."""
        usable = 0.9 * 10e9 - 1e9
        free = usable - 2e9 / self.n
        return max(free, 0.0) / (self.cache_tokens() * 8000.0 / min(self.n, 2.0))

    def context(self, tokens: float) -> float:
        if self.server.shares_reads:
            return self.prompt / self.width + 0.5 * tokens / self.branches
        return self.prompt + 0.5 * tokens

    def read_prompt(self) -> float:
        return self.prompt / (self.width if self.server.shares_memory else self.branches)

    def step(self, sequences: float, context: float, output: float) -> tuple[float, float, float]:
        """Seconds of a decoding step, and the use of memory and arithmetic in it."""
        prompt = self.read_prompt()
        read = sequences * prompt / output
        weights = 2e9 / self.n / 1e12
        cache = sequences * context * 8000.0 / min(self.n, 2.0) / 1e12
        flop = sequences * (2e9 + 4 * 10 * 1000 * context)
        flop += read * (2e9 + 4 * 10 * 1000 * prompt / 2)
        ideal = flop / self.n / 1e14
        busy = max(weights / 0.8 + cache / 0.5, ideal / 0.6)
        exchange = 0.0
        if self.n > 1:
            sent = 2 * (1 - 1 / self.n) * (sequences + read) * 1000 * 2
            exchange = 2 * 10 * (3e-6 + sent / 1e11 * 1.5)
        seconds = busy + exchange + 10 * 2e-5 + sequences * 1e-6
        return seconds, (weights + cache) / seconds, ideal / seconds

    def used(self, tokens: float, sequences: float, check: float = 0.0) -> tuple[float, float]:
        """Accelerator-seconds and joules of one request."""
        seconds, memory, compute = self.step(sequences, self.context(tokens), tokens)
        busy = self.n * self.width * tokens * seconds / sequences
        checking = check / (1e14 * 0.6)
        idle = (busy + checking) * (1 / 0.7 - 1)
        watts = 400 * min(0.3 + 0.4 * memory + 1.1 * compute, 1)
        boards = watts * busy + 400 * min(0.3 + 1.1, 1) * checking + 0.15 * 400 * idle
        held = busy + checking + idle
        return held, 1.2 * (boards + 50 * held)

    def latency(self, sequences: float) -> float:
        prompt = max(self.prompt, 1.0)
        weights, cache = 2e9 / self.n / 1e12, prompt * 8000 / min(self.n, 2.0) / 1e12
        ideal = prompt * (2e9 + 4 * 10 * 1000 * prompt / 2) / self.n / 1e14
        exchange = 0.0
        if self.n > 1:
            sent = 2 * (1 - 1 / self.n) * prompt * 1000 * 2
            exchange = 2 * 10 * (3e-6 + sent / 1e11 * 1.5)
        reading = max(weights / 0.8 + cache / 0.5, ideal / 0.6) + exchange + 10 * 2e-5
        context = self.context(2 * self.longest)
        turns = max(self.width / sequences, 1.0)
        writing = self.longest * self.step(sequences, context, self.longest)[0] * turns
        return 1.2 * (reading + writing + self.check / (self.n * 1e14 * 0.6))


SERVERS = {
    "apart": SERVER,
    "memory": replace(SERVER, shares_memory=True),
    "reads": replace(SERVER, shares_memory=True, shares_reads=True),
}
KINDS = {
    "chain": requests(),
    "vote": requests(samples=8.0, trace=300.0),
    "tree": requests(branches=4.0, trace=150.0),
    "trees": requests(prompt=2000.0, samples=3.0, branches=2.0, check=5e12),
    "without a prompt": requests(prompt=0.0, samples=2.0),
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("one", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("accelerators", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("sequences", [1.0, 7.0, 64.0])
def test_use_and_latency_by_hand(
    server: Server, one: Requests, accelerators: float, sequences: float
) -> None:
    hand = Hand(server, one, accelerators)
    many = np.array([sequences])
    for tokens, check in ((120.0, 0.0), (1.0, 3e13)):
        found = used(server, SHAPE, one, np.array([tokens]), accelerators, many, check)
        held, joules = hand.used(tokens, sequences, check)
        assert found.accelerator_seconds == pytest.approx([held], rel=1e-12, abs=0.0)
        assert found.joules == pytest.approx([joules], rel=1e-12, abs=0.0)
    found_latency = latency_seconds(server, SHAPE, one, accelerators, many)
    assert found_latency == pytest.approx([hand.latency(sequences)], rel=1e-12, abs=0.0)


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("one", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("accelerators", [1.0, 2.0, 4.0])
def test_without_haste_memory_decides_the_batch(
    server: Server, one: Requests, accelerators: float
) -> None:
    wide = replace(server, max_sequences=1e9)
    wanted = math.floor(Hand(server, one, accelerators).fit())
    assert batch_of(wide, SHAPE, one, accelerators) == [wanted]
    assert batch_of(server, SHAPE, one, accelerators) == [min(wanted, 64)]


def test_a_request_that_needs_no_step_writes_one_token() -> None:
    none, one = requests(trace=0.0), requests(trace=1.0)
    sequences = np.array([8.0])
    for name in ("accelerator_seconds", "joules"):
        nothing = getattr(used(SERVER, SHAPE, none, np.zeros(1), 1, sequences), name)
        assert nothing == getattr(used(SERVER, SHAPE, one, np.ones(1), 1, sequences), name)
    assert latency_seconds(SERVER, SHAPE, none, 1, sequences) == pytest.approx(
        latency_seconds(SERVER, SHAPE, one, 1, sequences)
    )


def test_what_cannot_be_served_takes_for_ever() -> None:
    for accelerators, sequences in ((1.0, 0.0), (0.0, 4.0)):
        found = used(
            SERVER, SHAPE, requests(), np.array([9.0]), accelerators, np.array([sequences])
        )
        assert np.isposinf(found.accelerator_seconds).all()
        assert np.isposinf(found.joules).all()


hurried = st.builds(
    requests,
    prompt=st.floats(0, 5000), samples=st.integers(1, 12).map(float),
    branches=st.integers(1, 4).map(float), step=st.floats(1, 50), trace=st.floats(1, 2000),
    check=st.sampled_from([0.0, 1e12]), latency=st.floats(-2, 2).map(lambda x: 10.0**x),
)  # fmt: skip
any_server = st.sampled_from(list(SERVERS.values()))
sizes = st.sampled_from([1.0, 2.0, 4.0])


@given(hurried, any_server, sizes)
def test_the_batch_is_the_largest_that_keeps_the_latency(
    one: Requests, server: Server, accelerators: float
) -> None:
    """Every number of sequences is tried: the one chosen keeps the latency, one more does not."""
    hand = Hand(server, one, accelerators)
    most = min(math.floor(hand.fit() * (1 + 1e-12)), 64)
    limit = float(one.max_latency[0])
    fewest = min(math.ceil(hand.width), most)
    # a number within rounding of the limit may count as either
    kept = [b for b in range(max(fewest, 1), most + 1) if hand.latency(b) <= limit * (1 + 1e-12)]
    surely = [b for b in kept if hand.latency(b) <= limit * (1 - 1e-12)]
    (found,) = batch_of(server, SHAPE, one, accelerators)
    assert max(surely, default=0) <= found <= max(kept, default=0)


@given(hurried, any_server)
def test_the_replica_takes_the_least_accelerator_time(one: Requests, server: Server) -> None:
    best, where = math.inf, 0
    for size in server.replica_sizes:
        (batch,) = batch_of(server, SHAPE, one, size)
        if batch >= 1.0:
            held, _ = Hand(server, one, size).used(float(one.trace_tokens[0]), float(batch))
            if held < best * (1 - 1e-9):
                best, where = held, size
    found = deployment(server, SHAPE, one)
    if where == 0:
        assert found.accelerators == [0.0]
        assert found.sequences == [0.0]
        assert not found.possible.any()
        return
    assert found.possible.all()
    size, batch = float(found.accelerators[0]), float(found.sequences[0])
    assert batch_of(server, SHAPE, one, size) == [batch]
    assert Hand(server, one, size).used(float(one.trace_tokens[0]), batch)[0] == pytest.approx(
        best, rel=2e-9
    )


@given(hurried, any_server, sizes)
def test_more_sequences_never_make_a_request_dearer(
    one: Requests, server: Server, accelerators: float
) -> None:
    many = np.arange(1.0, 65.0)
    each = one.take(np.zeros(64, dtype=np.intp))
    found = used(server, SHAPE, each, each.trace_tokens, accelerators, many)
    assert np.all(np.diff(found.accelerator_seconds) <= 1e-12 * found.accelerator_seconds[:-1])


@given(hurried, any_server)
def test_the_least_latency_is_that_of_the_best_replica(one: Requests, server: Server) -> None:
    """Tried: every size and every number of sequences that its memory holds."""
    tried = [math.inf]
    for size in server.replica_sizes:
        hand = Hand(server, one, size)
        most = min(math.floor(hand.fit()), 64)
        tried += [hand.latency(b) for b in range(1, most + 1)]
    (least,) = least_latency_seconds(server, SHAPE, one)
    assert least == pytest.approx(min(tried), rel=1e-12, abs=0.0)


def test_requests_beside_each_other_are_served_as_alone() -> None:
    kinds = [*KINDS.values(), requests(latency=0.7), requests(latency=1e-4)]
    together = Requests(*(
        np.concatenate([getattr(one, name) for one in kinds])
        for name in Requests.__dataclass_fields__
    ))  # fmt: skip
    found = deployment(SERVER, SHAPE, together)
    for index, one in enumerate(kinds):
        alone = deployment(SERVER, SHAPE, one)
        assert found.accelerators[index] == alone.accelerators[0]
        assert found.sequences[index] == alone.sequences[0]
    assert not found.possible[-1]


def test_idle_time_is_paid_for_at_idle_power() -> None:
    """A server that is always busy takes its share less, and only the idle watts differ."""
    one, many = requests(), np.array([16.0])
    full = replace(SERVER, utilisation=1.0)
    busy = used(full, SHAPE, one, one.trace_tokens, 1, many)
    half = used(replace(SERVER, utilisation=0.5), SHAPE, one, one.trace_tokens, 1, many)
    assert half.accelerator_seconds == pytest.approx(2 * busy.accelerator_seconds)
    more = 1.2 * busy.accelerator_seconds * (0.15 * 400 + 50)
    assert half.joules - busy.joules == pytest.approx(more)


def test_a_model_too_large_for_every_replica() -> None:
    big = replace(SHAPE, parameters=1e11, active_parameters=1e11)
    found = deployment(SERVER, big, requests())
    assert found.accelerators == [0.0]
    assert np.isposinf(least_latency_seconds(SERVER, big, requests())).all()


def test_an_ideal_server_is_the_roofline() -> None:
    """One sequence on one accelerator: weights and cache once for every token."""
    ideal = replace(
        SERVER, efficiency=IDEAL, utilisation=1.0, host_watts=0.0, power_usage_effectiveness=1.0
    )
    one = requests(prompt=0.0)
    found = used(ideal, SHAPE, one, np.array([100.0]), 1, np.ones(1))
    seconds = 100 * (2e9 + 50 * 8000) / 1e12
    assert found.accelerator_seconds == pytest.approx([seconds], rel=1e-14, abs=0.0)
    assert found.joules == pytest.approx([400 * seconds], rel=1e-14, abs=0.0)
