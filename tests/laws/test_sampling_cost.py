"""What repeated samples cost, and what a budget buys."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.compute import inference_flop
from ds3opt.laws.coverage import samples_for_coverage
from ds3opt.laws.sampling_cost import samples_within_cost, sampling_cost

tokens = st.integers(0, 5000)


def test_reference_values(shared) -> None:
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        if case["fn"] == "levi_flops":
            x = case["inputs"]
            value = sampling_cost(x["k"], x["Np"], x["Nd"], x["F"], x["F"], shared_prompt=True)
            assert value == pytest.approx(case["expected"], rel=case["rtol"])


@given(st.integers(1, 10**6), tokens, st.integers(1, 5000), st.booleans())
def test_a_budget_buys_what_it_paid_for(samples, prompt, output, shared_prompt) -> None:
    prices = (0.06e-6, 0.8e-6)
    cost = sampling_cost(samples, prompt, output, *prices, shared_prompt=shared_prompt)
    assert (
        samples_within_cost(cost, prompt, output, *prices, shared_prompt=shared_prompt) == samples
    )
    less = cost - 0.4 * output * prices[1]
    fewer = samples_within_cost(less, prompt, output, *prices, shared_prompt=shared_prompt)
    assert fewer == samples - 1


@given(st.integers(1, 1000), tokens, tokens)
def test_repeated_prompts_are_the_flop_of_independent_samples(samples, prompt, output) -> None:
    n = 8e9
    flop = inference_flop(n, samples * output, prompt, samples=samples, prefill=True)
    found = sampling_cost(samples, prompt, output, 2 * n, 2 * n)
    assert found == pytest.approx(float(flop), rel=1e-14)


def test_nothing_and_what_is_free() -> None:
    assert sampling_cost(0, 100, 400, 1.0, 1.0, shared_prompt=True) == 0.0
    assert samples_within_cost(99.0, 100, 400, 1.0, 1.0, shared_prompt=True) == 0.0
    assert samples_within_cost(0.0, 0, 400, 0.0, 0.0) == np.inf
    assert sampling_cost(np.inf, 100, 400, 1.0, 1.0) == np.inf
    assert sampling_cost(np.inf, 100, 0, 1.0, 1.0, shared_prompt=True) == 100.0
    with pytest.raises(ValueError, match="prompt_tokens"):
        sampling_cost(1, -1, 1, 1, 1)


def test_levis_pipeline() -> None:
    """From a target to FLOP, with the fits and prices of the theory's example."""
    fits = {8e9: (0.3205, 0.981, 1.0), 70e9: (0.4047, 0.508, 0.9726)}
    rows = {
        (size, target): sampling_cost(
            samples_for_coverage(target, *fit), 100, 400, 2 * size, 2 * size, shared_prompt=True
        )
        for size, fit in fits.items()
        for target in (0.5, 0.8, 0.95)
    }
    wanted = {
        (8e9, 0.5): 4.0e13, (8e9, 0.8): 6.7e14, (8e9, 0.95): 5.1e16,
        (70e9, 0.5): 1.3e14, (70e9, 0.8): 1.2e15, (70e9, 0.95): 1.8e17,
    }  # fmt: skip
    for key, flop in wanted.items():
        assert rows[key] == pytest.approx(flop, rel=0.05), key  # two digits are printed
