"""The numbers of a scenario by path: which there are, what they are called, and other values."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from ds3opt.errors import Problem, ScenarioError, UsageError
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.schema.model import LossCoefficients
from ds3opt.schema.number_keys import ALONE, Domain, KeyPath, key_type
from ds3opt.schema.quantities import Section
from ds3opt.schema.scenario import Scenario


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
_STRUCTURE = ("calibration", "shape", "fitted_range", "fitted_loss", "success_counts", "config")
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
            elif path[-1] == step:
                words.append(str(step + 1))
            continue
        inside = isinstance(node, dict)
        node = node.get(step) if isinstance(node, dict) else getattr(node, step, None)
        if inside:
            owner, words = f"{owner} on {step}", []
        else:
            words.append(step.rstrip("_").replace("_", " "))
    if owner:
        return f"{owner}: {' '.join(words)}".replace(" flop", " FLOP")
    if words[0] == "limits":
        return f"limit on {' '.join(words[1:])}".replace("flop", "FLOP")
    if words[:2] == ["reasoning", "policies"]:
        words = words[2:]
    if len(words) > 1 and words[0] in ("workload", "model", "reasoning", "hardware"):
        words = words[1:]
    return " ".join(words).replace("flop", "FLOP")


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
    for path, places in _leaves(whole, ()):
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


def _leaves(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, tuple[KeyPath, ...]]]:
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
                        yield from _leaves(getattr(node, name), (*path, name))
                return
        for name in type(node).model_fields:
            if name in _STRUCTURE and not (name == "shape" and path == ("model",)):
                continue
            if kind in _OF_RANGES and name not in node.model_fields_set:
                continue
            yield from _leaves(getattr(node, name), (*path, name))
    elif isinstance(node, (tuple, list)):
        for index, item in enumerate(node):
            if path != ("model", "shape", "list"):
                yield from _leaves(item, (*path, index))
    elif isinstance(node, dict):
        for name, item in node.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, (path,)


def _inner(node: Any, steps: KeyPath) -> Any:
    for step in steps:
        node = getattr(node, step) if isinstance(step, str) else (node or (None,))[step]
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
    model = _changed(scenario.model, {"loss_law": LossCoefficients.model_validate(data)})
    return cast(Scenario, _changed(scenario, {"model": model}))


def replaced(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """The scenario with other values at some paths, as a point: nothing in it is uncertain.

    Parameters
    ----------
    values : in base units by path, those of `numeric_keys` and `constants` among them; shares that
        are given are taken with the others over their sum.

    Raises
    ------
    UsageError : a path that holds no number.
    ScenarioError : a value that the key refuses, or values that contradict each other.
    """
    found: dict[KeyPath, float] = {}
    if any(path.startswith("model.loss_law.") for path in values):
        scenario = with_law_in_place(scenario)
    known = {dotted(path): places for path, places in _leaves(scenario, ())}
    known |= {dotted(one.path): one.places for one in scenario.uncertain}
    for path, value in values.items():
        places = known.get(path)
        key = None if places is None else key_type(Scenario, places[0])
        if places is None or key is None or key.number is None:
            near = difflib.get_close_matches(path, known, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise UsageError(Problem("the scenario has no number there", path=path, hint=hint))
        wrong = key.number.domain.misfit(value)
        if wrong:
            raise ScenarioError(Problem(wrong, path=path))
        found |= dict.fromkeys(places, value)
    return placed(scenario, found, "these values")


def placed(scenario: Scenario, values: Mapping[KeyPath, float], what: str) -> Scenario:
    """The scenario with numbers at places, and no uncertainty.

    Parameters
    ----------
    values : in base units, each accepted by its own key.
    what : the values in words, for messages.

    Raises
    ------
    ScenarioError : values that contradict each other.

    Notes
    -----
    Parts without a change are shared. Checks of the parts that hold one run again; those of single
    keys do not.
    """
    tree: dict[str | int, Any] = {}
    for path, value in {**values, **_shares(scenario, values)}.items():
        _plant(tree, path, value)
    for path in tables(scenario):
        _plant(tree, (*path, "draws"), "")
    try:
        found = cast(Scenario, _rebuilt(scenario, tree))
    except _MisfitError as error:
        culprits = [path for path in values if path[: len(error.path)] == error.path]
        named = ", ".join(f"{dotted(p)} = {values[p]:g}" for p in culprits[:4])
        raise ScenarioError(
            Problem(f"{what} contradict each other: {error}", dotted(error.path), named)
        ) from None
    return found.with_uncertain(())


def tables(node: Any, path: KeyPath = ()) -> dict[KeyPath, str]:
    """Tables of joint draws by the part of a scenario that has them."""
    found: dict[KeyPath, str] = {}
    if isinstance(node, Section):
        text = getattr(node, "draws", "")
        if isinstance(text, str) and text:
            found[path] = text
        for name in type(node).model_fields:
            inner = getattr(node, name)
            if isinstance(inner, (Section, tuple, dict)):
                found |= tables(inner, (*path, name))
    elif isinstance(node, tuple):
        for index, item in enumerate(node):
            if isinstance(item, Section):
                found |= tables(item, (*path, index))
    elif isinstance(node, dict):
        for name, item in node.items():
            found |= tables(item, (*path, name))
    return found


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


_SUMMED = (("workload", "mix", "share"), ("hardware", "electricity", "periods", "load_share"))
"""Lists of which one key sums to 1."""


def _shares(scenario: Scenario, values: Mapping[KeyPath, float]) -> dict[KeyPath, float]:
    """Shares over their sum, where one of them changes."""
    found: dict[KeyPath, float] = {}
    for *listed, key in _SUMMED:
        items = value_at(scenario, tuple(listed)) or ()
        places: list[KeyPath] = [(*listed, index, key) for index in range(len(items))]
        if any(place in values for place in places):
            shares = [values.get(place, value_at(scenario, place)) for place in places]
            total = math.fsum(shares)
            if total <= 0.0:
                raise ScenarioError(Problem(f"no {key} is above 0", path=dotted(tuple(listed))))
            found |= {place: s / total for place, s in zip(places, shares, strict=True)}
    return found


class _MisfitError(ValueError):
    """Parts that do not fit together, and where."""

    def __init__(self, message: str, path: KeyPath) -> None:
        self.path = path
        super().__init__(message)


def _plant(tree: dict[str | int, Any], path: KeyPath, value: object) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, {})
    tree[path[-1]] = value


def _rebuilt(node: Any, tree: Any, path: KeyPath = ()) -> Any:
    if not isinstance(tree, dict):
        return int(tree) if type(node) is int else tree
    inner = {step: _rebuilt(value_at(node, (step,)), t, (*path, step)) for step, t in tree.items()}
    if isinstance(node, tuple):
        return tuple(inner.get(index, item) for index, item in enumerate(node))
    if isinstance(node, dict):
        return {**node, **inner}
    found = _changed(node, inner)
    for check in _checks(type(node)):
        try:
            getattr(found, check)()
        except ValueError as error:
            raise _MisfitError(str(error), path) from None
    return found


def _changed(node: Section, update: Mapping[Any, Any]) -> Section:
    """A copy with other values, which remembers as before what was written in the scenario."""
    copy = node.model_copy(update=dict(update))
    object.__setattr__(copy, "__pydantic_fields_set__", set(node.model_fields_set))
    return copy


def _checks(kind: type[Section]) -> tuple[str, ...]:
    """Names of the checks that run over a part once its keys are read."""
    decorators = kind.__pydantic_decorators__.model_validators
    return tuple(name for name, one in decorators.items() if one.info.mode == "after")
