"""What the text below an attribute says of it, for the JSON Schema and the reference.

Reading it takes several times as long as building the models does, so it is done when asked.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from ds3opt.schema.quantities import Section


@cache
def describe() -> None:
    """Give every field of every part of a scenario its description."""
    import ds3opt.schema.accelerator
    import ds3opt.schema.calibration
    import ds3opt.schema.scenario  # noqa: F401

    models = list(_subclasses(Section))
    for model in models:
        texts: dict[str, str] = {}
        for base in reversed(model.__mro__):
            texts |= _texts(base.__module__).get(base.__qualname__.split("[")[0], {})
        for name, field in model.model_fields.items():
            field.description = field.description or texts.get(name)
    # a model holds the schemas of its parts, which were defined before it
    for _ in range(2):
        for model in models:
            model.model_rebuild(force=True)


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _subclasses(child)


@cache
def _texts(module: str) -> dict[str, dict[str, str]]:
    """Texts below the attributes of each class of a module of this package."""
    if not module.startswith("ds3opt."):
        return {}
    file = sys.modules[module].__file__
    tree = ast.parse(Path(file).read_text(encoding="utf-8")) if file else ast.Module([], [])
    return {node.name: _below(node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _below(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for statement, after in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[statement.target.id] = inspect.cleandoc(after.value.value)
    return found
