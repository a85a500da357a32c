"""Classes whose success was measured: costs by hand, optima by enumeration, refusals in words."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ds3opt.errors import Ds3optError, UsageError
from ds3opt.io.loader import load_scenario
from ds3opt.laws.coverage import beta_coverage, beta_majority_vote
from ds3opt.laws.voting import truncated_geometric_shares
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.solve import solve
from ds3opt.schema import Scenario

WIDE = {"inference_flop": 1e40}
N, JUDGE, PROMPT, OUTPUT = 8e9, 34e9, 100.0, 400.0
POPULATION = {"alpha": 0.3205, "beta": 0.981}
POLICIES: list[Any] = [
    "chain_of_thought",
    {"best_of_n": {"samples": [2, 8, 32]}},
    {"majority_vote": {"samples": [3, 9, 33]}},
    {"rebase": {"samples": [16], "tilt": 1.5, "overhead": 1.2, "choose": "majority_vote"}},
]


def one_class(**given: Any) -> dict[str, Any]:
    return {
        "name": "MATH",
        "share": 1.0,
        "prompt_tokens": PROMPT,
        "measured": {"population": POPULATION, "output_tokens": OUTPUT},
        "wrong_answers": {"count": 9, "decay": 0.752},
        "verifier": {"kind": "process", "parameters": JUDGE},
        **given,
    }


def scenario_of(*tasks: dict[str, Any], **given: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "workload": {"tasks": 1e6, "mix": list(tasks) or [one_class()]},
            "model": {"parameters": N},
            "reasoning": {"policies": POLICIES},
            "limits": {"inference_flop": 1e20},
            **given,
        }
    )


SHARES = truncated_geometric_shares(0.752, 9)


def by_hand() -> list[tuple[float, float]]:
    """(FLOP, success) of a task for every policy on offer."""
    a, b = POPULATION["alpha"], POPULATION["beta"]

    def flop(samples: int, judged: bool, overhead: float = 1.0) -> float:
        tokens = samples * (PROMPT + overhead * OUTPUT)
        return 2.0 * tokens * (N + (JUDGE if judged else 0.0))

    rows = [(flop(1, False), a / (a + b))]
    rows += [(flop(k, True), float(beta_coverage(a, b, 1.0, k))) for k in (2, 8, 32)]
    rows += [(flop(k, False), float(beta_majority_vote(a, b, 1.0, k, SHARES))) for k in (3, 9, 33)]
    # tilted votes, averaged on a grid of chances that is even in x^a
    x = ((np.arange(400_000) + 0.5) / 400_000) ** (1 / a)
    weight = (1.0 - x) ** (b - 1.0)
    from ds3opt.laws.voting import majority_vote_success

    tilted = majority_vote_success(1.5 * x / (1.0 + 0.5 * x), 16, SHARES)
    return [*rows, (flop(16, True, 1.2), float(weight @ tilted / weight.sum()))]


def best_mix(rows: list[tuple[float, float]], budget: float) -> float:
    """Most success of a mix of two ways, one of them perhaps nothing, for a budget."""
    ways = [(0.0, 0.0), *rows]
    best = 0.0
    for (c1, s1), (c2, s2) in itertools.permutations(ways, 2):
        if c1 <= budget:
            part = 1.0 if c2 <= budget else (budget - c1) / (c2 - c1)
            best = max(best, s1 + max(part, 0.0) * (s2 - s1), s1)
    return best


@pytest.mark.parametrize("budget", [3e12, 2e13, 1e14, 3e14, 1e15, 1e16])
def test_the_optimum_is_the_best_mix_of_two_ways(budget: float) -> None:
    solution = solve(scenario_of(limits={"inference_flop": 1e6 * budget}), details=False)
    assert solution.certificate is not None
    assert solution.certificate.upper - solution.certificate.lower <= 1e-4
    assert solution.accuracy == pytest.approx(best_mix(by_hand(), budget), abs=2e-5)


@pytest.mark.parametrize(
    ("text", "at"), [("best_of_n:8", 2), ("majority_vote:33", 6), ("rebase:16", 7)]
)
def test_what_one_policy_takes_and_brings(text: str, at: int) -> None:
    solution = evaluate(scenario_of(limits=WIDE), N, None, policies={"MATH": text})
    flop, success = by_hand()[at]
    assert solution.accuracy == pytest.approx(success, abs=2e-6)
    assert solution.inference_flop == pytest.approx(1e6 * flop, rel=1e-12)
    (row,) = solution.tasks
    assert (row.difficulty, row.skills) == (None, None)
    assert solution.training_flop == 0.0


def test_a_policy_that_is_not_on_offer_may_be_asked_for() -> None:
    solution = evaluate(scenario_of(limits=WIDE), N, None, policies={"MATH": "majority_vote:21"})
    wanted = beta_majority_vote(0.3205, 0.981, 1.0, 21, SHARES)
    assert solution.accuracy == pytest.approx(float(wanted), rel=1e-9)


def test_one_token_budget_for_all() -> None:
    budget = 6e14
    solution = solve(
        scenario_of(
            reasoning={"policies": POLICIES, "budgets": "shared"},
            limits={"inference_flop": 1e6 * budget},
        ),
        details=False,
    )
    wanted = max(success for flop, success in by_hand() if flop <= budget)
    assert solution.accuracy == pytest.approx(wanted, abs=2e-6)


def test_beside_classes_of_the_law() -> None:
    easy = {"name": "easy", "share": 0.5, "difficulty": 3.5, "skills": 2, "max_output_tokens": 500}
    both = scenario_of(
        easy,
        one_class(share=0.5),
        model={"parameters": N, "training_tokens": 15e12},
        limits={"inference_flop": 1e23},
    )
    solution = solve(both)
    by_name = {one.name: one.accuracy for one in solution.classes}
    assert by_name["MATH"] == pytest.approx(max(success for _, success in by_hand()), abs=1e-6)
    assert by_name["easy"] > 0.99
    assert solution.training_tokens == 15e12


def test_counts_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text("samples,correct\n10,0\n10,5\n10,10\n")
    (tmp_path / "one.yaml").write_text(
        "workload: {tasks: 1e6, mix: [{name: a, share: 1, verifier: {kind: outcome},\n"
        "  measured: {success_counts: counts.csv, output_tokens: 400}}]}\n"
        "model: {parameters: 8e9}\n"
        "reasoning: {policies: [chain_of_thought, best_of_n: {samples: [2, 10, 11]}]}\n"
        "limits: {inference_flop: 1e30}\n"
    )
    solution = solve(load_scenario(str(tmp_path / "one.yaml")).scenario)
    # 11 of 10 tries are not measured
    assert solution.accuracy == pytest.approx(2.0 / 3.0)
    (row,) = solution.tasks
    assert row.policy is not None
    assert row.policy.samples == 10


def test_one_rate_serves_single_traces_only() -> None:
    rate = one_class(measured={"accuracy": 0.3, "output_tokens": OUTPUT})
    solution = solve(scenario_of(rate))
    assert solution.accuracy == pytest.approx(0.3)
    with pytest.raises(UsageError, match="does not say what best_of_n:4 reaches"):
        evaluate(scenario_of(rate), N, None, policies={"MATH": "best_of_n:4"})


# --------------------------------------------------------------------------- out of reach


def out_of_reach(target: float, task: dict[str, Any], policies: list[Any]) -> str:
    words = []
    for given in (
        {"objective": {"minimise": "inference_flop", "accuracy": target}},
        {"min": True},
    ):
        mine = {**task, "min_accuracy": target} if given.pop("min", False) else task
        solution = solve(scenario_of(mine, limits=WIDE, reasoning={"policies": policies}, **given))
        assert solution.status.code == "infeasible"
        assert solution.infeasibility is not None
        words.append(solution.infeasibility.message)
    shorter = words[0].split("; ", 1)[1]
    assert shorter == words[1].split("; ", 1)[1]
    return shorter


VOTE: list[Any] = ["chain_of_thought", {"majority_vote": {"samples": [9]}}]


def test_a_vote_that_saturates() -> None:
    """DS3's fit of Llama-3-8B-Instruct on MATH: 39.6 %, and 104 traces for 80 %."""
    words = out_of_reach(0.8, one_class(), VOTE)
    assert "majority vote saturates at 39.63 %" in words
    assert "best of n with a verifier that never errs reaches 80 % with 104 traces" in words


