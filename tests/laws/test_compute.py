import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws import compute

positive = st.floats(1.0, 1e12)


def test_hand_values():
    assert compute.training_flop(70e9, 1.4e12) == 6 * 70e9 * 1.4e12
    # 3 * 2 layers * width 5 * 7 tokens = 210 beside 6 * 10, over 11 tokens
    assert compute.training_flop(10, 11, layers=2, attention_width=5, sequence_tokens=7) == 2970
    assert compute.attention_token_pairs(100, 10) == 100 + 1000 + 5000
    assert compute.attention_token_pairs(100, 10, branches=2, samples=5) == 500 + 1000 + 500
    # three prompts of 10 tokens read beside 100 written, 2 FLOP each per parameter
    assert compute.inference_flop(7, 100, 10, samples=3, prefill=True) == 2 * 7 * 130


def test_reference_values(shared):
    for case in json.loads(shared("reference/policies.json").read_text())["cases"]:
        if case["fn"] == "cost_flops":
            given = case["inputs"]
            got = compute.inference_flop(
                given["N"],
                given["tokens"],
                given["prompt"],
                layers=given["n_layer"],
                attention_width=given["d_attn"],
                branches=given["b"],
                samples=given["k"],
            )
            assert got == pytest.approx(float(case["expected"]), rel=1e-14)


def test_equal_compute_of_chain_and_tree(shared):
    """A tree's tokens from the reference spend what the chain of thought does."""
    rows = json.loads(shared("reference/policies.json").read_text())["equal_compute_fig4"]
    shape = {"layers": 96, "attention_width": 12288}
    for row in rows:
        chain = compute.inference_flop(1e10, row["Omega_cot"], 200, **shape)
        tree = compute.inference_flop(
            1e10, float(row["Omega_tot_none"]), 200, branches=row["b"], **shape
        )
        assert chain == pytest.approx(float(row["flops"]), rel=1e-14)
        assert tree == pytest.approx(chain, rel=1e-14)


@given(output=positive, prompt=positive, b=st.integers(1, 64), k=st.integers(1, 64))
def test_pairs_add_up_over_traces(output, prompt, b, k):
    """k samples cost what k runs of one sample cost; branches share the prompt only."""
    with np.errstate(all="raise"):
        pairs = compute.attention_token_pairs(output, prompt, branches=b, samples=k)
        single = compute.attention_token_pairs(output / k, prompt, branches=b)
    assert pairs == pytest.approx(k * single, rel=1e-13)
    assert pairs <= compute.attention_token_pairs(output, prompt, samples=k) * (1 + 1e-13)


@given(n=positive, width=st.floats(1.0, 1e4))
def test_shape(n, width):
    layers = (n / (12 * width**2)) ** (1 / 3)
    assert compute.layers_times_width(n, width) == pytest.approx(layers**2 * width, rel=1e-12)
    assert compute.layers_times_width(8 * n, width) == pytest.approx(
        4 * compute.layers_times_width(n, width), rel=1e-12
    )


def test_shape_of_gpt3():
    assert compute.layers_times_width(12 * 96 * 12288**2, 128) == pytest.approx(96 * 12288)


def test_broadcasting():
    flop = compute.inference_flop(
        np.array([1e9, 1e10])[:, np.newaxis], [0, 10, 100], 5, layers=4, attention_width=8
    )
    assert flop.shape == (2, 3)
    assert flop[1, 2] == compute.inference_flop(1e10, 100, 5, layers=4, attention_width=8)
    assert np.ndim(compute.training_flop(1e9, 1e10)) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compute.training_flop(0, 1), r"parameters must be in \(0, inf\), got 0"),
        (lambda: compute.training_flop(1, -1), r"training_tokens must be in \[0, inf\], got -1"),
        (lambda: compute.inference_flop(1, -1), r"output_tokens must be in \[0, inf\], got -1"),
        (lambda: compute.inference_flop(1, 1, branches=0), r"branches must be in \[1, inf\)"),
        (lambda: compute.inference_flop(1, 1, layers=-1), r"layers must be in \[0, inf\)"),
        (lambda: compute.layers_times_width(1, 0), r"width_per_layer must be in \(0, inf\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
