"""Scenarios on a skill graph: the certificate against brute force, and what every answer keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.laws.skill_graph import SkillGraph
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.optimise import baseline
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.learned import about_graph
from ds3opt.optimise.levels import worthwhile
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.optimise.training import Training
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario

Oracle = Callable[[str], ModuleType]
THRESHOLD = SkillGraph().learning_threshold


def scenario(**changes: Any) -> dict[str, Any]:
    """Three classes around what 1e22 FLOP of training teaches."""
    return {
        "workload": {
            "tasks": 1e9,
            "mix": [
                {"name": "below", "share": 0.4, "level": 16, "skills": 4,
                 "max_output_tokens": 750, "verifier": {"kind": "outcome"}},
                {"name": "at", "share": 0.3, "level": 22, "skills": 3,
                 "max_output_tokens": 750, "verifier": {"kind": "outcome"}},
                {"name": "above", "share": 0.3, "level": 25, "skills": 2,
                 "max_output_tokens": 1500, "verifier": {"kind": "outcome"}},
            ],
        },
        "model": {"skill_graph": {}},
        "reasoning": {
            "directionality": {"delta": 0.5, "relevant_ratio": 5},
            "policies": ["chain_of_thought", {"best_of_n": {"samples": [3]}}],
        },
        "limits": {"total_flop": 6e21},
        "solver": {"gap": 1e-3},
        **changes,
    }  # fmt: skip


def solved(given: dict[str, Any], **options: Any) -> Solution:
    return solve(Scenario.model_validate(given), **{"details": False, **options})


CASES: dict[str, dict[str, Any]] = {
    "fixed ratio": {},
    "little compute": {"limits": {"total_flop": 4e20}},
    "two limits": {"limits": {"training_flop": 4e21, "inference_flop": 3e20}},
    "free ratio": {"model": {"skill_graph": {}, "tokens_per_parameter": [18.2, 30]}},
    "undertrained": {"model": {"skill_graph": {}, "tokens_per_parameter": 16}},
    "chernoff": {
        "model": {"skill_graph": {"skills": "chernoff"}, "parameters": {"min": 3e9, "max": 1e12}}
    },
}


@pytest.mark.parametrize("name", CASES)
def test_no_plan_beats_the_upper_bound(name: str, oracle: Oracle) -> None:
    given = scenario(**CASES[name])
    answer = solved(given)
    assert answer.status is Status.OPTIMAL
    assert answer.certificate is not None
    lower, upper = answer.certificate.lower, answer.certificate.upper
    assert upper - lower <= 1e-3 * (1 + 1e-9)
    n, ratio = answer.parameters, answer.tokens_per_parameter
    assert n is not None
    assert ratio is not None
    brute = oracle("skill_graph")
    # what is claimed is what the plan does, counted step by step with the laws themselves; the
    # plan keeps back a part in 1e12 of its compute and concepts
    here = brute.value_of(given, n * (1 - 1e-11), ratio)
    assert here >= lower - 1e-6
    top = float(np.sqrt(min(given["limits"].values() if name != "two limits" else [4e21]) / 108))
    sizes = np.concatenate([np.geomspace(top / 20, top * 1.1, 16), n * np.linspace(0.98, 1.02, 6)])
    sizes = sizes[sizes >= given["model"].get("parameters", {}).get("min", 0.0)]
    ratios = np.array([ratio])
    if name == "free ratio":
        ratios = np.unique([18.2, 18.4, 20.0, ratio])
        sizes = sizes[::2]
    value, size, at = brute.best(given, sizes, ratios)
    assert value <= upper + 1e-9, f"{size:.6g} parameters at {at:.6g} tokens per parameter"
    assert lower >= value - 1e-3


def test_free_ratio_ends_just_above_the_threshold_and_is_never_worse() -> None:
    fixed = solved(scenario())
    free = solved(scenario(model={"skill_graph": {}, "tokens_per_parameter": [10, 200]}))
    assert fixed.certificate is not None
    assert free.certificate is not None
    assert free.certificate.upper >= fixed.certificate.lower
    assert free.tokens_per_parameter is not None
    assert THRESHOLD <= free.tokens_per_parameter * (1 + 1e-9) < 19.0


@pytest.mark.parametrize(
    "objective", ["total_flop", pytest.param("training_flop", marks=pytest.mark.slow)]
)
def test_least_compute_for_an_accuracy(objective: str) -> None:
    given = scenario(objective={"minimise": objective, "accuracy": 0.6})
    given["limits"] = {"total_flop": 1e23}
    given["solver"] = {"resource_gap": 0.03}
    given["reasoning"]["policies"] = ["chain_of_thought"]
    given["workload"]["mix"] = given["workload"]["mix"][:2]
    for task in given["workload"]["mix"]:
        task["share"] = 0.5
    answer = solved(given)
    assert answer.status is Status.OPTIMAL
    assert answer.accuracy is not None
    assert answer.accuracy >= 0.6 - 1e-12


def test_required_accuracy_is_kept() -> None:
    given = scenario()
    free = solved(given)
    before = {one.name: one.accuracy for one in free.classes}
    weak = min(before, key=lambda name: before[name])
    asked = copy.deepcopy(given)
    for task in asked["workload"]["mix"]:
        if task["name"] == weak:
            task["min_accuracy"] = 0.5 * (1 + before[weak]) if before[weak] < 0.5 else 0.9
    answer = solved(asked)
    if answer.status is Status.INFEASIBLE:
        assert answer.infeasibility is not None
        return
    assert answer.certificate is not None
    assert free.certificate is not None
    assert answer.certificate.lower <= free.certificate.upper + 1e-9
    for one in answer.classes:
        assert one.accuracy >= one.min_accuracy - 1e-9


def test_rows_tell_the_level_and_keep_the_limits() -> None:
    answer = solved(scenario(), details=True)
    assert answer.loss is None
    assert answer.baselines == ()
    assert answer.total_flop is not None
    assert answer.total_flop <= 6e21
    assert answer.learned is not None
    for row in answer.tasks:
        assert row.level in (16, 22, 25)
        if row.attempted:
            assert row.reasoning_level is not None
            assert row.reasoning_level <= answer.learned.learned_level + 2
    free = solved(
        scenario(model={"skill_graph": {}, "tokens_per_parameter": [10, 200]}), details=True
    )
    reached = {one.name: one.value for one in free.baselines}
    assert free.certificate is not None
    for value in reached.values():
        assert value is not None
        assert value <= free.certificate.upper + 1e-9


def shared(**model: Any) -> dict[str, Any]:
    return {
        "workload": {
            "tasks": 1e9,
            "mix": [
                {"name": "AIME", "share": 1.0, "level": {"uniform": [60, 70]},
                 "skills": {"uniform": [2, 15]}}
            ],
        },
        "model": {"skill_graph": {}, **model},
        "reasoning": {
            "directionality": {"delta": 0.5, "relevant_ratio": 5}, "budgets": "shared",
            "charge": "budget", "token_budget": 64000,
        },
        "limits": {"training_flop": 3.8e25},
    }  # fmt: skip


def test_shared_budget_meets_the_mean_over_the_population() -> None:
    answer = solved(shared())
    graph = SkillGraph()
    parameters, _ = graph.allocation(3.8e25)
    concepts = graph.concepts(parameters)
    learned = graph.composability(concepts, graph.concept_probability(concepts))
    level, skills = np.repeat(np.arange(60, 71), 14), np.tile(np.arange(2, 16), 11)
    expected = graph.mean_success(level, skills, 1.0, 2560, learned)
    assert answer.accuracy == pytest.approx(float(expected), abs=1e-8)
    assert answer.accuracy == pytest.approx(0.675, abs=5e-4)


def test_evaluate_takes_any_ratio_and_warns_below_the_threshold() -> None:
    given = Scenario.model_validate(scenario(limits={"total_flop": 6e22}))
    well = evaluate(given, 1e10, 2e11)
    badly = evaluate(given, 1e10, 1.6e11)
    assert well.accuracy is not None
    assert badly.accuracy is not None
    assert badly.accuracy < well.accuracy
    assert "undertrained" in {note.code for note in badly.warnings}
    assert "undertrained" not in {note.code for note in well.warnings}
    only = evaluate(given, 1e10, 2e11, policies={"at": "best_of_n:3"}, token_budgets={"at": 900})
    row = next(row for row in only.tasks if row.name == "at")
    assert row.policy is not None
    assert row.policy.name == "best_of_n"
    assert row.token_budget == 900
    with pytest.raises(UsageError):
        evaluate(given, 1e10, 2e11, policies={"at": "majority_vote:3"})


def test_skills_depend_on_concepts_learned_only_but_for_a_part_in_a_million() -> None:
    """Binomial(R, P x) against Binomial(R P, x), for as few concepts as still teach a skill."""
    graph = SkillGraph()
    levels = np.arange(1, 101)
    for concepts in (1e6, 1e7, 2e8):
        for chance in (0.6, 0.9, 0.99):
            exact = graph.skill_probability(levels, concepts, chance)
            taken = graph.skill_probability(levels, concepts * chance, 1.0)
            # both are within half of the largest link chance of one Poisson law
            link = graph.link_mean(levels, concepts) / concepts
            assert np.all(np.abs(exact - taken) <= link)
            # at the levels where it is in doubt whether a skill is learned
            doubt = (exact > 1e-3) & (exact < 1 - 1e-3)
            bound = 1e-6 if concepts >= 1e8 else 1e-4
            assert np.all(np.abs(exact - taken)[doubt] < bound)


def test_training_flop_is_log_convex_in_size_at_every_shortfall() -> None:
    """The search's bounds rest on it; sizes from a thousand concepts up, as in a scenario."""
    for degree in (3.0, 6.0, 40.0):
        law = SkillGraphTraining(SkillGraph(text_degree=degree))
        for learned in np.geomspace(1e3, 1e12, 19):
            loss = np.full(1501, np.log(1e30 / learned))
            u = np.log(2500 * learned) + np.geomspace(1e-7, 0.6, 1501)
            log_flop = np.log(law.training_tokens_for(loss, np.exp(u))) + u
            known = np.isfinite(log_flop)
            offset, log_flop = (u - u[0])[known], log_flop[known]
            step = np.diff(offset)
            slope = np.diff(log_flop) / step
            noise = 4e-15 * (70.0 + 30.0 * np.abs(slope)) / step
            assert np.all(np.diff(slope) >= -(noise[1:] + noise[:-1]) - 1e-9)


