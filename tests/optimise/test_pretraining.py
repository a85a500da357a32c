"""Least loss and least compute with served tokens, against published and reference numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.optimise.pretraining import best_model
from ds3opt.optimise.solution import Status
from ds3opt.optimise.solve import solve
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario

Shared = Callable[[str], Path]

COEFFICIENTS = {
    "sardana(deVries)": (1.69, 406.4, 410.7, 0.336, 0.283),
    "hoffmann_rounded": (1.69, 406.4, 410.7, 0.34, 0.28),
}


def least_compute(law: Any, size: float, served: float) -> Problem:
    """Least total FLOP for the loss of a compute-optimal model of a size."""
    return compile_problem(
        Scenario.model_validate(
            {
                "workload": {"served_tokens": served},
                "model": {"loss_law": law},
                "objective": {"minimise": "total_flop", "loss": {"like": {"parameters": size}}},
            }
        )
    )


@pytest.mark.parametrize(
    ("size", "served", "parameters", "data_ratio", "saving"),
    [
        (7e9, 1e11, 6.00e9, 1.176, None),
        (13e9, 2e12, 6.97e9, None, 0.174),
        (30e9, 1e13, 13.61e9, 2.845, 0.280),
        (70e9, 1e13, 41.55e9, None, 0.119),
        (70e9, 2e12, None, None, 0.013),
    ],
)
def test_sardana_to_printed_digits(
    size: float,
    served: float,
    parameters: float | None,
    data_ratio: float | None,
    saving: float | None,
) -> None:
    problem = least_compute("sardana2024", size, served)
    plan = best_model(problem, problem.budgets, 1e-3)
    assert plan is not None
    tokens = float(problem.space.law.optimal_tokens(size))
    if parameters is not None:
        assert plan.parameters == pytest.approx(parameters, abs=0.005e9)
    if data_ratio is not None:
        assert plan.training_tokens / tokens == pytest.approx(data_ratio, abs=0.0005)
    if saving is not None:
        naive = 6.0 * size * tokens + 2.0 * size * served
        saved = 1.0 - plan.value / naive if served > 2e12 or size < 70e9 else naive / plan.value - 1
        assert saved == pytest.approx(saving, abs=0.0005)
    if (size, served) == (70e9, 1e13):
        assert plan.training_tokens == pytest.approx(7.923e12, abs=0.0005e12)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def named_law(name: str) -> Any:
    """The law that a row of the reference grid names, by its coefficients."""
    words = {"besiroglu": "besiroglu2024", "sardana": "sardana2024", "hoffmann": None}
    if name in COEFFICIENTS:
        keys = (
            "irreducible", "parameter_coefficient", "data_coefficient", "parameter_exponent",
            "data_exponent",
        )  # fmt: skip
        return dict(zip(keys, COEFFICIENTS[name], strict=True))
    return next((law for key, law in words.items() if law and key in name.lower()), None)


def test_the_grid_of_inference_demands(shared: Shared) -> None:
    checked = 0
    for row in rows(shared("data/inference_demand_allocation.csv")):
        law = named_law(row["law"])
        if law is None:
            continue
        problem = least_compute(law, float(row["N_chinchilla"]), float(row["D_inf"]))
        plan = best_model(problem, problem.budgets, 1e-3)
        assert plan is not None
        assert plan.parameters == pytest.approx(float(row["N_opt"]), rel=1e-3)
        assert plan.training_tokens == pytest.approx(float(row["D_opt"]), rel=1e-3)
        assert plan.value == pytest.approx(float(row["FLOPs_opt"]), rel=1e-6)  # a flat minimum
        assert plan.lower <= plan.value
        assert plan.lower >= plan.value * (1.0 - 1e-6)
        checked += 1
    assert checked >= 35


def test_the_grid_of_fixed_budgets(shared: Shared) -> None:
    checked = 0
    for row in rows(shared("data/fixed_budget_allocation.csv")):
        law = named_law(row["law"])
        if law is None:
            continue
        scenario = {
            "workload": {"served_tokens": float(row["D_inf"])},
            "model": {"loss_law": law},
            "objective": {"minimise": "loss"},
            "limits": {"total_flop": float(row["C_total"])},
        }
        answer = solve(Scenario.model_validate(scenario), details=False)
        assert answer.status is Status.OPTIMAL
        assert answer.parameters == pytest.approx(float(row["N_opt"]), rel=1e-3)
        assert answer.training_tokens == pytest.approx(float(row["D_opt"]), rel=1e-3)
        assert answer.loss == pytest.approx(float(row["loss"]), rel=1e-8)
        assert answer.certificate is not None
        assert answer.certificate.lower <= answer.certificate.upper
        assert answer.total_flop == pytest.approx(float(row["C_total"]), rel=1e-12)
        checked += 1
    assert checked >= 30


@pytest.mark.parametrize("law", ["besiroglu2024", "sardana2024", "hoffmann2022_rounded"])
@pytest.mark.parametrize("size", [1e9, 70e9])
@pytest.mark.parametrize("served", [1e10, 1e12, 1e14])
def test_first_order_identity(law: str, size: float, served: float) -> None:
    """At an optimum (alpha A N^-alpha) / (beta B D^-beta) = 1 + D_inf / (3 D_tr)."""
    problem = least_compute(law, size, served)
    plan = best_model(problem, problem.budgets, 1e-3)
    assert plan is not None
    constants = LOSS_LAWS[law]
    by_size = constants.parameter_exponent * constants.parameter_coefficient
    by_size *= plan.parameters**-constants.parameter_exponent
    by_data = constants.data_exponent * constants.data_coefficient
    by_data *= plan.training_tokens**-constants.data_exponent
    expected = 1.0 + served / (3.0 * plan.training_tokens)
    # a minimum found by values alone is good to the root of their rounding
    assert by_size / by_data == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("saving", "threshold"), [(0.01, 0.429), (0.05, 1.235), (0.1, 2.176)])
@pytest.mark.parametrize("size", [8e9, 70e9])
def test_saving_depends_on_the_demand_over_the_training_data_only(
    saving: float, threshold: float, size: float
) -> None:
    tokens = float(LOSS_LAWS["besiroglu2024"].optimal_tokens(size))

    def saved(ratio: float) -> float:
        problem = least_compute("besiroglu2024", size, ratio * tokens)
        plan = best_model(problem, problem.budgets, 1e-3)
        assert plan is not None
        return 1.0 - plan.value / (6.0 * size * tokens + 2.0 * size * ratio * tokens)

    # the threshold is printed to three decimals
    assert saved(threshold - 0.001) < saving < saved(threshold + 0.001)


def test_muennighoff_with_scarce_data() -> None:
    scenario = {
        "workload": {"served_tokens": 0},
        "model": {"loss_law": "muennighoff2023", "training_tokens": {"unique": 25e9}},
        "objective": {"minimise": "loss"},
        "limits": {"total_flop": 1e22},
    }
    answer = solve(Scenario.model_validate(scenario))
    assert answer.parameters == pytest.approx(7.026e9, rel=1e-3)
    assert answer.training_tokens is not None
    assert answer.training_tokens / 25e9 == pytest.approx(9.488, rel=1e-3)
    assert answer.loss == pytest.approx(2.222129, abs=5e-7)


def test_training_compute_is_log_convex_in_size() -> None:
    """What every certificate rests on, for laws with and without repetition and attention."""
    from ds3opt.optimise.training import Training

    u = np.linspace(np.log(1e6), np.log(1e12), 4001)
    for model in (
        {"loss_law": "besiroglu2024"},
        {"loss_law": "hoffmann2022_rounded", "tokens_per_parameter": {"min": 10, "max": 1000}},
        {"loss_law": "muennighoff2023", "training_tokens": {"unique": 1e9}},
        {"loss_law": "muennighoff2023", "training_tokens": {"unique": 1e11}},
        {
            "shape": {"width_per_layer": 64},
            "training_sequence_tokens": 1e5,
            "training_tokens": [1e9, 1e13],
        },
    ):
        scenario = {
            "workload": {"served_tokens": 1e9},
            "model": model,
            "objective": {"minimise": "loss"},
            "limits": {"total_flop": 1e22},
        }
        training = Training(compile_problem(Scenario.model_validate(scenario)).space)
        for loss in (2.2, 2.5, 3.0, 4.0):
            flop = training.flop(np.exp(u), np.full(u.shape, loss))
            finite = np.isfinite(flop)
            if finite.sum() < 3:
                continue
            inside = np.flatnonzero(finite)
            assert np.all(np.diff(inside) == 1)  # an interval
            bend = np.diff(np.log(flop[finite]), 2)
            # near the least size, tokens are steep in the loss and lose some digits
            assert np.min(bend) >= -1e-9


@pytest.mark.parametrize("name", ["training_flop", "inference_flop", "total_flop"])
def test_every_resource_against_a_scan(name: str) -> None:
    scenario = {
        "workload": {"served_tokens": 1e12},
        "model": {"loss_law": "besiroglu2024", "parameters": [1e8, 1e11]},
        "objective": {"minimise": name, "loss": 2.1},
    }
    answer = solve(Scenario.model_validate(scenario), details=False)
    assert answer.certificate is not None
    law = LOSS_LAWS["besiroglu2024"]
    size = np.geomspace(1e8, 1e11, 20001)
    tokens = law.training_tokens_for(2.1, size)
    allowed = tokens <= 1e18
    cost = {"training_flop": 6.0 * size * tokens, "inference_flop": 2.0 * size * 1e12}
    cost["total_flop"] = cost["training_flop"] + cost["inference_flop"]
    best = float(np.min(cost[name][allowed]))
    # the scan's steps are 3.5e-4 apart, so a corner costs up to that
    assert answer.certificate.lower <= best * (1.0 + 1e-12)
    assert best * (1.0 - 4e-4) <= answer.certificate.upper <= best * (1.0 + 1e-12)
