"""Elasticities against plans that are held, both ends against solves, and the whole study."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solve import solve
from ds3opt.problem import compile_problem
from ds3opt.report.sensitivity_document import _advice
from ds3opt.report.values import shown
from ds3opt.uncertainty.draws import constants, quantiles, sample
from ds3opt.uncertainty.placing import replaced
from ds3opt.uncertainty.robust.plan import score_plan
from ds3opt.uncertainty.sensitivity.elasticity import elasticities
from ds3opt.uncertainty.sensitivity.information import Share, Worth
from ds3opt.uncertainty.sensitivity.study import asked_about, sensitivity
from ds3opt.uncertainty.sensitivity.tornado import ENDS, tornado
from ds3opt.uncertainty.sensitivity.variants import optima

SMALL = [
    "workload.mix=[{name: plain, share: 0.6, difficulty: 2.6, skills: 3}, "
    "{name: judged, share: 0.4, difficulty: 2.45, skills: 5, fatigue: 0.1, "
    "verifier: {kind: outcome}}]",
    "reasoning.policies=[chain_of_thought, best_of_n: {samples: [2, 4]}]",
    "limits.total_flop=2e20",
    "frontier=null",
]
UNCERTAIN = [
    "workload.mix[1].difficulty={value: 2.45, interval: [2.3, 2.6]}",
    "workload.mix[0].prompt_tokens={value: 100, interval: [99, 101]}",
]
HELD = (
    "model.loss_law.irreducible",
    "workload.mix[1].difficulty",
    "model.capability.slope",
    "workload.tasks",
)


@pytest.fixture(scope="module")
def scenario():
    return load_scenario("quickstart", SMALL).scenario


@pytest.fixture(scope="module")
def point(scenario):
    return solve(scenario, frontier=False)


@pytest.fixture(scope="module")
def found(scenario, point):
    asked = asked_about(scenario, [*HELD, "limits", "model.parameters", "workload.mix[0].skills"])
    return elasticities(scenario, asked, point, workers=1)


def effects(found):
    return {one.constant.path: one.effects for one in found.found}


@pytest.mark.parametrize("path", HELD)
def test_to_first_order_decisions_do_not_matter(scenario, point, found, path):
    # the envelope theorem: at an optimum, what is decided anew changes nothing to first order
    value = next(one.constant.value for one in found.found if one.constant.path == path)
    step = 1e-4
    problems = [
        compile_problem(replaced(scenario, {path: value * (1.0 + h)})) for h in (-step, step)
    ]
    held = score_plan(problems, point)
    moved = np.diff(held.value)[0] / (2.0 * step)
    # harder tasks also end sooner or later: what the plan takes is paid at the price of the limit
    taken = np.diff(np.log(held.total_flop))[0] / (2.0 * step)
    use = next(one for one in point.limits if one.name == "total_flop")
    expected = moved - use.shadow_price_per_doubling / math.log(2.0) * taken
    effect = effects(found)[path]["objective"]
    assert effect.clear
    assert effect.value == pytest.approx(expected, abs=2.0 * effect.noise, rel=0.01)


def test_a_limit_moves_the_answer_by_its_price(point, found):
    use = next(one for one in point.limits if one.name == "total_flop")
    effect = effects(found)["limits.total_flop"]["objective"]
    # one percent more moves accuracy by a hundredth of what an e-fold does
    assert effect.value == pytest.approx(use.shadow_price_per_doubling / math.log(2.0), rel=0.02)


def test_what_does_not_bind_has_no_effect(found):
    still = {one.path for one in found.without_effect}
    assert {"model.parameters.min", "model.parameters.max"} <= still


def test_whole_numbers_move_by_one(scenario, point, found):
    one = next(one for one in found.found if one.constant.path == "workload.mix[0].skills")
    assert one.steps == "whole numbers"
    low, high = optima(
        scenario, [{one.constant.path: 2.0}, {one.constant.path: 4.0}], point, workers=1
    )
    expected = 3.0 * (high.certificate.lower - low.certificate.lower) / 2.0
    assert one.effects["objective"].value == pytest.approx(expected, rel=1e-9)


def test_the_largest_effect_comes_first(found):
    sizes = [
        abs(one.effects["objective"].value) for one in found.found if one.effects["objective"].clear
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_variants_are_no_worse_than_their_own_solves(scenario, point):
    changes = [{"model.capability.slope": 4.0}, {}, {"limits.total_flop": 1.0}]
    found = optima(scenario, changes, point, workers=1)
    assert found[2] is None
    for change, one in zip(changes[:2], found[:2], strict=True):
        alone = solve(replaced(scenario, change), frontier=False, details=False)
        assert one.certificate.upper >= alone.certificate.lower
        assert one.certificate.lower <= alone.certificate.upper
        assert one.certificate.lower == pytest.approx(alone.certificate.lower, abs=1e-6)


def test_a_change_that_the_key_refuses_has_no_answer(scenario, point):
    assert optima(scenario, [{"model.capability.slope": -1.0}], point, workers=1) == [None]


def test_ends_are_the_answers_at_the_quantiles():
    scenario = load_scenario("quickstart", [*SMALL, *UNCERTAIN]).scenario
    point = solve(scenario, frontier=False, details=False)
    bars = tornado(scenario, sample(scenario, 40, 0), point, workers=1)
    assert [bar.constant.path for bar in bars] == [
        "workload.mix[1].difficulty", "workload.mix[0].prompt_tokens",
    ]  # fmt: skip
    assert bars[0].ends == pytest.approx((2.3, 2.6))
    assert bars[0].width > 10.0 * bars[1].width
    for end, solution in zip(bars[0].ends, bars[0].solutions, strict=True):
        change = {"workload.mix[1].difficulty": end}
        alone = solve(replaced(scenario, change), frontier=False, details=False)
        assert solution.accuracy == pytest.approx(alone.accuracy, abs=1e-5)


def test_constants_drawn_together_move_together():
    joint = [
        "workload.mix[1].difficulty={value: 2.45, draws: [2.35, 2.4, 2.45, 2.5, 2.55], joint: e}",
        "model.capability.slope={value: 5, draws: [4.0, 4.5, 5.0, 5.5, 6.0], joint: e}",
    ]
    scenario = load_scenario("quickstart", [*SMALL, *joint]).scenario
    point = solve(scenario, frontier=False, details=False)
    drawn = sample(scenario, 50, 0)
    bars = tornado(scenario, drawn, point, workers=1)
    bar = next(one for one in bars if one.constant.path == "workload.mix[1].difficulty")
    assert bar.with_others == ("model.capability.slope",)
    own = drawn.values[:, [c.path for c in drawn.constants].index(bar.constant.path)]
    other = drawn.values[:, 1 - [c.path for c in drawn.constants].index(bar.constant.path)]
    slope = np.polyfit(np.array(own), np.log(other), 1)[0]
    high = bar.ends[1]
    change = {
        bar.constant.path: high,
        "model.capability.slope": 5.0 * math.exp(slope * (high - 2.45)),
    }
    alone = solve(replaced(scenario, change), frontier=False, details=False)
    # a difficulty may be of any sign: it is not shifted in logarithms, the slope is
    assert bar.solutions[1].accuracy == pytest.approx(alone.accuracy, abs=1e-5)


def test_quantiles_are_exact_for_distributions_and_those_of_the_list_for_draws():
    written = ["model.capability.slope={draws: [3, 4, 5, 6, 7]}", UNCERTAIN[0]]
    scenario = load_scenario("quickstart", [*SMALL, *written]).scenario
    found = dict(zip([c.path for c in constants(scenario)], quantiles(scenario, ENDS), strict=True))
    assert found["workload.mix[1].difficulty"] == pytest.approx([2.3, 2.6])
    assert found["model.capability.slope"] == pytest.approx(
        np.quantile([3.0, 4.0, 5.0, 6.0, 7.0], ENDS)
    )


@pytest.fixture(scope="module")
def study():
    scenario = load_scenario("quickstart", [*SMALL, *UNCERTAIN]).scenario
    return sensitivity(scenario, draws=64, keys=["limits"], workers=1)


def test_the_study_names_what_matters(study):
    first = study.known[0]
    assert first.constants[0].path == "workload.mix[1].difficulty"
    assert first.shares["objective"].value > 0.95
    second = study.known[1]
    assert second.shares["objective"].value <= 2.0 * second.shares["objective"].standard_error
    assert not second.removed.clear
    assert study.explains_most is first
    # with one constant that matters, to know it is to know everything
    assert study.regret.value > 0.0
    error = 3.0 * (first.removed.standard_error + study.regret.standard_error)
    assert first.removed.value == pytest.approx(study.regret.value, abs=error)


@pytest.mark.slow
def test_the_study_is_the_same_on_two_processes(study):
    scenario = load_scenario("quickstart", [*SMALL, *UNCERTAIN]).scenario
    again = sensitivity(scenario, draws=64, keys=["limits"], workers=2)
    assert again.known == study.known
    assert again.regret == study.regret
    assert [bar.amounts("parameters") for bar in again.bars] == [
        bar.amounts("parameters") for bar in study.bars
    ]
    assert effects(again.elasticities) == effects(study.elasticities)


def test_what_is_worth_less_than_the_gap_is_not_worth_a_measurement(study):
    assert replace(study, gap=1.0).measure_next is None


def test_nothing_uncertain_leaves_elasticities(scenario):
    found = sensitivity(scenario, keys=["limits.total_flop"], workers=1)
    assert len(found.elasticities.found) == 1
    assert (found.bars, found.known, found.sample) == ((), (), None)
    assert "nothing in the scenario is uncertain" in found.left_out[0]


def test_a_key_that_is_no_number_is_refused_with_the_nearest(scenario):
    with pytest.raises(UsageError) as error:
        asked_about(scenario, ["limits.total_flops"])
    assert "limits.total_flop" in error.value.problems[0].hint


def test_on_hardware_elasticities_are_of_limits_prices_and_what_is_uncertain():
    scenario = load_scenario("cost_capped_startup", []).scenario
    some, every = asked_about(scenario), asked_about(scenario, every=True)
    assert 0 < len(some) < len(every)
    assert any("price" in one.path for one in some)
    assert not any("difficulty" in one.path for one in some)


def test_constants_drawn_together_follow_a_curve():
    difficulty = np.linspace(2.35, 2.55, 25)
    curve = np.array([20.0, -2.0, 0.0])  # of the logarithm of the slope, from 5 at 2.45
    slope = 5.0 * np.exp(np.polyval(curve, difficulty - 2.45))
    joint = [
        f"workload.mix[1].difficulty={{value: 2.45, draws: {difficulty.tolist()}, joint: e}}",
        f"model.capability.slope={{value: 5, draws: {slope.tolist()}, joint: e}}",
    ]
    scenario = load_scenario("quickstart", [*SMALL, *joint]).scenario
    point = solve(scenario, frontier=False, details=False)
    bars = tornado(scenario, sample(scenario, 50, 0), point, workers=1)
    bar = next(one for one in bars if one.constant.path == "workload.mix[1].difficulty")
    for end, solution in zip(bar.ends, bar.solutions, strict=True):
        there = 5.0 * math.exp(np.polyval(curve, end - 2.45))
        change = {bar.constant.path: end, "model.capability.slope": there}
        alone = solve(replaced(scenario, change), frontier=False, details=False)
        assert solution.accuracy == pytest.approx(alone.accuracy, abs=1e-5)


@pytest.mark.parametrize(
    ("share", "words"), [(0.7, "explains most of what"), (0.2, "explains more of what")]
)
def test_advice_claims_no_more_than_the_draws_show(share: float, words: str) -> None:
    one = SimpleNamespace(label="skills", shares={"objective": Share(share, 0.01)})
    study = SimpleNamespace(
        sample=(),
        known=(one,),
        measure_next=None,
        explains_most=one,
        regret=Worth(0.02, 0.01),
        point=SimpleNamespace(objective="accuracy"),
        gap=1e-4,
    )
    worth, most = (shown(told) for told in _advice(study))
    assert worth == "no single measurement is seen to be worth more than the gap, 0.01 points"
    assert most.startswith(f"skills {words} is uncertain about the accuracy")
