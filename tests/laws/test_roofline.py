"""Serving laws: hand values, an independent computation, and what the optimiser rests on."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.power import board_power_watts
from ds3opt.laws.roofline import (
    IDEAL,
    LARGEST,
    Device,
    Efficiency,
    ModelShape,
    decode_step,
    prefill_seconds,
    sequences_that_fit,
)

H100 = Device(989e12, 3.35e12, 80e9, 450e9, 700)
LLAMA_70B = ModelShape(70.55e9, 70.55e9, 0, 1, 1, 80, 8192, 8192, 163840, 2, 2, cache_shards=8)
MIXTURE = ModelShape(
    parameters=235e9,
    active_parameters=22e9,
    routed_parameters=227e9,
    experts=128,
    active_experts=8,
    layers=94,
    width=4096,
    attention_width=8192,
    kv_elements_per_token=96256,
    bytes_per_weight=2,
    bytes_per_kv_element=2,
    bytes_per_routed_weight=1,
    windowed_kv_elements_per_token=5000,
    windowed_attention_width=100,
    window_tokens=700,
    state_elements_per_sequence=3e6,
    cache_shards=4,
)
REAL = Efficiency(
    memory=0.8,
    cache=0.6,
    compute=0.7,
    exchange=0.9,
    allreduce_seconds=2e-5,
    layer_seconds=3e-5,
    expert_layer_seconds=4e-5,
    prompt_layer_seconds=3e-4,
    sequence_seconds=5e-5,
    usable_memory=0.9,
    reserve_bytes=3.5 * 2**30,
    base_power=0.6,
    memory_power=0.1,
    compute_power=1.5,
)
SIZES = (
    "parameters",
    "active_parameters",
    "layers",
    "width",
    "attention_width",
    "kv_elements_per_token",
    "bytes_per_weight",
    "bytes_per_kv_element",
    "windowed_kv_elements_per_token",
    "windowed_attention_width",
    "window_tokens",
    "state_elements_per_sequence",
    "active_experts",
)
ROUNDING = 1 + 1e-12
"""Some twenty roundings of 1.1e-16 each."""

size = st.floats(0.0, 1e13)
batch = st.floats(0.01, 1e6)
tokens = st.floats(0.0, 1e6)
share = st.floats(0.01, 1.0)
seconds = st.floats(0.0, 1e-2)
devices = st.builds(
    Device,
    st.floats(1e12, 1e16),
    st.floats(1e10, 1e14),
    st.floats(1e9, 1e12),
    st.floats(1e9, 1e13),
    st.floats(10, 5000),
)
efficiencies = st.builds(
    Efficiency,
    memory=share,
    cache=share,
    compute=share,
    exchange=st.floats(0.0, 5.0),
    allreduce_seconds=seconds,
    layer_seconds=seconds,
    expert_layer_seconds=seconds,
    prompt_layer_seconds=seconds,
    sequence_seconds=seconds,
    usable_memory=share,
    reserve_bytes=st.floats(0.0, 1e10),
    base_power=st.floats(0.0, 1.0),
    memory_power=st.floats(0.0, 2.0),
    compute_power=st.floats(0.0, 2.0),
)


@st.composite
def shapes(draw):
    routed = draw(st.one_of(st.just(0.0), size))
    experts = draw(st.integers(1, 512))
    return ModelShape(
        parameters=routed + draw(st.floats(1e3, 1e13)),
        active_parameters=draw(st.floats(1e3, 1e13)),
        routed_parameters=routed,
        experts=experts,
        active_experts=draw(st.integers(1, experts)),
        layers=draw(st.integers(1, 500)),
        width=draw(st.floats(1, 1e5)),
        attention_width=draw(st.floats(0, 1e5)),
        kv_elements_per_token=draw(st.floats(0, 1e7)),
        bytes_per_weight=draw(st.sampled_from([0.5, 1.0, 2.0])),
        bytes_per_kv_element=draw(st.sampled_from([1.0, 2.0])),
        bytes_per_routed_weight=draw(st.sampled_from([None, 0.53, 2.0])),
        windowed_kv_elements_per_token=draw(st.floats(0, 1e6)),
        windowed_attention_width=draw(st.floats(0, 1e5)),
        window_tokens=draw(st.floats(0, 1e5)),
        state_elements_per_sequence=draw(st.floats(0, 1e9)),
        cache_shards=draw(st.sampled_from([1.0, 4.0, 8.0, LARGEST])),
    )


def step_of(shape, device, efficiency, work, **changes):
    return decode_step(shape, device, efficiency, **(work | changes))


works = st.fixed_dictionaries(
    {
        "sequences": batch,
        "context_tokens": tokens,
        "accelerators": st.integers(1, 64),
        "prompt_tokens": tokens,
        "output_tokens": st.one_of(st.floats(1.0, 1e6), st.just(math.inf)),
    }
)


def test_ideal_matches_the_hand_roofline(shared):
    """(W + KV) / (TP x 3.35 TB/s), printed to 0.01 ms of 5 or more: 0.1 %, and W to 0.1 %."""
    text = shared("data/decode_latency_crosscheck.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 18
    for row in rows:
        step = decode_step(
            LLAMA_70B,
            H100,
            IDEAL,
            sequences=float(row["batch"]),
            context_tokens=1536,
            accelerators=int(row["tp"]),
        )
        assert 1e3 * step.seconds == pytest.approx(float(row["hand_roofline_ms"]), rel=0.005)


def test_ideal_bound_by_arithmetic():
    """With many sequences and no cache, a step takes 2 N B / (n F)."""
    shape = replace(LLAMA_70B, kv_elements_per_token=0.0, attention_width=0.0)
    step = decode_step(shape, H100, sequences=4096, context_tokens=9, accelerators=4)
    assert step.seconds == pytest.approx(2 * 70.55e9 * 4096 / (4 * 989e12), rel=1e-14)
    assert step.compute_utilisation == pytest.approx(1.0, rel=1e-14)


def test_against_arithmetic_in_plain_floats():
    """Every term of a mixture's step, one sequence and one layer after another in words."""
    b, s, n, p, length = 20.0, 3000.0, 8, 500.0, 100.0
    read = b * p / length
    touched = 1.0 - (1.0 - 8 / 128) ** (b + read)
    weights = 8e9 * 2 + 227e9 * 1 * touched + 2 * b * 3e6 * 2
    cache = b * (96256 * s + 5000 * 700) * 2
    flop = b * (2 * 22e9 + 4 * 94 * (8192 * s + 100 * 700))
    flop += read * (2 * 22e9 + 4 * 94 * (8192 * p / 2 + 100 * p / 2))
    memory = weights / (8 * 3.35e12 * 0.8) + cache / (4 * 3.35e12 * 0.6)
    compute = flop / (8 * 989e12 * 0.7)
    sent = 2 * (7 / 8) * (b + read) * 4096 * 2
    communication = 2 * 94 * (2e-5 + 0.9 * sent / 450e9)
    started = 3e-5 + 4e-5 + 3e-4 * (1 - math.exp(-b / length))
    expected = max(memory, compute) + communication + 94 * started + b * 5e-5
    step = decode_step(
        MIXTURE,
        H100,
        REAL,
        sequences=b,
        context_tokens=s,
        accelerators=n,
        prompt_tokens=p,
        output_tokens=length,
    )
    assert step.seconds == pytest.approx(expected, rel=1e-13)
    assert step.memory_seconds == pytest.approx(memory, rel=1e-13)
    assert step.compute_seconds == pytest.approx(compute, rel=1e-13)
    assert step.communication_seconds == pytest.approx(communication, rel=1e-13)
    bytes_read = weights / 8 + cache / 4
    assert step.memory_utilisation == pytest.approx(bytes_read / 3.35e12 / expected, rel=1e-12)
    assert step.compute_utilisation == pytest.approx(flop / 8 / 989e12 / expected, rel=1e-12)


