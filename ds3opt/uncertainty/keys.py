"""The numbers of a scenario: which there are, where they stand and what they are called."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.schema.model import LossCoefficients
from ds3opt.schema.number_keys import ALONE, Domain, KeyPath, is_fixed, key_type
from ds3opt.schema.quantities import Section
from ds3opt.schema.scenario import Scenario

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Constant:
    """One number of a scenario."""

    path: str
    """As `--set` takes it."""
    label: str
    """For people: ``bug fix: difficulty``."""
    dimension: str
    """One of `units`."""
    value: float
    """The point value, in base units."""
    source: str
    """Where it, or its spread, is from."""
    group: str
    """Constants of one group are drawn together."""
    places: tuple[KeyPath, ...]
    """Where it stands in the scenario."""
    domain: Domain
    """Values that it may take."""


_PLAIN = re.compile(r'[^.\[\]="]+')
_STRUCTURE = ("calibration", "shape", "success_counts", "observed")
"""Parts whose numbers are what they are: descriptions of devices, shapes and data."""
_OF_RANGES = ("ParameterRange", "TokenRange", "RatioRange", "TokenBudgetRange")


def dotted(path: KeyPath) -> str:
    """A path as `--set` takes it.

    >>> dotted(("model", "candidates", 0, "measured", "v1.5", "accuracy"))
    'model.candidates[0].measured["v1.5"].accuracy'
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def label(scenario: Scenario, path: KeyPath) -> str:
    """What people call a key: by the name of its class, candidate or period, else by its part."""
    words: list[str] = []
    node: Any = scenario
    owner = ""
    for step in path:
        if isinstance(step, int):
            node = node[step] if isinstance(node, tuple) and step < len(node) else None
            name = getattr(node, "name", None)
            if isinstance(name, str):
                owner, words = f"{owner} {name}".strip(), []
            else:
                words.append(str(step + 1))
            continue
        inside = isinstance(node, dict)
        node = node.get(step) if isinstance(node, dict) else getattr(node, step, None)
        if inside:
            owner, words = f"{owner} on {step}", []
        else:
            words.append(step.rstrip("_").replace("_", " "))
    if owner:
        return f"{owner}: {_spelt(words)}"
    if words[0] == "limits":
        return f"limit on {_spelt(words[1:])}"
    if words[:2] == ["reasoning", "policies"]:
        words = ["policy", *words[2:]]
    if len(words) > 1 and words[0] in ("workload", "model", "reasoning", "hardware"):
        words = words[1:]
    return _spelt(words)


def _spelt(words: list[str]) -> str:
    text = " ".join(words)
    return re.sub(r"\bflop\b", "FLOP", text)


def numeric_keys(scenario: Scenario) -> tuple[Constant, ...]:
    """Every number of a scenario that may move the answer, uncertain or not.

    Left out are settings (of solver, frontier and quadrature), choices (samples and branches on
    offer), descriptions (shapes, calibrations, data of fits), keys without effect on the objective,
    and defaults that are zero or the open end of a range. Coefficients of a published loss law
    count as keys, ``model.loss_law.irreducible``.
    """
    whole = with_law_in_place(scenario)
    return tuple(_numbers(whole, scenario))


def _numbers(whole: Scenario, scenario: Scenario) -> Iterator[Constant]:
    for path, places in leaves(whole, ()):
        if _without_effect(whole, path):
            continue
        key = key_type(Scenario, path)
        if key.number is None or key.fixed:
            continue
        value = float(value_at(whole, places[0]))
        source = _told(scenario, places[0])
        if not math.isfinite(value) or (source == "default" and value == 0.0):
            continue
        name = dotted(path)
        domain = key.number.domain
        called = label(whole, path)
        yield Constant(name, called, key.number.dimension, value, source, name, places, domain)


