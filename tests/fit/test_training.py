"""Utilisation of training: recovered from runs made by known ones."""

import numpy as np
import pytest

from ds3opt.fit.training import TrainingRuns, fit_training, held_out_training
from ds3opt.laws.training_run import model_flop_utilisation


def made(matrix: float = 0.45, attention: float = 0.25) -> TrainingRuns:
    sizes = [(1.3e9, 24, 2048), (6.7e9, 32, 4096), (70e9, 80, 8192)]
    rows = [(n, k, w, float(s)) for n, k, w in sizes for s in (512, 2048, 16384, 65536)]
    columns = np.array(rows).T
    runs = TrainingRuns(
        model=np.array([f"{n:.0e}" for n, *_ in rows]),
        accelerator=np.full(len(rows), "h100-sxm"),
        precision=np.full(len(rows), "bf16"),
        parameters=columns[0],
        layers=columns[1],
        attention_width=columns[2],
        sequence_tokens=columns[3],
        accelerators=np.full(len(rows), 8.0),
        utilisation=np.full(len(rows), np.nan),
    )
    told = model_flop_utilisation(matrix, attention, runs.attention_share)
    return TrainingRuns(**{**vars(runs), "utilisation": np.asarray(told)})


def test_known_utilisations_are_recovered():
    """No noise and no pull: to the tolerance of the least squares."""
    assert fit_training(made()) == pytest.approx((0.45, 0.25), rel=1e-4)
    assert fit_training(made(0.9, 0.95)) == pytest.approx((0.9, 0.95), rel=1e-4)


def test_an_outlier_hardly_counts():
    runs = made()
    spoilt = runs.utilisation.copy()
    spoilt[0] *= 0.3
    matrix, attention = fit_training(TrainingRuns(**{**vars(runs), "utilisation": spoilt}))
    assert matrix == pytest.approx(0.45, rel=0.03)
    assert attention == pytest.approx(0.25, rel=0.03)


def test_held_out_models():
    runs = made()
    assert held_out_training(runs) == pytest.approx(runs.utilisation, rel=1e-3)
    spoilt = np.where(runs.model == runs.model[0], 0.1, runs.utilisation)
    told = held_out_training(TrainingRuns(**{**vars(runs), "utilisation": spoilt}))
    own = runs.model == runs.model[0]
    assert told[own] == pytest.approx(runs.utilisation[own], rel=1e-3)
    alone = runs.take(own)
    assert np.isnan(held_out_training(alone)).all()
