"""Scenarios that a hand has slipped in: a clear refusal or an honest answer, never a traceback."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ds3opt.errors import Ds3optError, Problem
from ds3opt.io.loader import catalogue, validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.optimise.solve import solve
from ds3opt.report.solution_data import solution_data
from ds3opt.schema import Scenario

SMALL = {"gap": 0.02, "resource_gap": 0.1, "max_cells": 40}
# fmt: off
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1e-300, 1e300, -1e24, 0.5, 2, 7.5, "", "1e24", "1 GWh",
    "15 T tokens", "nan", ".inf", [], {}, [1], [2, 1], [0.1, 4], {"min": 3, "max": 1},
    "accuracy", "value", "shared", "continuous", "infinite", {"uniform": [5, 3]},
    {"normal": {"mean": 2.0, "sd": 0.1}}, 1000000, "ß",
]
# fmt: on
NAMES = [
    "share",
    "skills",
    "limits",
    "total_flop",
    "training_flop",
    "loss_law",
    "budgets",
    "x",
    "mix",
]


def _documents() -> list[dict[str, Any]]:
    documents = []
    for name, path in catalogue().items():
        document = yaml.safe_load(path.read_text())
        document.pop("frontier", None)
        if name == "ds3_fig8_per_task":
            document["workload"]["mix"][0]["skills"] = [1, 5, 20]
        documents.append(document)
    return documents


DOCUMENTS = _documents()


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        found += _places(value, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(document)
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        node: Any = document
        for key in parents:
            node = node[key]
        action = draw(st.sampled_from(["replace", "scale", "drop", "add"]))
        if action == "replace":
            node[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif action == "scale" and isinstance(node[last], int | float):
            node[last] = node[last] * draw(st.sampled_from([1e-6, 0.1, 3, 1e6, -1]))
        elif action == "drop":
            del node[last]
        elif isinstance(node, dict):
            node[draw(st.sampled_from(NAMES))] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return document


def _answer(document: dict[str, Any]) -> None:
    document["solver"] = SMALL
    text = yaml.safe_dump(document, allow_unicode=True)
    scenario = None
    refused: tuple[Problem, ...] = ()
    try:
        scenario = validate(load_yaml(text, "mutated.yaml"))
    except Ds3optError as refusal:
        refused = refusal.problems
    if scenario is None:
        assert refused
        assert all(problem.message for problem in refused)
        return
    assert isinstance(scenario, Scenario)
    solution = solve(scenario, details=False)
    # infinities and nan have no place in a machine-readable answer
    json.dumps(solution_data(solution, version="", sha256=""), allow_nan=False)
    if solution.certificate is not None:
        assert solution.certificate.lower <= solution.certificate.upper
    for use in solution.limits:
        if use.kind == "at most":
            assert use.used <= use.limit * (1 + 1e-9)
    if solution.accuracy is not None:
        assert 0.0 <= solution.accuracy <= 1.0
        assert not math.isnan(solution.accuracy)


@given(mutated())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_scenario_is_refused_or_answered(document: dict[str, Any]) -> None:
    _answer(document)


@pytest.mark.slow
@given(mutated())
@settings(max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
def test_two_thousand_mutated_scenarios(document: dict[str, Any]) -> None:
    _answer(document)
