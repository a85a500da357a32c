"""The table of limits: what is used of each, and what more of it would bring."""

from __future__ import annotations

import math

from ds3opt.optimise.solution import LimitUse, Solution, Status
from ds3opt.report.document import Column, Table, table_of
from ds3opt.report.values import Measure, Phrase, Value
from ds3opt.report.words import dimension_of, dimension_shown, words_of

_GIVEN = frozenset({"max_parameters", "min_parameters", "max_training_tokens"})
_LARGEST_STEP = 0.1
"""Of a limit: the largest power of ten of its unit within this part is what `extra` means."""
_SECONDS = (86_400.0, 3600.0, 60.0, 1.0)
_WATT_HOUR = 3600.0


def limits(solution: Solution) -> Table:
    """Use of each limit, and what more of it would bring; binding limits first."""
    uses = [use for use in solution.limits if _is_shown(solution, use)]
    brief = any(use.shadow_price is not None for use in uses)
    return table_of(
        "Limits and shadow prices",
        sorted(uses, key=lambda use: not use.binding),
        (Column("name", "limit"), lambda use: words_of(use.name)),
        (Column("kind", ""), lambda use: use.kind),
        (Column("limit", "allowed", "number"), lambda use: _measure(use, use.limit)),
        (Column("used", "used", "number"), lambda use: _measure(use, use.used)),
        (Column("binding", "binding"), lambda use: use.binding),
        (
            Column("shadow_price_per_doubling", "shadow price"),
            lambda use: _per_doubling(solution, use, brief=brief),
        ),
        (Column("shadow_price", "at the margin"), lambda use: _at_the_margin(solution, use)),
    ).without_empty()


def _is_shown(solution: Solution, use: LimitUse) -> bool:
    """Not the size and the training of a model that was given as such."""
    return solution.status is not Status.EVALUATED or use.name not in _GIVEN


def _measure(use: LimitUse, value: float) -> Measure:
    if "tokens_per_parameter" in use.name:
        return Measure(value, dimension_shown(use.name))
    dimension = dimension_of(use.name, use.unit)
    named = dimension == "accelerator_hours"  # the first column says so
    return Measure(value, f"{dimension}, short" if named else dimension)


def _per_doubling(solution: Solution, use: LimitUse, *, brief: bool) -> Value:
    """The price for twice as much; `brief` where another column needs the room."""
    if use.relative_cost_per_point is not None:
        cost = Measure(use.relative_cost_per_point, "change")
        return Phrase(f"{{}} {words_of(solution.objective)} per point of accuracy", (cost,))
    doubling = use.shadow_price_per_doubling
    if not doubling:
        return "none" if doubling == 0.0 else None
    what = " of accuracy" if solution.objective == "accuracy" and not brief else ""
    return Phrase(f"{{}}{what} per doubling", (_change(solution, doubling, "points"),))


def _change(solution: Solution, change: float, points: str) -> Value:
    """A change of the objective in its own unit."""
    if solution.objective == "accuracy":
        return Measure(change, points)
    dimension = dimension_of(solution.objective)
    if dimension in {"flop", "dimensionless"}:
        unit = "FLOP" if dimension == "flop" else "value"
        return Phrase(f"{{}} {unit}", (Measure(change, "signed"),))
    return Measure(change, f"signed {dimension}")


def _at_the_margin(solution: Solution, use: LimitUse) -> Value:
    """The price in the unit in which a planner would buy more, to first order."""
    price = use.shadow_price
    if not price:
        return "none" if price == 0.0 else None
    dimension = dimension_of(use.name, use.unit)
    step = step_of(use.limit, dimension)
    if step is None:
        return None
    change = _change(solution, price * step, "fine points")
    return Phrase("{} per extra {}", (change, Measure(step, dimension)))


def step_of(limit: float, dimension: str) -> float | None:
    """An amount that reads well beside a limit: a power of ten of a unit, 1 to 10 % of the limit.

    >>> step_of(10e3, "money"), step_of(300 * 3.6e9, "energy") / 3.6e9, step_of(5.5e21, "flop")
    (1000.0, 10.0, 1e+20)
    >>> step_of(30 * 86400.0, "time") / 86400.0, step_of(7.0, "accelerators")
    (1.0, 1.0)
    """
    most = _LARGEST_STEP * limit
    if not 0.0 < most < math.inf:
        return None
    unit = 1.0
    if dimension == "energy":
        unit = _WATT_HOUR if most >= _WATT_HOUR else 1.0
    elif dimension == "time":
        unit = next((seconds for seconds in _SECONDS if most >= seconds), 1.0)
    power = math.floor(math.log10(most / unit) + 1e-9)
    return unit * float(f"1e{max(power, 0) if dimension == 'accelerators' else power}")
