"""Descriptions of accelerators: what a sheet must say, and what a scenario may."""

from __future__ import annotations

import copy
import datetime
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from ds3opt.errors import ScenarioError
from ds3opt.io.hardware_figures import DIMENSIONS
from ds3opt.schema.accelerator import Accelerator, AcceleratorSheet


def figure(value: object, **more: object) -> dict[str, Any]:
    return {"value": value, "source": "datasheet", "as_of": "2026-05-01", **more}


SHEET: dict[str, Any] = {
    "name": "Chip One",
    "vendor": "Maker",
    "dense_flop_per_s": {"bf16": figure("989 TFLOP/s"), "fp8": figure("1979 TFLOP/s")},
    "memory_bytes": figure("80 GiB"),
    "bandwidth_bytes_per_s": figure("3.35 TB/s"),
    "price_per_hour": {"low": figure("1.99 USD/h"), "typical": figure("$2.95/h")},
    "embodied_carbon_kg": figure("0.164 t CO2e"),
    "accelerators_per_server": figure(8),
}
UNSET = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """The sheet with one value at a dotted path; UNSET takes it away."""
    sheet = copy.deepcopy(SHEET)
    *parents, last = path.split(".")
    at = sheet
    for key in parents:
        at = at[key]
    if value is UNSET:
        del at[last]
    else:
        at[last] = value
    return sheet


def test_a_sheet_becomes_plain_numbers_in_base_units() -> None:
    plain = AcceleratorSheet.model_validate(SHEET).plain("chip-1", "hardware/chip-1.yaml")
    assert plain == {
        "name": "chip-1",
        "vendor": "Maker",
        "dense_flop_per_s": {"bf16": 989e12, "fp8": 1979e12},
        "memory_bytes": 80 * 2.0**30,
        "bandwidth_bytes_per_s": 3.35e12,
        "price_per_hour": {"low": 1.99, "typical": 2.95},
        "embodied_carbon_kg": 164.0,
        "accelerators_per_server": 8,
        "calibration": "default",
        "file": "hardware/chip-1.yaml",
    }
    chip = Accelerator.model_validate(plain)
    assert chip.get("dense_flop_per_s.fp8") == 1979e12
    assert chip.get("price_per_hour") == chip.get("price_per_hour.typical") == 2.95
    assert chip.get("board_power_watts") is None
    assert chip.get("dense_flop_per_s.fp4") is None


def test_figures_are_every_field_with_a_source() -> None:
    everything = copy.deepcopy(SHEET)
    for field in DIMENSIONS:
        name, _, part = field.partition(".")
        example = {
            "flop_rate": "1 TFLOP/s", "bytes": "1 GB", "bandwidth": "1 GB/s", "power": "1 W",
            "price_per_hour": "1 USD/h", "money": "1 USD", "carbon": "1 kg", "count": 1,
        }[DIMENSIONS[field]]  # fmt: skip
        if part:
            everything.setdefault(name, {})[part] = figure(example)
        else:
            everything[name] = figure(example)
    found = AcceleratorSheet.model_validate(everything).figures()
    assert set(found) == set(DIMENSIONS)
    assert all(one.as_of == datetime.date(2026, 5, 1) for one in found.values())


