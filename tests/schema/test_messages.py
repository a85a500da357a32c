"""Every refusal of the schema: what is refused, and in which words."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from ds3opt.cli.schema import scenario_schema
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario

TASK: dict[str, Any] = {"name": "a", "share": 1.0, "difficulty": 2.5, "skills": 3}
WHOLE: dict[str, Any] = {
    "workload": {"tasks": 1e9, "mix": [TASK]},
    "limits": {"total_flop": 1e21},
}
LOSS: dict[str, Any] = {
    "workload": {"served_tokens": 1e12},
    "objective": {"minimise": "loss"},
    "limits": {"total_flop": 1e24},
}
UNSET = object()


def placed(scenario: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value at a dotted path; UNSET takes it away."""
    other = copy.deepcopy(scenario)
    at: Any = other
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        at = at[key] if isinstance(key, int) else at.setdefault(key, {})
    if value is UNSET:
        del at[last]
    else:
        at[last] = value
    return other


def refused(scenario: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate(scenario)
    return str(caught.value)


def test_the_smallest_scenarios_are_accepted() -> None:
    for scenario in (WHOLE, LOSS):
        compile_problem(Scenario.model_validate(scenario))


T = "workload.mix.0"

REFUSALS = [
    # keys
    ("unheard_of", 1, "Extra inputs are not permitted"),
    ("limits.total_flops", 1e20, "Extra inputs are not permitted"),
    (f"{T}.skill", 1, "Extra inputs are not permitted"),
    ("model.loss_law", {"irreducible": 1.7, "A": 1}, "Extra inputs are not permitted"),
    # workload
    ("workload.mix", UNSET, "give tasks and mix, or served_tokens"),
    ("workload.mix", [], "mix is empty"),
    ("workload.tasks", UNSET, "tasks is missing: how many tasks"),
    ("workload.tasks", 0, "greater than or equal to 1"),
    ("workload.tasks", -1e9, "greater than or equal to 1"),
    ("workload.served_tokens", 1e12, "give either served_tokens, or tasks and mix"),
    (f"{T}.share", 0.9, "the shares of mix sum to 0.9, not to 1"),
    (f"{T}.share", 0, "greater than 0"),
    (f"{T}.name", "", "at least 1 character"),
    (f"{T}.prompt_tokens", -1, "greater than or equal to 0"),
    (f"{T}.max_output_tokens", 0, "greater than 0"),
    (f"{T}.value", -1, "greater than or equal to 0"),
    (f"{T}.min_accuracy", 1.1, "less than or equal to 1"),
    (f"{T}.fatigue", 1.5, "less than or equal to 1"),
    (f"{T}.directionality", 0, "greater than 0"),
    (f"{T}.directionality", {"delta": 2, "relevant_ratio": 1}, "less than or equal to 1"),
    # spreads
    (f"{T}.difficulty", UNSET, "has no difficulty"),
    (f"{T}.difficulty", [], "at least 1 item"),
    (f"{T}.difficulty", {}, "give exactly one of values, uniform, normal; found none"),
    (f"{T}.difficulty", {"values": [1], "uniform": [1, 2]}, "found values and uniform"),
    (f"{T}.difficulty", {"uniform": [3, 2]}, "the range is upside down: 3 is above 2"),
    (f"{T}.difficulty", {"uniform": [1, 2, 3]}, "at most 2 items"),
    (f"{T}.difficulty", {"uniform": [1, 2], "weights": [1, 2]}, "weights go with values"),
    (f"{T}.difficulty", {"values": [1, 2], "weights": [1]}, "2 values but 1 weights"),
    (f"{T}.difficulty", {"values": [1, 2], "weights": [1, 0]}, "greater than 0"),
    (f"{T}.difficulty", {"normal": {"mean": 2, "sd": 0}}, "greater than 0"),
    (f"{T}.difficulty", {"uniform": [1, 2], "points": 0}, "greater than or equal to 1"),
    (f"{T}.difficulty", {"uniform": [1, 2], "points": True}, "valid integer"),
    (f"{T}.skills", 1.5, "skills are whole numbers from 0 up, not 1.5"),
    (f"{T}.skills", -1, "skills are whole numbers from 0 up, not -1"),
    (f"{T}.skills", 2e6, "at most 1e6 skills a task"),
    (f"{T}.skills", {"normal": {"mean": 5, "sd": 1}}, "skills are whole numbers: use values"),
    # verifiers and wrong answers
    (f"{T}.verifier", {"kind": "oracle"}, "'none', 'outcome' or 'process'"),
    (
        f"{T}.verifier",
        {"kind": "outcome", "true_positive_rate": 0.2, "false_positive_rate": 0.4},
        "such a verifier prefers wrong answers",
    ),
    (f"{T}.verifier", {"kind": "outcome", "false_positive_rate": 1}, "less than 1"),
    (f"{T}.verifier", {"kind": "outcome", "true_positive_rate": 0}, "greater than 0"),
    (f"{T}.verifier", {"kind": "outcome", "parameters": -1}, "greater than or equal to 0"),
    (f"{T}.wrong_answers", {}, "give either count (with decay) or shares"),
    (f"{T}.wrong_answers", {"count": 3, "shares": [1]}, "give either count (with decay) or shares"),
    (f"{T}.wrong_answers", {"shares": [0.7, 0.7]}, "shares sum to 1.4; at most 1"),
    (f"{T}.wrong_answers", {"count": 0}, "greater than or equal to 1"),
    (f"{T}.wrong_answers", {"count": 3, "decay": 0}, "greater than 0"),
    # model
    ("model.loss_law", "besiroglu", "did you mean besiroglu2024?"),
    ("model.loss_law", "zzz", "no loss law is named 'zzz'"),
    ("model.parameters", [1e9, 1e8], "the range is upside down: min 1e+09 is above max 1e+08"),
    ("model.parameters", [1e8, 1e9, 1e10], "a range is [lowest, highest], not 3 numbers"),
    ("model.parameters", 0, "greater than 0"),
    ("model.training_tokens", {"min": 1e12, "max": 1e11}, "the range is upside down"),
    ("model.training_tokens", {"unique": 1e9}, "what repeated tokens are worth: muennighoff2023"),
    ("model.tokens_per_parameter", {"min": 30, "max": 20}, "the range is upside down"),
    ("model", {"training_tokens": "infinite", "tokens_per_parameter": 20}, "has no meaning"),
    ("model.shape", {}, "give either width_per_layer, or both layers and attention_width"),
    ("model.shape", {"layers": 10}, "give either width_per_layer, or both"),
    (
        "model.shape",
        {"layers": 10, "attention_width": 100, "width_per_layer": 10},
        "give either width_per_layer, or both",
    ),
    ("model.capability", {"scale": 0.9, "offset": 0.2}, "scale + offset is 1.1, above 1"),
    ("model.capability", {"slope": 0}, "greater than 0"),
    # reasoning
    ("reasoning.policies", [], "at least 1 item"),
    ("reasoning.policies", ["best_of_n"], "best_of_n needs its numbers, such as"),
    ("reasoning.policies", ["majority_vote"], "majority_vote needs its numbers"),
    ("reasoning.policies", ["tree_of_thought"], "tree_of_thought needs its numbers"),
    ("reasoning.policies", ["tree_of_though"], "did you mean tree_of_thought?"),
    ("reasoning.policies", ["zzz"], "no policy is named 'zzz'; one of chain_of_thought"),
    ("reasoning.policies", [{}], "name one policy: chain_of_thought, tree_of_thought"),
    (
        "reasoning.policies",
        [{"tree_of_thought": {"branches": 2}, "best_of_n": {"samples": 2}}],
        "name one policy",
    ),
    ("reasoning.policies", [{"best_of_n": {"samples": [1]}}], "greater than or equal to 2"),
    ("reasoning.policies", [{"best_of_n": {"samples": [2.5]}}], "valid integer"),
    ("reasoning.policies", [{"best_of_n": {"samples": []}}], "at least 1 item"),
    ("reasoning.policies", [{"tree_of_thought": {"branches": True}}], "valid integer"),
    ("reasoning.policies", [{"majority_vote": {"samples": 2000}}], "less than or equal to 1000"),
    ("reasoning.steps", "continuous", "steps: continuous goes with budgets: shared"),
    ("reasoning.token_budget", 1000, "token_budget goes with budgets: shared"),
    ("reasoning", {"budgets": "shared", "token_budget": [9, 8]}, "the range is upside down"),
    ("reasoning", {"budgets": "shared", "token_budget": [9]}, "a range is [lowest, highest]"),
    ("reasoning.charge", "free", "'expected' or 'budget'"),
    ("reasoning.tokens_per_step", 0, "greater than 0"),
    # limits, objective, frontier, solver
    ("limits", {}, "no limit is given: set limits.total_flop"),
    ("limits.total_flop", 0, "greater than 0"),
    ("limits.total_flop", -1e20, "greater than 0"),
    (
        "objective",
        "acuracy",
        "no objective is named 'acuracy'; accuracy, value, net_value or a mapping",
    ),
    ("objective", {"minimise": "total_flop"}, "either accuracy or loss"),
    (
        "objective",
        {"minimise": "total_flop", "accuracy": 0.5, "loss": 2},
        "either accuracy or loss",
    ),
    ("objective", {"minimise": "total_flop", "accuracy": 0}, "greater_than_equal"),
    ("objective", {"minimise": "total_flop", "accuracy": 1.01}, "less than or equal to 1"),
    ("objective", {"minimise": "loss"}, "takes workload.served_tokens, no mix"),
    ("frontier", {"from": 1e21, "to": 1e20}, "the range is upside down: from 1e+21 to 1e+20"),
    ("frontier", {"from": 1e20, "to": 1e21, "points": 1}, "greater than or equal to 2"),
    ("solver.gap", 0, "greater than 0"),
    ("solver.gap", 2, "less than or equal to 1"),
    ("solver.max_cells", 0, "greater than or equal to 1"),
    ("solver.max_cells", True, "valid integer"),
]


@pytest.mark.parametrize(("path", "value", "words"), REFUSALS)
def test_refusals_in_words(path: str, value: Any, words: str) -> None:
    assert words in refused(placed(WHOLE, path, value))


NUMBERS = [
    "workload.tasks", f"{T}.share", f"{T}.difficulty", f"{T}.skills", f"{T}.prompt_tokens",
    f"{T}.max_output_tokens", f"{T}.value", f"{T}.min_accuracy", "model.parameters",
    "model.capability.slope", "model.context_tokens", "reasoning.tokens_per_step",
    "reasoning.fatigue", "limits.total_flop", "solver.gap",
]  # fmt: skip


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, None, "many", [1, [2]]])
def test_what_is_no_number_is_refused_everywhere(path: str, value: Any) -> None:
    optional = {f"{T}.max_output_tokens", "model.context_tokens", "limits.total_flop"}
    scenario = placed(WHOLE, path, value)
    if value is None and path in optional:
        scenario["limits"]["inference_flop"] = 1e21
        Scenario.model_validate(scenario)
        return
    refused(scenario)


