"""Rows, caps and their coefficients against arithmetic by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import yaml

from ds3opt.errors import ScenarioError
from ds3opt.fleet import Fleet, compile_fleet, needs_fleet
from ds3opt.fleet.resources import ACCELERATOR_SECONDS, DOLLARS, FLOP, JOULES
from ds3opt.io.loader import validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema import Scenario

# figures that make round numbers: 0.001 USD/s of rent, 1e-7 USD/J and 1e-7 kg/J of electricity
SCENARIO = """\
workload:
  tasks: 1e6
  horizon: 1e6 s
  mix:
    - {name: a, share: 0.75, difficulty: [2.3, 2.5], skills: 3, value: 2, deferrable: 0.4}
    - {name: b, share: 0.25, difficulty: 2.4, skills: 2, min_accuracy: 0.1}
model: {parameters: [1e8, 1e10]}
hardware:
  power_usage_effectiveness: 1.5
  host_power: 100 W
  electricity: {price: 0.36 USD/kWh, carbon_intensity: 360 g/kWh}
  training:
    accelerator: &chip
      dense_flop_per_s: {bf16: 1e15}
      memory_bytes: 100 GB
      bandwidth_bytes_per_s: 2 TB/s
      link_bytes_per_s: 100 GB/s
      board_power_watts: 500
      price_per_hour: {low: 1.8 USD/h, typical: 3.6 USD/h, high: 7.2 USD/h}
      capital_cost: 31536
      embodied_carbon_kg: 100
    utilisation: 0.4
    goodput: 0.8
    calibration: null
  inference: {accelerator: *chip, calibration: null}
limits: {total_flop: 1e24}
"""
SECONDS = 1.0 / (1e15 * 0.4 * 0.8)
WATTS = (500.0 + 100.0) * 1.5
OWN = {"lifetime": "365 days", "running_share": 0.5}
OWNED_PER_SECOND = 31536.0 / (365 * 86400 * 0.5)
MADE = 100.0 / (5 * 365 * 86400 * 0.8)
DAY = {"name": "day", "duration": "18 h", "load_share": 0.9}
NIGHT = {
    "name": "night", "duration": "6 h", "load_share": 0.1, "price": "0.036 USD/kWh",
    "carbon_intensity": "36 g/kWh",
}  # fmt: skip


def close(value: Any, rel: float = 1e-13) -> Any:
    """Equal to rounding; what a single FLOP takes is far below pytest's absolute tolerance."""
    return pytest.approx(value, rel=rel, abs=0.0)


def read(changes: dict[str, Any] | None = None) -> Scenario:
    """The scenario with values put at dotted paths; None takes one away."""
    data = yaml.safe_load(SCENARIO)
    for path, value in (changes or {}).items():
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        at: Any = data
        for key in parents:
            at = at[key] if isinstance(key, int) else at.setdefault(key, {})
        if value is None:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)
    return validate(load_yaml(yaml.safe_dump(data), "s.yaml"))


def fleet(changes: dict[str, Any] | None = None) -> Fleet:
    return compile_fleet(read(changes))


def serving(**amounts: float) -> list[float]:
    """Coefficients of one period by name of the use."""
    row = [0.0] * 4
    columns = {"flop": FLOP, "seconds": ACCELERATOR_SECONDS, "joules": JOULES, "usd": DOLLARS}
    for name, amount in amounts.items():
        row[columns[name]] = amount
    return row


def test_a_training_run_by_hand() -> None:
    run = fleet({"hardware.training.count": 64}).run
    assert run.seconds_per_flop == close(SECONDS, rel=1e-15)
    assert run.watts == close(WATTS, rel=1e-15)
    assert (run.count, run.utilisation, run.goodput) == (64.0, 0.4, 0.8)
    # nine tenths of the memory count where no calibration says otherwise
    assert run.memory_bytes == pytest.approx(90e9, rel=1e-15)
    alone = fleet({"hardware.inference": None}).run
    assert alone.memory_bytes == close(90e9, rel=1e-15)


def test_hosts_of_no_power() -> None:
    bare = fleet({"hardware.host_power": 0})
    assert bare.run.watts == close(500.0 * 1.5, rel=1e-15)
    assert bare.server is not None
    assert bare.server.host_watts == 0.0


def test_everything_that_is_known_is_reported() -> None:
    known = fleet().resources
    wanted = {
        "total_flop": (serving(flop=1), 1.0),
        "inference_flop": (serving(flop=1), 0.0),
        "training_flop": (serving(), 1.0),
        "energy": (serving(joules=1), SECONDS * WATTS),
        "accelerator_hours": (serving(seconds=1 / 3600), SECONDS / 3600),
        "cost": (serving(seconds=0.001, usd=1), SECONDS * 0.001),
        "carbon": (serving(joules=1e-7, seconds=MADE), SECONDS * (WATTS * 1e-7 + MADE)),
    }
    assert set(known) == set(wanted)
    for name, (uses, training) in wanted.items():
        assert known[name].serving == close(np.array([uses]), rel=1e-13), name
        assert known[name].training == close([training], rel=1e-13), name


