"""What each class of tasks does: its tasks row by row, or one line where there are many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ds3opt.optimise.solution import ClassOutcome, Solution, TaskAllocation
from ds3opt.report.document import Column, Table
from ds3opt.report.values import Interval, Measure, Phrase, Value, shown

FEW = 3
"""A class with more rows than this is summed up on one line."""
NAMED = 3
"""Policies that a summary names, two where three are too long; the others are counted."""
ROOM = 50
"""Columns for the policies of a summary."""


def policy_words(row: TaskAllocation) -> str:
    """The policy as a planner says it."""
    return row.words


@dataclass(frozen=True)
class _Line:
    """One line of the table."""

    name: str
    share: float
    difficulty: Value
    skills: Value
    policy: Value
    token_budget: Value
    token_budget_range: Value
    expected_tokens: Value
    accuracy: Value
    inference_flop: float
    alternatives: str | None = None
    reasoning: Value = None
    """Levels of a skill graph that it is reasoned at."""


def classes(solution: Solution, *, every_row: bool = False) -> Table:
    """Policy, tokens, accuracy and share of inference of each class."""
    outcome = {one.name: one for one in solution.classes}
    lines: list[_Line] = []
    by_class: dict[str, list[TaskAllocation]] = {}
    for row in solution.tasks:
        by_class.setdefault(row.name, []).append(row)
    for name, rows in by_class.items():
        if every_row:
            lines += map(_line, rows)
            continue
        merged = _merged(rows)
        if len(merged) <= FEW:
            lines += (_of_one_policy(group, _fraction(group, rows)) for group in merged)
        else:
            lines.append(_summary(rows, outcome.get(name)))
    total = math.fsum(row.inference_flop for row in solution.tasks)
    points = len({(line.name, *_point(line)) for line in lines}) > len(by_class)
    graph = solution.learned is not None
    return _table(lines, total, points=points or every_row or graph, details=every_row, graph=graph)


def _hard(row: TaskAllocation) -> float | None:
    """Difficulty of a task, or its level on a skill graph."""
    return row.difficulty if row.level is None else row.level


def _reasoning(rows: Sequence[TaskAllocation]) -> Value:
    found = [row.reasoning_level for row in rows if row.reasoning_level is not None]
    return Interval(min(found), max(found), "whole") if found else None


def _point(line: _Line) -> tuple[str, str]:
    return str(line.difficulty), str(line.skills)


def _merged(rows: Sequence[TaskAllocation]) -> list[list[TaskAllocation]]:
    """Rows of one class, those together that differ in their token budget or period only."""
    groups: dict[tuple[float | None, int | None, str], list[TaskAllocation]] = {}
    for row in rows:
        groups.setdefault((_hard(row), row.skills, policy_words(row)), []).append(row)
    return list(groups.values())


def _fraction(group: Sequence[TaskAllocation], rows: Sequence[TaskAllocation]) -> float:
    """Part of the requests of a task, over all periods, that some of its rows stand for."""
    first = group[0]
    if all(row.period is None for row in rows):
        return math.fsum(row.fraction for row in group)
    task = [r for r in rows if (_hard(r), r.skills) == (_hard(first), first.skills)]
    whole = math.fsum(row.share for row in task)
    return math.fsum(row.share for row in group) / whole if whole else 1.0


def _of_one_policy(rows: Sequence[TaskAllocation], fraction: float) -> _Line:
    """Parts of one task with one policy as one line."""
    first = rows[0]
    attempted = first.attempted
    budgets = [row.token_budget for row in rows]
    return _Line(
        first.name,
        math.fsum(row.share for row in rows),
        _hard(first),
        first.skills,
        _with_part(first, fraction, "part"),
        Interval(min(budgets), max(budgets), "tokens") if attempted else None,
        None,
        _mean(rows, lambda row: row.expected_tokens) if attempted else None,
        _mean(rows, lambda row: row.accuracy),
        math.fsum(row.inference_flop for row in rows),
        reasoning=_reasoning(rows),
    )


def _line(row: TaskAllocation) -> _Line:
    budget_range = row.token_budget_range
    return _Line(
        row.name,
        row.share,
        _hard(row),
        row.skills,
        _with_part(row, row.fraction, "percent"),
        row.token_budget if row.attempted else None,
        Interval(*budget_range, "tokens") if budget_range else None,
        row.expected_tokens if row.attempted else None,
        row.accuracy,
        row.inference_flop,
        "; ".join(row.alternatives) or None,
        _reasoning([row]),
    )


def _with_part(row: TaskAllocation, fraction: float, dimension: str) -> Value:
    if fraction >= 1 - 1e-12:
        return policy_words(row)
    return Phrase(f"{policy_words(row)} ({{}} of requests)", (Measure(fraction, dimension),))


def _summary(rows: Sequence[TaskAllocation], outcome: ClassOutcome | None) -> _Line:
    share = sum(row.share for row in rows)
    budgets = [row.token_budget for row in rows if row.attempted]
    skills = [float(row.skills) for row in rows if row.skills is not None]
    difficulties = [hard for hard in map(_hard, rows) if hard is not None]
    return _Line(
        rows[0].name,
        share,
        Interval(min(difficulties), max(difficulties), "number") if difficulties else None,
        Interval(min(skills), max(skills), "whole") if skills else None,
        _policies(rows, share),
        Interval(min(budgets), max(budgets), "tokens") if budgets else None,
        None,
        outcome.expected_tokens if outcome else _mean(rows, lambda row: row.expected_tokens),
        outcome.accuracy if outcome else _mean(rows, lambda row: row.accuracy),
        sum(row.inference_flop for row in rows),
        reasoning=_reasoning(rows),
    )


def _mean(rows: Sequence[TaskAllocation], value: Callable[[TaskAllocation], float]) -> float | None:
    share = sum(row.share for row in rows)
    if not share:
        return value(rows[0]) if rows else None
    return math.fsum(row.share * value(row) for row in rows) / share


def _policies(rows: Sequence[TaskAllocation], share: float) -> str:
    parts: dict[str, float] = {}
    for row in rows:
        words = policy_words(row)
        parts[words] = parts.get(words, 0.0) + row.share
    if len(parts) == 1:
        return next(iter(parts))
    ranked = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{words} ({shown(part / (share or 1), 'part', 2)})" for words, part in ranked]
    for count in range(min(NAMED, len(named)), 1, -1):
        others = len(named) - count
        rest = [f"{others} other{'s' if others > 1 else ''}"] if others else []
        text = "; ".join(named[:count] + rest)
        if len(text) <= ROOM:
            break
    return text


def _table(
    lines: Sequence[_Line], total: float, *, points: bool, details: bool, graph: bool
) -> Table:
    columns: list[tuple[Column, Callable[[_Line], Value]]] = [
        (Column("name", "class"), lambda line: line.name),
        (Column("share", "share", "share"), lambda line: line.share),
    ]
    hard = Column("difficulty", "difficulty", "number")
    if graph:
        hard = Column("level", "level", "whole")
    if points:
        columns += [
            (hard, lambda line: line.difficulty),
            (Column("skills", "skills", "whole"), lambda line: line.skills),
        ]
    columns += [
        (Column("reasoning_level", "reasons at", "whole"), lambda line: line.reasoning),
        (Column("policy", "policy"), lambda line: line.policy),
        (Column("token_budget", "token budget", "tokens"), lambda line: line.token_budget),
        (
            Column("expected_tokens", "tokens/task", "tokens, short"),
            lambda line: line.expected_tokens,
        ),
        (Column("accuracy", "accuracy", "percent"), lambda line: line.accuracy),
        (
            Column("inference_share", "of inference", "share"),
            lambda line: line.inference_flop / total if total else None,
        ),
    ]
    if details:
        columns += [
            (
                Column("token_budget_range", "budgets within the gap"),
                lambda line: line.token_budget_range,
            ),
            (Column("alternatives", "policies within the gap"), lambda line: line.alternatives),
        ]
    return Table(
        "Classes and policies",
        tuple(column for column, _ in columns),
        tuple(tuple(cell(line) for _, cell in columns) for line in lines),
    ).without_empty(keep=("name", "policy"))
