"""Write docs/scenario.md and docs/scenario.schema.json from the pydantic models of a scenario.

`python docs/generate.py` writes both; `--check` only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ds3opt.cli.schema import scenario_schema
from ds3opt.schema import Scenario
from ds3opt.schema.descriptions import describe
from ds3opt.schema.reasoning import PolicyChoice
from ds3opt.schema.uncertain import Uncertain

describe()

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "scenario.md"
SCHEMA = HERE / "scenario.schema.json"

UNITS = {
    "an amount of FLOP": "FLOP",
    "a number of tokens": "tokens",
    "a number of parameters": "parameters",
    "a time": "seconds",
    "a power": "W",
    "an amount of money": "USD",
    "a price of energy": "USD/J",
    "a price of tokens": "USD/token",
    "CO2e of energy": "kg/J",
    "an amount of energy": "J",
    "accelerator-hours": "accelerator-hours",
    "a mass of CO2e": "kg",
}
"""By the words in which ds3opt/schema/quantities.py describes a type."""
OWN_UNITS = {
    "TaskClass.difficulty": "nats/token",
    "LossCoefficients.irreducible": "nats/token",
    "Minimise.loss": "nats/token",
    "Candidate.loss": "nats/token",
    "Workload.tasks": "tasks",
    "TrainingHardware.count": "accelerators",
    "InferenceHardware.count": "accelerators",
    "TrainingHardware.bytes_per_parameter": "bytes",
    "TaskClass.value": "or USD",
    "Frontier.from_": "of the limit",
    "Frontier.to": "of the limit",
    "Hosted.output_tokens_per_s": "tokens/s",
    "Shape.head_width": "elements",
    "Capability.slope": "per nat/token",
    "RatioRange.min": "tokens per parameter",
    "RatioRange.max": "tokens per parameter",
    "Model.parameters": "parameters",
    "Model.training_tokens": "tokens",
    "Model.tokens_per_parameter": "tokens per parameter",
    "Reasoning.token_budget": "tokens",
}
RANGES = ("ParameterRange", "TokenRange", "RatioRange", "TokenBudgetRange")
"""Also written as one number or as [lowest, highest]."""
LINES = {"Normal.mean": "Mean."}
"""What is said of keys that have no docstring of their own."""
ELSEWHERE = {
    "Accelerator": "[figures](hardware.md#a-description-of-ones-own)",
    "Calibration": "[constants](hardware.md#serving)",
    "ModelShapeSpec": "[figures](hardware.md#model-shapes)",
    "TrainableShape": "[figures](hardware.md#model-shapes)",
}
"""Parts that are files of their own: a name, or a mapping that another page describes."""

HEAD = """# Scenario reference

<!-- written by docs/generate.py; edit the docstrings in ds3opt/schema instead -->