def test_its_own_verifier_would_do() -> None:
    words = out_of_reach(0.8, one_class(), [{"best_of_n": {"samples": [8]}}])
    assert words == "best of n with its verifier reaches 80 % with 104 traces"


def test_a_verifier_that_errs_saturates() -> None:
    erring = {"kind": "outcome", "true_positive_rate": 0.83, "false_positive_rate": 0.49}
    words = out_of_reach(0.8, one_class(verifier=erring), [{"best_of_n": {"samples": [8]}}])
    assert words.startswith("best of n saturates at 30.42 %; ")
    scoring = {"kind": "outcome", "discrimination": 1.2}
    words = out_of_reach(0.8, one_class(verifier=scoring), [{"best_of_n": {"samples": [8]}}])
    assert words.startswith("best of n gets there with more traces than are on offer; ")


def test_problems_that_nothing_solves() -> None:
    half = one_class(
        measured={"population": {**POPULATION, "solvable": 0.5}, "output_tokens": OUTPUT}
    )
    assert out_of_reach(0.8, half, VOTE).endswith("only 50 % of its problems can be solved at all")
    counted = one_class(
        measured={
            "success_counts": [{"samples": 10, "correct": c} for c in (0, 4)],
            "output_tokens": OUTPUT,
        }
    )
    words = out_of_reach(0.8, counted, VOTE)
    assert "majority vote saturates at 50 %" in words  # 0.4 is above 0.27 / 1.27
    assert "50 % of its problems were solved at all" in words