@pytest.mark.parametrize(("price", "rent"), [("low", 0.0005), ("high", 0.002)])
def test_rent_at_other_prices(price: str, rent: float) -> None:
    cost = fleet({"hardware.inference.price": price}).resources["cost"]
    assert cost.serving == close(np.array([serving(seconds=rent, usd=1)]), rel=1e-13)
    # training is still paid at the typical price
    assert cost.training == close([SECONDS * 0.001], rel=1e-13)


def test_accelerators_that_are_owned_pay_for_their_electricity() -> None:
    changes = {"hardware.training.own": OWN, "hardware.inference.own": OWN}
    cost = fleet(changes).resources["cost"]
    owned = serving(seconds=OWNED_PER_SECOND, joules=1e-7, usd=1)
    assert cost.serving == close(np.array([owned]), rel=1e-13)
    training = SECONDS * (OWNED_PER_SECOND + WATTS * 1e-7)
    assert cost.training == close([training], rel=1e-13)
    carbon = fleet(changes).resources["carbon"]
    made = 100.0 / (365 * 86400 * 0.5)
    assert carbon.serving == close(np.array([serving(joules=1e-7, seconds=made)]))


def test_rent_and_own_side_by_side() -> None:
    cost = fleet({"hardware.training.own": {**OWN, "capital_cost": "63072 USD"}}).resources["cost"]
    assert cost.serving == close(np.array([serving(seconds=0.001, usd=1)]))
    training = SECONDS * (2 * OWNED_PER_SECOND + WATTS * 1e-7)
    assert cost.training == close([training], rel=1e-13)


def test_figures_of_electricity_by_period() -> None:
    found = fleet({
        "hardware.electricity.periods": [DAY, NIGHT], "hardware.training.own": OWN,
        "hardware.inference.own": OWN, "limits.cost": 1e6, "limits.carbon": 1e6,
    })  # fmt: skip
    assert found.periods.names == ("day", "night")
    assert found.periods.part == close([0.75, 0.25])
    assert found.periods.load == close([0.9, 0.1])
    cost, carbon = (next(row for row in found.rows if row.name == n) for n in ("cost", "carbon"))
    assert cost.serving[:, JOULES] == close([1e-7, 1e-8])
    assert cost.serving[:, ACCELERATOR_SECONDS] == close([OWNED_PER_SECOND] * 2)
    training = [SECONDS * (OWNED_PER_SECOND + WATTS * price) for price in (1e-7, 1e-8)]
    assert cost.training == close(training, rel=1e-13)
    assert carbon.serving[:, JOULES] == close([1e-7, 1e-8])
    assert carbon.training[1] < carbon.training[0]


def test_limits_by_period() -> None:
    found = fleet({
        "hardware.electricity.periods": [DAY, NIGHT], "limits.power": "9 kW",
        "hardware.inference.count": 12,
    })  # fmt: skip
    rows = {row.name: row for row in found.rows}
    assert list(rows) == [
        "total_flop", "inference_accelerators (day)", "power (day)",
        "inference_accelerators (night)", "power (night)",
    ]  # fmt: skip
    for index, (name, part) in enumerate((("day", 0.75), ("night", 0.25))):
        power, count = rows[f"power ({name})"], rows[f"inference_accelerators ({name})"]
        assert (power.limit, count.limit) == (9e3, 12.0)
        assert power.key == "limits.power"
        assert count.key == "hardware.inference.count"
        wanted = np.zeros((2, 4))
        # watts over the period, whose seconds are its part of the horizon
        wanted[index, JOULES] = 1.0 / (1e6 * part)
        assert power.serving == close(wanted, rel=1e-14)
        wanted[index] = serving(seconds=1.0 / (1e6 * part))
        assert count.serving == close(wanted, rel=1e-14)
        assert not power.training.any()
        assert not count.training.any()


def test_one_period_has_no_name() -> None:
    rows = fleet({"limits.power": "9 kW", "hardware.inference.count": 2}).rows
    assert [row.name for row in rows] == ["total_flop", "inference_accelerators", "power"]


