"""Points and weights that stand for a spread, and what a problem makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario
from ds3opt.schema.spread import Spread, weighted_points


@given(mean=st.floats(-5, 5), sd=st.floats(0.01, 3), points=st.integers(2, 60) | st.none())
def test_normal_moments(mean: float, sd: float, points: int | None) -> None:
    spread = Spread.model_validate({"normal": {"mean": mean, "sd": sd}, "points": points})
    x, weight = weighted_points(spread)
    assert x.size == (points or 5)
    assert np.all(weight > 0.0)
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    assert weight @ x == pytest.approx(mean, abs=1e-10)
    # Gauss-Hermite with n points is exact to degree 2 n - 1
    assert weight @ (x - mean) ** 2 == pytest.approx(sd**2, rel=1e-9)
    if x.size >= 3:
        assert weight @ (x - mean) ** 4 == pytest.approx(3.0 * sd**4, rel=1e-9)


@given(low=st.floats(-5, 5), width=st.floats(0, 8), points=st.integers(1, 60) | st.none())
def test_uniform_moments(low: float, width: float, points: int | None) -> None:
    spread = Spread.model_validate({"uniform": [low, low + width], "points": points})
    x, weight = weighted_points(spread)
    assert x.size == (points or 8)
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all((x >= low - 1e-12) & (x <= low + width + 1e-12))
    assert weight @ x == pytest.approx(low + width / 2.0, abs=1e-10)
    if x.size >= 2:
        assert weight @ (x - low - width / 2.0) ** 2 == pytest.approx(width**2 / 12.0, abs=1e-9)


@given(low=st.integers(0, 50), width=st.integers(0, 80), points=st.integers(1, 90) | st.none())
def test_whole_ranges(low: int, width: int, points: int | None) -> None:
    spread = Spread.model_validate({"uniform": [low, low + width], "points": points})
    x, weight = weighted_points(spread, whole=True)
    assert np.all(x == np.round(x))
    assert x[0] == low
    assert np.all(np.diff(x) > 0)
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    if points is None or points > width:
        assert x.tolist() == list(range(low, low + width + 1))
        assert weight @ x == pytest.approx(low + width / 2.0)
    elif points > 1:
        assert x[-1] == low + width


def test_listed_values_keep_their_weights() -> None:
    x, weight = weighted_points(Spread.model_validate({"values": [1, 2, 4], "weights": [2, 1, 1]}))
    assert x.tolist() == [1.0, 2.0, 4.0]
    assert weight.tolist() == [0.5, 0.25, 0.25]


def compiled(task: dict[str, Any], **reasoning: Any) -> Any:
    scenario = {
        "workload": {"tasks": 1e6, "mix": [{"name": "a", "share": 1.0, **task}]},
        "reasoning": reasoning,
        "limits": {"total_flop": 1e21},
    }
    return compile_problem(Scenario.model_validate(scenario)).tasks


def test_difficulties_and_skills_are_independent() -> None:
    tasks = compiled(
        {
            "difficulty": {"values": [2.0, 3.0], "weights": [3, 1]},
            "skills": {"values": [1, 5, 9], "weights": [1, 1, 2]},
        }
    )
    assert len(tasks) == 6
    assert tasks.weight.sum() == pytest.approx(1.0)
    assert tasks.weight @ tasks.difficulty == pytest.approx(2.25)
    assert tasks.weight @ tasks.skills == pytest.approx(6.0)
    joint = tasks.weight[(tasks.difficulty == 2.0) & (tasks.skills == 9.0)]
    assert joint.tolist() == pytest.approx([0.75 * 0.5])


@pytest.mark.parametrize(
    ("per_step", "cap", "steps"),
    [
        (25.0, 1000.0, 40), (25.0, 999.0, 39), (1.1, 3.3, 3), (0.1, 0.3, 3), (25.0, 24.0, 0),
        (0.7, 2.1, 3), (3.0, 1e9, 333333333),
    ],
)  # fmt: skip
def test_a_cap_of_whole_steps_gives_them(per_step: float, cap: float, steps: int) -> None:
    tasks = compiled(
        {"difficulty": 2.0, "skills": 1, "max_output_tokens": cap}, tokens_per_step=per_step
    )
    assert tasks.max_steps.tolist() == [steps]


def test_context_holds_prompt_and_trace() -> None:
    task = {"difficulty": 2.0, "skills": 1, "prompt_tokens": 900.0, "context_tokens": 1000.0}
    assert compiled(task).max_steps.tolist() == [4]
    assert compiled({**task, "prompt_tokens": 2000.0}).max_steps.tolist() == [0]
    assert compiled({**task, "max_output_tokens": 50.0}).max_steps.tolist() == [2]


@pytest.mark.parametrize("skills", [1, 5, 10, 50, 70, 110])
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.4, 1.0, 3.0])
def test_relevant_skills_round_up_only_what_is_not_whole(skills: int, ratio: float) -> None:
    """M = ceil(m (1 + ratio)) in exact tenths, delta 0: the chance is 1 / M."""
    exact = -(-skills * (10 + round(10 * ratio)) // 10)
    tasks = compiled(
        {"difficulty": 2.0, "skills": skills, "max_output_tokens": 1e5},
        directionality={"delta": 0, "relevant_ratio": ratio},
    )
    assert 1.0 / tasks.directionality[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "wrong", "offered"),
    [
        ("none", None, {"chain of thought"}),
        ("none", {"count": 3}, {"chain of thought", "majority vote of 3"}),
        ("outcome", None, {"chain of thought", "best of 2"}),
        (
            "process",
            {"count": 3},
            {
                "chain of thought", "majority vote of 3", "best of 2",
                "best of 2 over tree of thought, 4 branches", "tree of thought, 2 branches",
            },
        ),
    ],
)  # fmt: skip
def test_policies_are_offered_where_they_can_work(
    kind: str, wrong: dict[str, Any] | None, offered: set[str]
) -> None:
    task: dict[str, Any] = {"difficulty": 2.0, "skills": 1, "verifier": {"kind": kind}}
    if wrong is not None:
        task["wrong_answers"] = wrong
    policies = [
        "chain_of_thought",
        {"tree_of_thought": {"branches": 2}},
        {"best_of_n": {"samples": 2, "branches": [1, 4]}},
        {"majority_vote": {"samples": 3}},
    ]
    scenario = {
        "workload": {"tasks": 1e6, "mix": [{"name": "a", "share": 1.0, **task}]},
        "reasoning": {"policies": policies},
        "limits": {"total_flop": 1e21},
    }
    problem = compile_problem(Scenario.model_validate(scenario))
    assert problem.tasks is not None
    found = {
        policy.words()
        for policy, allowed in zip(problem.policies, problem.tasks.allowed[0], strict=True)
        if allowed
    }
    assert found == offered
