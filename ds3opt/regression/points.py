"""Whether a result is as expected: objectives tightly, decisions loosely, words exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ds3opt.policies import POLICIES

RELATIVE = 1e-6
"""Tolerance of objectives, beside the certified gaps of both results."""
LOOSE = 1.25
"""Factor by which decisions may differ, or lie outside the range that keeps the answer in the gap:
an optimum is flat, so equal answers come from unequal decisions."""
NEGLIGIBLE_SHARE = 1e-3
"""Tasks of a smaller share of the mix may change their policy."""
NOT_ATTEMPTED = "not attempted"
_MAXIMISED = frozenset({"accuracy", "value", "net_value"})
VOLATILE = ("ds3opt_version", "scenario_sha256")
"""Provenance that changes without the answer changing."""

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Drift:
    """One number or word that is not as expected."""

    path: str
    """Where in the JSON."""
    old: Any
    new: Any
    reason: str

    @property
    def change(self) -> float | None:
        """Relative change of a number."""
        if _is_number(self.old) and _is_number(self.new) and self.old:
            return float(self.new / self.old - 1.0)
        return None


def stable(result: Data) -> dict[str, Any]:
    """A result without what changes from release to release: what is kept as expected."""
    provenance = {k: v for k, v in result.get("provenance", {}).items() if k not in VOLATILE}
    return {**result, "provenance": provenance}


def compare(expected: Data, actual: Data) -> list[Drift]:
    """Everything in which a result differs from the expected one beyond its tolerance.

    Objectives may differ by `RELATIVE` and the certified gaps of both results; model size, training
    tokens and token budgets by the factor `LOOSE`, counted from the value or from either end of its
    printed range; totals of resources by that factor; statuses, models and policies not at all. The
    policy of a task may differ where its share is negligible, or where either result lists the
    other's policy as an alternative.
    """
    drifts = list(_words(expected, actual))
    if drifts or expected.get("status") == "infeasible":
        return drifts + list(_infeasible(expected, actual))
    drifts += _objective(expected, actual)
    drifts += _baselines(expected, actual)
    drifts += _frontier(expected, actual)
    drifts += _model(expected, actual)
    drifts += _resources(expected, actual)
    drifts += _tasks(expected, actual)
    return drifts


def _words(expected: Data, actual: Data) -> Iterator[Drift]:
    for key in ("schema_version", "objective", "target", "status"):
        if expected.get(key) != actual.get(key):
            yield Drift(key, expected.get(key), actual.get(key), "must be the same")


def _infeasible(expected: Data, actual: Data) -> Iterator[Drift]:
    old, new = expected.get("infeasibility") or {}, actual.get("infeasibility") or {}
    if expected.get("status") != actual.get("status"):
        return
    if old.get("limit") != new.get("limit"):
        yield Drift("infeasibility.limit", old.get("limit"), new.get("limit"), "must be the same")
        return
    least = "smallest_feasible"
    if not _close(old.get(least), new.get(least), 1e-3):
        reason = "beyond a relative 0.001"
        yield Drift(f"infeasibility.{least}", old.get(least), new.get(least), reason)


def _objective(expected: Data, actual: Data) -> Iterator[Drift]:
    name = str(expected.get("objective"))
    side = "lower" if name in _MAXIMISED else "upper"
    old, new = (_certified(data, f"{name}_{side}") for data in (expected, actual))
    slack = _width(expected) + _width(actual)
    if not _close(old, new, RELATIVE, slack):
        yield Drift(f"certificate.{name}_{side}", old, new, _tightly(slack))


def _certified(data: Data, key: str) -> Any:
    return (data.get("certificate") or {}).get(key)


def _width(data: Data) -> float:
    """Distance between the certified bounds."""
    name = data.get("objective")
    low, high = (_certified(data, f"{name}_{side}") for side in ("lower", "upper"))
    return max(high - low, 0.0) if _is_number(low) and _is_number(high) else 0.0


def _tightly(slack: float) -> str:
    return f"beyond a relative {RELATIVE:g} and the certified gaps, {slack:.2g}"


def _baselines(expected: Data, actual: Data) -> Iterator[Drift]:
    name = str(expected.get("objective"))
    slack = _width(expected) + _width(actual)
    new = {one.get("name"): one.get(name) for one in actual.get("baselines", [])}
    for one in expected.get("baselines", []):
        path = f"baselines.{one.get('name')}.{name}"
        if one.get("name") not in new:
            yield Drift(path, one.get(name), None, "is missing")
        elif not _close(one.get(name), new[one.get("name")], RELATIVE, slack):
            yield Drift(path, one.get(name), new[one.get("name")], _tightly(slack))


def _frontier(expected: Data, actual: Data) -> Iterator[Drift]:
    name = str(expected.get("objective"))
    bound = f"{name}_{'upper' if name in _MAXIMISED else 'lower'}"
    old, new = expected.get("frontier", []), actual.get("frontier", [])
    if len(old) != len(new):
        yield Drift("frontier", f"{len(old)} rows", f"{len(new)} rows", "must be the same")
        return
    for index, (first, second) in enumerate(zip(old, new, strict=True)):
        path = f"frontier[{index}]"
        over = next(iter(first), "")
        if not _close(first.get(over), second.get(over), 1e-9):
            yield Drift(f"{path}.{over}", first.get(over), second.get(over), "must be the same")
        elif first.get("status") != second.get("status"):
            before, after = first.get("status"), second.get("status")
            yield Drift(f"{path}.status", before, after, "must be the same")
        else:
            slack = sum(_row_width(row, name, bound) for row in (first, second))
            if not _close(first.get(name), second.get(name), RELATIVE, slack):
                yield Drift(f"{path}.{name}", first.get(name), second.get(name), _tightly(slack))


def _row_width(row: Data, name: str, bound: str) -> float:
    """Distance between the value of a row and its bound."""
    value, other = row.get(name), row.get(bound)
    if value is None or other is None:
        return 0.0
    return float(max(other - value if bound.endswith("_upper") else value - other, 0.0))


def _model(expected: Data, actual: Data) -> Iterator[Drift]:
    old, new = expected.get("allocation") or {}, actual.get("allocation") or {}
    for key in ("parameters", "training_tokens"):
        ranges = [data.get("ranges", {}).get(key) for data in (expected, actual)]
        if not _loosely(old.get(key), new.get(key), ranges):
            yield Drift(f"allocation.{key}", old.get(key), new.get(key), _far(key))


def _far(key: str) -> str:
    return f"beyond a factor {LOOSE:g} and the range of {key} within the gap"


def _resources(expected: Data, actual: Data) -> Iterator[Drift]:
    """Totals of the resources that both results state; the minimised one is the objective."""
    new = {one.get("name"): one.get("total") for one in actual.get("resources", [])}
    for one in expected.get("resources", []):
        name, total = one.get("name"), one.get("total")
        if name == expected.get("objective") or name not in new:
            continue
        if not _loosely(total, new[name], [None, None]):
            yield Drift(f"resources.{name}", total, new[name], f"beyond a factor {LOOSE:g}")


def _tasks(expected: Data, actual: Data) -> Iterator[Drift]:
    old, new = _rows_by_task(expected), _rows_by_task(actual)
    for task in [*old, *(task for task in new if task not in old)]:
        path = f"allocation.tasks.{task[0]}"
        if len([other for other in {**old, **new} if other[0] == task[0]]) > 1:
            path += f"(difficulty {task[1]:.6g}, {task[2]} skills)"
        if task not in old or task not in new:
            before, after = ["present" if task in side else "absent" for side in (old, new)]
            yield Drift(path, before, after, "the tasks must be the same")
        else:
            yield from _task(path, old[task], new[task])


def _rows_by_task(data: Data) -> dict[tuple[Any, Any, Any], list[Data]]:
    """Rows of each task, what serves most of its requests first."""
    tasks: dict[tuple[Any, Any, Any], list[Data]] = {}
    for row in (data.get("allocation") or {}).get("tasks", []):
        # tasks of a skill graph have a level in place of a difficulty
        hard = row.get("level", row.get("difficulty"))
        key = (row.get("name"), _rounded(hard), row.get("skills"))
        tasks.setdefault(key, []).append(row)
    return {key: _ranked(rows) for key, rows in tasks.items()}


def _ranked(rows: list[Data]) -> list[Data]:
    """Rows by the share of all that are served alike, over all periods, then by their own."""
    shares: dict[str, float] = {}
    for row in rows:
        words = row_words(row)
        shares[words] = shares.get(words, 0.0) + _share(row)
    return sorted(rows, key=lambda row: (-shares[row_words(row)], -_share(row)))


def _share(row: Data) -> float:
    return float(row.get("share", 1.0))


def _rounded(value: Any) -> Any:
    return float(f"{value:.9g}") if _is_number(value) else value


def _task(path: str, old: list[Data], new: list[Data]) -> Iterator[Drift]:
    first, second = old[0], new[0]
    names = [row_words(first), row_words(second)]
    if names[0] != names[1]:
        share = max(sum(row.get("share", 0.0) for row in rows) for rows in (old, new))
        if share >= NEGLIGIBLE_SHARE and not _exchangeable(names, old, new):
            reason = "is not among the policies within the gap"
            yield Drift(f"{path}.policy", names[0], names[1], reason)
        return
    key = "token_budget"
    ranges = [row.get("token_budget_range") for row in (first, second)]
    if not _loosely(first.get(key), second.get(key), ranges):
        yield Drift(f"{path}.{key}", first.get(key), second.get(key), _far("token budgets"))


def _exchangeable(names: list[str], old: list[Data], new: list[Data]) -> bool:
    """Whether one side's main policy is used, or listed as an alternative, by the other side."""
    for name, rows in ((names[1], old), (names[0], new)):
        for row in rows:
            if name == row_words(row) or name in row.get("alternatives", []):
                return True
    return False


