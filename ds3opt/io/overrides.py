"""Values from the command line that replace or add to what the file says: the `--set` option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ds3opt.errors import Location, Problem, ScenarioError, UsageError
from ds3opt.io.problem_text import format_path
from ds3opt.io.yaml_compose import MAX_DEPTH, Composer, Entry, Node
from ds3opt.io.yaml_source import KeyPath, YamlSource, refuse_unprintable

_STEP = re.compile(r'\.(?P<name>[^.\[\]="]+)|\[(?P<index>\d{1,9})\]|\["(?P<quoted>[^"\]]+)"\]')


@dataclass(frozen=True)
class _Override:
    """One ``path=value`` as typed, and what it says."""

    source: str
    text: str
    path: KeyPath
    columns: tuple[int, ...]
    """Where each step of the path starts, from 1."""
    value: Node

    def at(self, column: int) -> Location:
        return Location(self.source, 1, column, self.text)


def apply_overrides(source: YamlSource, overrides: Sequence[str]) -> YamlSource:
    """The source with each ``path=value`` put in place, in order; the given one is unchanged.

    Missing mappings are made on the way. A list item is addressed by position, ``mix[0]``, or by
    its name, ``mix.completion``. Values follow the rules of the file. What is overridden is located
    at ``--set #n``, counting from 1.

    Raises
    ------
    UsageError
        with every override that cannot be read or has no place to go.
    """
    problems: list[Problem] = []
    for number, text in enumerate(overrides, 1):
        try:
            override = _parsed(text, f"--set #{number}")
            source = _applied(source, override)
        except (UsageError, ScenarioError) as error:
            place = Location(f"--set #{number}", 1, 1, text)
            problems += (p if p.location else replace(p, location=place) for p in error.problems)
    if problems:
        raise UsageError(*problems)
    return source


def _parsed(text: str, source: str) -> _Override:
    refuse_unprintable(text, source)
    equals = _first_equals(text)
    if equals < 0:
        raise UsageError(Problem('a "=" is missing', hint="write --set path=value"))
    steps = _steps(text[:equals])
    value = text[equals + 1 :]
    column = equals + 2 + len(value) - len(value.lstrip(" "))
    padded = " " * (equals + 1) + value
    root = Composer(padded, source, [text, *padded.splitlines()[1:]]).compose()
    if root is None and value.strip():
        place = Location(source, 1, column, text)
        raise UsageError(Problem('"#" starts a comment', hint="quote the value", location=place))
    node = root or Node(None, Location(source, 1, column, text))
    path = tuple(step for step, _ in steps)
    return _Override(source, text, path, tuple(start for _, start in steps), node)


def _first_equals(text: str) -> int:
    quoted = False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == "=" and not quoted:
            return position
    return -1


def parse_path(text: str) -> KeyPath:
    """Steps of a path as written; UsageError when it is not one.

    >>> parse_path("workload.mix[0].share")
    ('workload', 'mix', 0, 'share')
    """
    return tuple(step for step, _ in _steps(text))


def _steps(text: str) -> list[tuple[str | int, int]]:
    """Each step and its column, from 1."""
    stripped = text.strip()
    dotted = stripped if stripped.startswith("[") else f".{stripped}"
    column = len(text) - len(text.lstrip()) + 1 - (len(dotted) - len(stripped))
    steps: list[tuple[str | int, int]] = []
    position = 0
    while position < len(dotted):
        match = _STEP.match(dotted, position)
        if match is None:
            raise UsageError(_broken_path(stripped))
        step = int(match["index"]) if match["index"] else (match["name"] or match["quoted"]).strip()
        steps.append((step, column + position + (match["name"] is not None)))
        position = match.end()
    if "" in (step for step, _ in steps) or isinstance(steps[0][0], int):
        raise UsageError(_broken_path(stripped))
    return steps


def _broken_path(text: str) -> Problem:
    message = f'"{text[:60]}" is not a path' if text else "the path is empty"
    return Problem(message, hint="write a path such as limits.total_flop or workload.mix[0].share")


def resolve_path(data: Any, path: KeyPath) -> KeyPath:
    """The path with list items that are addressed by name turned into positions.

    The last steps may be missing from the data, to be added; UsageError where the path cannot lead
    anywhere: a position out of range, an unknown name, a step into a single value.
    """
    if len(path) > MAX_DEPTH:
        raise UsageError(f"a path has at most {MAX_DEPTH} steps, not {len(path)}")
    resolved: list[str | int] = []
    for step in path:
        if isinstance(data, list):
            found = _item(data, step, tuple(resolved))
        elif data is None or isinstance(data, dict):
            if isinstance(step, int):
                raise UsageError(_no_list(tuple(resolved)))
            found = (step,)
        else:
            message = f'"{data}" is a single value here and has no key "{step}"'
            raise UsageError(Problem(message[:200], path=format_path(tuple(resolved))))
        for key in found:
            resolved.append(key)
            data = data.get(key) if isinstance(data, dict) else data and data[key]
    return tuple(resolved)


def _no_list(path: KeyPath) -> Problem:
    return Problem("not a list, so it has no positions", path=format_path(path))


def _item(items: list[Any], step: str | int, path: KeyPath) -> KeyPath:
    if isinstance(step, str) and step.isdecimal() and step.isascii() and len(step) < 10:
        step = int(step)
    if isinstance(step, int):
        if step < len(items):
            return (step,)
        hint = f"positions go from 0 to {len(items) - 1}" if items else "the list is empty"
        message = f"position {step} is out of range"
        raise UsageError(Problem(message, path=format_path(path), hint=hint))
    names: dict[str, KeyPath] = {}
    for position, item in enumerate(items):
        if isinstance(item, str):
            names.setdefault(item, (position,))
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            names.setdefault(item["name"], (position,))
        elif isinstance(item, dict) and len(item) == 1:
            key = next(iter(item))
            names.setdefault(key, (position, key))
    if step in names:
        return names[step]
    near = difflib.get_close_matches(step, names, n=1) or sorted(names)[:10]
    hint = f'did you mean "{near[0]}"?' if len(near) == 1 else "names: " + ", ".join(near)
    message = f'no item is named "{step[:60]}"'
    raise UsageError(Problem(message, path=format_path(path), hint=hint if near else ""))


def get_path(data: Any, path: KeyPath) -> Any:
    """The value at a path; UsageError, naming the nearest key, when there is none."""
    resolved = resolve_path(data, path)
    for depth, step in enumerate(resolved):
        if isinstance(data, dict) and step not in data:
            near = difflib.get_close_matches(str(step), data, n=1)
            hint = f'did you mean "{near[0]}"?' if near else ""
            raise UsageError(Problem("not set", path=format_path(resolved[: depth + 1]), hint=hint))
        if data is None:
            raise UsageError(Problem("not set", path=format_path(resolved[: depth + 1])))
        data = data[step]
    return data


def set_path(data: Any, path: KeyPath, value: Any) -> Any:
    """A copy of the data with a value put at the path; mappings are made on the way."""
    return _with_value(data, resolve_path(data, path), value)


def _with_value(data: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    if isinstance(data, list) and isinstance(path[0], int):
        position = path[0]
        changed = _with_value(data[position], path[1:], value)
        return [*data[:position], changed, *data[position + 1 :]]
    mapping = data or {}
    return {**mapping, path[0]: _with_value(mapping.get(path[0]), path[1:], value)}


def _applied(source: YamlSource, override: _Override) -> YamlSource:
    path = resolve_path(source.data, override.path)
    return YamlSource(source.source, _with_node(source.root, path, override))


def _with_node(node: Node, path: KeyPath, override: _Override) -> Node:
    if not path:
        return override.value
    step, rest = path[0], path[1:]
    if isinstance(node.value, list) and isinstance(step, int):
        changed = [*node.value]
        changed[step] = _with_node(node.value[step], rest, override)
        return Node(changed, node.location)
    entries = node.value if isinstance(node.value, dict) else {}
    typed = override.at(override.columns[max(-len(path), -len(override.columns))])
    old = entries.get(str(step))
    key = old.key if old and rest else typed
    child = _with_node(old.node if old else Node({}, typed), rest, override)
    return Node({**entries, str(step): Entry(key, child)}, node.location)
