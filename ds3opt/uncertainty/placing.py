"""Other values at the keys of a scenario, checked together."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any, cast

from ds3opt.errors import Problem, ScenarioError, UsageError
from ds3opt.schema.number_keys import KeyPath, key_type
from ds3opt.schema.quantities import Section
from ds3opt.schema.scenario import Scenario
from ds3opt.uncertainty.keys import changed, dotted, leaves, value_at, with_law_in_place


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
    known = {dotted(path): places for path, places in leaves(scenario, ())}
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
    found = changed(node, inner)
    for check in _checks(type(node)):
        try:
            getattr(found, check)()
        except ValueError as error:
            if _passes(node, check):
                raise _MisfitError(str(error), path) from None
    return found


def _passes(node: Section, check: str) -> bool:
    """Whether a part passes a check that it was read with: what is fitted on loading may not."""
    try:
        getattr(node, check)()
    except ValueError:
        return False
    return True


def _checks(kind: type[Section]) -> tuple[str, ...]:
    """Names of the checks that run over a part once its keys are read."""
    decorators = kind.__pydantic_decorators__.model_validators
    return tuple(name for name, one in decorators.items() if one.info.mode == "after")
