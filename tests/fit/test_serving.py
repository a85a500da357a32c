"""Constants of serving: recovered from rows made by known ones; held out means held out."""

from dataclasses import replace

import numpy as np
import pytest

from ds3opt.fit import serving
from ds3opt.fit.serving import (
    COMPUTE,
    COMPUTE_NARROW,
    EIGHT_BIT_EXPERTS,
    ServingFit,
    ServingRuns,
    fit_serving,
    has_eight_bit_experts,
    held_out,
    predict,
    slower_than_older,
)
from ds3opt.laws.power import board_power_watts
from ds3opt.laws.roofline import Device, ModelShape, decode_step

SHARED = {
    "cache": 0.6,
    "exchange": 0.8,
    "allreduce_seconds": 1.5e-5,
    "expert_layer_seconds": 4e-5,
    EIGHT_BIT_EXPERTS: 2e-4,
    "prompt_layer_seconds": 2e-4,
    "sequence_seconds": 4e-5,
}
TRUTH = {
    "old": SHARED
    | {
        "memory": 0.85,
        "layer_seconds": 2e-5,
        "base_power": 0.4,
        "memory_power": 0.3,
        "compute_power": 1.0,
    },
    "new": SHARED
    | {
        "memory": 0.75,
        "layer_seconds": 4e-5,
        "base_power": 0.3,
        "memory_power": 0.5,
        "compute_power": 1.2,
    },
}
DEVICES = {"old": (989e12, 3.35e12, 80e9, 450e9, 700), "new": (2250e12, 8e12, 180e9, 900e9, 1000)}
#         parameters, active, routed, experts, active experts, layers, width, kv, bytes
MODELS = {
    "small": (8e9, 8e9, 0, 1, 1, 32, 4096, 65536, 2),
    "large": (70e9, 70e9, 0, 1, 1, 80, 8192, 163840, 2),
    "mixture": (30e9, 3e9, 29e9, 128, 8, 48, 2048, 49152, 2),
    "mixture in 8 bits": (235e9, 22e9, 227e9, 128, 8, 94, 4096, 96256, 1),
}


def made(models=tuple(MODELS), devices=tuple(DEVICES)) -> tuple[ServingRuns, np.ndarray]:
    """Rows whose measurements are exactly what the true constants predict, and their families."""
    rows = [
        (device, model, float(n), float(b), length)
        for device in devices
        for model in models
        for n in (1, 2, 8)
        for b in (8, 64, 512)
        for length in (400.0, 6000.0)
    ]
    sizes = np.array([MODELS[model] for _, model, *_ in rows], dtype=float).T
    names = np.array([device for device, *_ in rows])
    count = np.full(len(rows), np.nan)
    runs = ServingRuns(
        model=np.array([model for _, model, *_ in rows]),
        accelerator=names,
        shape=ModelShape(
            *sizes[:7],
            attention_width=sizes[6],
            kv_elements_per_token=sizes[7],
            bytes_per_weight=sizes[8],
            bytes_per_kv_element=np.full(len(rows), 2.0),
        ),
        device=Device(*np.array([DEVICES[device] for device, *_ in rows], dtype=float).T),
        accelerators=np.array([n for *_, n, _, _ in rows]),
        sequences=np.array([b for *_, b, _ in rows]),
        prompt_tokens=np.full(len(rows), 500.0),
        output_tokens=np.array([length for *_, length in rows]),
        step_seconds=count,
        tokens_per_s=count,
        joules_per_token=count,
    )
    told = predict(runs, ServingFit(TRUTH).efficiency(names.tolist(), runs))
    return replace(
        runs,
        step_seconds=told.step_seconds,
        tokens_per_s=told.tokens_per_s,
        joules_per_token=told.joules_per_token,
    ), names


def test_energy_is_that_of_all_boards():
    """Joules a token are watts of a board, times boards, over tokens a second."""
    runs, names = made(models=("large",))
    efficiency = ServingFit(TRUTH).efficiency(names.tolist(), runs)
    told = predict(runs, efficiency)
    step = decode_step(
        runs.shape,
        runs.device,
        efficiency,
        sequences=runs.sequences,
        context_tokens=500 + runs.output_tokens / 2,
        accelerators=runs.accelerators,
        prompt_tokens=500,
        output_tokens=runs.output_tokens,
    )
    watts = board_power_watts(
        runs.device, efficiency, step.memory_utilisation, step.compute_utilisation
    )
    assert told.tokens_per_s * step.seconds == pytest.approx(runs.sequences, rel=1e-12)
    drawn = told.joules_per_token * told.tokens_per_s / runs.accelerators
    assert drawn == pytest.approx(watts, rel=1e-12)


def test_known_constants_are_recovered(monkeypatch):
    """Without noise and without pulls every constant comes back, to the tolerance of the search."""
    monkeypatch.setattr(serving, "_NEAR_START", 1e-5)
    monkeypatch.setattr(serving, "_NEAR_EACH_OTHER", 0.0)
    runs, families = made()
    fit = fit_serving(runs, families)
    for family, constants in TRUTH.items():
        assert fit.constants[family] == pytest.approx(constants, rel=1e-3)