def test_every_limit_has_its_row_or_cap() -> None:
    limits = {
        "total_flop": 1e24, "training_flop": 1e23, "inference_flop": 1e23, "energy": "1 GWh",
        "cost": "1 MUSD", "carbon": "100 t", "accelerator_hours": 1e6, "power": "1 MW",
        "training_time": "10 days",
    }  # fmt: skip
    found = fleet({"limits": limits, "hardware.training.count": 100})
    named = {row.name: (row.limit, row.dimension) for row in found.rows}
    assert named == {
        "total_flop": (1e24, "flop"), "inference_flop": (1e23, "flop"),
        "energy": (3.6e12, "energy"), "cost": (1e6, "money"), "carbon": (1e5, "carbon"),
        "power": (1e6, "power"), "accelerator_hours": (1e6, "accelerator_hours"),
    }  # fmt: skip
    caps = {cap.name: cap for cap in found.caps}
    assert set(caps) == {"training_flop", "training_time"}
    assert (caps["training_flop"].limit, caps["training_flop"].dimension) == (1e23, "flop")
    assert caps["training_flop"].taken_per_flop(7.0) == 1.0
    assert (caps["training_time"].limit, caps["training_time"].dimension) == (864e3, "time")


def test_time_of_training_is_shared_by_the_accelerators() -> None:
    (cap,) = fleet({"limits.training_time": "1000 s", "hardware.training.count": 8}).caps
    for together in (1.0, 10.0, 100.0):
        assert cap.taken_per_flop(together) == close(SECONDS / together, rel=1e-14)
    # less than one trains nothing
    assert cap.taken_per_flop(0.0) == math.inf


def test_time_of_training_is_limited_in_every_part_of_the_day() -> None:
    found = fleet({
        "limits.training_time": "1000 s", "hardware.training.count": 8,
        "hardware.electricity.periods": [
            {"name": "noon", "duration": "6 h"}, {"name": "rest", "duration": "18 h"},
        ],
    })  # fmt: skip
    rows = [row for row in found.rows if row.key == "limits.training_time"]
    assert [row.name for row in rows] == ["training_time (noon)", "training_time (rest)"]
    assert found.caps == ()
    for row, part, place in zip(rows, (0.25, 0.75), ([1, 0], [0, 1]), strict=True):
        expected = SECONDS / 8.0 / part * np.array(place)
        np.testing.assert_allclose(row.training_charges(8.0), expected, rtol=1e-14)
        assert not row.serving.any()


# ------------------------------------------------------------------------------- tasks


def test_tasks_are_split_by_period_and_keep_their_weight() -> None:
    found = fleet({"hardware.electricity.periods": [DAY, NIGHT]})
    tasks, period = found.tasks, found.task_period
    assert math.fsum(tasks.weight) == close(1.0)
    by_class = np.bincount(tasks.group, tasks.weight)
    assert by_class == close([0.75, 0.25])
    # of a, two fifths can wait; each of its two difficulties has half
    amounts = {
        (int(g), int(p), float(d)): float(w)
        for g, p, d, w in zip(tasks.group, period, tasks.difficulty, tasks.weight, strict=True)
    }
    wanted = {(1, 0, 2.4): 0.25 * 0.9, (1, 1, 2.4): 0.25 * 0.1}
    for difficulty in (2.3, 2.5):
        wanted |= {
            (0, -1, difficulty): 0.375 * 0.4,
            (0, 0, difficulty): 0.375 * 0.6 * 0.9,
            (0, 1, difficulty): 0.375 * 0.6 * 0.1,
        }
    assert amounts == close(wanted, rel=1e-14)
    # what belongs to a task goes with it
    assert (tasks.skills == np.where(tasks.group == 0, 3, 2)).all()
    assert (tasks.value == np.where(tasks.group == 0, 2, 1)).all() or (tasks.value == 1).all()


def test_without_shares_of_load_tasks_arrive_evenly() -> None:
    periods = [{k: v for k, v in p.items() if k != "load_share"} for p in (DAY, NIGHT)]
    found = fleet({"hardware.electricity.periods": periods})
    assert found.periods.load == close([0.75, 0.25])
    now = found.task_period >= 0
    by_period = np.bincount(found.task_period[now], found.tasks.weight[now])
    assert by_period[0] == close(3 * by_period[1])


def test_a_part_of_the_day_without_load_has_no_tasks() -> None:
    periods = [{**DAY, "load_share": 1}, {**NIGHT, "load_share": 0}]
    found = fleet({"hardware.electricity.periods": periods})
    assert set(found.task_period.tolist()) == {-1, 0}
    assert math.fsum(found.tasks.weight) == close(1.0)


def test_one_period_splits_nothing() -> None:
    found = fleet()
    assert len(found.tasks) == 3
    assert not found.task_period.any()


def test_latencies_follow_their_class() -> None:
    found = fleet({
        "workload.mix.1.max_latency": "2 s", "hardware.electricity.periods": [DAY, NIGHT],
    })  # fmt: skip
    assert (found.max_latency == np.where(found.tasks.group == 1, 2.0, np.inf)).all()


# ------------------------------------------------------------------------------- objectives


