"""Validation errors as located problems in plain words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    ValidationError,
    model_validator,
)

from ds3opt.errors import Problem
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.overrides import apply_overrides
from ds3opt.io.yaml_source import load_yaml
from ds3opt.units import parse_quantity

Time = Annotated[float, BeforeValidator(lambda value: parse_quantity(value, "time"))]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bell(Section):
    mean: StrictFloat
    sd: StrictFloat = Field(gt=0)


class Normal(Section):
    normal: Bell


class Uniform(Section):
    uniform: tuple[StrictFloat, StrictFloat]


class Outcome(Section):
    kind: Literal["outcome"]
    rate: StrictFloat = Field(ge=0, le=1)


class Process(Section):
    kind: Literal["process"]


class SharesError(ValueError):
    path = ("mix",)
    hint = "make them sum to 1"


def _checked_bell(value: object) -> object:
    return Bell.model_validate(value)


class Task(Section):
    name: str = Field(min_length=2)
    share: StrictFloat = Field(gt=0, le=1)
    difficulty: StrictFloat | Normal | Uniform = 2.0
    latency: Time | None = None
    cap: Literal["auto"] | Time = "auto"
    verifier: Annotated[Outcome | Process, Field(discriminator="kind")] | None = None
    steps: Literal["floor", "continuous"] = "floor"
    skills: Annotated[tuple[StrictInt, ...], BeforeValidator(lambda v: v)] = (1,)
    bell: Annotated[Bell | None, BeforeValidator(_checked_bell)] = None
    flag: Annotated[bool, Field(strict=True)] = False


class Workload(Section):
    mix: tuple[Task, ...] = Field(min_length=1)
    labels: dict[str, int] = {}

    @model_validator(mode="after")
    def _sum(self) -> Workload:
        if abs(sum(task.share for task in self.mix) - 1) > 1e-9:
            raise SharesError("the shares do not sum to 1")
        return self


class Top(Section):
    workload: Workload
    from_: float = Field(0, alias="from")


TEXT = """\
workload:
  mix:
    - name: first
      share: 1.0
"""


def found(text: str, *overrides: str) -> list[Problem]:
    source = apply_overrides(load_yaml(text, "s.yaml"), overrides)
    try:
        Top.model_validate(source.data)
    except ValidationError as error:
        return problems_from_validation(error, source, lambda path: field_names_at(Top, path))
    return []


def test_nothing_wrong() -> None:
    assert found(TEXT) == []


@pytest.mark.parametrize(
    ("assignment", "message", "hint"),
    [
        ("share=true", "a number is expected, not true", ""),
        ("share=3", "must be at most 1, not 3", ""),
        ("share=-.inf", "must be above 0, not -.inf", ""),
        ("name=2024", "text is expected, not 2024", 'put it in quotes: "2024"'),
        ("name=x", 'needs at least 2 characters, not "x"', ""),
        ("flag=yes", 'true or false is expected, not "yes"', ""),
        ("steps=foor", '"foor" is none of floor, continuous', 'did you mean "floor"?'),
        ("skills=3", "a list is expected, not 3", ""),
        ("skills[0]=1.5", "a whole number is expected, not 1.5", ""),
        ("verifier=outcome", 'a mapping is expected, not "outcome"', ""),
        ("verifier={rate: 1}", 'the key "kind" is required, but missing', ""),
        (
            "verifier={kind: outcom}",
            '"outcom" is none of outcome, process',
            'did you mean "outcome"?',
        ),
        (
            "latency=2 GWh",
            "2 GWh is an energy, a time is expected",
            "write for example 2 s or 365 days",
        ),
        ("difficulty=hard", 'a number or a mapping is expected, not "hard"', ""),
        ("difficulty=[1]", "a number or a mapping is expected, not the list [1]", ""),
        ("cap=autp", 'must be "auto", not "autp"', 'did you mean "auto"?'),
        (
            "cap=7 bananas",
            'unknown unit "bananas" in "7 bananas", a time is expected',
            'write for example 2 s or 365 days, or "auto"',
        ),
        ("cap={a: 1}", '"auto" or a time is expected, not a mapping with a', ""),
        ("shre=1", 'unknown key "shre"', 'did you mean "share"?'),
        ("verifer={kind: process}", 'unknown key "verifer"', 'did you mean "verifier"?'),
        ("zzz=1", 'unknown key "zzz"', None),
    ],
)
def test_words(assignment: str, message: str, hint: str | None) -> None:
    text = TEXT.replace("1.0", "1.0\n      skills: [1]")
    (problem,) = found(text, f"workload.mix[0].{assignment}")
    assert problem.message == message
    assert problem.location is not None
    assert problem.location.source == "--set #1"
    if hint is None:
        assert problem.hint.startswith("also accepted here: difficulty, latency")
    else:
        assert problem.hint == hint


@pytest.mark.parametrize(
    ("assignment", "paths"),
    [
        ("difficulty={normal: {mean: 2}}", ["difficulty.normal.sd"]),
        (
            "difficulty={normal: {mean: 2, sd: 0, p: 3}}",
            ["difficulty.normal.sd", "difficulty.normal.p"],
        ),
        ("difficulty={unifrm: [1, 2]}", ["difficulty.unifrm"]),
        ("difficulty={uniform: [1, x]}", ["difficulty.uniform[1]"]),
        ("verifier={kind: outcome, rate: 2}", ["verifier.rate"]),
        ("verifier={kind: outcome}", ["verifier.rate"]),
        ("bell={mean: x, sd: 0}", ["bell.mean", "bell.sd"]),
    ],
)
def test_the_meant_branch_alone_is_reported(assignment: str, paths: list[str]) -> None:
    problems = found(TEXT, f"workload.mix[0].{assignment}")
    assert [p.path for p in problems] == [f"workload.mix[0].{path}" for path in paths]


def test_places() -> None:
    text = """\
