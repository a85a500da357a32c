"""Uncertain numbers as written: which distribution they become, and what is refused."""

from __future__ import annotations

from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import ndtr

from ds3opt.cli.schema import scenario_schema
from ds3opt.schema import Scenario
from ds3opt.schema.number_keys import key_type
from ds3opt.schema.quantities import ContradictionError
from ds3opt.schema.uncertain import Uncertain, UncertainNumber, of_table, uncertain_number

DIFFICULTY = ("workload", "mix", 0, "difficulty")
SKILLS = ("workload", "mix", 0, "skills")
FATIGUE = ("workload", "mix", 0, "fatigue")
SLOPE = ("model", "capability", "slope")
TOKENS = ("reasoning", "tokens_per_step")


def made(path: tuple[str | int, ...], **written: Any) -> UncertainNumber | None:
    kind = key_type(Scenario, path)
    assert kind.number is not None
    written = {key.rstrip("_"): value for key, value in written.items()}
    return uncertain_number(Uncertain.model_validate(written), kind.number, path, kind.places)


def number(path: tuple[str | int, ...], **written: Any) -> UncertainNumber:
    found = made(path, **written)
    assert found is not None
    return found


FORMS = [
    (DIFFICULTY, (2.3, 2.6), "normal"),
    (SLOPE, (4.0, 6.0), "lognormal"),
    (FATIGUE, (0.05, 0.2), "logit_normal"),
    (FATIGUE, (0.0, 0.2), "normal"),
    (FATIGUE, (0.5, 1.0), "normal"),
]


@pytest.mark.parametrize(("path", "ends", "form"), FORMS)
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_an_interval_gives_the_form_that_its_key_holds(path, ends, form, level) -> None:
    found = number(path, interval=ends, level=level)
    assert found.form == form
    at = np.array([0.5 * (1 - level), 0.5, 0.5 * (1 + level)])
    low, middle, high = found.quantile(at)
    assert (low, high) == pytest.approx(ends, rel=1e-12, abs=1e-12)
    assert middle == pytest.approx(found.value, rel=1e-12)
    extremes = found.quantile(np.array([1e-12, 1 - 1e-12]))
    assert found.domain.accepts(extremes).all()


def test_the_value_is_the_median_wherever_it_lies() -> None:
    found = number(TOKENS, value="25", interval=["20 tokens", "0.04 k"])
    low, middle, high = found.quantile(np.array([0.025, 0.5, 0.975]))
    assert (low, middle, high) == pytest.approx((20.0, 25.0, 40.0))
    assert found.value == 25.0
    assert found.dimension == "tokens"


MEDIANS = [(DIFFICULTY, 2.45), (SLOPE, 24**0.5), (FATIGUE, None)]


@pytest.mark.parametrize(("path", "median"), MEDIANS)
def test_without_a_value_the_scale_is_the_same_on_both_sides(path, median) -> None:
    ends = {DIFFICULTY: (2.3, 2.6), SLOPE: (4.0, 6.0), FATIGUE: (0.05, 0.2)}[path]
    found = number(path, interval=ends)
    if median is None:
        odds = (0.05 / 0.95 * 0.2 / 0.8) ** 0.5
        median = odds / (1 + odds)
    assert found.value == pytest.approx(median, rel=1e-12)


def moments(found: UncertainNumber) -> tuple[float, float]:
    """Mean and standard deviation by the trapezium rule over z, exponentially exact."""
    z = np.linspace(-12.0, 12.0, 4001)
    weights = np.exp(-0.5 * z**2)
    inside = np.abs(z) < 8.0
    x, weights = found.quantile(ndtr(z[inside])), weights[inside] / weights[inside].sum()
    mean = float(np.sum(weights * x))
    return mean, float(np.sqrt(np.sum(weights * (x - mean) ** 2)))


@pytest.mark.parametrize("path", [DIFFICULTY, SLOPE, TOKENS])
@pytest.mark.parametrize("relative", [0.01, 0.2])
def test_a_standard_error_is_the_standard_deviation(path, relative) -> None:
    found = number(path, value=2.5, standard_error=2.5 * relative)
    # beyond 8 standard deviations nothing is left; ndtr near 1 costs the tail some digits
    assert moments(found)[1] == pytest.approx(2.5 * relative, rel=1e-5)