@pytest.mark.parametrize("ratio", [None, 18.132, 20.0, 40.0, 15.0])
def test_tokens_for_a_shortfall_invert_the_shortfall(ratio: float | None) -> None:
    law = SkillGraphTraining(tokens_per_parameter=ratio)
    sizes = np.geomspace(1e8, 1e14, 25)
    for used in (THRESHOLD, 18.14, 18.3, 19.0) if ratio is None else (ratio,):
        loss = law.loss(sizes, used * sizes)
        tokens = law.training_tokens_for(loss * (1 + 1e-13), sizes)
        assert np.all(tokens <= used * sizes * (1 + 1e-9))
        assert law.loss(sizes, tokens) == pytest.approx(loss, abs=1e-9)
        assert np.all(law.largest_parameters(loss) >= sizes * (1 - 1e-9))
    assert np.all(np.isinf(law.training_tokens_for(law.loss(sizes, 1e4 * sizes) - 1.0, sizes)))


def test_compute_optimal_ratio_falls_to_the_threshold() -> None:
    """19.85 at 1e17 FLOP, 18.75 at 1e19, 18.35 at 1e21, 18.15 at 3.35e25."""
    law = SkillGraphTraining()
    flop = np.array([1e17, 1e19, 1e21, 3.35e25])
    sizes = np.sqrt(flop / 6 / np.array([19.85, 18.75, 18.35, 18.15]))
    assert law.optimal_tokens(sizes) / sizes == pytest.approx(
        [19.85, 18.75, 18.35, 18.15], abs=6e-3
    )