def leaves(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, tuple[KeyPath, ...]]]:
    """Every number, where one number stands for several keys once, by the short path."""
    if isinstance(node, Section):
        kind = type(node).__name__
        alone = ALONE.get(kind)
        if alone is not None:
            numbers = [_inner(node, steps) for steps in alone]
            single = kind != "Spread" or len(getattr(node, "values", None) or ()) == 1
            if single and numbers[0] is not None and numbers.count(numbers[0]) == len(numbers):
                yield path, tuple((*path, *steps) for steps in alone)
                rest = {str(steps[0]) for steps in alone}
                for name in type(node).model_fields:
                    if name not in rest and kind != "Spread":
                        yield from leaves(getattr(node, name), (*path, name))
                return
        for name in type(node).model_fields:
            described = name in _STRUCTURE or is_fixed(kind, name)
            if described and not (name == "shape" and path == ("model",)):
                continue
            if kind in _OF_RANGES and name not in node.model_fields_set:
                continue
            yield from leaves(getattr(node, name), (*path, name))
    elif isinstance(node, (tuple, list)):
        for index, item in enumerate(node):
            if path != ("model", "shape", "list"):
                yield from leaves(item, (*path, index))
    elif isinstance(node, dict):
        for name, item in node.items():
            yield from leaves(item, (*path, name))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, (path,)


def _inner(node: Any, steps: KeyPath) -> Any:
    for step in steps:
        node = getattr(node, step) if isinstance(step, str) else (node or (None,))[step]
    return node


def value_at(node: Any, path: KeyPath) -> Any:
    """What stands at a place; None where nothing does."""
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, tuple) and isinstance(step, int):
            node = node[step] if step < len(node) else None
        else:
            node = None if node is None else getattr(node, str(step), None)
    return node


def _without_effect(scenario: Scenario, path: KeyPath) -> bool:
    """Whether a key is not looked at, given others."""
    if path[0] == "model" and scenario.model.skill_graph is not None:
        return path[1] in ("loss_law", "capability")
    if path[:2] != ("workload", "mix") or scenario.workload.mix is None:
        return False
    task = scenario.workload.mix[cast(int, path[2])]
    if path[3] == "value":
        return scenario.objective not in ("value", "net_value")
    if path[3] == "share":
        return len(scenario.workload.mix) == 1
    if path[3] == "verifier":
        rates = path[4] in ("true_positive_rate", "false_positive_rate")
        scored = task.verifier.discrimination is not None
        return task.verifier.kind == "none" or (rates and scored)
    return task.measured is not None and path[3] in ("difficulty", "skills")


def _told(scenario: Scenario, place: KeyPath) -> str:
    """Where a number is from: the scenario, a published law, a default."""
    node: Any = scenario
    for step in place:
        if isinstance(node, Section) and step not in node.model_fields_set:
            named = step == "loss_law" and isinstance(getattr(node, "loss_law", None), str)
            return str(value_at(node, ("loss_law",))) if named else "default"
        if isinstance(node, str):
            return node
        node = value_at(node, (step,))
    return "given"


def with_law_in_place(scenario: Scenario) -> Scenario:
    """The scenario with the coefficients of its loss law in place of the law's name."""
    chosen = scenario.model.loss_law
    if not isinstance(chosen, str):
        return scenario
    law = LOSS_LAWS[chosen]
    span, repeats = law.fitted_range, law.repetition
    data: dict[str, Any] = {
        "irreducible": law.irreducible,
        "parameter_coefficient": law.parameter_coefficient,
        "data_coefficient": law.data_coefficient,
        "parameter_exponent": law.parameter_exponent,
        "data_exponent": law.data_exponent,
        "name": chosen,
        "source": law.source,
    }
    if span is not None:
        data["fitted_range"] = asdict(span)
    if repeats is not None:
        data["repetition"] = asdict(repeats)
    model = changed(scenario.model, {"loss_law": LossCoefficients.model_validate(data)})
    return changed(scenario, {"model": model})


def changed(node: S, update: Mapping[Any, Any]) -> S:
    """A copy with other values, which remembers as before what was written in the scenario."""
    copy = node.model_copy(update=dict(update))
    object.__setattr__(copy, "__pydantic_fields_set__", set(node.model_fields_set))
    return copy