Every key that a scenario may have. Keys in **bold** are required. A quantity is a number in the
unit stated, or text with a unit: `5.5e21`, `15 T tokens`, `7 B`, `365 days`. An unknown key is an
error. A number that is not known exactly is written as [a mapping](#an-uncertain-number): any
number but settings of the solver and the frontier, choices on offer, and what describes data.
[scenario.schema.json](scenario.schema.json) says the same to editors:

```yaml
# yaml-language-server: $schema=docs/scenario.schema.json
```
"""


UNCERTAIN_TITLE = ("## `an uncertain number`", "## An uncertain number")


def reference() -> str:
    """The text of docs/scenario.md."""
    parts = [HEAD]
    for model, places in _sections().items():
        parts.append(_section(model, places))
    parts.append(_section(Uncertain, ["an uncertain number"]).replace(*UNCERTAIN_TITLE))
    return "\n".join(parts)


def schema() -> str:
    """The text of docs/scenario.schema.json, what `ds3opt schema` prints."""
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


def _sections() -> dict[type[BaseModel], list[str]]:
    """Every model of a scenario and the paths at which it stands, outermost first."""
    found: dict[type[BaseModel], list[str]] = {Scenario: [""]}

    def visit(model: type[BaseModel], path: str) -> None:
        for name, field in model.model_fields.items():
            here = f"{path}.{field.alias or name}".lstrip(".")
            for inner, listed in _models(field.annotation):
                if inner.__name__ in ELSEWHERE:
                    continue
                place = f"{here}{listed}"
                seen = inner in found
                found.setdefault(inner, []).append(place)
                if not seen:
                    visit(inner, place)

    visit(Scenario, "")
    return found


def _models(annotation: Any, listed: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """The models in an annotation, each with what stands between its key and its own keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, listed
        return
    inside = listed or {tuple: "[]", dict: ".NAME"}.get(get_origin(annotation), "")
    for part in get_args(annotation):
        if not isinstance(part, str):
            yield from _models(part, inside)


def _section(model: type[BaseModel], places: list[str]) -> str:
    title = f"`{places[0]}`" if places[0] else "The scenario"
    about = " ".join((model.__doc__ or "").split())
    if len(places) > 1:
        about += " Also at " + ", ".join(f"`{place}`" for place in places[1:]) + "."
    rows = [_row(model, name, field) for name, field in model.model_fields.items()]
    table = ["| key | type | unit | default | meaning |", "|---|---|---|---|---|", *rows]
    return "\n".join([f"## {title}", "", about, "", *table, ""])


def _row(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    key = f"{model.__name__}.{name}"
    shown = f"`{field.alias or name}`"
    meaning = field.description or LINES.get(key)
    if meaning is None:
        raise SystemExit(f"{key} has no docstring and no line in docs/generate.py")
    cells = (
        f"**{shown}**" if field.is_required() else shown,
        _type(field.annotation, field.metadata),
        OWN_UNITS.get(key) or _unit(field.annotation, field.metadata) or "",
        _default(field),
        " ".join(meaning.split()),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0], (*inner[1:], *metadata))
    if origin in (Union, UnionType):
        kinds = [_type(part) for part in inner if part is not NoneType]
        return " or ".join(dict.fromkeys(kinds))
    if origin is Literal:
        return ", ".join(f"`{json.dumps(v) if isinstance(v, bool) else v}`" for v in inner)
    if origin is dict:
        return f"by name, each {_type(inner[1])}"
    if origin is tuple:
        of = _type(inner[0])
        if Ellipsis not in inner:
            return f"list of {len(inner)}: {of}"
        return f"{of}, or a list" if inner[0] is int or "whole" in of else f"list, each {of}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _mapping(annotation)
    word: dict[Any, str] = {
        Any: "number",
        float: "number",
        int: "whole number",
        str: "text",
        bool: "`true`, `false`",
    }
    return word[annotation] + _bounds(annotation, metadata)


def _mapping(model: type[BaseModel]) -> str:
    if model.__name__ in ELSEWHERE:
        return f"name or {ELSEWHERE[model.__name__]}"
    link = f"[mapping](#{_anchor(model)})"
    if model.__name__ in RANGES:
        return f"number, `[lowest, highest]` or {link}"
    if model.__name__ == "Spread":
        return f"number, list or {link}"
    if model.__name__ == "PolicyChoice":
        return f"name or {link}"
    return link


def _anchor(model: type[BaseModel]) -> str:
    title = _sections()[model][0] or "The scenario"
    kept = [c for c in title.lower() if c.isalnum() or c in "_- "]
    return "".join(kept).replace(" ", "-")


def _bounds(annotation: Any, metadata: list[Any] | tuple[Any, ...]) -> str:
    signs = {Gt: ("gt", ">"), Ge: ("ge", "≥"), Lt: ("lt", "<"), Le: ("le", "≤")}
    words = [
        f"{sign} {getattr(bound, name):g}"
        for bound in _flattened(metadata)
        for kind, (name, sign) in signs.items()
        if isinstance(bound, kind)
    ]
    if annotation is str:
        words += [
            f"at most {bound.max_length} characters"
            for bound in _flattened(metadata)
            if isinstance(bound, (MaxLen, Len)) and bound.max_length
        ]
    if "< 1" in words and "≤ 1" in words:
        words.remove("≤ 1")
    return f" {', '.join(words)}" if words else ""


def _flattened(metadata: list[Any] | tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from item.metadata
        elif not isinstance(item, MinLen):
            yield item


def _unit(annotation: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str | None:
    for item in metadata:
        told = getattr(item, "json_schema", None)
        if isinstance(told, dict):
            for words, unit in UNITS.items():
                if told.get("description", "").startswith(words):
                    return unit
    if get_origin(annotation) is Annotated:
        inner = get_args(annotation)
        return _unit(inner[0], inner[1:])
    if isinstance(annotation, type):
        return None
    for part in get_args(annotation):
        found = _unit(part)
        if found:
            return found
    return None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return _shown(None if field.default_factory is not None else field.default)


def _shown(value: Any) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple) and len(value) > 1:
        return f"`[{', '.join(map(_bare, value))}]`"
    if isinstance(value, BaseModel):
        given = value.model_dump(exclude_none=True)
        plain = ", ".join(f"{key}: {_bare(item)}" for key, item in given.items())
        many = len(given) > 3
        return "defaults below" if many else f"`{{{plain}}}`" if plain else "none"
    if value == (PolicyChoice(chain_of_thought=True),):
        return "`[chain_of_thought]`"
    if isinstance(value, tuple):
        return ", ".join(_shown(item).strip("{}") for item in value)
    return f"`{_bare(value)}`"


def _bare(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float | int):
        return f"{value:g}".replace("e+0", "e").replace("e+", "e").replace("100000", "1e5")
    return str(value)


def main() -> int:
    """Write both files, or say which of them is out of date."""
    written = {REFERENCE: reference(), SCHEMA: schema()}
    stale = [
        path
        for path, text in written.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"{path.name} is out of date: run python docs/generate.py\n")
        else:
            path.write_text(written[path], encoding="utf-8")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    raise SystemExit(main())
