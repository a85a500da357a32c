"""From YAML text to a tree of nodes that know their place; refuses what a scenario never needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import yaml
from yaml import events

from ds3opt.errors import Location, Problem, ScenarioError
from ds3opt.io.yaml_scalars import (
    Scalar,
    collection_tag_accepted,
    plain_scalar,
    refused_tag,
    tagged_scalar,
)

MAX_NODES = 100_000
"""Limit on values after aliases are expanded."""
MAX_DEPTH = 100

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SYNTAX = (
    ("<block end>", "this does not line up with the lines above", "check the indentation"),
    (
        "mapping values are not allowed",
        'this ":" makes no sense here',
        'quote text that contains ": ", or check the indentation',
    ),
    (
        "could not find expected ':'",
        "a key without a colon",
        'write "key: value", and check the indentation',
    ),
    ("expected ',' or ']'", 'a "," or a closing "]" is missing', ""),
    ("expected ',' or '}'", 'a "," or a closing "}" is missing', ""),
    ("cannot start any token", "this character cannot start a value", "put the value in quotes"),
)
"""What the parser says, what that means, and what to do."""


@dataclass(slots=True)
class Node:
    """A value and where it is written."""

    value: Scalar | list[Node] | dict[str, Entry]
    location: Location

    def plain(self) -> object:
        """The value in dicts, lists and scalars, sharing nothing with the tree."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(slots=True)
class Entry:
    """A value in a mapping and where its key is written."""

    key: Location
    node: Node


@dataclass(slots=True)
class _Anchored:
    node: Node | None
    """Absent while the value is still open: an alias to it would be a loop."""
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    node: Node
    anchor: str | None
    size: int = 1
    height: int = 1
    key: str | None = None
    key_location: Location | None = None
    """Set from a key until its value."""
    dropped: bool = False
    """The pending key is wrong: its value is read and left out."""
    merges: list[Node] = field(default_factory=list)


