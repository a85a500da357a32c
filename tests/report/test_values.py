"""Cells as people and as machines read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.report.values import Bound, Interval, Measure, Phrase, Value, raw, shown


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (0.534282, "percent", "53.43 %"),
        (0.5, "percent", "50.00 %"),
        (0.1818, "share", "18.2 %"),
        (-0.0643, "points", "-6.43 points"),
        (0.0, "points", "+0.00 points"),
        (0.123, "change", "+12.30 %"),
        (2.7e-5, "small points", "0.0027 points"),
        (118.3e6, "parameters", "118 M parameters"),
        (1.42e12, "tokens", "1.42 T tokens"),
        (5.5e21, "flop", "5.50e21 FLOP"),
        (12003.4, "number", "12003"),
        (7.0, "whole", "7"),
        (True, "text", "yes"),
        (None, "flop", "-"),
        (math.inf, "tokens", "infinite"),
        (math.nan, "tokens", "-"),
        ("chain of thought", "text", "chain of thought"),
    ],
)
def test_reads_as_planners_write_it(value: Value, dimension: str, text: str) -> None:
    assert shown(value, dimension) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(1.3e12, 1.6e12, "tokens"), "1.3 to 1.6 T tokens"),
        (Interval(193e6, 1.41e9, "parameters"), "193 M to 1.41 B parameters"),
        (Interval(500.0, 2000.0, "tokens"), "500 tokens to 2 k tokens"),
        (Interval(4.0, 4.0, "whole"), "4"),
        (Interval(0.534282, 0.534309, "percent", certified=True), "53.42 to 53.44 %"),
        (Interval(0.5, 0.5, "percent", certified=True), "50.00 to 50.00 %"),
        (Interval(0.9, 1.0 + 4e-16, "percent", certified=True), "90.00 to 100.00 %"),
        (Interval(1.2341e24, 1.2349e24, "flop", certified=True), "1.234e24 to 1.235e24 FLOP"),
    ],
)
def test_an_interval_names_its_unit_once(interval: Interval, text: str) -> None:
    assert shown(interval) == text


@given(st.floats(0.0, 1.0), st.integers(1, 9))
def test_a_shown_bound_still_bounds(value: float, precision: int) -> None:
    low, high = (
        float(shown(Bound(value, "percent", above), precision=precision).removesuffix(" %"))
        for above in (False, True)
    )
    assert low <= 100 * value * (1 + 1e-11) + 1e-300
    assert high >= 100 * value * (1 - 1e-11)


def test_a_phrase_rounds_its_values() -> None:
    phrase = Phrase("{} of {}", (Measure(0.1818, "share"), Measure(5.5e21, "flop")))
    assert shown(phrase) == "18.2 % of 5.50e21 FLOP"
    assert shown(phrase, precision=5) == "18.180 % of 5.5000e21 FLOP"


def test_raw_values_keep_every_digit() -> None:
    assert raw(Measure(0.1 + 0.2, "percent")) == 0.1 + 0.2
    assert raw(math.inf) == "infinite"
    assert raw(math.nan) is None
    assert raw(Bound(0.5, "percent", above=True)) == 0.5