def test_two_classes_with_one_name() -> None:
    half = {**TASK, "share": 0.5}
    scenario = placed(WHOLE, "workload.mix", [half, half])
    assert "two task classes are named 'a'" in refused(scenario)


def test_shares_may_miss_one_by_rounding_only() -> None:
    thirds = [{**TASK, "name": str(i), "share": 0.3333333} for i in range(3)]
    scenario = placed(WHOLE, "workload.mix", thirds)
    problem = compile_problem(Scenario.model_validate(scenario))
    assert problem.tasks is not None
    assert problem.tasks.weight.sum() == pytest.approx(1.0, abs=1e-15)


def test_requirements_that_a_shared_budget_cannot_honour() -> None:
    scenario = placed(WHOLE, f"{T}.min_accuracy", 0.5)
    scenario["reasoning"] = {"budgets": "shared"}
    assert "min_accuracy of 'a' goes with budgets: per_task" in refused(scenario)


def test_requirements_of_what_is_worth_nothing() -> None:
    scenario = placed(placed(WHOLE, f"{T}.min_accuracy", 0.5), f"{T}.value", 0)
    Scenario.model_validate(scenario)  # for accuracy, a class's value does not matter
    scenario["objective"] = "value"
    assert "has a min_accuracy but no value" in refused(scenario)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("objective", "accuracy", "workload.mix is missing: this objective needs task classes"),
        ("objective", {"minimise": "loss", "loss": 2.0}, "`minimise: loss` takes no target"),
        ("workload.served_tokens", -1, "greater than or equal to 0"),
        ("limits", {}, "no limit is given"),
    ],
)
def test_refusals_of_pretraining(path: str, value: Any, words: str) -> None:
    assert words in refused(placed(LOSS, path, value))


