import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.loss import (
    DEFAULT_LOSS_LAW,
    LOSS_LAWS,
    MUENNIGHOFF_REPETITION,
    LossLaw,
    loss_law,
)

laws = st.sampled_from(sorted(LOSS_LAWS)).map(LOSS_LAWS.__getitem__)
repeating = laws.map(lambda law: replace(law, repetition=MUENNIGHOFF_REPETITION))
sizes = st.floats(6.0, 13.0).map(lambda e: 10.0**e)
tokens = st.floats(7.0, 16.0).map(lambda e: 10.0**e)


def test_hand_values():
    toy = LossLaw(1.0, 8.0, 27.0, 0.5, 0.5)
    assert toy.loss(64.0, 729.0) == 3.0
    assert toy.loss(64.0, np.inf) == 2.0
    assert toy.training_tokens_for(np.inf, 64.0) == 0.0
    assert toy.training_tokens_for(1.5, 64.0) == np.inf


def test_reference_values(shared):
    ds3 = LOSS_LAWS["hoffmann2022_rounded"]
    for case in json.loads(shared("reference/two_step.json").read_text())["cases"]:
        if case["kind"] == "loss":
            got = ds3.loss(case["inputs"]["N"], case["inputs"]["D"])
            assert got == pytest.approx(case["expect"]["L"], rel=case["rtol"])
        if case["kind"] == "chinchilla_eq7":
            n, d = ds3.compute_optimal(case["inputs"]["C"])
            assert n == pytest.approx(case["expect"]["N_exact"], rel=1e-13)
            assert d == pytest.approx(case["expect"]["D_exact"], rel=1e-13)
    for case in json.loads(shared("reference/policies.json").read_text())["cases"]:
        if case["fn"] == "chinchilla":
            given = case["inputs"]
            law = LossLaw(1.8, given["A"], given["B"], given["alpha"], given["beta"])
            n, _ = law.compute_optimal(given["C_tr"])
            assert n == pytest.approx(float(case["expected"]), rel=1e-13)


# The two values in the README of huggingface/datablations, from 25B unique tokens.
@pytest.mark.parametrize(
    ("parameters", "training_tokens", "loss"),
    [(6.34e9, 242e9, 2.2256440889984477), (8.67e9, 178e9, 2.2269634075087867)],
)
def test_published_losses_with_repetition(parameters, training_tokens, loss):
    law = LOSS_LAWS["muennighoff2023"]
    assert law.loss(parameters, training_tokens, 25e9) == pytest.approx(loss, rel=1e-14)


# Compute-optimal tokens per parameter at Chinchilla's 5.76e23 FLOP.
@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("besiroglu2024", 18.4),
        ("besiroglu2024_with_outliers", 6.3),
        ("hoffmann2022", 58.9),
        ("hoffmann2022_rounded", 92.6),
        ("sardana2024", 55.2),
        ("sardana2024_refit_le100", 69.6),
        ("sardana2024_refit_le250", 20.2),
        ("sardana2024_refit_le500", 2.9),
        ("sardana2024_refit_all", 1.8),
        ("muennighoff2023", 19.6),
        ("gadre2024_c4", 3.4),
        ("gadre2024_redpajama", 7.4),
        ("gadre2024_refinedweb", 5.8),
    ],
)
def test_tokens_per_parameter_of_published_laws(name, ratio):
    n, d = LOSS_LAWS[name].compute_optimal(5.76e23)
    assert d / n == pytest.approx(ratio, abs=0.051)


def test_every_law_states_its_source_and_range():
    assert DEFAULT_LOSS_LAW in LOSS_LAWS
    for name, law in LOSS_LAWS.items():
        assert loss_law(name) is law
        assert law.name == name
        assert law.source
        assert law.note
        assert law.fitted_range is not None
        assert law.fitted_range.source
        for low, high in filter(
            None,
            (
                law.fitted_range.parameters,
                law.fitted_range.training_tokens,
                law.fitted_range.tokens_per_parameter,
            ),
        ):
            assert 0 < low < high


# Gadre et al. print L = E + (a M^eta + b M^-eta) C^-eta with M = D/N and C = 6 N D.
@pytest.mark.parametrize(
    ("name", "a", "b", "eta"),
    [
        ("gadre2024_c4", 141.3, 189.5, 0.12124),
        ("gadre2024_redpajama", 212.2, 366.7, 0.13643),
        ("gadre2024_refinedweb", 157.1, 246.2, 0.12720),
    ],
)
def test_gadre_form(name, a, b, eta):
    law = LOSS_LAWS[name]
    n, m = 1.4e9, 640.0
    compute = 6 * n * n * m
    printed = law.irreducible + (a * m**eta + b * m**-eta) * compute**-eta
    assert law.loss(n, m * n) == pytest.approx(printed, rel=1e-3)


