"""Rows of answers as tasks: their closed forms are the answer's own figures."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solve import solve
from ds3opt.simulate.answer import rows_of
from ds3opt.simulate.closed_forms import closed_forms
from ds3opt.simulate.comparison import compare_rows, mix_estimate

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ("quickstart", "verifier_matters", "fatigue", "moe_vs_dense", "fleet_h200_latency")


def answer(name: str, *settings: str):
    scenario = load_scenario(name, settings).scenario
    return scenario, solve(scenario, frontier=False, details=False)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_closed_forms_of_a_row_are_what_the_answer_says(name: str) -> None:
    scenario, solution = answer(name)
    rows = rows_of(scenario, solution)
    assert len(rows) == len(solution.tasks)
    for row in rows:
        if row.task is None:
            assert not row.allocation.attempted
            continue
        forms, allocation = closed_forms(row.task), row.allocation
        flop = allocation.inference_flop / (solution.tasks_served * allocation.share)
        assert forms.success == pytest.approx(allocation.accuracy, rel=1e-12)
        assert forms.tokens == pytest.approx(allocation.expected_tokens, rel=1e-12)
        assert forms.charged_flop == pytest.approx(flop, rel=1e-12)


@pytest.mark.parametrize("name", ["verifier_matters", "fatigue"])
def test_policies_of_an_answer_hold_in_simulation(name: str) -> None:
    scenario, solution = answer(name)
    rows = rows_of(scenario, solution)
    found = compare_rows(rows, 20_000, 1, 0.999999)
    assert found.agrees
    assert len(found.simulated) == len(rows)
    assert found.comparisons == 3 * len(rows)
    mix = mix_estimate(found, rows)
    assert mix.exact == pytest.approx(solution.accuracy, rel=1e-9)
    assert mix.z is not None
    assert abs(mix.z) < 5.0


def test_the_general_engine_holds_too() -> None:
    scenario, solution = answer("fatigue")
    rows = rows_of(scenario, solution)[:2]
    assert compare_rows(rows, 4096, 1, 0.999999, every_step=True).agrees


def test_what_was_measured_as_a_whole_is_left_out_with_a_reason() -> None:
    scenario, solution = answer("deploy_existing_models")
    rows = rows_of(scenario, solution)
    assert all(row.task is None for row in rows)
    assert {row.why_not for row in rows} == {"measured as a whole"}
    found = compare_rows(rows, 10, 1, 0.99)
    assert found.simulated == ()
    assert found.agrees


def test_a_measured_model_has_no_law_though_its_policy_is_known() -> None:
    scenario, solution = answer("fatigue")
    measured = replace(solution.tasks[0], model="theirs")
    (row,) = rows_of(scenario, replace(solution, tasks=(measured,)))
    assert (row.task, row.why_not) == (None, "measured, with no law of its steps")


def test_what_has_no_steps_to_simulate_says_so() -> None:
    scenario, solution = answer("wu_math500_selection")
    rows = rows_of(scenario, solution)
    assert {row.why_not for row in rows} == {"measured, with no law of its steps"}
    search = "{rebase: {samples: 8, tilt: 2, overhead: 1.2, choose: best_of_n}}"
    found = {
        row.allocation.name: row.why_not
        for row in rows_of(*answer("verifier_matters", f"reasoning.policies=[{search}]"))
    }
    assert found["process verifier"] == "described by its gain, not by its steps"
    scored = "workload.mix[1].verifier={kind: outcome, discrimination: 2}"
    found = {
        row.allocation.name: row.why_not for row in rows_of(*answer("verifier_matters", scored))
    }
    assert (
        found["outcome verifier"] == "its verifier scores, and the simulated one accepts or refuses"
    )


def test_steps_that_are_not_whole_are_cut_and_said() -> None:
    scenario, solution = answer("ds3_fig16_single_task")
    (row,) = rows_of(scenario, solution)
    assert row.task is not None
    assert not row.whole_steps
    assert row.task.walks[0].levels < row.allocation.steps < row.task.walks[0].levels + 1


def test_a_row_keeps_its_random_numbers_whatever_is_beside_it() -> None:
    scenario, solution = answer("verifier_matters")
    rows = rows_of(scenario, solution)
    every = compare_rows(rows, 1000, 3, 0.99)
    alone = compare_rows(rows[2:3], 1000, 3, 0.99)
    assert every.simulated[2].of("steps").mean == alone.simulated[0].of("steps").mean
    assert every.simulated[1].of("steps").mean != every.simulated[2].of("steps").mean


def test_the_snippets_of_the_guide_run(capsys) -> None:
    text = (ROOT / "docs" / "simulate.md").read_text(encoding="utf-8")
    snippets = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(snippets) == 2
    for snippet in snippets:
        exec(compile(ast.parse(snippet), "docs/simulate.md", "exec"), {"__name__": "guide"})
    numbers = [float(word) for word in capsys.readouterr().out.split()]
    success, steps, cut, hopeless, exact, fast, slow = numbers
    assert success == pytest.approx(0.9, abs=5 * 0.003)
    # think is geometric with mean 2, and comes back from check one time in five
    assert steps == pytest.approx(3.0 / 0.8, abs=0.2)
    assert cut == 0.0
    assert hopeless == pytest.approx(exact, abs=5 * 0.005)
    assert fast == pytest.approx(slow, abs=5 * 0.007)
