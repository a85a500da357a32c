"""Ties are no preference: what is as good changes no kind of policy."""

from __future__ import annotations

import pytest

from ds3opt.explain.explain import explain
from ds3opt.io.loader import load_scenario


def test_where_everything_is_solved_for_nothing_there_is_no_other_policy_in_the_last_digits() -> (
    None
):
    """Every policy solves the class but for parts in a billion, and compute has no price."""
    settings = (
        "workload={tasks: 1, mix: [{name: easy, share: 1, difficulty: 2.6, skills: 4,"
        " max_output_tokens: 4000, verifier: {kind: process, discrimination: 1.5},"
        " wrong_answers: {count: 9, decay: 0.5}}]}",
        "model={parameters: 7e9, training_tokens: 1e12}",
        "reasoning.policies=[chain_of_thought, {majority_vote: {samples: [4]}},"
        " {rebase: {samples: [4], tilt: 2, overhead: 1.2, choose: best_of_n}}]",
        "limits={inference_flop: 1e20}",
        "frontier=null",
    )
    found = explain(load_scenario("quickstart", settings).scenario, exchange=False)
    (one,) = found.classes
    assert one.policy == "chain of thought"
    by_code = {point.code: point for point in one.turning_points}
    step = by_code["step_success"]
    assert step.above is None
    assert step.below < 0.9 * step.now
    assert by_code["discrimination"].below is None
    assert by_code["discrimination"].above is None
    assert by_code["longest_trace"].below < 0.9 * by_code["longest_trace"].now
    assert by_code["fatigue"].above > 1e-9


def test_a_class_that_is_split_at_the_margin_turns_from_what_most_of_it_uses() -> None:
    found = explain(load_scenario("verifier_matters").scenario, exchange=False)
    one = next(one for one in found.classes if one.name == "no verifier")
    price = next(point for point in one.turning_points if point.code == "price")
    assert one.policy == "chain of thought"
    assert price.below == pytest.approx(1.0, rel=1e-2)
    assert price.policy_below == "majority_vote"
    assert price.above > 2.0