def test_accuracy_counts_tasks_and_value_their_worth() -> None:
    found = fleet()
    assert (found.worth == 1.0).all()
    assert found.scale == 1.0
    assert found.minimised is None
    assert not found.objective_serving.any()
    assert not found.objective_training.any()
    valued = fleet({"objective": "value"})
    assert sorted(valued.worth.tolist()) == [1.0, 2.0, 2.0]


def test_net_value_subtracts_cost() -> None:
    found = fleet({"objective": "net_value", "limits": {}})
    assert sorted(found.worth.tolist()) == [1e6, 2e6, 2e6]
    assert found.scale == close(1e6 * (0.75 * 2 + 0.25))
    assert found.objective_serving == close(found.resources["cost"].serving)
    assert found.objective_training == close(found.resources["cost"].training)


@pytest.mark.parametrize("name", ["energy", "cost", "carbon", "accelerator_hours", "total_flop"])
def test_a_minimised_resource_is_what_the_objective_subtracts(name: str) -> None:
    found = fleet({"objective": {"minimise": name, "accuracy": 0.5}})
    assert found.minimised == name
    assert not found.worth.any()
    assert (found.objective_serving == found.resources[name].serving).all()
    assert (found.objective_training == found.resources[name].training).all()


# ------------------------------------------------------------------------------- what is unknown


def test_what_nobody_asked_for_and_nobody_knows_is_left_out() -> None:
    chip = {"dense_flop_per_s": {"bf16": 1e15}, "memory_bytes": "100 GB",
            "bandwidth_bytes_per_s": "2 TB/s"}  # fmt: skip
    replica = {"accelerator": chip, "accelerators_per_replica": 1}
    found = fleet({"hardware.inference": replica})
    assert set(found.resources) == {
        "total_flop", "training_flop", "inference_flop", "accelerator_hours",
    }  # fmt: skip
    priced = fleet({"hardware.inference": {**replica, "accelerator": {
        **chip, "price_per_hour": "2 USD/h"}}})  # fmt: skip
    assert set(priced.resources) - set(found.resources) == {"cost"}
    powered = fleet({"hardware.inference": {**replica, "accelerator": {
        **chip, "board_power_watts": 300}}})  # fmt: skip
    assert set(powered.resources) - set(found.resources) == {"energy", "carbon"}
    cold = fleet({"hardware.electricity": None})
    assert "carbon" not in cold.resources
    assert "energy" in cold.resources


def test_resources_of_a_model_that_trains_nowhere_are_left_out() -> None:
    found = fleet({"hardware.training": None})
    assert set(found.resources) == {"total_flop", "training_flop", "inference_flop"}
    assert found.run.seconds_per_flop == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hardware.inference.arithmetic": "fp8"}, "has no dense_flop_per_s.fp8"),
        ({"hardware.inference.accelerator.link_bytes_per_s": None}, "has no link_bytes_per_s"),
        ({"hardware.inference.accelerator.memory_bytes": None}, "has no memory_bytes"),
        ({"hardware.inference.accelerator.bandwidth_bytes_per_s": None}, "has no bandwidth_bytes"),
        (
            {"hardware.training.accelerator.dense_flop_per_s": {"fp8": 1e15}},
            "dense_flop_per_s.bf16",
        ),
        ({"hardware.training.utilisation": None}, "no measured utilisation"),
    ],
)
def test_figures_that_nothing_works_without(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words) as caught:
        read(changes)
    (problem,) = caught.value.problems
    assert problem.path.startswith("hardware.")
    assert problem.location is not None
    assert problem.hint


FLOP_ONLY = {"hardware": None}


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"limits.training_flop": 1e23, "limits.inference_flop": 1e23}, False),
        ({"model.shape": {"width_per_layer": 128}}, False),
        ({"objective": {"minimise": "inference_flop", "accuracy": 0.5}}, False),
        ({"model.shape": {"list": [{"parameters": 1e9, "layers": 20, "width": 2048, "heads": 16}]},
          "model.parameters": None}, True),
        ({"model.candidates": [{"name": "x", "loss": 2.1, "shape": {
            "parameters": 1e9, "layers": 20, "width": 2048, "heads": 16}}]}, True),
    ],
)  # fmt: skip
def test_what_only_hardware_answers(changes: dict[str, Any], needed: bool) -> None:
    assert needs_fleet(read({**FLOP_ONLY, **changes})) is needed


def test_hardware_itself_is_an_answer() -> None:
    assert needs_fleet(read())
    for limit in ("energy", "cost", "carbon", "accelerator_hours", "power", "training_time"):
        found = read({"hardware.training.count": 8}).model_copy(update={"hardware": None})
        limits = found.limits.model_copy(update={limit: 1e6})
        assert needs_fleet(found.model_copy(update={"limits": limits})), limit
