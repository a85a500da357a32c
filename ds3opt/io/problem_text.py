"""Problems as people read them: path, place, source line, caret and hint."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from ds3opt.errors import Location, Problem

_WIDTH = 120
_INDENT = "    "


def format_path(path: Sequence[str | int]) -> str:
    """A path as users write it.

    >>> format_path(("workload", "mix", 0, "share"))
    'workload.mix[0].share'
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def render_problems(problems: Iterable[Problem], *, limit: int = 20) -> str:
    """Plain text for a terminal: each problem with its source line, a caret and its hint."""
    problems = list(problems)
    blocks = [_block(problem) for problem in problems[:limit]]
    if len(problems) > limit:
        blocks.append(f"... and {len(problems) - limit} more")
    return "\n".join(blocks)


def _block(problem: Problem) -> str:
    lines = [_printable(_headline(problem))]
    if problem.location and problem.location.line and problem.location.text.strip():
        lines += _excerpt(problem.location)
    if problem.hint:
        lines.append(_printable(f"  hint: {problem.hint}"))
    return "\n".join(lines)


def _headline(problem: Problem) -> str:
    place = str(problem.location) if problem.location else ""
    return ": ".join(part for part in (place, problem.path, problem.message) if part)


def _excerpt(location: Location) -> tuple[str, str]:
    text = "".join(c if c.isprintable() else " " for c in location.text)
    caret = min(max(location.column - 1, 0), len(text))
    if len(text) > _WIDTH:
        start = min(max(caret - _WIDTH // 2, 0), len(text) - _WIDTH)
        end = start + _WIDTH
        shown = text[start:end]
        before, after = "..." if start else "", "..." if end < len(text) else ""
        text, caret = before + shown + after, caret - start + len(before)
    text = text.rstrip()
    return f"{_INDENT}{text}", f"{_INDENT}{' ' * _columns(text[:caret].ljust(caret))}^"


def _columns(text: str) -> int:
    """Terminal cells that a text takes."""
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def render_problems_github(problems: Iterable[Problem]) -> str:
    """Workflow commands that annotate the lines of a pull request."""
    return "\n".join(_annotation(problem) for problem in problems)


def _annotation(problem: Problem) -> str:
    place = problem.location
    message = ": ".join(part for part in (problem.path, problem.message) if part)
    message += f"\nhint: {problem.hint}" if problem.hint else ""
    if place is None or place.source.startswith(("<", "--")):
        prefix = f"{place}: " if place else ""
        return f"::error::{_escaped(prefix + message)}"
    properties = f"file={_escaped_property(place.source)}"
    if place.line:
        properties += f",line={place.line},col={place.column}"
    return f"::error {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return _printable(text)


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