def test_of_a_share_it_is_so_to_first_order() -> None:
    for error, order in ((0.01, 0.01), (0.001, 0.0001)):
        found = number(FATIGUE, value=0.3, standard_error=error)
        assert moments(found)[1] == pytest.approx(error, rel=order)


def test_uniform_and_triangular_lie_between_their_ends() -> None:
    uniform = number(SLOPE, distribution="uniform", from_=4, to=6)
    assert uniform.value == 5.0
    assert uniform.quantile(np.array([0.0, 0.25, 1.0])).tolist() == [4.0, 4.5, 6.0]
    peaked = number(SLOPE, distribution="triangular", from_=4, to=6, value=4)
    assert peaked.value == 4.0
    assert peaked.quantile(np.array([0.75]))[0] == pytest.approx(5.0)


def test_whole_keys_have_whole_values() -> None:
    found = number(SKILLS, interval=[4, 9])
    assert found.value == 6.0
    assert found.domain.whole
    assert found.domain.rounded(np.array([3.4, 8.6, -0.2])).tolist() == [3.0, 9.0, 0.0]


def test_listed_draws_have_their_median() -> None:
    assert number(SLOPE, draws=[4, 5, 9]).value == 5.0
    assert number(SLOPE, draws=[4, 5, 9], value=6).value == 6.0


CERTAIN: list[dict[str, Any]] = [
    {"value": 5, "interval": [5, 5]},
    {"value": 5, "standard_error": 0},
    {"draws": [5, 5.0]},
    {"distribution": "uniform", "from": 5, "to": 5},
]


@pytest.mark.parametrize("written", CERTAIN)
def test_what_has_no_spread_is_certain(written) -> None:
    assert made(SLOPE, **written) is None


def test_a_normal_number_that_leaves_its_key_is_put_on_the_end() -> None:
    found = number(FATIGUE, value=0.02, standard_error=0.05, distribution="normal")
    assert found.quantile(np.array([0.01, 0.5])).tolist() == [0.0, 0.02]


WRONG = [
    ({"value": 3, "interval": [4, 6]}, "lies outside", ("value",)),
    ({"interval": [6, 4]}, "upside down", ("interval",)),
    ({"interval": [-1, 4]}, "must be above 0", ("interval", 0)),
    ({"interval": [1, "4 s"]}, "is a time", ("interval", 1)),
    ({"interval": [1, float("nan")]}, "NaN", ("interval", 1)),
    ({"interval": [1, True]}, "true is not", ("interval", 1)),
    ({"value": 3, "standard_error": -1}, "at least 0", ("standard_error",)),
    ({"draws": [1]}, "at least 2 draws", ("draws",)),
    ({"draws": [1, 0]}, "must be above 0", ("draws", 1)),
    (
        {"value": 2, "interval": [1, 4], "distribution": "logit_normal"},
        "between 0 and 1",
        ("distribution",),
    ),
]


@pytest.mark.parametrize(("written", "words", "place"), WRONG)
def test_what_contradicts_itself_is_refused_at_its_key(written, words, place) -> None:
    with pytest.raises(ContradictionError, match=words) as caught:
        made(SLOPE, **written)
    assert caught.value.path == place


INCOMPLETE: list[tuple[dict[str, Any], str]] = [
    ({"value": 3, "distribution": "normal"}, "its spread is missing"),
    ({"standard_error": 1}, "needs a value"),
    ({"distribution": "uniform", "from": 1}, "to missing"),
    ({"distribution": "uniform", "interval": [1, 2]}, "give its ends"),
    ({"value": 3, "standard_error": 1, "from": 2}, "goes with distribution"),
    ({"interval": [1, 2], "standard_error": 1}, "not both"),
    ({"draws": [1, 2], "distribution": "normal"}, "by themselves"),
    ({"value": 1, "standard_error": 1, "joint": "a"}, "goes with draws"),
    ({"draws": [1, 2], "level": 0.9}, "goes with an interval"),
    ({"interval": [1, 2, 3]}, "at most 2 items"),
]


@pytest.mark.parametrize(("written", "words"), INCOMPLETE)
def test_a_form_is_whole_and_one(written, words) -> None:
    with pytest.raises(ValidationError, match=words):
        Uncertain.model_validate(written)


def test_a_lognormal_number_is_never_0() -> None:
    with pytest.raises(ContradictionError, match="cannot be 0"):
        made(FATIGUE, value=0, standard_error=0.1, distribution="lognormal")