def test_without_prompts_no_step_starts_kernels_one_by_one():
    work = {"sequences": 64, "context_tokens": 100, "accelerators": 2}
    silent = decode_step(LLAMA_70B, H100, REAL, **work)
    short = decode_step(LLAMA_70B, H100, REAL, output_tokens=5, **work)
    assert short.seconds == silent.seconds
    reading = decode_step(LLAMA_70B, H100, REAL, output_tokens=5, prompt_tokens=1, **work)
    assert reading.overhead_seconds - silent.overhead_seconds == pytest.approx(
        80 * 3e-4 * (1 - math.exp(-64 / 5)), rel=1e-9
    )


def test_prefill_against_arithmetic():
    p, n = 4000.0, 2
    compute = p * (2 * 70.55e9 + 4 * 80 * 8192 * p / 2) / (n * 989e12 * 0.7)
    sent = 2 * (1 / 2) * p * 8192 * 2
    expected = compute + 2 * 80 * (2e-5 + 0.9 * sent / 450e9) + 80 * (3e-5 + 3e-4)
    told = prefill_seconds(LLAMA_70B, H100, REAL, prompt_tokens=p, accelerators=n)
    assert told == pytest.approx(expected, rel=1e-13)
    short = prefill_seconds(LLAMA_70B, H100, IDEAL, prompt_tokens=1, accelerators=n)
    assert short == pytest.approx((70.55e9 * 2 + 163840 * 2) / (n * 3.35e12), rel=1e-13)