workload:
  mix:
    - name: first
      shre: 1.0
    - share: 0.5
  labels: {a: x}
from: 1
extra: 2
"""
    places = [(str(p.location), p.path) for p in found(text)]
    assert places == [
        ("s.yaml:4:7", "workload.mix[0].shre"),
        ("s.yaml:5:7", "workload.mix[1].name"),
        ("s.yaml:6:15", "workload.labels.a"),
        ("s.yaml:8:1", "extra"),
    ]
    (top,) = found("from: 1")
    assert (str(top.location), top.path) == ("s.yaml:1:1", "workload")


def test_merged_values_are_placed_where_they_are_written() -> None:
    text = "workload:\n  mix:\n    - &a {name: first, share: x}\n    - {<<: *a, name: second}\n"
    problems = found(text)
    assert {str(p.location) for p in problems} == {"s.yaml:3:31"}
    assert [p.path for p in problems] == ["workload.mix[0].share", "workload.mix[1].share"]


def test_validators_may_point_and_hint() -> None:
    (problem,) = found(TEXT.replace("1.0", "0.5"))
    assert problem.message == "the shares do not sum to 1"
    assert (problem.path, problem.hint) == ("workload.mix", "make them sum to 1")
    assert str(problem.location) == "s.yaml:2:3"


def test_short_lists() -> None:
    (problem,) = found("workload: {mix: []}")
    assert problem.message == "needs at least 1 item, not the list []"


def test_field_names() -> None:
    assert field_names_at(Top, ()) == ["workload", "from"]
    assert field_names_at(Top, ("workload", "mix", 0, "verifier")) == ["kind", "rate"]
    assert field_names_at(Top, ("workload", "mix", 0, "difficulty")) == ["normal", "uniform"]
    assert field_names_at(Top, ("workload", "mix", 3, "difficulty", "normal")) == ["mean", "sd"]
    assert field_names_at(Top, ("workload", "labels", "x")) == []
    assert field_names_at(Top, ("nowhere", 1)) == []


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["auto", "2 s", "x"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["normal", "uniform", "kind", "mean", "name", "share", "cap", "bell"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(list(Task.model_fields)), VALUES)
def test_any_value_gives_located_problems(name: str, value: object) -> None:
    source = load_yaml(f"workload: {{mix: [{{name: first, share: 1.0, {name}2: 1}}]}}", "s.yaml")
    data = source.data
    data["workload"]["mix"][0][name] = value
    with pytest.raises(ValidationError) as caught:
        Top.model_validate(data)
    problems = problems_from_validation(caught.value, source)
    assert problems
    assert all(p.location and p.message and "Input" not in p.message for p in problems)