def test_one_rate_says_what_is_missing() -> None:
    rate = one_class(measured={"accuracy": 0.3, "output_tokens": OUTPUT})
    assert "give success_counts or population" in out_of_reach(0.8, rate, VOTE)


def test_existing_models_say_so_too() -> None:
    task = one_class(difficulty=2, skills=1)
    measured = {"MATH": task.pop("measured")}
    solution = solve(
        scenario_of(
            task,
            model={
                "train": False,
                "candidates": [
                    {"name": "8B", "hosted": {"input_price": 1e-6, "output_price": 1e-6},
                     "measured": measured}
                ],
            },
            reasoning={"policies": VOTE},
            limits={"cost": 1e12},
            objective={"minimise": "cost", "accuracy": 0.8},
        )
    )  # fmt: skip
    assert solution.infeasibility is not None
    assert "8B: majority vote saturates at 39.63 %" in solution.infeasibility.message


# ------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"parameters": [1e9, 8e9]}}, "give model.parameters one value"),
        ({"model": {}}, "list them in model.candidates"),
        ({"model": {"parameters": N, "training_tokens": [1e9, 1e12]}}, "model.training_tokens one"),
    ],
)
def test_models_that_are_not_one_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValidationError, Ds3optError), match=words):
        scenario_of(**changes)


