"""A YAML text as plain data in which every value can be found again by line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ds3opt.errors import Location, Problem, ScenarioError, UsageError
from ds3opt.io.files import MAX_BYTES, decode_text
from ds3opt.io.yaml_compose import LINE_BREAK, Composer, Node

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top: ``("workload", "mix", 0, "share")``."""

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # as in YAML 1.2
)
_EMPTY_HINT = "run `ds3opt new` for a scenario to start from"


@dataclass(frozen=True)
class YamlSource:
    """What was read, and where each part of it stands."""

    source: str
    """Name of the file, for messages."""
    root: Node
    """The top mapping."""

    @cached_property
    def data(self) -> dict[str, Any]:
        """The content in dicts, lists, str, int, float, bool and None."""
        plain = self.root.plain()
        assert isinstance(plain, dict)
        return plain

    def find(self, path: KeyPath) -> Node | None:
        """The node at a path, if there is one."""
        node: Node | None = self.root
        for step in path:
            node = None if node is None else _child(node, step)
        return node

    def location(self, path: KeyPath, *, key: bool = False) -> Location:
        """Where the value (or, with `key`, its key) is written; else its nearest parent.

        >>> load_yaml("a:\\n  b: 1", "x.yaml").location(("a", "b")).column
        6
        """
        node, value_at, key_at = self.root, self.root.location, self.root.location
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            if isinstance(node.value, dict) and isinstance(step, str):
                key_at = node.value[step].key
            else:
                key_at = child.location
            node, value_at = child, child.location
        return key_at if key else value_at


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict):
        entry = node.value.get(step) if isinstance(step, str) else None
        return entry.node if entry else None
    if isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step]
    return None


def load_yaml(text: str, source: str, kind: str = "scenario") -> YamlSource:
    """Content of a YAML text under the rules of YAML 1.2, with places.

    `kind` is what the text should be, for messages.

    Raises
    ------
    ScenarioError
        with every problem found: syntax, repeated or non-text keys, tags, several documents, an
        empty text, a top level that is not a mapping, oversized or unprintable text.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        message = f"larger than {MAX_BYTES // 2**20} MB, too large for a {kind}"
        raise ScenarioError(Problem(message, location=Location(source)))
    refuse_unprintable(text, source)
    root = Composer(text, source).compose()
    hint = _EMPTY_HINT if kind == "scenario" else ""
    if root is None or root.value is None:
        message = f"the {kind} is empty"
        raise ScenarioError(Problem(message, hint=hint, location=Location(source)))
    if not isinstance(root.value, dict):
        found = "a list" if isinstance(root.value, list) else "a single value"
        message = f'the top level must be a mapping of "key: value" lines, not {found}'
        raise ScenarioError(Problem(message, hint=hint, location=root.location))
    return YamlSource(source, root)


def load_yaml_bytes(data: bytes, source: str) -> YamlSource:
    """`load_yaml` of UTF-8 bytes; ScenarioError naming the first byte that is not UTF-8."""
    try:
        text = decode_text(data, source)
    except UsageError as error:
        raise ScenarioError(*error.problems) from None
    return load_yaml(text, source)


def refuse_unprintable(text: str, source: str) -> None:
    """ScenarioError at the first character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return
    before = LINE_BREAK.split(text[: found.start()])
    shown = LINE_BREAK.split(text, maxsplit=len(before))[len(before) - 1]
    location = Location(source, len(before), len(before[-1]) + 1, _UNPRINTABLE.sub("?", shown))
    message = f"the character U+{ord(found[0]):04X} cannot stand in a text file"
    hint = "is this a binary file?" if found[0] == "\0" else "remove it"
    raise ScenarioError(Problem(message, hint=hint, location=location))
