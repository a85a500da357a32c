"""The printed approximations of a chain's mean length, and where they fail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ds3opt.laws.compute import inference_flop, output_tokens_for_flop
from ds3opt.laws.length_approximations import gaussian_expected_steps, linear_expected_steps
from ds3opt.laws.search import expected_steps


@given(st.floats(0.01, 0.99), st.integers(1, 200), st.integers(0, 5000))
def test_two_lines_are_never_below_the_mean(r: float, m: int, n: int) -> None:
    assert linear_expected_steps(r, m, n) >= expected_steps(r, m, n) * (1.0 - 1e-12)


def test_the_gaussian_part_is_the_mean_of_a_capped_normal() -> None:
    # E[min(X, n)] for X normal about m / r, by quadrature
    r, m, n = 0.2, 5, 23.0
    mean, deviation = m / r, np.sqrt(m * (1.0 - r)) / r
    x = np.linspace(-9.0, 9.0, 200_001)
    mass = np.exp(-0.5 * x * x)
    capped = np.minimum(mean + deviation * x, n) @ mass / mass.sum()
    assert float(gaussian_expected_steps(r, m, n)) == pytest.approx(capped, rel=1e-6)


def test_the_gaussian_jumps_where_its_parts_meet() -> None:
    r, m = 0.05, 100
    mean, deviation = m / r, np.sqrt(m * (1.0 - r)) / r
    jump = deviation * (np.exp(-2.0) / np.sqrt(2.0 * np.pi) - 2.0 * special.ndtr(-2.0))
    for side in (-2.0, 2.0):
        ends = mean + side * deviation * (1.0 + np.array([-1e-12, 1e-12]))
        low, high = gaussian_expected_steps(r, m, ends)
        assert abs(high - low) == pytest.approx(jump, rel=1e-6)


def test_the_gaussian_is_negative_for_few_skills() -> None:
    assert float(25.0 * gaussian_expected_steps(0.1, 1, 0.2)) == pytest.approx(-13.5, abs=0.05)


@given(
    st.floats(1e6, 1e13),
    st.floats(0.0, 1e8),
    st.floats(0.0, 1e5),
    st.integers(0, 200),
    st.integers(1, 64),
    st.integers(1, 64),
    st.booleans(),
)
def test_tokens_for_flop_is_the_inverse(
    size: float, tokens: float, prompt: float, layers: int, b: int, k: int, prefill: bool
) -> None:
    shape = {"layers": layers, "attention_width": 128 * layers}
    flop = inference_flop(size, tokens, prompt, branches=b, samples=k, prefill=prefill, **shape)
    back = output_tokens_for_flop(
        size, flop, prompt, branches=b, samples=k, prefill=prefill, **shape
    )
    again = inference_flop(size, back, prompt, branches=b, samples=k, prefill=prefill, **shape)
    assert float(again) == pytest.approx(float(flop), rel=1e-12)


def test_a_budget_below_the_prompt_buys_no_token() -> None:
    assert output_tokens_for_flop(1e9, 0.0, 100, layers=2, attention_width=8) == 0.0
