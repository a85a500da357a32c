"""Quantities: what is read, what is refused with which words, and what is shown."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.units import UnitError, format_number, format_quantity, parse_quantity

DIMENSIONS = (
    *("flop", "flop_rate", "tokens", "parameters", "tasks", "count", "time", "bytes"),
    *("bandwidth", "energy", "power", "money", "carbon", "loss", "ratio", "dimensionless"),
    *("price_per_hour", "price_per_energy", "price_per_token", "carbon_intensity"),
)


@pytest.mark.parametrize(
    ("value", "dimension", "expected"),
    [
        (5, "flop", 5.0),
        ("5.5e21", "flop", 5.5e21),
        ("5.5e21 FLOP", "flop", 5.5e21),
        ("5.5 ZFLOP", "flop", 5.5e21),
        ("2 QFLOP", "flop", 2e30),
        ("10 PFLOP/s-day", "flop", 10e15 * 86400),
        ("10 PFLOP/s-days", "flop", 10e15 * 86400),
        ("15 T tokens", "tokens", 15e12),
        ("15T", "tokens", 15e12),
        ("15 trillion tokens", "tokens", 15e12),
        ("7B", "parameters", 7e9),
        ("7G", "parameters", 7e9),
        ("118 M parameters", "parameters", 118e6),
        ("3K", "tasks", 3e3),
        ("1_000", "count", 1000.0),
        ("365 days", "time", 365 * 86400.0),
        ("1 year", "time", 365 * 86400.0),
        ("2 s", "time", 2.0),
        ("150 µs", "time", 150e-6),
        ("989 TFLOP/s", "flop_rate", 989e12),
        ("989 TFLOPS", "flop_rate", 989e12),
        ("80 GB", "bytes", 80e9),
        ("80 GiB", "bytes", 80 * 2.0**30),
        ("3.35 TB/s", "bandwidth", 3.35e12),
        ("400 Gbit/s", "bandwidth", 50e9),
        ("1.2 GWh", "energy", 1.2e9 * 3600),
        ("700 W", "power", 700.0),
        ("4 MUSD", "money", 4e6),
        ("$4M", "money", 4e6),
        ("$ 2.5", "money", 2.5),
        ("300 t CO2e", "carbon", 3e5),
        (989e12, "flop_rate", 989e12),
        (0, "bandwidth", 0.0),
        ("3 B/s", "bandwidth", 3.0),
        (2.95, "price_per_hour", 2.95),
        ("2.95 USD/h", "price_per_hour", 2.95),
        ("$2.95/h", "price_per_hour", 2.95),
        ("2.95 $/GPU-hour", "price_per_hour", 2.95),
        ("24 USD/day", "price_per_hour", 1.0),
        ("8760 USD/year", "price_per_hour", 1.0),
        ("0.12 USD/kWh", "price_per_energy", 0.12 / 3.6e6),
        ("80 USD/MWh", "price_per_energy", 80 / 3.6e9),
        ("$0.12/kWh", "price_per_energy", 0.12 / 3.6e6),
        ("12 cents/kWh", "price_per_energy", 0.12 / 3.6e6),
        (3e-8, "price_per_energy", 3e-8),
        (0, "price_per_energy", 0.0),
        ("400 g/kWh", "carbon_intensity", 0.4 / 3.6e6),
        ("400 gCO2e/kWh", "carbon_intensity", 0.4 / 3.6e6),
        ("0.4 t CO2e/MWh", "carbon_intensity", 0.4 / 3.6e6),
        ("0.50 USD/Mtok", "price_per_token", 0.5e-6),
        ("0.50 USD/M tokens", "price_per_token", 0.5e-6),
        ("$0.50/1M tokens", "price_per_token", 0.5e-6),
        ("2e-6 USD/token", "price_per_token", 2e-6),
        ("1 bit/token", "loss", math.log(2)),
        ("40%", "ratio", 0.4),
        (" .5 ", "ratio", 0.5),
        ("-1e-3", "dimensionless", -1e-3),
    ],
)
def test_reads(value: object, dimension: str, expected: float) -> None:
    assert parse_quantity(value, dimension) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "dimension", "words"),
    [
        ("1.2 GWh", "flop", "1.2 GWh is an energy, a FLOP count is expected"),
        ("5 FLOPS", "flop", "is a FLOP rate, a FLOP count is expected"),
        ("5 gwh", "energy", 'did you mean "GWh"?'),
        ("5 MWatt", "power", 'did you mean "Mwatt"?'),
        ("5 kW", "energy", "5 kW is a power, an energy is expected"),
        ("5 kWh", "power", "5 kWh is an energy, a power is expected"),
        ("0.12 USD/kW", "price_per_energy", 'did you mean "USD/kWh"?'),
        ("0.12 USD/h", "price_per_energy", "is a price per hour, a price of energy is expected"),
        ("0.12 USD/kWh", "price_per_hour", "is a price of energy, a price per hour is expected"),
        ("3 USD", "price_per_hour", "is an amount of money, a price per hour is expected"),
        ("0.12", "price_per_energy", "0.12 has no unit, and a price of energy needs one"),
        (400, "carbon_intensity", "400 has no unit, and a carbon intensity of energy needs one"),
        (0.5, "price_per_token", "write for example 0.50 USD/M tokens"),
        ("400 g", "carbon_intensity", "is a mass of CO2e"),
        (989, "flop_rate", "989 has no unit, and a FLOP rate needs one; write for example 989e12"),
        ("3.35", "bandwidth", "3.35 has no unit, and a bandwidth needs one"),
        ("7 bananas", "time", 'unknown unit "bananas" in "7 bananas", a time is expected'),
        ("3 months", "time", "no fixed length"),
        ("80 G", "bytes", 'did you mean "GB"?'),
        ("1,000", "tasks", "without commas"),
        ("41%", "dimensionless", "41% is a percentage, a plain number is expected"),
        ("many", "tasks", '"many" is not a number of tasks; write for example 1e9 or 2 M tasks'),
        ("", "time", "is not a time"),
        ("1.2.3", "time", "is not a time"),
        (True, "flop", "true is not a FLOP count"),
        (None, "flop", "an empty value is not a FLOP count"),
        ([1], "time", "a list is not a time"),
        ({}, "time", "a mapping is not a time"),
        (math.nan, "flop", "not NaN"),
        (".nan", "flop", "not NaN"),
        (math.inf, "flop", "must be finite"),
        ("-inf", "flop", "must be finite"),
        ("1e999", "flop", "too large"),
        ("1e308 QFLOP", "flop", "too large"),
        (10**400, "flop", "too large"),
    ],
)
def test_refuses(value: object, dimension: str, words: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(value, dimension)
    assert words in str(caught.value)


def test_infinity_on_demand() -> None:
    assert parse_quantity(".inf", "flop", allow_infinite=True) == math.inf
    assert parse_quantity(math.inf, "flop", allow_infinite=True) == math.inf


@pytest.mark.parametrize(
    ("value", "dimension", "shown"),
    [
        (118e6, "parameters", "118 M parameters"),
        (1.42e12, "tokens", "1.42 T tokens"),
        (999.9e6, "parameters", "1 B parameters"),
        (999.4e6, "parameters", "999 M parameters"),
        (1, "tokens", "1 token"),
        (0, "tokens", "0 tokens"),
        (1e30, "tokens", "1.00e30 tokens"),
        (5.5e21, "flop", "5.50e21 FLOP"),
        (9.999e21, "flop", "1.00e22 FLOP"),
        (0, "flop", "0 FLOP"),
        (2.3 * 86400, "time", "2.3 days"),
        (86399.0, "time", "1 day"),
        (59.97, "time", "1 min"),
        (365 * 86400, "time", "365 days"),
        (3 * 365 * 86400, "time", "3 years"),
        (1e-15, "time", "1.00e-15 s"),
        (4e6, "money", "4 MUSD"),
        (-4e6, "money", "-4 MUSD"),
        (1.2e9 * 3600, "energy", "1.2 GWh"),
        (80e9, "bytes", "80 GB"),
        (3e5, "carbon", "300 t CO2e"),
        (2.95, "price_per_hour", "2.95 USD/h"),
        (29500, "price_per_hour", "29.5 kUSD/h"),
        (0.12 / 3.6e6, "price_per_energy", "0.12 USD/kWh"),
        (0.4 / 3.6e6, "carbon_intensity", "400 g CO2e/kWh"),
        (1.2 / 3.6e6, "carbon_intensity", "1.2 kg CO2e/kWh"),
        (0.5e-6, "price_per_token", "0.5 USD/M tokens"),
        (2.5e-3, "price_per_token", "2.5 USD/k tokens"),
        (1.99, "loss", "1.99 nats/token"),
        (0.7, "ratio", "0.7"),
        (None, "time", "-"),
        (math.nan, "time", "-"),
        (math.inf, "time", "inf"),
    ],
)
def test_shows(value: float | None, dimension: str, shown: str) -> None:
    assert format_quantity(value, dimension) == shown


def test_shows_numbers() -> None:
    numbers = (0, None, 1e-9, 0.1 + 0.2, 999999.7, 123456, -2.5e9)
    shown = ["0", "-", "1.00e-9", "0.3", "1.00e6", "123456", "-2.50e9"]
    assert [format_number(number) for number in numbers] == shown


@settings(deadline=None)
@given(st.floats(-1e40, 1e40), st.sampled_from(DIMENSIONS), st.integers(2, 6))
def test_what_is_shown_reads_back(value: float, dimension: str, precision: int) -> None:
    text = format_quantity(value, dimension, precision)
    assert parse_quantity(text, dimension) == pytest.approx(
        value, rel=0.51 * 10.0 ** (1 - precision), abs=1e-300
    )


@settings(deadline=None)
@given(st.integers(0, 40), st.sampled_from(DIMENSIONS), st.sampled_from((1, -1)))
def test_no_thousands_of_a_smaller_unit(exponent: int, dimension: str, side: int) -> None:
    text = format_quantity(10.0**exponent * (1 + side * 1e-9), dimension)
    if dimension not in {"time", "energy", "ratio", "dimensionless", "loss"}:
        assert not text.startswith("1000")


@settings(deadline=None)
@given(st.one_of(st.text(), st.floats(), st.integers(), st.none()), st.sampled_from(DIMENSIONS))
def test_any_value_is_read_or_refused_in_words(value: object, dimension: str) -> None:
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse_quantity(value, dimension))