def test_levels_left_out_are_never_better() -> None:
    problem = compile_problem(Scenario.model_validate(scenario()))
    training = Training(problem.space)
    levels = problem.levels
    assert levels is not None
    assert problem.tasks is not None
    low, high = (float(v[0]) for v in training.loss_ranges(np.array([5e21])))
    low, high = high - 1.2 * (high - low), low + 0.05 * (high - low)
    kept = worthwhile(problem, low, high)
    graph = levels.law.graph
    for loss in (low, high):
        learned = levels.law.learned(np.array([loss]))
        for task in range(len(problem.tasks)):
            steps = problem.tasks.max_steps[task]
            found = graph.success(
                problem.tasks.level[task], problem.tasks.skills[task], steps,
                type(learned)(*(part[0] for part in learned)),
            )  # fmt: skip
            if found.level:
                allowed = np.flatnonzero(kept[task]) + 1
                assert allowed.size
                assert int(found.level) in allowed or found.success > 1 - 1e-12


AT = ("workload", "mix", 0)
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"level": 101}, "above the 100 levels"),
    ({"level": 0}, "levels are whole numbers from 1 up"),
    ({"level": 60.5}, "levels are whole numbers"),
    ({"level": None}, "has no level"),
    ({"difficulty": 2.0}, "goes with a loss law"),
    ({"max_latency": "1 s"}, "counts FLOP only"),
]


