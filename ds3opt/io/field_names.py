"""Which keys a pydantic model accepts at a path, to suggest the nearest."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ds3opt.io.yaml_source import KeyPath


def field_names_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Keys that may be written in the mapping at a path, through unions, lists and dicts.

    Where the path leads to several models, the keys of all of them, in order of declaration.
    """
    annotations: list[Any] = [model]
    for step in path:
        annotations = [found for a in annotations for found in _step(a, step)]
    names: dict[str, None] = {}
    for annotation in annotations:
        for candidate in _alternatives(annotation):
            if _is_model(candidate):
                names |= dict.fromkeys(_fields(candidate))
    return list(names)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {
        alias if isinstance(alias := field.validation_alias or field.alias, str) else name: (
            field.annotation
        )
        for name, field in model.model_fields.items()
    }


def _step(annotation: Any, step: str | int) -> Iterator[Any]:
    for candidate in _alternatives(annotation):
        origin, arguments = typing.get_origin(candidate), typing.get_args(candidate)
        if _is_model(candidate):
            if step in (fields := _fields(candidate)):
                yield fields[str(step)]
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            yield from arguments[1:2]
        elif isinstance(step, int) and isinstance(origin, type) and issubclass(origin, Collection):
            yield from (a for a in arguments if a is not Ellipsis)


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, without `Annotated` and type aliases."""
    origin = typing.get_origin(annotation)
    alias = annotation if hasattr(annotation, "__value__") else origin
    if hasattr(alias, "__value__"):
        yield from _alternatives(alias.__value__)
    elif origin is typing.Annotated:
        yield from _alternatives(annotation.__origin__)
    elif origin in {typing.Union, types.UnionType}:
        for member in typing.get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