@given(law=laws, compute=st.floats(17.0, 28.0).map(lambda e: 10.0**e))
def test_compute_optimum_is_stationary_and_least(law, compute):
    n, d = law.compute_optimal(compute)
    assert 6 * n * d == pytest.approx(compute, rel=1e-14)
    pull_of_size = law.parameter_exponent * law.parameter_coefficient * n**-law.parameter_exponent
    pull_of_data = law.data_exponent * law.data_coefficient * d**-law.data_exponent
    assert pull_of_size == pytest.approx(pull_of_data, rel=1e-12)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert law.loss(n * factor, d / factor) > law.loss(n, d)
    assert law.optimal_parameters(d) == pytest.approx(n, rel=1e-12)


@given(law=repeating, n=sizes, d=tokens, unique=st.one_of(st.just(np.inf), tokens))
def test_inverses(law, n, d, unique):
    with np.errstate(all="raise"):
        loss = law.loss(n, d, unique)
        d_back = law.training_tokens_for(loss, n, unique)
        n_back = law.parameters_for(loss, d, unique)
    # What rounding of the loss does to its small terms bounds what an inverse can recover.
    assert law.loss(n, d_back, unique) == pytest.approx(loss, rel=4e-15)
    assert law.loss(n_back, d, unique) == pytest.approx(loss, rel=4e-15)
    if unique == np.inf or d < 4 * unique:
        slack = 1e-14 * loss / (law.data_coefficient * d**-law.data_exponent)
        assert d_back == pytest.approx(d, rel=20 * slack / law.data_exponent)


@given(law=repeating, n=sizes, d=tokens, unique=tokens)
def test_loss_is_monotone_and_bounded(law, n, d, unique):
    loss = law.loss(n, d, unique)
    assert loss >= law.loss(n, d) * (1 - 1e-15)
    assert loss >= law.irreducible
    for better in (
        law.loss(1.5 * n, d, unique),
        law.loss(n, 1.5 * d, unique),
        law.loss(n, d, 1.5 * unique),
        law.loss(n, np.inf, unique),
    ):
        assert better <= loss * (1 + 1e-15)


def test_repetition_saturates():
    law = LOSS_LAWS["muennighoff2023"]
    unique = 1e9
    best = law.loss(1e9, np.inf, unique)
    assert law.loss(1e9, 1e14, unique) == pytest.approx(float(best), rel=1e-12)
    assert law.training_tokens_for(best * (1 - 1e-9), 1e9, unique) == np.inf
    assert np.isfinite(law.training_tokens_for(best * (1 + 1e-9), 1e9, unique))
    repeats = 1 + MUENNIGHOFF_REPETITION.data_decay
    fresh = MUENNIGHOFF_REPETITION.effective(np.inf, unique, MUENNIGHOFF_REPETITION.data_decay)
    assert fresh == pytest.approx(unique * repeats, rel=1e-15)


def test_one_pass_costs_nothing():
    law = LOSS_LAWS["muennighoff2023"]
    n = law.optimal_parameters(1e10)
    assert law.loss(n, 1e10, 1e10) == law.loss(n, 1e10)
    plain = LOSS_LAWS["besiroglu2024"]
    assert plain.loss(1e9, 1e12, 1e9) == plain.loss(1e9, 1e12)


def test_broadcasting():
    law = LOSS_LAWS["muennighoff2023"]
    n = np.logspace(8, 11, 4)[:, np.newaxis, np.newaxis]
    d = np.logspace(9, 13, 3)[:, np.newaxis]
    unique = np.array([1e10, np.inf])
    with np.errstate(all="raise"):
        loss = law.loss(n, d, unique)
        back = law.training_tokens_for(loss, n, unique)
    assert loss.shape == back.shape == (4, 3, 2)
    assert loss[..., 1] == pytest.approx(law.loss(n[..., 0], d[:, 0]), rel=1e-15)
    assert np.ndim(law.loss(1e9, 1e10, 1e9)) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law: law.loss(0.0, 1e9), r"parameters must be in \(0, inf\], got 0"),
        (lambda law: law.loss(1e9, -1.0), r"training_tokens must be in \(0, inf\], got -1"),
        (lambda law: law.loss(1e9, 1e9, 0.0), r"unique_tokens must be in \(0, inf\], got 0"),
        (lambda law: law.compute_optimal(np.nan), r"training_flop must be in \(0, inf\), got nan"),
        (lambda law: replace(law, data_exponent=0.0), r"data_exponent must be in \(0, inf\)"),
        (lambda law: loss_law("kaplan"), "loss law must be one of besiroglu2024, .*got kaplan"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(LOSS_LAWS["besiroglu2024"])
