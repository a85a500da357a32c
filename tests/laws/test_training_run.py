"""Time, utilisation and memory of training runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.training_run import (
    attention_share,
    model_flop_utilisation,
    training_bytes_per_accelerator,
    training_seconds,
)

share = st.floats(0.01, 1.0)


def test_hours_of_llama_405b():
    """30.84 M H100 hours (model card) follow from its FLOP, 40.5 % MFU and 85 % goodput.

    Goodput and MFU are known to 2 digits, so the hours to 2 %.
    """
    seconds = training_seconds(
        6 * 405e9 * 15.6e12,
        accelerators=16384,
        flop_per_s=989e12,
        utilisation=0.405,
        goodput=0.85,
    )
    assert seconds * 16384 / 3600 == pytest.approx(30.84e6, rel=0.02)


def test_measured_share_of_attention():
    """llm-foundry counts 3 x 4 layers width s^2 FLOP of attention for a sequence of s tokens."""
    n, layers, width, s = 6.65e9, 32, 4096, 2048
    attended = 3 * 4 * layers * width * s**2
    expected = attended / (6 * n * s + attended)
    told = attention_share(n, layers=layers, attention_width=width, sequence_tokens=s)
    assert told == pytest.approx(expected, rel=1e-14)


@given(share, share, st.floats(0.0, 1.0))
def test_utilisation_lies_between_its_parts(matrix, attention, part):
    mixed = model_flop_utilisation(matrix, attention, part)
    time = (1.0 - part) / matrix + part / attention
    assert mixed * time == pytest.approx(1.0, rel=1e-12)
    assert min(matrix, attention) * (1 - 1e-12) <= mixed <= max(matrix, attention) * (1 + 1e-12)
    assert model_flop_utilisation(matrix, attention) == pytest.approx(matrix, rel=1e-15)


@given(st.floats(0, 1e30), st.floats(1, 1e6), share, share)
def test_time_is_work_over_rate(flop, n, mfu, goodput):
    seconds = training_seconds(
        flop, accelerators=n, flop_per_s=1e15, utilisation=mfu, goodput=goodput
    )
    assert seconds * n * 1e15 * mfu * goodput == pytest.approx(flop, rel=1e-12)


def test_memory():
    assert training_bytes_per_accelerator(70e9, 64) == 16 * 70e9 / 64
    assert training_bytes_per_accelerator(
        [7e9, 70e9], 8, bytes_per_parameter=18, activation_bytes=1e9
    ).tolist() == [18 * 7e9 / 8 + 1e9, 18 * 70e9 / 8 + 1e9]


def test_broadcasting():
    times = training_seconds(
        np.array([[1e20], [1e21]]), accelerators=[1, 2, 4], flop_per_s=1e15, utilisation=0.5
    )
    assert times.shape == (2, 3)
    assert times[1, 2] == 1e21 / 4 / 1e15 / 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: training_seconds(1, accelerators=0, flop_per_s=1, utilisation=1),
            r"accelerators must be in \(0, inf\), got 0",
        ),
        (
            lambda: training_seconds(1, accelerators=1, flop_per_s=1, utilisation=1.5),
            r"utilisation must be in \(0, 1\], got 1.5",
        ),
        (
            lambda: model_flop_utilisation(0.5, 0.5, 1.5),
            r"attention_share must be in \[0, 1\], got 1.5",
        ),
        (
            lambda: training_bytes_per_accelerator(1, 0),
            r"accelerators must be in \(0, inf\), got 0",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
