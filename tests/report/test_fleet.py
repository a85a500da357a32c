"""Reports of a plan on hardware: what it takes, what it runs on, what more would bring."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.optimise.solution import (
    Baseline,
    Certificate,
    FrontierPoint,
    Infeasibility,
    LimitUse,
    Placement,
    ResourceUse,
    ServingPeriod,
    Solution,
    Status,
    TaskAllocation,
    TrainingPlan,
)
from ds3opt.policies import BestOfN, ChainOfThought
from ds3opt.report.document import Document
from ds3opt.report.formats import RENDERERS, render
from ds3opt.report.limits import step_of
from ds3opt.report.pareto_document import pareto_document
from ds3opt.report.solution_document import solution_document
from ds3opt.report.words import dimension_of, objective_words, words_of

MWH = 3.6e9
TASKS = 1e9


def row(name: str, share: float, period: str | None, **changes: object) -> TaskAllocation:
    place = Placement(2, 128, 18.0, 20.0, 1000.0 * share, 40.0 * TASKS * share)
    allocation = TaskAllocation(
        name=name,
        difficulty=2.3,
        skills=3,
        share=share,
        fraction=1.0,
        policy=ChainOfThought(),
        steps=16.0,
        token_budget=400.0,
        expected_tokens=200.0,
        accuracy=0.8,
        value=1e-4,
        inference_flop=1e21 * share,
        period=period,
        placement=place,
    )
    return replace(allocation, **changes)  # type: ignore[arg-type]


def fleet_solution() -> Solution:
    """Two classes on two parts of the day; an existing model serves one of them at night."""
    waits = {"model": "Llama 8B", "policy": None, "way": "vote of 16", "accuracy": 0.5}
    bought = Placement(0, 1, None, None, 0.0, 0.0)
    return Solution(
        scenario="Fleet",
        objective="accuracy",
        target=None,
        status=Status.OPTIMAL,
        certificate=Certificate("accuracy", 0.7, 0.70005, 1e-4, relative=False),
        parameters=1e9,
        training_tokens=2e11,
        loss=2.3,
        accuracy=0.7,
        value=7e-5,
        training_flop=1e21,
        inference_flop=3e21,
        tasks_served=TASKS,
        horizon_seconds=365 * 86400.0,
        tasks=(
            row("chat", 0.4, "day"),
            row("chat", 0.2, "night", token_budget=500.0),
            row("batch", 0.1, "night", fraction=0.25, policy=BestOfN(samples=4)),
            row("batch", 0.3, "night", fraction=0.75, placement=bought, **waits),
        ),
        limits=(
            LimitUse("cost", 4e4, 4e4, True, 0.02, "USD", shadow_price=0.02 / (4e4 * math.log(2))),
            LimitUse("power (day)", 1e6, 2.5e3, False, 0.0, "W", shadow_price=0.0),
        ),
        resources=(
            ResourceUse("energy", 2 * MWH, 6 * MWH),
            ResourceUse("cost", 1e4, 3e4),
            ResourceUse("carbon", 0.0, 1500.0),
            ResourceUse("accelerator_hours", 1000.0, 2.5e4),
        ),
        training_plan=TrainingPlan(1024.0, 7200.0, 2048.0, 1.04e6, 0.4, 0.9),
        periods=(
            ServingPeriod("day", 16.0, 3.0, 2.5e3, 0.4, 0.25),
            ServingPeriod("night", 8.0, 6.0, 5.5e3, 0.6, 0.75),
        ),
        scope="164 dense shapes; token budgets of at most 1 % between neighbours",
        baselines=(Baseline("tokens_per_parameter_20", "20 tokens", 0.6, 2e9, 4e10),),
        frontier_over="cost",
        frontier=(
            FrontierPoint(1e4, Status.OPTIMAL, 0.5, 0.50005, *[1e9] * 4, 150.0),
            FrontierPoint(1e5, Status.OPTIMAL, 0.8, 0.80005, None, None, 0.0, 1e21, 150.0),
        ),
        loss_law="besiroglu2024",
    )


@pytest.fixture
def fleet() -> Solution:
    return fleet_solution()


def document(solution: Solution, **options: bool) -> Document:
    return solution_document(solution, version="1", sha256="abc", **options)


def block(solution: Solution, title: str, **options: bool) -> list[str]:
    """The lines of one table, single spaces between words."""
    text = render(document(solution, **options), "table")
    found = [part for part in text.split("\n\n") if part.splitlines()[0] == title]
    return [" ".join(line.split()) for line in found[0].splitlines()[1:]] if found else []


def test_the_answer_says_what_the_plan_takes_of_each_resource(fleet: Solution) -> None:
    lines = block(fleet, "Answer")
    assert "energy 8 MWh 2 MWh training, 6 MWh serving" in lines
    assert "cost 40 kUSD 10 kUSD training, 30 kUSD serving" in lines
    assert "carbon 1.5 t CO2e" in lines  # nothing to split
    assert "accelerator-hours 26 k accelerator-hours 1 k training, 25 k serving" in lines
    assert (
        "training run 2 h on 1024 accelerators site power 1.04 MW, "
        "utilisation 40.0 % x goodput 90.0 %"
    ) in lines
    # held 3 for 16 h and 6 for 8 h of the day, 2.5 kW and 5.5 kW
    assert "serving, on average 4 accelerators site power 3.5 kW on average" in lines
    assert lines[-1].startswith("certificate holds over: 164 dense shapes;")


def test_a_run_without_a_count_says_its_accelerator_hours(fleet: Solution) -> None:
    plan = TrainingPlan(None, None, 2048.0, None, 0.4, 0.9)
    lines = block(replace(fleet, training_plan=plan), "Answer")
    expected = "training run 2.05 k accelerator-hours utilisation 40.0 % x goodput 90.0 %"
    assert expected in lines


def test_where_nothing_is_trained_nothing_is_said_of_training(fleet: Solution) -> None:
    served = replace(
        fleet,
        parameters=None,
        training_tokens=None,
        loss=None,
        training_flop=0.0,
        training_plan=None,
        baselines=(),
        resources=(ResourceUse("cost", 0.0, 4e4),),
        frontier=(fleet.frontier[1],),
    )
    text = render(document(served), "table")
    for words in ("model size", "training", "tokens per parameter", "D/N", "of the total"):
        assert words not in text.replace("training FLOP  inference FLOP", "")
    assert "cost 40 kUSD" in block(served, "Answer")


def test_rows_that_differ_in_their_part_of_the_day_share_a_line(fleet: Solution) -> None:
    lines = block(fleet, "Classes and policies")
    assert lines[1].startswith("chat 60.0 % chain of thought 400 to 500 tokens")
    # of all requests of the class, over all parts of the day
    assert lines[2].startswith("batch 10.0 % best of 4 (25.0 % of requests)")
    assert lines[3].startswith("batch 30.0 % Llama 8B: vote of 16 (75.0 % of requests)")
    assert len(block(fleet, "Classes and policies", every_row=True)) == 5


def test_what_part_of_the_requests_counts_over_all_parts_of_the_day(fleet: Solution) -> None:
    left = row("chat", 0.3, None, policy=None, placement=None, accuracy=0.0)
    split = replace(fleet, tasks=(row("chat", 0.1, "day"), row("chat", 0.2, "night"), left))
    lines = block(split, "Classes and policies")
    assert "chat 30.0 % chain of thought (50.0 % of requests)" in lines[1]
    assert "chat 30.0 % not attempted (50.0 % of requests)" in lines[2]


def test_serving_shows_replicas_latency_and_energy(fleet: Solution) -> None:
    header, *lines = block(fleet, "Serving")
    assert header == "class served by in replica traces at once latency allowed energy/task"
    assert lines == [
        "chat chain of thought all 2 accelerators 128 18 s 20 s 40 J",
        "batch best of 4 night 2 accelerators 128 18 s 20 s 40 J",
        "batch Llama 8B: vote of 16 night hosted - - - -",
        "hosted: served elsewhere, paid by the token",
    ]
    whole = replace(fleet, tasks=tuple(replace(one, period=None) for one in fleet.tasks[:2]))
    (header, line) = block(replace(whole, periods=fleet.periods[:1]), "Serving")
    assert header.startswith("class served by replica")
    assert line.startswith("chat chain of thought 2 accelerators")


def test_parts_of_the_day_have_a_table_where_there_are_several(fleet: Solution) -> None:
    assert block(fleet, "Parts of the day") == [
        "part every day serving on average site power of tasks of training",
        "day 16 h 3 accelerators 2.5 kW 40.0 % 25.0 %",
        "night 8 h 6 accelerators 5.5 kW 60.0 % 75.0 %",
    ]
    assert block(replace(fleet, periods=fleet.periods[:1]), "Parts of the day") == []


def test_limits_say_what_the_next_unit_brings(fleet: Solution) -> None:
    hours = LimitUse("accelerator_hours", 1e5, 2.6e4, False, 0.0, "accelerator-hours")
    limited = replace(fleet, limits=(*fleet.limits, hours))
    header, cost, power, last = block(limited, "Limits and shadow prices")
    assert last == "accelerator-hours at most 100 k 26 k no none -"
    assert header == "limit allowed used binding shadow price at the margin"
    # 2 points per doubling are 2 / (40 ln 2) points for each of 40 kUSD
    per_thousand = f"+{2 / (40 * math.log(2)):.3g} points per extra 1 kUSD"
    assert cost == f"cost at most 40 kUSD 40 kUSD yes +2.00 points per doubling {per_thousand}"
    assert power == "site power (day) at most 1 MW 2.5 kW no none none"


def test_a_minimised_resource_is_priced_in_its_unit(fleet: Solution) -> None:
    least = replace(
        fleet,
        objective="cost",
        target=("accuracy", 0.7),
        certificate=Certificate("cost", 3.99e4, 4e4, 5e-3, relative=True),
        limits=(LimitUse("energy", 300 * MWH, 300 * MWH, True, -5e3, "J", shadow_price=-20 / MWH),),
        frontier=(),
    )
    text = render(document(least), "table")
    assert text.startswith("Fleet: least cost for an accuracy of 70.00 %")
    lines = block(least, "Answer")
    assert lines[0] == "cost 40 kUSD certified 39.9 to 40 kUSD, gap 0.25 %"
    assert "training cost 10 kUSD 25.0 % of the total" in lines
    assert "serving cost 30 kUSD 75.0 % of the total" in lines
    limit = block(least, "Limits and shadow prices")[1]
    assert limit.endswith("yes -5 kUSD per doubling -200 USD per extra 10 MWh")
    assert "+" not in limit


@pytest.mark.parametrize(
    ("most", "step"), [(340.0, "10 tokens per parameter"), (20.0, "1 token per parameter")]
)
def test_a_ratio_is_priced_in_tokens_per_parameter(fleet: Solution, most: float, step: str) -> None:
    ratio = LimitUse(
        "max_tokens_per_parameter", most, most, True, 0.01, "tokens/parameter", shadow_price=1e-5
    )
    limited = replace(fleet, limits=(*fleet.limits, ratio))
    rows = block(limited, "Limits and shadow prices")
    (row,) = [row for row in rows if row.startswith("max tokens per parameter")]
    assert row.endswith(f" points per extra {step}")
    assert f"at most {most:g}" in row


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_net_value_is_money_of_either_sign(fleet: Solution, sign: float) -> None:
    low, high = sorted((sign * 3.0e4, sign * 3.0013e4))
    worth = replace(
        fleet,
        objective="net_value",
        certificate=Certificate("net_value", low, high, 50.0, relative=False),
        limits=(LimitUse("cost", 4e4, 4e4, True, 900.0, "USD", shadow_price=0.03),),
        baselines=(Baseline("tokens_per_parameter_20", "20 tokens", -5e3, 2e9, 4e10),),
        frontier=(FrontierPoint(1e4, Status.OPTIMAL, low, high, *[1e9] * 4, 150.0),),
    )
    assert objective_words(worth) == "highest net value"
    lines = block(worth, "Answer")
    first = "30 to 30.013" if sign > 0 else "-30.013 to -30"
    assert lines[0].endswith(f"certified {first} kUSD, gap 13 USD")
    assert lines[1] == "worth of solved tasks 70 kUSD"
    assert block(worth, "Limits and shadow prices")[1].endswith(
        "+900 USD per doubling +30 USD per extra 1 kUSD"
    )
    assert "20 tokens -5 kUSD" in " ".join(block(worth, "Baselines under the same limits"))
    row = block(worth, "Pareto table over cost")[1]
    assert row.startswith(f"10 kUSD {'' if sign > 0 else '-'}30")
    assert "kUSD 13 USD" in row
    data = json.loads(render(document(worth), "json"))
    assert data["outcome"]["net_value_usd"] == low
    assert data["certificate"]["net_value_upper"] == high


def test_a_net_value_of_a_given_model_is_worth_less_cost(fleet: Solution) -> None:
    given = replace(fleet, objective="net_value", certificate=None, status=Status.EVALUATED)
    assert block(given, "Answer")[0] == "net value 30 kUSD"
    assert "certificate holds over" not in render(document(given), "table")


def test_json_carries_every_figure_of_the_plan(fleet: Solution) -> None:
    data = json.loads(render(document(fleet), "json"))
    assert data["schema_version"] == 1
    outcome = data["outcome"]
    assert outcome["energy_joule"] == 8 * MWH
    assert outcome["cost_usd"] == 4e4
    assert outcome["carbon_kg"] == 1500.0
    assert outcome["accelerator_hours"] == 2.6e4
    assert outcome["net_value_usd"] is None
    assert data["resources"][0] == {
        "name": "energy",
        "training": 2 * MWH,
        "inference": 6 * MWH,
        "total": 8 * MWH,
        "total_p10": None,
        "total_p90": None,
        "unit": "J",
    }
    assert data["training_plan"]["goodput"] == 0.9
    assert data["periods"][1]["name"] == "night"
    assert data["scope"].startswith("164 dense shapes")
    assert data["limits"][0]["shadow_price"] == fleet.limits[0].shadow_price
    first, *_, last = data["allocation"]["tasks"]
    assert first["placement"]["latency_seconds"] == 18.0
    assert (first["model"], first["way"], first["period"]) == (None, None, "day")
    assert (last["model"], last["way"], last["policy"]) == ("Llama 8B", "vote of 16", None)
    assert last["token_budget"] == 400.0
    assert last["placement"]["accelerators"] == 0


def test_json_of_a_plan_without_hardware_leaves_its_figures_open(solution: Solution) -> None:
    data = json.loads(render(document(solution), "json"))
    assert (data["resources"], data["periods"]) == ([], [])
    assert (data["training_plan"], data["scope"]) == (None, None)
    assert data["outcome"]["cost_usd"] is None
    assert data["allocation"]["tasks"][0]["placement"] is None
    text = render(document(solution), "table")
    assert "at the margin" not in text
    assert "Serving" not in text


def test_csv_has_the_same_header_with_and_without_hardware(
    fleet: Solution, solution: Solution
) -> None:
    records = list(csv.DictReader(io.StringIO(render(document(fleet), "csv"))))
    bare = list(csv.DictReader(io.StringIO(render(document(solution), "csv"))))
    assert list(records[0]) == list(bare[0])
    assert float(records[0]["cost_usd"]) == 4e4
    assert float(records[0]["replica_accelerators"]) == 2
    assert records[-1]["way"] == "vote of 16"
    assert float(records[-1]["token_budget"]) == 400
    assert bare[0]["cost_usd"] == bare[0]["model"] == bare[0]["latency_seconds"] == ""


@pytest.mark.parametrize("form", RENDERERS)
def test_every_format_holds_a_plan_on_hardware(fleet: Solution, form: str) -> None:
    text = render(document(fleet), form)
    assert text == render(document(fleet), form)
    assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)


def test_tables_of_a_plan_on_hardware_stay_within_the_screen(fleet: Solution) -> None:
    text = render(document(replace(fleet, frontier=())), "table")
    assert max(map(len, text.splitlines())) <= 120
    assert text.isascii()


def test_a_pareto_table_over_money_has_money_in_its_rows(fleet: Solution) -> None:
    shown = pareto_document(fleet)
    assert shown.title == "Fleet: highest accuracy over cost"
    lines = [" ".join(line.split()) for line in render(shown, "table").splitlines()]
    assert any(line.startswith("10 kUSD 50.0000 % 50.0050 %") for line in lines)
    assert shown.data["frontier"][1]["cost"] == 1e5
    assert shown.data["frontier"][1]["parameters"] is None


@pytest.mark.parametrize(
    ("limit", "unit", "given", "least", "words"),
    [
        ("limits.energy", "J", MWH, 12 * MWH, "12 MWh"),
        ("limits.cost", "USD", 1e3, 2.5e6, "2.5 MUSD"),
        ("limits.carbon", "kg", 1.0, 3e5, "300 t CO2e"),
        ("limits.accelerator_hours", "accelerator-hours", 1.0, 2e6, "2 M accelerator-hours"),
        ("limits.power", "W", 1.0, 2e7, "20 MW"),
        ("limits.training_time", "s", 1.0, 10 * 86400.0, "10 days"),
        ("hardware.inference.count", "accelerators", 1.0, 12.0, "12 accelerators"),
    ],
)
def test_what_cannot_be_kept_has_its_unit(
    infeasible: Solution, limit: str, unit: str, given: float, least: float, words: str
) -> None:
    why = Infeasibility(limit, given, least, unit, "too little")
    lines = block(replace(infeasible, infeasibility=why), "No allocation is feasible")
    assert f"cannot be kept {limit}" in lines
    assert f"smallest feasible {words}" in lines


@given(
    st.floats(1e-3, 1e15),
    st.sampled_from(["money", "energy", "carbon", "power", "accelerator_hours", "time", "flop"]),
)
def test_a_step_beside_a_limit_is_a_small_part_of_it(limit: float, dimension: str) -> None:
    step = step_of(limit, dimension)
    assert step is not None
    # a unit of time is up to 60 of the next smaller one, so a step may be a tenth of a tenth
    assert 0.0099 * limit <= step <= 0.1 * limit * (1 + 1e-6)


def test_no_step_stands_beside_what_is_no_limit() -> None:
    assert step_of(0.0, "money") is None
    assert step_of(math.inf, "money") is None


@pytest.mark.parametrize(
    ("path", "dimension"),
    [
        ("limits.cost", "money"),
        ("limits.accelerator_hours", "accelerator_hours"),
        ("workload.mix[0].max_latency", "time"),
        ("hardware.electricity.price", "price_per_energy"),
        ("hardware.electricity.periods[1].carbon_intensity", "carbon_intensity"),
        ("model.candidates[0].hosted.input_price", "price_per_token"),
        ("hardware.training.own.lifetime", "time"),
        ("hardware.host_power", "power"),
        ("certificate.net_value_lower", "money"),
    ],
)
def test_keys_of_hardware_have_their_dimension(path: str, dimension: str) -> None:
    assert dimension_of(path) == dimension


def test_names_of_parts_of_the_day_stand_as_they_are() -> None:
    assert words_of("inference_accelerators (at_night)") == "serving accelerators (at_night)"