def test_hardware_asks_which_model_was_measured(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "workload: {tasks: 1e6, mix: [{name: a, share: 1, measured: {accuracy: 0.5,\n"
        "  output_tokens: 400}}]}\n"
        "model: {parameters: 8e9}\n"
        "hardware: {inference: {accelerator: h100-sxm}}\n"
        "limits: {inference_flop: 1e30}\n"
    )
    with pytest.raises(Ds3optError) as refusal:
        load_scenario(str(tmp_path / "one.yaml"))
    (problem,) = refusal.value.problems
    assert problem.location is not None
    assert problem.location.line == 1
    assert "model.candidates, with the measurement under measured.a" in problem.hint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"difficulty": 2.0}, "difficulty has no meaning for a class that was measured"),
        ({"skills": 2}, "leave skills out"),
        ({"max_output_tokens": 100}, "max_output_tokens has no meaning"),
        ({"measured": {"population": POPULATION}}, "output_tokens is missing"),
        ({"measured": {"success_counts": [], "output_tokens": 4}}, "success_counts is empty"),
        (
            {"measured": {"success_counts": [{"samples": 3, "correct": 4}], "output_tokens": 4}},
            "4 of 3 samples cannot be correct",
        ),
        (
            {"measured": {"outcomes": [{"policy": "x", "accuracy": 0.5, "output_tokens": 4}]}},
            "model.candidates",
        ),
        (
            {"measured": {"accuracy": 0.5, "output_tokens": 4, "longest_output_tokens": 9}},
            "goes with model.candidates",
        ),
        ({"measured": {"accuracy": 1.5, "output_tokens": 4}}, "less than or equal to 1"),
        ({"wrong_answers": {"shares": [0.7, 0.6]}}, "shares sum to 1.3"),
        (
            {"verifier": {"kind": "outcome", "discrimination": 1, "true_positive_rate": 0.5}},
            "give either discrimination",
        ),
    ],
)
def test_classes_that_contradict_themselves_are_refused(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        scenario_of(one_class(**changes))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"weighted_vote": {"samples": [8]}}, "weight_ratio"),
        ({"weighted_vote": {"samples": [8], "weight_ratio": 0}}, "greater than"),
        ({"rebase": {"samples": [8], "tilt": 0.5, "overhead": 1}}, "greater than or equal to 1"),
        (
            {"rebase": {"samples": [8], "tilt": 2, "overhead": 1, "choose": "best_of_n",
                        "weight_ratio": 2}},
            "weight_ratio goes with choose: weighted_vote",
        ),
        (
            {"monte_carlo_tree_search": {"samples": [8], "tilt": 2, "overhead": 1,
                                         "effective_votes": 0}},
            "effective_votes",
        ),
        ("rebase", "needs its numbers, such as `rebase: "),
        ("rebasse", "did you mean rebase"),
    ],
)  # fmt: skip
def test_policies_that_make_no_sense_are_refused(policy: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        scenario_of(reasoning={"policies": [policy]})


def test_another_model_than_the_measured_is_not_scored() -> None:
    with pytest.raises(UsageError, match="says nothing of one of 7e"):
        evaluate(scenario_of(), 7e9, None)
    with pytest.raises(UsageError, match="training the scenario leaves out"):
        evaluate(scenario_of(), N, 1e12)
    with pytest.raises(UsageError, match="no policy on offer is 'rebase:9'"):
        evaluate(scenario_of(), N, None, policies={"MATH": "rebase:9"})


@pytest.mark.parametrize(
    ("policy", "accuracy"),
    [
        ("chain_of_thought", 0.286),
        ("majority_vote:32", 0.361),
        ("best_of_n:32", 0.403),
        ("weighted_vote:32", 0.397),
        ("rebase:32", 0.441),
    ],
)
def test_the_table_that_the_shipped_scenario_is_fitted_to(policy: str, accuracy: float) -> None:
    """Wu et al., table 4, Mistral-7B on MATH500, to the rounding of the fitted numbers."""
    loaded = load_scenario("wu_math500_selection", ["limits.inference_flop=1e30"])
    solution = evaluate(loaded.scenario, 7.24e9, None, policies={"MATH500": policy})
    assert solution.accuracy == pytest.approx(accuracy, abs=1e-3)
    assert (solution.loss, solution.training_tokens) == (None, None)
    if policy in ("majority_vote:32", "rebase:32"):
        judge = 34e9 if policy == "rebase:32" else 0.0
        generated = 109.2e12 if judge == 0.0 else 136.2e12
        flop = generated * (1.0 + judge / 7.24e9)
        assert solution.inference_flop == pytest.approx(1e6 * flop, rel=1e-3)


def test_existing_models_search_too() -> None:
    """Token overhead and the reading of the reward model, on a model of the catalogue."""
    policies = [{"rebase": {"samples": [16], "tilt": 1.5, "overhead": 1.2, "choose": "best_of_n"}}]
    task = one_class(difficulty=2, skills=1)
    measured = {"MATH": task.pop("measured")}
    shape = {"layers": 32, "width": 4096, "heads": 32, "parameters": N}
    solution = solve(
        scenario_of(
            task,
            model={
                "train": False,
                "candidates": [{"name": "8B", "shape": shape, "measured": measured}],
            },
            reasoning={"policies": policies},
            limits=WIDE,
        )
    )
    tokens = 16 * (PROMPT + 1.2 * OUTPUT)
    assert solution.inference_flop == pytest.approx(1e6 * 2.0 * tokens * (N + JUDGE), rel=1e-9)
    # 1 - (1 - psi')^16 of tilted chances, on a grid of chances that is even in x^a
    a, b = POPULATION["alpha"], POPULATION["beta"]
    x = ((np.arange(400_000) + 0.5) / 400_000) ** (1 / a)
    weight = (1.0 - x) ** (b - 1.0)
    missed = weight @ (1.0 - 1.5 * x / (1.0 + 0.5 * x)) ** 16 / weight.sum()
    assert solution.accuracy == pytest.approx(1.0 - float(missed), abs=3e-6)