REFUSALS = [
    ("memory_bytes.source", UNSET, "Field required"),
    ("memory_bytes.as_of", UNSET, "Field required"),
    ("memory_bytes.source", "", "at least 1 character"),
    ("memory_bytes.as_of", "May 2026", "is not a date such as 2026-05-01"),
    ("memory_bytes.as_of", "2026-13-01", "is not a date such as 2026-05-01"),
    ("memory_bytes.as_of", 20260501, "a date is written 2026-05-01"),
    ("memory_bytes.value", "80 TFLOP/s", "is a FLOP rate, a number of bytes is expected"),
    ("memory_bytes.value", 80, "greater than or equal to 1000000"),
    ("memory_bytes.verified", "yes", "valid boolean"),
    ("memory_bytes.page", 3, "Extra inputs are not permitted"),
    ("memory_bytes", "80 GB", "valid dictionary"),
    ("memory_bytes", UNSET, "Field required"),
    ("dense_flop_per_s.bf16.value", 989, "989 has no unit, and a FLOP rate needs one"),
    ("dense_flop_per_s.bf16.value", "989 FLOP/s", "greater than or equal to 1000000000"),
    ("dense_flop_per_s.bf16.value", "989 TB/s", "is a bandwidth, a FLOP rate is expected"),
    ("dense_flop_per_s.fp16", figure("1 TFLOP/s"), "Extra inputs are not permitted"),
    ("price_per_hour.low.value", "2 USD", "is an amount of money, a price per hour is expected"),
    ("price_per_hour.low.value", "-1 USD/h", "greater than or equal to 0"),
    ("accelerators_per_server.value", 0, "greater than or equal to 1"),
    ("sparse_flop_per_s", {}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("path", "value", "words"), REFUSALS)
def test_a_sheet_is_refused(path: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AcceleratorSheet.model_validate(changed(path, value))
    assert words in str(caught.value)


def test_unknown_stays_unknown() -> None:
    bare = changed("price_per_hour", None)
    del bare["embodied_carbon_kg"]
    plain = AcceleratorSheet.model_validate(bare).plain("x", "")
    assert "price_per_hour" not in plain
    assert Accelerator.model_validate(plain).get("embodied_carbon_kg") is None


def test_one_price_stands_for_all() -> None:
    chip = Accelerator.model_validate({"price_per_hour": "2.10 USD/h"})
    assert [chip.get(f"price_per_hour.{part}") for part in ("low", "typical", "high")] == [2.1] * 3


def test_figures_copied_with_their_sources_lose_them() -> None:
    given = {key: value for key, value in SHEET.items() if key not in {"name", "vendor"}}
    bare = Accelerator.model_validate(given)
    assert bare.memory_bytes == 80 * 2.0**30
    assert bare.get("price_per_hour.low") == 1.99
    with pytest.raises(ValidationError, match="a mapping is not a number of bytes"):
        Accelerator.model_validate({"memory_bytes": {"value": "80 GB", "page": 3}})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"price_per_hour": {"low": 3, "typical": 2}}, "low, 3 USD/h, is above typical, 2 USD/h"),
        ({"price_per_hour": {"low": 3, "high": 2}}, "low, 3 USD/h, is above high, 2 USD/h"),
        ({"price_per_hour": "2 USD/kWh"}, "is a price of energy, a price per hour is expected"),
        ({"memory": "80 GB"}, "Extra inputs are not permitted"),
        ({"dense_flop_per_s": {"bf16": "989"}}, "989 has no unit, and a FLOP rate needs one"),
        ({"dense_flop_per_s": "989 TFLOP/s"}, "valid dictionary"),
    ],
)
def test_a_description_in_a_scenario_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Accelerator.model_validate(given)
    assert words in str(caught.value)


def test_what_is_required_and_unknown_says_where_to_give_it() -> None:
    chip = Accelerator.model_validate(
        {"name": "one", "file": "hardware/one.yaml", "dense_flop_per_s": {"bf16": "1 TFLOP/s"}}
    )
    assert chip.require("dense_flop_per_s.bf16") == 1e12
    with pytest.raises(ScenarioError) as caught:
        chip.require("price_per_hour", "hardware.inference.accelerator")
    (problem,) = caught.value.problems
    assert problem.message == "one has no price_per_hour"
    assert problem.path == "hardware.inference.accelerator"
    assert "hardware.inference.accelerator.price_per_hour" in problem.hint
    assert "hardware/one.yaml" in problem.hint
    with pytest.raises(ScenarioError) as caught:
        chip.require("dense_flop_per_s.fp8")
    assert "known are bf16" in caught.value.problems[0].hint


def test_descriptions_do_not_change() -> None:
    chip = Accelerator.model_validate({"name": "one"})
    with pytest.raises(ValidationError, match="frozen"):
        chip.memory_bytes = 1e9


@pytest.mark.parametrize("model", [Accelerator, AcceleratorSheet])
def test_the_json_schema_accepts_what_the_model_accepts(model: Any) -> None:
    schema = model.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    if model is AcceleratorSheet:
        jsonschema.validate(SHEET, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed("memory_bytes.source", UNSET), schema)
