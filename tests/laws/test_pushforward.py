"""Push-forward of skill distributions against simulation, quadrature and its own derivative."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.coverage import beta_coverage
from ds3opt.laws.pushforward import (
    DifficultyMixture,
    never_solved,
    pushforward_coverage,
    relative_directionality,
    success_density,
    success_distribution,
    trace_success,
)

PAPER = DifficultyMixture([0.93, 0.07], [1, 100], [1.5, 2.2], [0.5, 0.3])
PYTHIA = {"loss": 2.1906, "directionality": 0.0016, "steps": 77.92}
LLAMA = {"loss": 1.9485, "directionality": 0.3, "steps": 323.68}


def test_reference_values(shared) -> None:
    found = 0
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        x = case["inputs"]
        if case["fn"] == "psi_of_L0":
            value = trace_success(x["L0"], x["m"], x["L"], x["iota"], x["Tmax"])
        elif case["fn"] == "pushforward_coverage":
            problems = DifficultyMixture(*np.array(x["comps"]).T)
            value = pushforward_coverage(x["k"], problems, x["L"], x["iota"], x["Tmax"])
        else:
            continue
        found += 1
        assert value == pytest.approx(case["expected"], rel=case["rtol"])
    assert found == 3


def drawn(model: dict[str, float], runs: int = 200_000) -> np.ndarray:
    rng = np.random.default_rng(4)
    group = rng.random(runs) > PAPER.share[0]
    skills = PAPER.skills[group.astype(int)]
    level = PAPER.mean[group.astype(int)] + PAPER.deviation[
        group.astype(int)
    ] * rng.standard_normal(runs)
    return np.asarray(
        trace_success(level, skills, model["loss"], model["directionality"], model["steps"])
    )


@pytest.mark.parametrize("model", [PYTHIA, LLAMA], ids=["pythia", "llama"])
def test_distribution_against_simulation(model: dict[str, float]) -> None:
    psi = drawn(model)
    for x in (0.0, 1e-4, 0.01, 0.05, 0.1, 0.3, 0.8, 0.9999, 1.0):
        share = float(np.mean(psi <= x))
        found = float(success_distribution(x, PAPER, **model))
        assert abs(share - found) < 4.5 * np.sqrt(max(found * (1 - found), 1e-6) / psi.size)
    covered = np.mean(1.0 - (1.0 - psi) ** 50)
    spread = np.std(1.0 - (1.0 - psi) ** 50) / np.sqrt(psi.size)
    assert abs(covered - pushforward_coverage(50, PAPER, **model)) < 4.5 * spread


def test_too_few_steps_are_a_spike_at_nought() -> None:
    assert never_solved(PAPER, 77.92) == pytest.approx(0.07)
    assert never_solved(PAPER, 100.0) == 0.0
    assert success_distribution(0.0, PAPER, **PYTHIA) == pytest.approx(0.07)
    assert pushforward_coverage(1e12, PAPER, **PYTHIA) == pytest.approx(0.93, abs=1e-6)
    assert trace_success(5.0, 100, 2.0, 1.0, 77.92) == 0.0


@given(st.floats(0.01, 0.98))
def test_density_is_the_slope_of_the_distribution(psi) -> None:
    step = 1e-5 * min(psi, 1 - psi)
    ends = success_distribution([psi - step, psi + step], PAPER, **LLAMA)
    slope = (ends[1] - ends[0]) / (2.0 * step)
    assert success_density(psi, PAPER, **LLAMA) == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_support_ends_where_every_step_is_executed() -> None:
    model = {"loss": 2.0, "directionality": 0.1, "steps": 5.0}
    one = DifficultyMixture(1.0, 1.0, 2.5, 0.4)
    most = 1.0 - 0.9**5
    assert success_distribution(most * 1.001, one, **model) == 1.0
    assert success_density([most * 1.001, 0.9], one, **model).tolist() == [0.0, 0.0]
    assert success_density(most * 0.99, one, **model) > 0.0


def test_index_of_directionality_finds_what_made_the_fits() -> None:
    """Betas with the moments of a push-forward; their index ratio is that of the models."""
    one = DifficultyMixture(1.0, 1.0, 1.4, 0.35)
    true = np.array([0.004, 0.012])
    fits = []
    for index in true:
        first, second = (float(pushforward_coverage(k, one, 1.95, index, 300.0)) for k in (1, 2))
        mean, square = first, 2.0 * first - second
        total = (mean - square) / (square - mean**2)
        fits.append((mean * total, (1 - mean) * total))
    alpha, beta = np.array(fits).T
    assert beta_coverage(alpha, beta, 1.0, 1) == pytest.approx(
        pushforward_coverage(1, one, 1.95, true[0], 300.0), rel=3.0
    )
    found = relative_directionality(alpha, beta, 1.0, 1.95, 300.0, one)
    assert np.all(found.low <= found.index)
    assert np.all(found.index <= found.high)
    assert found.index[1] > 1.5 * found.index[0]
    assert found.distance == pytest.approx([0.0, 0.0], abs=0.06)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (([0.5, 0.4], [1, 2], [1, 1], [1, 1]), "sum of share"),
        (([1.0], [0], [1], [1]), "skills"),
        (([1.0], [1], [1], [0]), "deviation"),
        (([0.5, 0.5], [1], [1, 1], [1, 1]), "of one length"),
    ],
)
def test_what_is_no_distribution_is_refused(values, words) -> None:
    with pytest.raises(ValueError, match=words):
        DifficultyMixture(*values)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="directionality"):
        success_distribution(0.5, PAPER, 2.0, 0.0, 100.0)
    with pytest.raises(ValueError, match="steps"):
        success_distribution(0.5, PAPER, 2.0, 0.5, 0.0)
