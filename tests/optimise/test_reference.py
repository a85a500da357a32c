"""Reference optima computed elsewhere: DS3's one token budget, and the choice among 12 policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.compute import inference_flop
from ds3opt.optimise.allocation import allocate, envelope
from ds3opt.optimise.linear_programme import best_mix
from ds3opt.optimise.solution import Status
from ds3opt.optimise.solve import solve
from ds3opt.policies import (
    BestOfN,
    ChainOfThought,
    MajorityVote,
    Policy,
    TaskTraits,
    TreeOfThought,
)
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario

Shared = Callable[[str], Path]


def cases(shared: Shared, kind: str) -> list[dict[str, Any]]:
    listed = json.loads(shared("reference/two_step.json").read_text())["cases"]
    return [case for case in listed if case["kind"] == kind]


def as_scenario(case: dict[str, Any], gap: float) -> dict[str, Any]:
    given = case["inputs"]
    single = "L0" in given
    task: dict[str, Any] = {
        "name": "t",
        "share": 1.0,
        "difficulty": given["L0"] if single else np.linspace(0.1, 4.0, 8).tolist(),
        "skills": given["m"] if single else {"uniform": [1, 50]},
    }
    model: dict[str, Any] = {
        "loss_law": "hoffmann2022_rounded",
        "capability": {"slope": given["b"]},
    }
    limits = {"total_flop": given["C"]}
    if given.get("data") == "infinite":
        model["training_tokens"], limits = "infinite", {"inference_flop": given["C"]}
    if given.get("plane") == "D=20N":
        model["tokens_per_parameter"] = 20
    if "attention" in given:
        model["shape"] = {"layers": 96, "attention_width": 12288}
        task["prompt_tokens"] = 200
    steps = {"floor": "floor", "ge_m": "continuous"}.get(given.get("steps"), "as_printed")
    reasoning: dict[str, Any] = {
        "budgets": "shared", "charge": "budget", "steps": steps, "prefill": False,
    }  # fmt: skip
    if "Omega_fixed" in given:
        reasoning["token_budget"] = given["Omega_fixed"]
    return {
        "workload": {"tasks": given["I"], "mix": [task]},
        "model": model,
        "reasoning": reasoning,
        "limits": limits,
        "solver": {"gap": gap},
    }


def test_every_certified_optimum(shared: Shared) -> None:
    checked = 0
    for case in cases(shared, "certified_optimum"):
        answer = solve(Scenario.model_validate(as_scenario(case, 1e-6)), details=False)
        expected, tolerance = case["expect"], case.get("atol_Psi", 1e-6)
        assert answer.status is Status.OPTIMAL, case["id"]
        assert answer.certificate is not None
        assert answer.certificate.lower <= expected["Psi_ub"] + tolerance, case["id"]
        assert answer.certificate.upper >= expected["Psi_lb"] - tolerance, case["id"]
        # the two gaps and no more lie between the answers
        assert answer.certificate.lower >= expected["Psi_lb"] - 1e-6 - tolerance, case["id"]
        budget = answer.tasks[0].token_budget
        # plans within 1e-4 have budgets in this range; ours is within 1e-6
        low, high = expected.get("Omega_set_within_1e_4", (budget, budget))
        assert low * (1.0 - 1e-9) <= budget <= high * (1.0 + 1e-9), case["id"]
        checked += 1
    assert checked == 21


# -- the choice among twelve policies ---------------------------------------------------------

VARIANTS: dict[str, Callable[[int, int], Policy]] = {
    "cot": lambda b, k: ChainOfThought(),
    "tot": lambda b, k: TreeOfThought(branches=b),
    "bon": lambda b, k: BestOfN(samples=k),
    "bontot": lambda b, k: BestOfN(samples=k, branches=b),
    "mv": lambda b, k: MajorityVote(samples=k),
}


def lattice_menu(given: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Task, effective tokens and success of every action on the stated lattice."""
    from ds3opt.laws.search import chain_of_thought_success

    levels, skills = np.linspace(0.1, 4.0, 8), np.arange(1, 51)
    difficulty = np.repeat(levels, skills.size)
    many = np.tile(skills, levels.size).astype(float)
    step = step_skill_success(given["L"], difficulty, slope=given["b"])
    steps = np.array(given["t_lattice"])
    attention = given["attention"]
    ones = np.ones(many.size)
    wrong = (tuple([1.0 / given["mv_wrong_answers"]] * given["mv_wrong_answers"]),)
    traits = TaskTraits(ones, 0.0 * ones, wrong, np.zeros(many.size, dtype=np.intp))
    owners, costs, gains = [], [], []
    for name, branches, samples in given["variants"]:
        policy = VARIANTS[name](branches, samples)
        advance, _ = policy.level(step, 0.0 * ones, traits)
        for count in steps:
            trace = np.asarray(chain_of_thought_success(advance, many, count))
            gains.append(policy.answer_success(trace, traits))
            flop = inference_flop(
                given["N"],
                branches * samples * given["omega"] * count,
                attention["Omega_prompt"],
                layers=attention["n_layer"],
                attention_width=attention["d_attn"],
                branches=branches,
                samples=samples,
            )
            costs.append(np.full(many.size, flop / (2.0 * given["N"])))
            owners.append(np.arange(many.size))
    return tuple(np.concatenate(part) for part in (owners, costs, gains))


