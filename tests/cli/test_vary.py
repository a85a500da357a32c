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
