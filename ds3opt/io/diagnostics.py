"""From a pydantic ValidationError to problems placed in the YAML text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ds3opt.errors import Problem
from ds3opt.io.field_names import field_names_at
from ds3opt.io.plain_words import choices, expected, shown, wording
from ds3opt.io.problem_text import format_path, render_problems, render_problems_github
from ds3opt.io.yaml_source import KeyPath, YamlSource
from ds3opt.units import UnitError

if TYPE_CHECKING:
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
    """An error at its path in the data."""

    error: ErrorDetails
    path: KeyPath
    asked: tuple[str, ...] = ()
    """Every form that would do, where the value has none of them."""
    also: tuple[str, ...] = ()
    """Other forms that would do, for the hint."""


def problems_from_validation(
    error: ValidationError, source: YamlSource, valid_names: ValidNames | None = None
) -> list[Problem]:
    """Every problem of a validation, in plain words, in the order of the text.

    A missing key is placed at the key of its parent, unless an unknown one, placed at itself, looks
    like its misspelling; a value that fits no branch of a union is reported once. A ValueError
    raised by a validator may carry `hint`, a text, and `path`, the steps from the validated value
    to the culprit.
    """
    found = list(_followed(list(_traces(error, ())), (), source))
    unknown = [one.path for one in found if one.error["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], _nearest(path, source, valid_names)) for path in unknown}
    problems = [
        _problem(one, source, valid_names)
        for one in found
        if one.error["type"] != "missing" or one.path not in misspelt
    ]
    return sorted(dict.fromkeys(problems), key=lambda problem: _order(problem, source))


def _traces(error: ValidationError, above: KeyPath) -> Iterator[_Trace]:
    """The errors of a validation and of those that its validators ran inside."""
    for details in error.errors(include_url=False):
        path = (*above, *details["loc"])
        inner = details.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _traces(inner, path)
        elif not _echo(details):
            yield _Trace(details, path)


def _echo(error: ErrorDetails) -> bool:
    """A list "too short" only because its wrong items were not counted."""
    least = error.get("ctx", {}).get("min_length", 0)
    value = error["input"]
    return error["type"] == "too_short" and isinstance(value, list) and len(value) >= least


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
    branches = sorted(branches, key=lambda branch: _misfit(branch, path))
    best = branches[0]
    if _misfit(best, path)[0] < 2:
        words = [w for b in branches[1:] for f in b if choices(f.error) for w in expected(f.error)]
        if len(best) == 1 and best[0].path == path and words:
            return [replace(best[0], also=tuple(dict.fromkeys(words)))]
        return best
    every = [word for branch in branches for f in branch for word in f.asked or expected(f.error)]
    asked = tuple(dict.fromkeys(every))
    return [replace(best[0], asked=asked)] if len(asked) > 1 else best[:1]


def _misfit(branch: list[_Found], path: KeyPath) -> tuple[int, float]:
    """How far a value is from a branch: 0 the type fits, 1 nearly, 2 not; then how much differs."""
    worst = max((_type_misfit(found) for found in branch if found.path == path), default=0)
    named = {kind: [f.path for f in branch if f.error["type"] == kind] for kind in _AT_KEY}
    alike = sum(_similarity(m, e) for m in named["missing"] for e in named["extra_forbidden"])
    return worst, 10 * sum(map(len, named.values())) + len(branch) - 9 * min(alike, 1)


def _similarity(missing: KeyPath, extra: KeyPath) -> float:
    return difflib.SequenceMatcher(None, str(missing[-1])[:60], str(extra[-1])[:60]).ratio()


def _type_misfit(found: _Found) -> int:
    error = found.error
    if error["type"] == "union_tag_invalid":
        return 0
    if choices(error):
        near = difflib.get_close_matches(str(error["input"])[:60], choices(error), n=1)
        return 0 if near else 2
    if isinstance(error.get("ctx", {}).get("error"), UnitError):
        return 2 if isinstance(error["input"], (dict, list)) else 1
    return 2 if found.asked or expected(error) else 0


def _problem(found: _Found, source: YamlSource, valid_names: ValidNames | None) -> Problem:
    kind, path = found.error["type"], found.path
    if kind == "extra_forbidden":
        return _unknown_key(path, source, valid_names)
    message, hint = wording(found.error)
    if found.asked:
        message = f"{' or '.join(found.asked)} is expected, not {shown(found.error['input'])}"
        hint = ""
    elif found.also:
        also = " or ".join(found.also)
        hint = f"{hint}, or {also}" if hint else f"or write {also}"
    path = (*path, *_culprit(found.error))
    node = source.find(path)
    at_key = node is None or isinstance(node.value, (dict, list))
    return Problem(message, format_path(path), hint, source.location(path, key=at_key))


def _culprit(error: ErrorDetails) -> KeyPath:
    if error["type"] in _RAISED:
        return tuple(getattr(error.get("ctx", {}).get("error"), "path", ()))
    return ()


def _unknown_key(path: KeyPath, source: YamlSource, valid_names: ValidNames | None) -> Problem:
    near, names = _nearest(path, source, valid_names), _unused(path, source, valid_names)
    hint = f'did you mean "{near}"?' if near else ""
    if names and not near:
        hint = "also accepted here: " + ", ".join(names[:12]) + (", ..." if names[12:] else "")
    location = source.location(path, key=True)
    return Problem(f'unknown key "{str(path[-1])[:60]}"', format_path(path), hint, location)


def _nearest(path: KeyPath, source: YamlSource, valid_names: ValidNames | None) -> str:
    for names in (_unused(path, source, valid_names), _accepted(path, valid_names)):
        for near in difflib.get_close_matches(str(path[-1])[:60], names, n=1):
            return near
    return ""


def _unused(path: KeyPath, source: YamlSource, valid_names: ValidNames | None) -> list[str]:
    parent = source.find(path[:-1])
    present = parent.value if parent and isinstance(parent.value, dict) else {}
    return [name for name in _accepted(path, valid_names) if name not in present]


def _accepted(path: KeyPath, valid_names: ValidNames | None) -> list[str]:
    return valid_names(path[:-1]) if valid_names else []