class Composer:
    """One reading of one text; gathers every problem that does not hide the rest."""

    def __init__(self, text: str, source: str, lines: Sequence[str] | None = None) -> None:
        self._text = text
        self._source = source
        self._lines = LINE_BREAK.split(text) if lines is None else lines
        """What locations show, where that is not the text itself."""
        self._problems: list[Problem] = []
        self._anchors: dict[str, _Anchored] = {}
        self._stack: list[_Frame] = []
        self._total = 0
        self._root: Node | None = None

    def compose(self) -> Node | None:
        """The root node, or None for a text without content; ScenarioError with all problems."""
        try:
            self._read(yaml.parse(self._text, Loader=yaml.SafeLoader))
        except yaml.MarkedYAMLError as error:
            self._problems.append(self._syntax_problem(error))
        except (yaml.YAMLError, ValueError) as error:
            self._problems.append(Problem(f"not valid YAML: {error}", location=self._at(0, 0)))
        if self._problems:
            raise ScenarioError(*self._problems)
        return self._root

    def _read(self, stream: Iterator[events.Event]) -> None:
        documents = 0
        for event in stream:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse("a second document starts here", event, "keep one per file")
                    return
            elif isinstance(event, (events.MappingStartEvent, events.SequenceStartEvent)):
                if not self._count(1, 1, event):
                    return
                self._open(event)
            elif isinstance(event, (events.MappingEndEvent, events.SequenceEndEvent)):
                self._close()
            elif isinstance(event, events.ScalarEvent):
                if not self._count(1, 1, event):
                    return
                self._scalar(event)
            elif isinstance(event, events.AliasEvent) and not self._alias(event):
                return

    def _count(self, size: int, height: int, event: events.Event) -> bool:
        self._total += size
        if self._total > MAX_NODES:
            self._refuse(f"more than {MAX_NODES:,} values, counting aliases", event)
        elif len(self._stack) + height > MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} levels deep", event)
        else:
            return True
        return False

    def _open(self, event: events.CollectionStartEvent) -> None:
        is_mapping = isinstance(event, events.MappingStartEvent)
        if not collection_tag_accepted(event.tag, "map" if is_mapping else "seq"):
            self._refuse(refused_tag(str(event.tag)), event, "remove the tag")
        node = Node({} if is_mapping else [], self._start(event))
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(None)
        self._stack.append(_Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        for merged in frame.merges:
            self._merge(frame.node, merged)
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchored(frame.node, frame.size, frame.height)
        self._add(frame.node, frame.size, frame.height)

    def _scalar(self, event: events.ScalarEvent) -> None:
        value: Scalar = event.value
        try:
            if event.tag is not None:
                value = tagged_scalar(event.value, event.tag)
            elif event.implicit[0]:
                value = plain_scalar(event.value)
        except ValueError as error:
            self._refuse(str(error), event, "remove the tag")
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            self._refuse("half of a surrogate pair is not a character", event)
        merge = event.value == "<<" and event.implicit[0] and event.tag is None
        node = Node(value, self._start(event))
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(node)
        self._add(node, 1, 1, merge=merge)

    def _alias(self, event: events.AliasEvent) -> bool:
        name = str(event.anchor)
        found = self._anchors.get(name)
        if found is None or found.node is None:
            reason = "is not defined above" if found is None else "contains itself"
            self._refuse(f'the alias "*{name[:40]}" {reason}', event)
            return False
        if not self._count(found.size, found.height, event):
            return False
        self._add(Node(found.node.value, self._start(event)), found.size, found.height)
        return True

    def _add(self, node: Node, size: int, height: int, *, merge: bool = False) -> None:
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif frame.key_location is None:
            self._set_key(frame, node, merge=merge)
        else:
            self._set_value(frame, node)

    def _set_key(self, frame: _Frame, node: Node, *, merge: bool) -> None:
        frame.key_location = node.location
        frame.dropped = False
        if not isinstance(node.value, str):
            self._problems.append(_key_problem(node))
            frame.dropped = True
            return
        frame.key = None if merge else node.value
        known = frame.node.value if isinstance(frame.node.value, dict) else {}
        if frame.key is not None and frame.key in known:
            first = known[frame.key].key.line
            message = f'the key "{frame.key[:60]}" is given twice; first on line {first}'
            self._problems.append(Problem(message, location=node.location))
            frame.dropped = True

    def _set_value(self, frame: _Frame, node: Node) -> None:
        key_location, frame.key_location = frame.key_location, None
        if frame.dropped or key_location is None or not isinstance(frame.node.value, dict):
            return
        if frame.key is not None:
            frame.node.value[frame.key] = Entry(key_location, node)
            return
        for merged in node.value if isinstance(node.value, list) else [node]:
            if isinstance(merged.value, dict):
                frame.merges.append(merged)
            else:
                message = '"<<" takes a mapping or a list of mappings'
                self._problems.append(Problem(message, location=merged.location))

    @staticmethod
    def _merge(node: Node, merged: Node) -> None:
        if isinstance(node.value, dict) and isinstance(merged.value, dict):
            for key, entry in merged.value.items():
                node.value.setdefault(key, entry)

    def _syntax_problem(self, error: yaml.MarkedYAMLError) -> Problem:
        mark, opening = error.problem_mark or error.context_mark, error.context_mark
        location = self._at(mark.line, mark.column) if mark else self._at(0, 0)
        said = str(error.problem or "not valid YAML")
        if location.text[location.column - 1 : location.column] == "\t":
            return Problem("a tab cannot be used here", hint="use spaces", location=location)
        if "quoted scalar" in str(error.context) and "end of stream" in said and opening:
            opened = self._at(opening.line, opening.column)
            return Problem("this quote is never closed", location=opened)
        for phrase, message, hint in _SYNTAX:
            if phrase in said:
                if opening and (phrase.endswith("':'") or not location.text.strip()):
                    location = self._at(opening.line, opening.column)
                return Problem(message, hint=hint, location=location)
        context = f", {error.context}" if error.context else ""
        return Problem(f"not valid YAML: {said}{context}", location=location)

    def _refuse(self, message: str, event: events.Event, hint: str = "") -> None:
        self._problems.append(Problem(message, hint=hint, location=self._start(event)))

    def _start(self, event: events.Event) -> Location:
        mark = event.start_mark
        return self._at(mark.line, mark.column) if mark else self._at(0, 0)

    def _at(self, line: int, column: int) -> Location:
        if line >= len(self._lines):
            line, column = len(self._lines) - 1, len(self._lines[-1])
        text = self._lines[line]
        return Location(self._source, line + 1, column + 1, text)


def _key_problem(node: Node) -> Problem:
    if isinstance(node.value, (dict, list)):
        return Problem("a key must be a word", location=node.location)
    written = "null" if node.value is None else str(node.value)[:40]
    written = written.lower() if isinstance(node.value, bool) else written
    message = f"a key must be text, not {written}"
    return Problem(message, hint=f'quote it: "{written}"', location=node.location)