def test_a_share_has_room_for_its_standard_error() -> None:
    with pytest.raises(ContradictionError, match="too large"):
        made(FATIGUE, value=0.5, standard_error=100)


def test_a_constant_of_a_table_that_was_held_is_certain() -> None:
    kind = key_type(Scenario, SLOPE)
    assert kind.number is not None
    table = "slope scale\n5 1\n6 1.000000001\n"
    rest = (kind.number, SLOPE, kind.places, "x")
    assert [one.draws for one in of_table(table, "slope", *rest)] == [(5.0, 6.0)]
    assert list(of_table(table, "scale", *rest)) == []
    assert list(of_table(table, "offset", *rest)) == []


FIXED = [
    ("solver", "gap"),
    ("frontier", "from"),
    ("frontier", "points"),
    ("reasoning", "policies", 0, "best_of_n", "samples", 0),
    ("workload", "mix", 0, "skills", "uniform", 1),
    ("model", "loss_law", "fitted_range", "loss", 0),
]


@pytest.mark.parametrize("path", FIXED)
def test_settings_and_choices_are_fixed(path) -> None:
    kind = key_type(Scenario, path)
    assert kind.fixed or kind.number is None


PLACES: list[tuple[tuple[str | int, ...], tuple[tuple[str | int, ...], ...]]] = [
    (("model", "parameters"), (("min",), ("max",))),
    (("model", "training_tokens"), (("min",), ("max",))),
    (
        ("hardware", "training", "accelerator", "price_per_hour"),
        (("low",), ("typical",), ("high",)),
    ),
    (("workload", "mix", 3, "difficulty"), (("values", 0),)),
    (("limits", "cost"), ((),)),
]


@pytest.mark.parametrize(("path", "ends"), PLACES)
def test_short_forms_lead_to_the_keys_that_they_stand_for(path, ends) -> None:
    assert key_type(Scenario, path).places == tuple((*path, *end) for end in ends)


def test_items_of_short_lists_lead_to_theirs() -> None:
    assert key_type(Scenario, ("model", "parameters", 1)).places == (
        ("model", "parameters", "max"),
    )
    listed = ("workload", "mix", 0, "difficulty", 2)
    assert key_type(Scenario, listed).places == ((*listed[:-1], "values", 2),)


def test_no_key_and_no_number() -> None:
    assert not key_type(Scenario, ("modle", "capability")).known
    text = key_type(Scenario, ("name",))
    assert text.known
    assert text.number is None


ESTIMATE = {"value": "5 B", "interval": [1, "2 k"], "level": 0.8}
EDITED: list[tuple[str, Any, bool]] = [
    ("workload.tasks", ESTIMATE, True),
    ("workload.mix.0.difficulty", {"draws": "runs.csv#difficulty"}, True),
    ("workload.mix.0.skills", {"draws": [1, 2], "joint": "a"}, True),
    ("workload.mix.0.value", ESTIMATE, True),
    ("workload.mix.0.directionality", ESTIMATE, True),
    ("workload.mix.0.wrong_answers", {"count": ESTIMATE}, True),
    ("model.parameters", ESTIMATE, True),
    ("model.parameters", [1, ESTIMATE], True),
    ("model.capability", {"slope": {"distribution": "uniform", "from": 1, "to": 2}}, True),
    ("limits.total_flop", ESTIMATE, True),
    ("workload.tasks", {"value": 5}, False),
    ("workload.tasks", {"value": 5, "intervall": [1, 2]}, False),
    ("solver.gap", ESTIMATE, False),
    ("frontier", {"from": ESTIMATE, "to": 5}, False),
    ("name", ESTIMATE, False),
]


@pytest.mark.parametrize(("path", "written", "right"), EDITED)
def test_editors_know_of_them(path, written, right) -> None:
    scenario: dict[str, Any] = {
        "workload": {"tasks": 1, "mix": [{"name": "a", "share": 1, "difficulty": 2, "skills": 3}]},
        "model": {},
        "limits": {"total_flop": 1e20},
        "solver": {},
    }
    *above, last = path.split(".")
    part: Any = scenario
    for step in above:
        part = part[int(step)] if step.isdecimal() else part[step]
    part[last] = written
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(scenario) is right


SCHEMA = scenario_schema()
