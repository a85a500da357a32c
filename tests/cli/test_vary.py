"""Reading ``--vary``."""

from __future__ import annotations

import pytest

from ds3opt.cli.vary import parse_variation
from ds3opt.errors import UsageError


def test_a_range_is_log_spaced_with_exact_ends() -> None:
    variation = parse_variation("limits.total_flop=1e20:1e24:5")
    assert variation.path == "limits.total_flop"
    assert variation.values == (1e20, 1e21, 1e22, 1e23, 1e24)
    assert variation.log_grid


def test_lin_is_evenly_spaced_and_may_start_at_zero() -> None:
    variation = parse_variation("reasoning.fatigue=lin:0:0.2:3")
    assert variation.values == (0.0, 0.1, 0.2)
    assert not variation.log_grid


def test_a_list_keeps_what_was_written() -> None:
    variation = parse_variation("model.training_tokens.max=1 T, 15T,6e13")
    assert variation.written == ("1 T", "15T", "6e13")
    assert variation.values == (1e12, 15e12, 6e13)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("limits.energy=1 GWh:100 GWh:3", (3.6e12, 3.6e13, 3.6e14)),
        ("limits.cost=$1k,2 MUSD", (1e3, 2e6)),
        ("limits.carbon=1 t,2 kt", (1e3, 2e6)),
        ("limits.training_time=1 day,2 days", (86400.0, 172800.0)),
        ("limits.power=500 kW,1 MW", (5e5, 1e6)),
        ("workload.mix[0].max_latency=5 s,1 min", (5.0, 60.0)),
        ("workload.mix[0].value=0.01 USD,0.02", (0.01, 0.02)),
        ("hardware.electricity.price=36 USD/MWh,72 USD/MWh", (1e-8, 2e-8)),
        ("hardware.electricity.carbon_intensity=360 g/kWh,0", (1e-7, 0.0)),
        ("model.candidates[0].hosted.input_price=0.5 USD/M tokens,1e-6", (5e-7, 1e-6)),
    ],
)
def test_values_have_the_unit_of_their_key(text: str, values: tuple[float, ...]) -> None:
    assert parse_variation(text).values == pytest.approx(values)


def test_whole_keys_get_whole_values_once() -> None:
    assert parse_variation("workload.mix[0].skills=1:4:7").written == ("1", "2", "3", "4")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limits.total_flop", "a key and its values"),
        ("=1:2:3", "a key and its values"),
        ("a=", "a key and its values"),
        ("a=1:2", "not a range"),
        ("a=1:2:x", "not a number of points"),
        ("a=1:2:1", "not a number of points"),
        ("a=1:2:100000", "not a number of points"),
        ("a=0:2:3", "above 0"),
        ("limits.total_flop=1 GWh:2:3", "energy"),
        ("limits.total_flop=many,few", "FLOP"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_place(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_variation(text)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.location is not None
    assert problem.location.source == "--vary"