def test_no_limit_is_needed_to_minimise_a_resource() -> None:
    scenario = placed(WHOLE, "objective", {"minimise": "total_flop", "accuracy": 0.5})
    del scenario["limits"]
    Scenario.model_validate(scenario)


# -- JSON Schema -------------------------------------------------------------------------------


def test_the_json_schema_is_one_and_describes_every_key() -> None:
    schema = Scenario.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema, allow_nan=False)
    assert schema["additionalProperties"] is False
    for name, part in schema["$defs"].items():
        assert part.get("additionalProperties") is False, name


@pytest.mark.parametrize("scenario", [WHOLE, LOSS], ids=["tasks", "pretraining"])
def test_the_json_schema_accepts_what_the_models_accept(scenario: dict[str, Any]) -> None:
    jsonschema.validate(scenario, scenario_schema())


def test_the_json_schema_accepts_every_form(oracle: Callable[[str], ModuleType]) -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    for seed in range(150):
        scenario = oracle("scenarios").random_scenario(seed)
        Scenario.model_validate(scenario)
        validator.validate(scenario)


def test_the_json_schema_refuses_an_unknown_key() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(placed(WHOLE, "unheard_of", 1), scenario_schema())


def test_models_cannot_be_changed() -> None:
    scenario = Scenario.model_validate(WHOLE)
    with pytest.raises(ValidationError):
        scenario.limits.total_flop = 1.0  # type: ignore[misc]
