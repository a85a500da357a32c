"""Whether the spread of an answer over draws is as expected: amounts, policies, regret, limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ds3opt.regression.points import LOOSE, RELATIVE, Data, Drift

ODDS = 0.05
"""By which the share of draws in which something is so may differ: near-ties fall either way."""
_STATISTICS = ("mean", "p2_5", "p10", "p50", "p90", "p97_5")
_DECISIONS = frozenset({"parameters", "training_tokens", "tokens_per_parameter"})
_OPEN = frozenset({"leading", "not_told_apart", "no_difference"})


def compare(expected: Data, actual: Data) -> list[Drift]:
    """Everything in which two spreads over draws differ beyond their tolerance.

    Objectives may differ by `points.RELATIVE` and the gap of both results' draws, other amounts by
    the factor `points.LOOSE`, shares of draws by `ODDS`. Another policy may lead in a class where
    either result does not tell the two apart. What only the new result has is no drift.
    """
    old, new = expected.get("uncertainty"), actual.get("uncertainty")
    if not isinstance(old, dict):
        return []
    if not isinstance(new, dict):
        return [Drift("uncertainty", f"{old.get('draws')} draws", None, "is missing")]
    drifts = list(_same(old, new))
    if drifts:
        return drifts
    slack = sum(_number(one.get("gap_of_a_draw")) for one in (old, new))
    relative = bool((expected.get("certificate") or {}).get("gap_is_relative"))
    drifts += _amounts(old, new, slack, str(expected.get("objective")), relative=relative)
    drifts += _policies(old, new)
    drifts += _broken(old, new)
    drifts += _robust(old, new, slack)
    return drifts


def _same(old: Data, new: Data) -> Iterator[Drift]:
    for key in ("draws", "seed"):
        if old.get(key) != new.get(key):
            yield Drift(f"uncertainty.{key}", old.get(key), new.get(key), "must be the same")
    paths = [[one.get("path") for one in _list(side, "constants")] for side in (old, new)]
    if paths[0] != paths[1]:
        before, after = (", ".join(map(str, side)) for side in paths)
        yield Drift("uncertainty.constants", before, after, "must be the same")


def _amounts(
    old: Data, new: Data, slack: float, objective: str, *, relative: bool
) -> Iterator[Drift]:
    for side in ("infeasible", "not_converged"):
        yield from _odds(f"uncertainty.{side}", old.get(side), new.get(side))
    was, now = old.get("amounts") or {}, new.get("amounts") or {}
    for name, first in was.items():
        second = now.get(name)
        if not isinstance(second, dict) or not isinstance(first, dict):
            yield Drift(f"uncertainty.amounts.{name}", "present", "absent", "is missing")
            continue
        for key in _STATISTICS:
            before, after = first.get(key), second.get(key)
            path = f"uncertainty.amounts.{name}.{key}"
            if name in ("objective", objective):
                room = slack * abs(_number(before)) if relative else slack
                yield from _tight(path, before, after, room)
            else:
                factor = LOOSE if name in _DECISIONS else 1.0 + 2.0 * (LOOSE - 1.0)
                yield from _loose(path, before, after, factor)


def _policies(old: Data, new: Data) -> Iterator[Drift]:
    now = {one.get("name"): one for one in _list(new, "classes")}
    for one in _list(old, "classes"):
        name = one.get("name")
        if name not in now:
            yield Drift(f"uncertainty.classes.{name}", "present", "absent", "is missing")
            continue
        first, second = _list(one, "policies"), _list(now[name], "policies")
        if not first or not second:
            continue
        path = f"uncertainty.classes.{name}.leading_policy"
        leading = [side[0].get("policy") for side in (first, second)]
        if leading[0] == leading[1]:
            chance = [side[0].get("probability_best") for side in (first, second)]
            yield from _odds(f"uncertainty.classes.{name}.probability_best", *chance)
        elif not (_open(leading[1], first) or _open(leading[0], second)):
            yield Drift(path, leading[0], leading[1], "was told apart from the leading one")


def _open(policy: object, rows: list[Data]) -> bool:
    """Whether a result leaves open that a policy is the best."""
    return any(row.get("policy") == policy and row.get("verdict") in _OPEN for row in rows)


def _broken(old: Data, new: Data) -> Iterator[Drift]:
    was, now = (_list(side.get("plan") or {}, "limits") for side in (old, new))
    found = {one.get("name"): one.get("broken") for one in now}
    for one in was:
        path = f"uncertainty.plan.limits.{one.get('name')}.broken"
        yield from _odds(path, one.get("broken"), found.get(one.get("name")))


def _robust(old: Data, new: Data, slack: float) -> Iterator[Drift]:
    was, now = old.get("robust"), new.get("robust")
    if not isinstance(was, dict):
        return
    if not isinstance(now, dict):
        yield Drift("uncertainty.robust", "present", "absent", "is missing")
        return
    width = sum(_number(side.get("gap")) for side in (was, now))
    key = "objective_lower"
    room = max(width, slack)
    yield from _tight(f"uncertainty.robust.{key}", was.get(key), now.get(key), room)


def _tight(path: str, old: object, new: object, slack: float) -> Iterator[Drift]:
    if _missing(old, new):
        if old != new:
            yield Drift(path, old, new, "must be the same")
        return
    first, second = _number(old), _number(new)
    if abs(first - second) > RELATIVE * max(abs(first), abs(second)) + slack:
        reason = f"beyond a relative {RELATIVE:g} and the gaps of the draws, {slack:.2g}"
        yield Drift(path, old, new, reason)


def _loose(path: str, old: object, new: object, factor: float) -> Iterator[Drift]:
    if _missing(old, new) or _number(old) <= 0.0 or _number(new) <= 0.0:
        if old != new:
            yield Drift(path, old, new, "must be the same")
        return
    if abs(math.log(_number(new) / _number(old))) > math.log(factor) * (1.0 + 1e-9):
        yield Drift(path, old, new, f"beyond a factor {factor:g}")


def _odds(path: str, old: object, new: object) -> Iterator[Drift]:
    if _missing(old, new):
        if old != new:
            yield Drift(path, old, new, "must be the same")
    elif abs(_number(old) - _number(new)) > ODDS:
        yield Drift(path, old, new, f"beyond {ODDS:g} of the draws")


def _missing(*values: object) -> bool:
    return any(not isinstance(one, (int, float)) or isinstance(one, bool) for one in values)


def _number(value: Any) -> float:
    return float(value) if not _missing(value) else 0.0


def _list(data: Any, key: str) -> list[Any]:
    found = data.get(key) if isinstance(data, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