@given(shapes(), devices, efficiencies, works, st.sampled_from(SIZES), st.floats(1.0, 10.0))
def test_step_never_falls_with_a_size(shape, device, efficiency, work, field, factor):
    larger = replace(shape, **{field: getattr(shape, field) * factor})
    small = step_of(shape, device, efficiency, work)
    large = step_of(larger, device, efficiency, work)
    assert large.seconds * ROUNDING >= small.seconds

    def joules(step):
        watts = board_power_watts(
            device, efficiency, step.memory_utilisation, step.compute_utilisation
        )
        return watts * step.seconds

    assert joules(large) * ROUNDING >= joules(small)


@given(shapes(), devices, efficiencies, works, st.floats(0.0, 1e12))
def test_step_never_falls_with_routed_parameters(shape, device, efficiency, work, added):
    larger = replace(
        shape,
        parameters=shape.parameters + added,
        routed_parameters=shape.routed_parameters + added,
    )
    small = step_of(shape, device, efficiency, work).seconds
    # Routed and all parameters round apart where they are large beside what is added.
    slack = 4e-16 * float(larger.parameters) * 2.0 / device.bandwidth_bytes_per_s / 0.01
    assert step_of(larger, device, efficiency, work).seconds * ROUNDING + slack >= small


@given(shapes(), devices, efficiencies, works, st.floats(1.0, 100.0))
def test_step_and_throughput_never_fall_with_sequences(shape, device, efficiency, work, factor):
    few = step_of(shape, device, efficiency, work)
    many = step_of(shape, device, efficiency, work, sequences=work["sequences"] * factor)
    assert many.seconds * ROUNDING >= few.seconds
    assert factor * few.seconds * ROUNDING >= many.seconds
    longer = step_of(shape, device, efficiency, work, context_tokens=work["context_tokens"] * 2 + 1)
    assert longer.seconds * ROUNDING >= few.seconds


@given(shapes(), devices, efficiencies, works)
def test_parts_and_utilisations(shape, device, efficiency, work):
    step = step_of(shape, device, efficiency, work)
    total = np.maximum(step.memory_seconds, step.compute_seconds)
    total = total + step.communication_seconds + step.overhead_seconds
    assert step.seconds == pytest.approx(total, rel=1e-14)
    assert 0 <= step.memory_utilisation <= ROUNDING
    assert 0 <= step.compute_utilisation <= ROUNDING
    assert step.seconds * ROUNDING >= step_of(shape, device, IDEAL, work).seconds


@given(shapes(), devices, efficiencies, tokens, st.integers(1, 64))
def test_fitting_sequences_fill_the_memory(shape, device, efficiency, cached, n):
    fit = sequences_that_fit(shape, device, efficiency, cached_tokens=cached, accelerators=n)
    usable = efficiency.usable_memory * device.memory_bytes - efficiency.reserve_bytes
    free = usable - shape.weight_bytes / n
    each = shape.kv_bytes(cached) / min(n, float(shape.cache_shards)) + shape.state_bytes / n
    if free <= 0:
        assert fit == 0
    elif each == 0:
        assert fit == math.inf
    else:
        assert fit * each == pytest.approx(free, rel=1e-12)


