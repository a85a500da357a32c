"""What a planner is told of an answer beyond the range of fitted laws."""

from __future__ import annotations

import pytest

from ds3opt.optimise.notes import notes_for
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario

LAW = {
    "irreducible": 1.8,
    "parameter_coefficient": 480.0,
    "data_coefficient": 2100.0,
    "parameter_exponent": 0.35,
    "data_exponent": 0.37,
    "name": "ours",
    "fitted_range": {"parameters": [1e7, 1e9], "tokens_per_parameter": [5, 100]},
}


def told(parameters: float, tokens: float, **model: object) -> list[tuple[str, str]]:
    scenario = Scenario.model_validate(
        {
            "workload": {
                "tasks": 1e6,
                "mix": [{"name": "a", "share": 1, "difficulty": 2.4, "skills": 1}],
            },
            "model": {"loss_law": LAW, **model},
            "limits": {"total_flop": 1e21},
        }
    )
    notes = notes_for(compile_problem(scenario), parameters, tokens)
    return [(note.path, note.message) for note in notes if note.code == "extrapolation"]


def test_within_every_range_nothing_is_told():
    """L(5e8, 2e10) = 1.8 + 0.43 + 0.33, within the range of the capability."""
    assert told(5e8, 2e10, capability={"fitted_loss": [2.3, 3.0]}) == []


def test_a_law_in_place_warns_by_its_own_range():
    ((key, message),) = told(4e9, 4e10)
    assert key == "model.loss_law"
    assert message.startswith("parameters: 4 B parameters is outside the range that ours was")
    ((_, message),) = told(5e8, 1e11)
    assert message.startswith("tokens per parameter: 200")


@pytest.mark.parametrize(("span", "outside"), [([2.3, 3.0], 0), ([2.7, 3.0], 1), ([2.0, 2.5], 1)])
def test_a_loss_that_the_capability_was_not_fitted_on(span, outside):
    found = told(5e8, 2e10, capability={"fitted_loss": span})
    assert len(found) == outside
    for key, message in found:
        assert key == "model.capability"
        assert message.startswith("loss: 2.56")