def test_the_mix_of_twelve_policies(shared: Shared) -> None:
    for case in cases(shared, "policy_lp"):
        given, expected = case["inputs"], case["expect"]
        owner, cost, gain = lattice_menu(given)
        weight = np.full(400, 1.0 / 400.0)
        budget = given["mean_effective_tokens"]
        found = allocate(owner, cost, gain, weight, budget)
        low, high = expected["value_lb"] - case["atol"], expected["value_ub"] + case["atol"]
        assert low <= found.value <= high
        assert found.used <= budget
        assert found.price == pytest.approx(expected["price"], rel=0.02)
        points = envelope(owner, cost, gain)
        of = owner[points]
        usage = (weight[of] * cost[points])[:, None]
        programme = best_mix(of, weight[of] * gain[points], usage, np.array([budget]))
        assert programme is not None
        # the programme keeps a part in 1e9 back from its limit
        assert programme.value == pytest.approx(found.value, abs=1e-8)
        assert low <= programme.value <= high


@pytest.mark.slow
def test_the_full_choice_of_policies(shared: Shared) -> None:
    (case,) = cases(shared, "policy_full")
    given, expected = case["inputs"], case["expect"]
    scenario = as_scenario({"inputs": given}, 1e-3)
    scenario["workload"]["mix"][0]["verifier"] = {"kind": "process"}
    scenario["workload"]["mix"][0]["wrong_answers"] = {"count": 4}
    scenario["reasoning"] = {
        "charge": "budget",
        "prefill": False,
        "policies": [
            "chain_of_thought",
            {"tree_of_thought": {"branches": [2, 4, 8]}},
            {"best_of_n": {"samples": [2, 4, 8]}},
            {"best_of_n": {"samples": 2, "branches": 2}},
            {"best_of_n": {"samples": 4, "branches": 4}},
            {"majority_vote": {"samples": [3, 5, 9]}},
        ],
    }
    answer = solve(Scenario.model_validate(scenario), details=False)
    assert answer.certificate is not None
    # every whole step instead of the reference's lattice: at least as good
    assert answer.certificate.lower >= expected["Psi_lb"] - 1e-3
    assert answer.certificate.upper >= expected["Psi_lb"]
    # and a lattice with 30 % between its steps costs little
    assert answer.certificate.lower <= expected["Psi_ub"] + 0.01


def test_references_compile_to_four_hundred_tasks(shared: Shared) -> None:
    case = next(c for c in cases(shared, "certified_optimum") if "global" in c["id"])
    problem = compile_problem(Scenario.model_validate(as_scenario(case, 1e-4)))
    assert problem.tasks is not None
    assert len(problem.tasks) == 400
    assert problem.tasks.weight.sum() == pytest.approx(1.0, abs=1e-12)