@given(shapes(), devices, efficiencies, tokens, st.sampled_from(SIZES), st.floats(1.0, 10.0))
def test_fitting_sequences_never_rise_with_a_size(shape, device, efficiency, cached, field, factor):
    larger = replace(shape, **{field: getattr(shape, field) * factor})
    fit = sequences_that_fit(shape, device, efficiency, cached_tokens=cached)
    assert sequences_that_fit(larger, device, efficiency, cached_tokens=cached) <= fit * ROUNDING
    more = sequences_that_fit(shape, device, efficiency, cached_tokens=2 * cached + 1)
    assert more <= fit * ROUNDING


EXTREME = (
    *(size for size in SIZES if size not in {"bytes_per_weight", "bytes_per_kv_element"}),
    "routed_parameters",
)
extreme = st.sampled_from([0.0, 1e-30, 1.0, 1e15, LARGEST])
positive = st.sampled_from([1.0, 1e15, LARGEST])
rate = st.sampled_from([1 / LARGEST, 1.0, LARGEST])


@given(
    st.lists(extreme, min_size=len(EXTREME), max_size=len(EXTREME)),
    positive,
    rate,
    positive,
    positive,
)
def test_extremes_give_no_nan(sizes, count, speed, b, s):
    """The largest and smallest values that are taken; warnings are errors."""
    shape = ModelShape(
        **dict(zip(EXTREME, sizes, strict=True)),
        experts=count,
        cache_shards=count,
        bytes_per_weight=2.0,
        bytes_per_kv_element=2.0,
    )
    device = Device(speed, speed, speed, speed, speed)
    work = {"sequences": b, "context_tokens": s, "accelerators": count, "prompt_tokens": s}
    step = decode_step(shape, device, REAL, output_tokens=1.0, **work)
    assert np.isfinite(step.seconds)
    assert not np.isnan(prefill_seconds(shape, device, REAL, prompt_tokens=b, accelerators=count))
    fit = sequences_that_fit(shape, device, REAL, cached_tokens=s, accelerators=count)
    assert fit >= 0
    watts = board_power_watts(device, REAL, step.memory_utilisation, step.compute_utilisation)
    assert np.isfinite(watts)


def test_broadcasting():
    batches = np.array([1.0, 8.0, 64.0])
    shape = replace(LLAMA_70B, parameters=np.array([[7e9], [70e9]]))
    step = decode_step(shape, H100, REAL, sequences=batches, context_tokens=1000, accelerators=2)
    assert step.seconds.shape == step.overhead_seconds.shape == (2, 3)
    alone = decode_step(
        replace(LLAMA_70B, parameters=7e9),
        H100,
        REAL,
        sequences=8,
        context_tokens=1000,
        accelerators=2,
    )
    assert step.seconds[0, 1] == alone.seconds
    fits = sequences_that_fit(shape, H100, REAL, cached_tokens=[100, 1000, 5000], accelerators=4)
    assert fits.shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replace(LLAMA_70B, layers=-1), r"layers must be in \[0, 1e\+40\], got -1"),
        (lambda: replace(LLAMA_70B, width=math.nan), r"width must be in .* got nan"),
        (lambda: replace(H100, flop_per_s=0), r"flop_per_s must be in \[1e-40, 1e\+40\], got 0"),
        (lambda: replace(LLAMA_70B, experts=0), r"experts must be in \[1, 1e\+40\], got 0"),
        (lambda: Efficiency(memory=0), r"memory must be in \[1e-06, 1\], got 0"),
        (lambda: Efficiency(compute=1.1), r"compute must be in \[1e-06, 1\], got 1.1"),
        (
            lambda: decode_step(LLAMA_70B, H100, sequences=0, context_tokens=1),
            r"sequences must be in",
        ),
        (
            lambda: decode_step(LLAMA_70B, H100, sequences=1, context_tokens=1, accelerators=0.5),
            r"accelerators must be in \[1, ",
        ),
        (
            lambda: decode_step(LLAMA_70B, H100, sequences=1, context_tokens=1, output_tokens=0.5),
            r"output_tokens must be in \[1, inf\], got 0.5",
        ),
        (lambda: prefill_seconds(LLAMA_70B, H100, prompt_tokens=0), r"prompt_tokens must be in"),
        (
            lambda: sequences_that_fit(LLAMA_70B, H100, cached_tokens=-1),
            r"cached_tokens must be in",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