def test_pulls_hardly_move_predictions():
    """Pulls matter where data say little, so what was measured is predicted to 3 %."""
    runs, families = made()
    fit = fit_serving(runs, families)
    told = predict(runs, fit.efficiency(families.tolist(), runs))
    for name in ("step_seconds", "tokens_per_s", "joules_per_token"):
        assert np.max(np.abs(getattr(told, name) / getattr(runs, name) - 1.0)) < 0.03


def test_outliers_hardly_count():
    """One row in ten measured three times too slow moves predictions by less than 3 %."""
    runs, families = made()
    slow = np.arange(len(runs)) % 10 == 3
    spoilt = replace(runs, step_seconds=np.where(slow, 3.0, 1.0) * runs.step_seconds)
    fit = fit_serving(spoilt, families)
    told = predict(runs, fit.efficiency(families.tolist(), runs))
    off = np.abs(told.step_seconds / runs.step_seconds - 1.0)
    assert np.median(off) < 0.03


def test_rows_may_lack_measurements():
    runs, families = made()
    lacking = np.arange(len(runs)) % 2 == 0
    partly = replace(
        runs,
        tokens_per_s=np.where(lacking, np.nan, runs.tokens_per_s),
        joules_per_token=np.full(len(runs), np.nan),
    )
    fit = fit_serving(partly, families)
    told = predict(runs, fit.efficiency(families.tolist(), runs))
    assert np.median(np.abs(told.step_seconds / runs.step_seconds - 1.0)) < 0.02


def test_held_out_never_sees_its_group():
    """Absurd measurements of one model change the predictions of all others, not its own."""
    runs, families = made(models=("small", "large", "mixture"))
    everything = np.ones(len(runs), dtype=bool)
    honest = held_out(runs, families, runs.model, everything)
    absurd = np.where(runs.model == "large", 40.0, 1.0)
    spoilt = replace(runs, step_seconds=runs.step_seconds * absurd)
    other = held_out(spoilt, families, runs.model, everything)
    large = runs.model == "large"
    assert other.step_seconds[large] == pytest.approx(honest.step_seconds[large], rel=1e-9)
    assert not np.allclose(other.step_seconds[~large], honest.step_seconds[~large], rtol=1e-6)
    assert np.isfinite(honest.joules_per_token).all()


def test_a_family_held_out_is_predicted_by_the_other():
    runs, families = made(models=("small", "large"))
    one = np.full(len(runs), "all")
    told = held_out(runs, one, families, np.ones(len(runs), dtype=bool))
    alone = fit_serving(runs.take(families == "old"), one[families == "old"])
    new = runs.take(families == "new")
    expected = predict(new, alone.efficiency(["all"] * len(new), new))
    assert told.step_seconds[families == "new"] == pytest.approx(expected.step_seconds, rel=1e-12)


def test_eight_bit_experts_have_their_own_start():
    runs, names = made()
    eight = has_eight_bit_experts(runs.shape)
    assert set(runs.model[eight]) == {"mixture in 8 bits"}
    efficiency = ServingFit(TRUTH).efficiency(names.tolist(), runs)
    assert set(efficiency.expert_layer_seconds[eight]) == {2e-4}
    assert set(efficiency.expert_layer_seconds[~eight]) == {4e-5}
    assert set(efficiency.compute[eight]) == {COMPUTE_NARROW}
    assert set(efficiency.compute[~eight]) == {COMPUTE}


def test_the_newer_accelerator_held_up():
    """Row by row: slower than the older at the same model, batch and prompt, on no more of it."""
    runs, _ = made(models=("small",))
    same = [
        (i, j)
        for i in np.flatnonzero(runs.accelerator == "new")
        for j in np.flatnonzero(runs.accelerator == "old")
        if runs.sequences[i] == runs.sequences[j] and runs.accelerators[j] <= runs.accelerators[i]
    ]
    held_up = runs.step_seconds.copy()
    held_up[same[0][0]] = 1e3
    spoilt = replace(runs, step_seconds=held_up)
    found = slower_than_older(spoilt, "old", "new")
    expected = {i for i, j in same if held_up[i] > held_up[j]}
    assert set(np.flatnonzero(found).tolist()) == expected
    assert same[0][0] in expected


def test_median_step_reads_fewer_prompts_than_the_mean():
    runs, names = made(models=("small",))
    efficiency = ServingFit(TRUTH).efficiency(names.tolist(), runs)
    told = predict(runs, efficiency)
    mean = runs.sequences / told.tokens_per_s
    assert (told.step_seconds <= mean * (1 + 1e-12)).all()
    rare = runs.sequences / runs.output_tokens < np.log(2.0)
    silent = predict(replace(runs, prompt_tokens=np.zeros(len(runs))), efficiency)
    moved = replace(runs, prompt_tokens=np.zeros(len(runs)))
    assert moved.context_tokens == pytest.approx(runs.context_tokens - 500)
    assert (told.step_seconds[rare] >= silent.step_seconds[rare] * (1 - 1e-12)).all()