@pytest.mark.parametrize(("change", "words"), REFUSALS)
def test_classes_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    given = scenario()
    task = {**given["workload"]["mix"][0], **change}
    given["workload"]["mix"][0] = {k: v for k, v in task.items() if v is not None}
    with pytest.raises(ValueError, match=words):
        Scenario.model_validate(given)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"skill_graph": {}, "loss_law": "besiroglu2024"}, "takes the place of loss_law"),
        ({"skill_graph": {}, "capability": {"slope": 5}}, "takes the place of capability"),
        ({"skill_graph": {}, "training_tokens": "infinite"}, "infinite data has no texts"),
        ({"skill_graph": {}, "tokens_per_parameter": [5, 18]}, "below the learning threshold"),
        ({"skill_graph": {"skills": "chernoff"}}, "fix parameters"),
        (
            {"skill_graph": {"skills": "chernoff"}, "tokens_per_parameter": [19, 30]},
            "take skills: exact",
        ),
        ({}, "goes with model.skill_graph"),
    ],
)
def test_models_that_do_not_fit_are_refused(model: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Scenario.model_validate(scenario(model=model))


def test_more_skills_than_steps_are_never_solved() -> None:
    given = scenario()
    given["workload"]["mix"] = [
        {"name": "long", "share": 1.0, "level": 16, "skills": 1000, "max_output_tokens": 50}
    ]
    given["model"] = {"skill_graph": {}, "parameters": {"max": 1e9}}
    answer = solved(given)
    assert answer.accuracy == 0.0


def ours_in(solution: Solution) -> list[str]:
    return [note.path for note in solution.warnings if note.code == "not_from_the_paper"]


def test_what_is_ours_and_not_the_papers_is_said_also_where_it_is_written_down() -> None:
    ours, even = "model.skill_graph.required_links", "workload.mix"
    given = scenario()
    assert ours_in(solved(given)) == [ours]
    given["model"]["skill_graph"] = {"required_links": 52}
    given["workload"]["mix"][1]["level"] = {"uniform": [21, 22]}
    assert ours_in(solved(given)) == [ours, even]
    given["model"]["skill_graph"] = {"required_links": 50}
    assert ours_in(solved(given)) == []
    given["model"] = {"skill_graph": {"skills": "chernoff"}, "parameters": 5e9}
    assert ours_in(solved(given)) == [ours, "model.skill_graph.degree_failure", even]


@pytest.mark.parametrize(
    ("level", "reasoning", "warned"),
    [(6, 7, True), (8, 6, True), (7, 9, False), (5, 5, False), (60, 59, False), (60, 1, True)],
)
def test_levels_of_which_a_skill_needs_less_than_one_skill_are_warned_of(
    level: int, reasoning: int, warned: bool
) -> None:
    """ln(l) / 2 < 1 for l up to 7, which is multiplied by on the way from l to l - 1."""
    solution = solved(scenario())
    row = replace(solution.tasks[0], level=level, reasoning_level=reasoning)
    assert row.attempted
    notes = about_graph(SkillGraphTraining(), 20.0, (row,))
    assert ("low_levels" in [note.code for note in notes]) == warned


def test_baselines_are_the_same_however_many_menus_are_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = scenario(model={"skill_graph": {}, "tokens_per_parameter": [18.2, 30]})
    whole = solved(given, details=True).baselines
    monkeypatch.setattr(baseline, "_MOST_ACTIONS", 1000)
    assert solved(given, details=True).baselines == whole
    assert all(one.value is not None for one in whole)


def test_evaluate_without_training_tokens_takes_those_of_the_ratio() -> None:
    given = scenario()
    whole = Scenario.model_validate(given)
    told, said = evaluate(whole, 3e9, None), evaluate(whole, 3e9, 6e10)
    assert told.training_tokens == 6e10
    assert told.accuracy == said.accuracy
    given["model"]["tokens_per_parameter"] = [18.2, 30]
    with pytest.raises(UsageError, match="needs training tokens"):
        evaluate(Scenario.model_validate(given), 3e9, None)


def test_a_score_with_policies_given_says_nothing_of_the_others() -> None:
    names = ("below", "at", "above")
    whole = Scenario.model_validate(scenario())
    found = evaluate(whole, 3e9, 6e10, policies=dict.fromkeys(names, "best_of_n:3"))
    assert "policy_not_offered" not in [note.code for note in found.warnings]


def test_the_law_of_one_model_at_the_threshold_is_not_below_it_by_rounding() -> None:
    law = SkillGraphTraining()
    size = 1e11
    below = law.for_model(size, THRESHOLD * size * (1.0 - 1e-14))
    at = law.for_model(size, THRESHOLD * size * (1.0 + 1e-14))
    assert below.loss(size, THRESHOLD * size) == pytest.approx(at.loss(size, THRESHOLD * size))
    assert below.concept_probability == pytest.approx(at.concept_probability)
