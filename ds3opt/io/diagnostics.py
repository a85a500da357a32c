"""From a pydantic ValidationError to problems placed in the YAML text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ds3opt.errors import Problem
from ds3opt.io.field_names import field_names_at
from ds3opt.io.plain_words import choices, expected, shown, wording
from ds3opt.io.problem_text import format_path, render_problems, render_problems_github
from ds3opt.io.yaml_source import KeyPath, YamlSource
from ds3opt.units import UnitError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = [
    "ValidNames",
    "field_names_at",
    "format_path",
    "problems_from_validation",
    "render_problems",
    "render_problems_github",
]

ValidNames = Callable[[KeyPath], list[str]]
"""The keys that may be written in the mapping at a path."""

_AT_KEY = {"missing", "extra_forbidden"}
_RAISED = {"value_error", "assertion_error"}


@dataclass(frozen=True)
class _Trace:
    """One error and the part of its `loc` that is still to be followed."""

    error: ErrorDetails
    rest: tuple[str | int, ...]

    @property
    def ends_here(self) -> bool:
        return not self.rest or (len(self.rest) == 1 and self.error["type"] in _AT_KEY)

    def next(self) -> _Trace:
        return _Trace(self.error, self.rest[1:])


@dataclass(frozen=True)
class _Found:
    """An error at its path in the data; `instead` is a message for a whole union."""

    error: ErrorDetails
    path: KeyPath
    instead: str = ""
    also: str = ""
    """Another form that would do, for the hint."""


def problems_from_validation(
    error: ValidationError, source: YamlSource, valid_names: ValidNames | None = None
) -> list[Problem]:
    """Every problem of a validation, in plain words, in the order of the text.

    A missing key is placed at the key of its parent, an unknown one at itself; a value that fits
    no branch of a union is reported once. A ValueError raised by a validator may carry `hint`, a
    text, and `path`, the steps from the validated value to the culprit.
    """
    traces = [_Trace(details, details["loc"]) for details in error.errors(include_url=False)]
    found = _followed(traces, (), source)
    problems = [_problem(one, source, valid_names) for one in found]
    return sorted(dict.fromkeys(problems), key=lambda problem: _order(problem, source))


def _order(problem: Problem, source: YamlSource) -> tuple[bool, str, int, int]:
    place = problem.location
    assert place is not None
    return place.source != source.source, place.source, place.line, place.column


def _followed(traces: Sequence[_Trace], path: KeyPath, source: YamlSource) -> Iterator[_Found]:
    """Errors at or below a path, one per union."""
    below: dict[str | int, list[_Trace]] = {}
    branches: dict[str | int, list[_Trace]] = {}
    for trace in traces:
        if trace.ends_here:
            yield _Found(trace.error, (*path, *trace.rest))
        elif source.find((*path, trace.rest[0])) is not None:
            below.setdefault(trace.rest[0], []).append(trace.next())
        else:
            branches.setdefault(trace.rest[0], []).append(trace.next())
    for step, group in below.items():
        yield from _followed(group, (*path, step), source)
    if len(branches) == 1:
        yield from _followed(next(iter(branches.values())), path, source)
    elif branches:
        yield from _union([list(_followed(b, path, source)) for b in branches.values()], path)


def _union(branches: list[list[_Found]], path: KeyPath) -> list[_Found]:
    """The errors of the branch that the value was most likely meant for, or one for all."""
    branches = sorted(branches, key=lambda found: _misfit(found, path))
    best = branches[0]
    if _misfit(best, path)[0] < 2:
        others = [expected(f.error) for b in branches[1:] for f in b if choices(f.error)]
        if len(best) == 1 and best[0].path == path and others:
            return [_Found(best[0].error, path, also=others[0])]
        return best
    asked: dict[str, None] = {}
    for found in (f for branch in branches for f in branch):
        asked |= dict.fromkeys(filter(None, (found.instead or expected(found.error)).split(" or ")))
    if len(asked) < 2:
        return best[:1]
    return [_Found(best[0].error, path, instead=" or ".join(asked))]


def _misfit(branch: list[_Found], path: KeyPath) -> tuple[int, int]:
    """How far a value is from a branch: 0 the type fits, 1 nearly, 2 not; then how many errors."""
    worst = 0
    for found in branch:
        if found.path == path:
            worst = max(worst, _type_misfit(found))
    keys = sum(found.error["type"] in _AT_KEY for found in branch)
    return worst, 10 * keys + len(branch)


def _type_misfit(found: _Found) -> int:
    error = found.error
    container = isinstance(error["input"], (dict, list))
    if choices(error):
        near = difflib.get_close_matches(str(error["input"])[:60], choices(error), n=1)
        return 0 if near or error["type"] == "union_tag_invalid" else 2
    if error["type"] in _RAISED:
        raised = error.get("ctx", {}).get("error")
        return (2 if container else 1) if isinstance(raised, UnitError) else 0
    return 2 if found.instead or expected(error) else 0


def _problem(found: _Found, source: YamlSource, valid_names: ValidNames | None) -> Problem:
    kind, path = found.error["type"], found.path
    if kind == "extra_forbidden":
        return _unknown_key(path, source, valid_names)
    message, hint = wording(found.error)
    if found.instead:
        message = f"expected {found.instead}, not {shown(found.error['input'])}"
        hint = ""
    elif found.also:
        hint = f"{hint}, or {found.also}" if hint else f"or write {found.also}"
    path = (*path, *_culprit(found.error))
    node = source.find(path)
    at_key = node is None or isinstance(node.value, (dict, list))
    return Problem(message, format_path(path), hint, source.location(path, key=at_key))


def _culprit(error: ErrorDetails) -> KeyPath:
    if error["type"] in _RAISED:
        return tuple(getattr(error.get("ctx", {}).get("error"), "path", ()))
    return ()


def _unknown_key(path: KeyPath, source: YamlSource, valid_names: ValidNames | None) -> Problem:
    name = str(path[-1]) if path else ""
    parent = source.find(path[:-1])
    present = parent.value if parent and isinstance(parent.value, dict) else {}
    names = [n for n in (valid_names(path[:-1]) if valid_names else []) if n not in present]
    near = difflib.get_close_matches(name[:60], names, n=1)
    hint = f'did you mean "{near[0]}"?' if near else ""
    if names and not near:
        hint = "also accepted here: " + ", ".join(names[:12]) + (", ..." if names[12:] else "")
    location = source.location(path, key=True)
    return Problem(f'unknown key "{name[:60]}"', format_path(path), hint, location)