def row_words(row: Data) -> str:
    """What serves a row of the JSON: an existing model by its name, and the policy.

    >>> row_words({"policy": None, "way": "vote of 16", "model": "Llama 3.1 8B"})
    'Llama 3.1 8B: vote of 16'
    """
    way, model = row.get("way"), row.get("model")
    how = str(way) if way is not None else policy_words(row.get("policy"))
    return how if model is None else f"{model}: {how}"


def policy_words(policy: Data | None) -> str:
    """A policy of the JSON as a planner says it.

    >>> policy_words({"name": "best_of_n", "samples": 8}), policy_words(None)
    ('best of 8', 'not attempted')
    """
    if policy is None:
        return NOT_ATTEMPTED
    options = {key: value for key, value in policy.items() if key != "name"}
    try:
        return POLICIES[policy["name"]](**options).words()
    except (KeyError, TypeError, ValueError):
        return str(dict(policy))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(old: Any, new: Any, relative: float, slack: float = 0.0) -> bool:
    if not (_is_number(old) and _is_number(new)):
        return bool(old == new)
    return bool(abs(new - old) <= relative * max(abs(old), abs(new)) + slack)


def _loosely(old: Any, new: Any, ranges: list[Any]) -> bool:
    """Whether a decision lies near the old one, or near the range in which the answer is flat."""
    if not (_is_number(old) and _is_number(new)) or old <= 0 or new <= 0:
        return bool(old == new)
    if abs(math.log(new / old)) <= math.log(LOOSE) * (1 + 1e-9):
        return True
    before, after = ranges
    return _within(new, before) or _within(old, after)


def _within(value: float, ends: Any) -> bool:
    if not ends or not all(_is_number(end) for end in ends):
        return False
    return bool(ends[0] / LOOSE <= value <= ends[1] * LOOSE)
