"""A Hugging Face config.json as data whose every complaint names a key and its place."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from ds3opt.errors import Location, Problem, ScenarioError
from ds3opt.io.files import read_text
from ds3opt.io.plain_words import shown

MOST = 10**9
"""Largest width, count or context that is believed."""
OWN_SHAPE_HINT = "or write the shape itself: parameters, layers, width, heads, kv_heads, ..."
_TRACES = ("hidden_size", "num_hidden_layers", "model_type", "architectures", "text_config")


@dataclass(frozen=True)
class ConfigJson:
    """A config.json, or one mapping inside it."""

    source: str
    text: str
    data: Mapping[str, Any]
    within: str = ""
    """Name of the mapping inside the file; empty for the file itself."""

    @property
    def model_type(self) -> str:
        """The family that the config is of."""
        value = self.data.get("model_type")
        if value is None:
            self.missing("model_type")
        if not isinstance(value, str):
            self.refuse("model_type", f"must be text, not {shown(value)}")
        return value

    def with_defaults(self, defaults: Mapping[str, Any]) -> ConfigJson:
        """The same with values for keys that are not written; a written null stays."""
        return replace(self, data={**defaults, **self.data})

    def has(self, key: str) -> bool:
        """Whether a key is there with a value."""
        return self.data.get(key) is not None

    def whole(self, *keys: str, default: int | None = None, least: int = 1) -> int:
        """A whole number under the first of several spellings; without `default` it must be there.

        Raises
        ------
        ScenarioError : at the key, or saying which is missing.
        """
        for key in keys:
            if not self.has(key):
                continue
            value = self.data[key]
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, bool) or not isinstance(value, int):
                self.refuse(key, f"must be a whole number, not {shown(value)}")
            if not least <= value <= MOST:
                self.refuse(key, f"must be from {least} to {MOST:,}, not {shown(value)}")
            return value
        if default is None:
            self.missing(keys[0])
        return default

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(key, f"must be true or false, not {shown(value)}")
        return value

    def words(self, key: str) -> list[str]:
        """A list of texts, empty where the key is missing."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            self.refuse(key, f"must be a list of texts, not {shown(value)}")
        return value

    def inner(self, key: str) -> ConfigJson:
        """The mapping under a key."""
        value = self.data[key]
        if not isinstance(value, dict):
            self.refuse(key, f"must be a mapping, not {shown(value)}")
        return ConfigJson(self.source, self.text, value, key)

    def missing(self, key: str) -> NoReturn:
        """ScenarioError about a key that should be there."""
        place = f" in {self.within}" if self.within else ""
        hint = f'a config.json of type "{self.data.get("model_type")}" has it; {OWN_SHAPE_HINT}'
        if key == "model_type":
            hint = "it names the family, such as llama or qwen3"
        location = self._location(self.within) if self.within else Location(self.source, 1, 1)
        raise ScenarioError(Problem(f"the key {key} is missing{place}", key, hint, location))

    def refuse(self, key: str, message: str, hint: str = "") -> NoReturn:
        """ScenarioError about the value of a key."""
        path = f"{self.within}.{key}" if self.within else key
        raise ScenarioError(Problem(f"{key} {message}", path, hint, self._location(key)))

    def _location(self, key: str) -> Location:
        start = 0
        if self.within and key != self.within:
            start = _position(self.text, self.within, 0)
        position = _position(self.text, key, start)
        line = self.text.count("\n", 0, position) + 1
        begin = self.text.rfind("\n", 0, position) + 1
        shown_line = self.text[begin:].split("\n", 1)[0].rstrip("\r")
        return Location(self.source, line, position - begin + 1, shown_line)


def _position(text: str, key: str, start: int) -> int:
    """Where a key is written: good enough for a message, the first one of its name."""
    found = re.compile(rf'"{re.escape(key)}"\s*:').search(text, start)
    return found.start() if found else start


def read_config(path: str | Path) -> ConfigJson:
    """The content of a config.json.

    Raises
    ------
    UsageError, ScenarioError : no such file, no text, no JSON, or no config of a model.
    """
    text, source = read_text(path)
    if not text.strip():
        raise ScenarioError(Problem(f"{source} is empty", location=Location(source, 1, 1)))
    try:
        data = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1].rstrip("\r")
        location = Location(source, error.lineno, error.colno, line)
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise ScenarioError(Problem(message, location=location)) from None
    except (RecursionError, ValueError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        location = Location(source, 1, 1)
        raise ScenarioError(Problem(f"not usable JSON: {said}", location=location)) from None
    if not isinstance(data, dict) or not any(key in data for key in _TRACES):
        found = shown(data, 60) if isinstance(data, (dict, list)) else "a single value"
        message = f"{source} is no config.json of a model: {found}"
        hint = "it lies beside the weights, with keys such as model_type and hidden_size"
        raise ScenarioError(Problem(message, hint=hint, location=Location(source, 1, 1)))
    return ConfigJson(source, text, data)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
