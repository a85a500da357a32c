"""The idealised policies: engine, shortcut and closed forms agree, each worked out on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ds3opt.laws.compute import inference_flop
from ds3opt.laws.search import chain_of_thought_success, finish_probability
from ds3opt.laws.voting import verified_choice_success
from ds3opt.simulate import (
    STOP,
    Ensemble,
    IdealTask,
    Process,
    ProcessError,
    Walk,
    process_of,
    simulate,
    simulate_task,
)
from ds3opt.simulate.closed_forms import closed_forms
from ds3opt.simulate.shortcut import level_chances
from ds3opt.simulate.statistics import deviation_bound

ALPHA = 1e-6
"""Chance that one comparison refuses a right value; the seeds are fixed."""
FIGURES = {
    "tokens_per_step": 25,
    "prompt_tokens": 300,
    "parameters": 1e6,
    "attention": 1e3,
}
WALK = Walk(5, 20, 0.4, 0.6, **FIGURES)
CHECKS = {"verifier_parameters": 1e5, "flop_per_check": 1e6}
TREE = replace(WALK, levels=9, branches=4)
ERRING = {"true_positive_rate": 0.8, "false_positive_rate": 0.2}

TASKS = {
    "chain of thought": IdealTask((replace(WALK, levels=30),)),
    "chain with exactly its skills": IdealTask((replace(WALK, levels=5, skill_success=1.0),)),
    "chain with too few steps": IdealTask((replace(WALK, levels=4),)),
    "chain that cannot step": IdealTask((replace(WALK, skill_success=0.0),)),
    "chain that cannot fail": IdealTask((replace(WALK, skill_success=1.0, directionality=1.0),)),
    "no skill needed": IdealTask((replace(WALK, skills=0, prompt_tokens=0),) * 2),
    "fatigue": IdealTask((replace(WALK, fatigue=0.1),)),
    "catastrophe": IdealTask((replace(WALK, skills=1, fatigue=1.0),)),
    "tree": IdealTask((TREE,), **CHECKS),
    "tree, fatigue": IdealTask((replace(TREE, fatigue=0.6),)),
    "tree, erring": IdealTask((replace(TREE, levels=20, fatigue=0.3, **ERRING),)),
    "tree, verifier of no use": IdealTask(
        (replace(TREE, levels=20, true_positive_rate=0.0, false_positive_rate=0.0),)
    ),
    "best of n": IdealTask((replace(WALK, levels=12),) * 4, "verifier"),
    "best of n, erring": IdealTask(
        (WALK,) * 4, "verifier", 0.9, 0.1, judges_answers=True, **CHECKS
    ),
    "best of n trees": IdealTask(
        (replace(TREE, branches=3, fatigue=0.3, **ERRING),) * 3,
        "verifier",
        0.8,
        0.2,
        judges_answers=True,
        **CHECKS,
    ),
    "majority": IdealTask((WALK,) * 9, "vote", wrong_answer_shares=(0.5, 0.3, 0.2)),
    "majority, even, abstaining": IdealTask((WALK,) * 4, "vote", wrong_answer_shares=(0.3, 0.3)),
    "mixture of policies": IdealTask(
        (WALK, replace(TREE, branches=3, parameters=3e6), replace(WALK, skills=3, levels=4)), "any"
    ),
    "unsolvable": IdealTask((WALK,) * 2, "verifier", unsolvable=0.3),
    "unsolvable for sure": IdealTask((WALK,) * 2, "any", unsolvable=1.0),
    "without prefill": IdealTask((replace(WALK, prefill=False),)),
}


def check(runs: Ensemble, task: IdealTask) -> None:
    forms = closed_forms(task)
    count = len(runs)
    assert forms.success is not None
    assert set(np.unique(runs.success)) <= {0.0, 1.0}
    wins = int(runs.success.sum())
    tails = (
        stats.binom.cdf(wins, count, forms.success),
        stats.binom.sf(wins - 1, count, forms.success),
    )
    assert min(tails) >= ALPHA / 2, ("success", runs.success.mean(), forms.success)
    most_tokens = 25 * forms.most_steps
    for values, exact, most in (
        (runs.steps, forms.steps, forms.most_steps),
        (runs.tokens, forms.tokens, most_tokens),
        (runs.cost["flop"], forms.flop, forms.most_flop),
    ):
        assert np.all(values <= most * (1 + 1e-12))
        bound = deviation_bound(float(values.std()), count, most, ALPHA)
        assert abs(values.mean() - exact) <= bound + 1e-12 * abs(exact), (values.mean(), exact)


@pytest.mark.parametrize("name", TASKS)
def test_the_general_engine_has_the_closed_forms(name: str) -> None:
    process = process_of(TASKS[name])
    runs = simulate(process, process.block_runs, seed=1)
    assert not runs.cut.any()
    assert not runs.refused.any()
    check(runs, TASKS[name])


@pytest.mark.parametrize("name", TASKS)
def test_the_shortcut_has_the_closed_forms(name: str) -> None:
    check(simulate_task(TASKS[name], 100_000, seed=1), TASKS[name])


@pytest.mark.parametrize("name", ["fatigue", "tree", "best of n", "tree, erring"])
def test_the_shortcut_has_the_distribution_of_the_engine(name: str) -> None:
    task = TASKS[name]
    slow, fast = simulate(process_of(task), 8192, 3).steps, simulate_task(task, 8192, 3).steps
    # two samples of n: twice the one-sided bound of Dvoretzky, Kiefer and Wolfowitz (Massart 1990)
    steps = np.unique(np.concatenate([slow, fast]))
    apart = np.abs(
        np.searchsorted(np.sort(slow), steps, side="right")
        - np.searchsorted(np.sort(fast), steps, side="right")
    )
    assert apart.max() / slow.size <= 2.0 * np.sqrt(np.log(4.0 / ALPHA) / (2.0 * slow.size))


def test_the_shortcut_finishes_when_the_law_says() -> None:
    runs = simulate_task(IdealTask((replace(WALK, levels=15),)), 200_000, 7)
    done = runs.steps[runs.success > 0]
    for level in range(5, 16):
        exact = float(finish_probability(0.24, 5, level))
        share = np.sum(done == level) / 200_000
        assert abs(share - exact) <= deviation_bound(np.sqrt(exact), 200_000, 1.0, ALPHA)


# -- kernels (16) and (17) as they are printed ----------------------------------------------------


def test_the_kernels_with_every_relevant_skill_have_the_closed_form() -> None:
    skills, relevant, delta, p, steps = 4, 9, 0.3, 0.7, 24
    names = tuple(f"skill {i}" for i in range(relevant))

    def transition(state, rng):
        stray = rng.integers(0, relevant, state.shape)
        directed = rng.random(state.shape) < delta
        onward = np.where(directed, state["next"], stray)
        return np.where((state["next"] == skills) | (state.steps >= steps), STOP, onward)

    def outcome(state, rng):
        return (state.node == state["next"]) & (rng.random(state.shape) < p)

    def remember(state, rng):
        state["next"] += state.outcome == 1

    process = Process(
        skills=names,
        transition=transition,
        outcome=outcome,
        evaluate=lambda state, rng: state["next"][:, 0] == skills,
        memory={"next": 0},
        remember=remember,
    )
    runs = simulate(process, 40_000)
    step = p * (delta + (1 - delta) / relevant)
    exact = float(chain_of_thought_success(step, skills, steps))
    wins = int(runs.success.sum())
    assert stats.binom.cdf(wins, 40_000, exact) >= ALPHA / 2
    assert stats.binom.sf(wins - 1, 40_000, exact) >= ALPHA / 2


def test_a_chain_with_fatigue_is_a_markov_chain() -> None:
    r, h, m, n = 0.4, 0.15, 3, 12
    nodes = [f"{gained}" for gained in range(m + 1)] + ["ruined"]
    rows: dict[str, dict[str, float]] = {
        "idle": {"0": 1.0},
        "ruined": {"ruined": 1.0},
        "3": {"3": 1},
    }
    for gained in range(m):
        rows[f"{gained}"] = {
            f"{gained + 1}": r,
            "ruined": (1 - r) * h,
            f"{gained}": (1 - r) * (1 - h),
        }
    process = Process(
        skills=nodes,
        transition=rows,
        outcome=np.zeros(len(nodes)),
        evaluate=lambda state, rng: state.node[:, 0] == m,
        max_steps=n + 1,
    )
    assert process.moves is not None
    power = np.linalg.matrix_power(process.moves.rows, n + 1)[len(nodes) + 1, m]
    exact = float(chain_of_thought_success(r, m, n, fatigue=h))
    assert exact == pytest.approx(power, rel=1e-13)
    wins = int(simulate(process, 30_000).success.sum())
    assert stats.binom.cdf(wins, 30_000, exact) >= ALPHA / 2
    assert stats.binom.sf(wins - 1, 30_000, exact) >= ALPHA / 2


# -- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("branches", [2, 3, 8, 40])
@pytest.mark.parametrize(("t", "f"), [(1.0, 0.0), (0.9, 0.1), (0.3, 0.6), (0.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("r", [0.0, 1e-6, 0.2, 0.9, 1.0])
def test_a_level_by_enumeration_is_a_verified_choice(branches, t, f, r) -> None:
    walk = Walk(
        1, 1, r, branches=branches, true_positive_rate=t, false_positive_rate=f, fatigue=0.4
    )
    advance, ruin = level_chances(walk)
    assert advance == pytest.approx(float(verified_choice_success(r, branches, t, f)), abs=1e-13)
    none = (1 - r) ** branches
    assert ruin == pytest.approx(none * 0.4**branches + (1 - advance - none) * 0.4, abs=1e-13)


def test_closed_forms_of_differing_walks_are_known_for_an_oracle_only() -> None:
    walks = (WALK, replace(WALK, levels=8))
    assert closed_forms(IdealTask(walks, "any")).success is not None
    assert closed_forms(IdealTask(walks, "verifier")).success is not None
    assert closed_forms(IdealTask(walks, "verifier", 0.9, 0.1)).success is None
    assert closed_forms(IdealTask(walks, "vote", wrong_answer_shares=(1.0,))).success is None


def test_charged_flop_are_those_of_the_law() -> None:
    forms = closed_forms(IdealTask((TREE,) * 2, "verifier"))
    law = inference_flop(
        1e6, forms.tokens, 300, layers=1e3, attention_width=1, branches=4, samples=2, prefill=True
    )
    assert forms.charged_flop == pytest.approx(float(law), rel=1e-14)
    assert forms.charged_flop < forms.flop < forms.most_flop


def test_more_skills_than_steps_spend_everything() -> None:
    for runs in (
        simulate(process_of(TASKS["chain with too few steps"]), 100),
        simulate_task(TASKS["chain with too few steps"], 100),
    ):
        assert np.all(runs.success == 0.0)
        assert np.all(runs.steps == 4.0)


def test_no_step_at_all_is_possible() -> None:
    task = IdealTask((replace(WALK, levels=0, parameters=0.0, attention=0.0),) * 2, "any")
    for runs in (simulate(process_of(task), 10), simulate_task(task, 10)):
        assert np.all(runs.steps == 0.0)
        assert np.all(runs.success == 0.0)
    assert closed_forms(task).success == 0.0


@pytest.mark.parametrize("runs", [1, 40_000])
def test_the_shortcut_is_the_same_again(runs: int) -> None:
    task = TASKS["best of n, erring"]
    more = simulate_task(task, 70_000, 9, stream=(2,))
    less = simulate_task(task, runs, 9, stream=(2,))
    for name, values in less.quantities().items():
        assert values.tobytes() == more.quantities()[name][:runs].tobytes()
    assert simulate_task(task, 100, 9).steps.tobytes() != less.steps[:100].tobytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"skill_success": 1.2}, "skill_success must be from 0 to 1, got 1.2"),
        ({"fatigue": -0.1}, "fatigue must be from 0 to 1"),
        ({"directionality": float("nan")}, "directionality must be from 0 to 1"),
        ({"skills": 2.5}, "skills must be whole"),
        ({"levels": -1}, "levels must be whole and at least 0"),
        ({"branches": 0}, "branches must be whole and at least 1"),
    ],
)
def test_walks_that_are_none(changes, said) -> None:
    with pytest.raises(ProcessError, match=said):
        replace(WALK, **changes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"walks": ()}, "a task needs walks"),
        ({"choice": "best"}, "choice must be one of any, verifier, vote"),
        ({"choice": "vote"}, "sum to 1, not 0"),
        ({"choice": "vote", "wrong_answer_shares": (0.8, 0.4)}, "sum to 1, not 1.2"),
        ({"unsolvable": 1.5}, "unsolvable must be from 0 to 1"),
        ({"false_positive_rate": -1.0}, "false_positive_rate must be from 0 to 1"),
    ],
)
def test_tasks_that_are_none(given, said) -> None:
    with pytest.raises(ProcessError, match=said):
        IdealTask(**{"walks": (WALK,), **given})
    with pytest.raises(ProcessError, match="runs must be at least 1"):
        simulate_task(IdealTask((WALK,)), 0)
    with pytest.raises(ProcessError, match="traces at a time"):
        process_of(IdealTask((replace(WALK, branches=70_000),)))
