"""Cells as people and as machines read them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.report.values import Certified, Interval, Measure, Noisy, Phrase, Value, raw, shown


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
        (12018.0, "count, fixed", "12.0 k"),
        (368883.0, "count, fixed", "369 k"),
        (1.97e6, "count, fixed", "1.97 M"),
        (0.036, "count, fixed", "0.0360"),
        (828.3, "count, fixed", "828"),
        (8e9, "tokens, fixed", "8.00 B tokens"),
        (226e6, "parameters, fixed, short", "226 M"),
        (5.5e21, "flop, short", "5.50e21"),
        (2.22, "loss", "2.2200 nats/token"),
        (0.00204, "signed loss", "+0.0020 nats/token"),
        (1.2e-6, "signed loss", "+1.2e-6 nats/token"),
        (-2.1e-6, "points", "-0.00021 points"),
        (0.000123, "percent", "0.0123 %"),
        (0.999987, "percent", "99.9987 %"),
        (1 - 1.2e-9, "percent", "99.99999988 %"),
        (1 - 4e-12, "percent", ">99.99999999 %"),
        (1.0, "percent", "100.00 %"),
        (0.0, "percent", "0.00 %"),
        (6.2e-12, "percent", "6.20e-10 %"),
        (0.0002, "share", "<0.1 %"),
        (0.9998, "share", ">99.9 %"),
        (0.996, "part", ">99 %"),
        (0.004, "part", "<1 %"),
        (0.984, "part", "98.4 %"),
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
        (Interval(500.0, 2000.0, "tokens"), "0.5 to 2 k tokens"),
        (Interval(75.0, 63600.0, "tokens"), "0.075 to 63.6 k tokens"),
        (Interval(0.5, 2e6, "tokens"), "0.5 tokens to 2 M tokens"),
        (Interval(4.0, 4.0, "whole"), "4"),
        (Interval(10231.0, 14064.0, "count, fixed"), "10.2 to 14.1 k"),
    ],
)
def test_an_interval_names_its_unit_once(interval: Interval, text: str) -> None:
    assert shown(interval) == text


@pytest.mark.parametrize(
    ("certified", "text"),
    [
        (
            Certified(0.989551, 0.989643, "percent"),
            "certified 98.9551 to 98.9643 %, gap 0.0092 points",
        ),
        (
            Certified(6.2293e20, 6.2306e20, "flop", relative=True),
            "certified 6.2293e20 to 6.2306e20 FLOP, gap 0.021 %",
        ),
        (
            Certified(6.337e23 * (1 - 4e-8), 6.337e23, "flop", relative=True),
            "certified to 4.0e-6 %",
        ),
        (Certified(2.2221, 2.2221 + 1.44e-9, "loss"), "certified to 1.4e-9 nats/token"),
        (
            Certified(2.22211, 2.22345, "loss"),
            "certified 2.2221 to 2.2235 nats/token, gap 0.0014 nats/token",
        ),
        (Certified(0.5, 0.5, "percent"), "certified to the last digit"),
        (Certified(0.0, 0.0, "percent"), "certified to the last digit"),
        (Certified(0.0, 3e-6, "percent"), "certified 0.000000 to 0.000300 %, gap 0.000300 points"),
    ],
)
def test_certified_digits_are_those_of_the_gap(certified: Certified, text: str) -> None:
    assert shown(certified) == text


@given(st.floats(0.0, 1.0), st.floats(1e-9, 0.5), st.integers(1, 9))
def test_shown_bounds_still_bound_and_add_up(low: float, width: float, precision: int) -> None:
    high = min(low + width, 1.0)
    least, most, gap = (
        Decimal(shown(Certified(low, high, "percent", part), precision=precision).split(" ")[0])
        for part in ("low", "high", "gap")
    )
    if high - low > 2e-6 * high:
        assert least + gap == most
        assert float(least) <= 100 * low * (1 + 1e-12)
        assert float(most) >= 100 * high * (1 - 1e-12)


@given(st.floats(1e-3, 0.9), st.floats(1e-5, 9e-5))
def test_a_gap_within_the_request_is_not_shown_beyond_it(low: float, width: float) -> None:
    shown_gap = shown(Certified(low, low + width, "percent", "gap", asked=1e-4))
    assert float(shown_gap) <= 0.01


@given(st.floats(0.0, 1.0), st.integers(1, 9))
def test_a_percentage_is_never_all_or_nothing_by_rounding(value: float, precision: int) -> None:
    text = shown(value, "percent", precision).removesuffix(" %")
    if 1e-10 < value < 1 - 1e-10:
        assert text.startswith(">") or 0 < float(text) < 100


@given(st.floats(1e-9, 1 - 1e-9), st.integers(1, 9))
def test_parts_are_never_all_or_nothing(value: float, precision: int) -> None:
    for dimension in ("part", "share"):
        text = shown(value, dimension, precision).removesuffix(" %")
        assert text[0] in "<>" or 0 < float(text) < 100


def test_a_phrase_rounds_its_values() -> None:
    phrase = Phrase("{} of {}", (Measure(0.1818, "share"), Measure(5.5e21, "flop")))
    assert shown(phrase) == "18.2 % of 5.50e21 FLOP"
    assert shown(phrase, precision=5) == "18.180 % of 5.5000e21 FLOP"


def test_raw_values_keep_every_digit() -> None:
    assert raw(Measure(0.1 + 0.2, "percent")) == 0.1 + 0.2
    assert raw(math.inf) == "infinite"
    assert raw(math.nan) is None
    parts = [raw(Certified(0.5, 0.75, "percent", part)) for part in ("low", "high", "gap", "all")]
    assert parts == [0.5, 0.75, 0.25, "0.5 to 0.75"]
    assert raw(Certified(1.0, 2.0, "flop", "gap", relative=True)) == 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Noisy(-1.5801, 0.12), "-1.6"),
        (Noisy(0.2203, 0.0006), "+0.220"),
        (Noisy(0.2203, 0.0), "+0.220"),
        (Noisy(0.03, 0.04), "0 within 0.07"),
        (Noisy(0.0, 0.0), "0"),
        (Noisy(None, 0.0), "-"),
        (Noisy(1234.0, 60.0), "+1230"),
        (Noisy(1284.0, 300.0), "+1300"),
        (Noisy(62.4, 8.0, " %", signed=False), "62 %"),
        (Noisy(3.0, 8.0, " %", signed=False), "0 within 11 %"),
        (Noisy(math.nan, 0.1), "-"),
    ],
)
def test_no_more_digits_than_the_error_allows(value: Noisy, text: str) -> None:
    assert shown(value) == text


def test_an_estimate_is_whole_for_machines() -> None:
    assert raw(Noisy(0.12345678, 0.1)) == 0.12345678
