"""``ds3opt schema``: the JSON Schema of a scenario, for editors."""

from __future__ import annotations

import json
from typing import Any

from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode

_NUMBER: dict[str, Any] = {"type": ["number", "string"]}
_TEXT: dict[str, Any] = {"type": "string"}
_UNCERTAIN: dict[str, Any] = {"$ref": "#/$defs/Uncertain"}
_EITHER_NUMBER: dict[str, Any] = {"anyOf": [_NUMBER, _UNCERTAIN]}
_ENDS = {"type": "array", "items": _EITHER_NUMBER, "minItems": 2, "maxItems": 2}
_SHORT: dict[str, list[dict[str, Any]]] = {
    "ParameterRange": [_NUMBER, _UNCERTAIN, _ENDS],
    "TokenRange": [_NUMBER, _UNCERTAIN, _ENDS],
    "RatioRange": [_NUMBER, _UNCERTAIN, _ENDS],
    "TokenBudgetRange": [_NUMBER, _UNCERTAIN, _ENDS],
    "Spread": [_NUMBER, _UNCERTAIN, {"type": "array", "items": _EITHER_NUMBER, "minItems": 1}],
    "PolicyChoice": [{"const": "chain_of_thought"}],
    "Accelerator": [_TEXT],
    "Calibration": [_TEXT],
    "ModelShapeSpec": [_TEXT],
    "TrainableShape": [_TEXT],
    "PriceRange": [_NUMBER, _UNCERTAIN],
}
"""Short ways to write a part of a scenario, which its validators turn into the long one."""
_TEXT_TOO = {
    "Frontier": ("from", "to"),
    "TaskClass": ("value", "observed", "verifier", "wrong_answers"),
    "Model": ("capability",),
    "Measured": ("population", "success_counts"),
}
"""Keys that take text besides: a quantity of whatever the limit is, money, a file."""
_EITHER = {"TaskClass": (["difficulty", "skills"], ["level", "skills"], ["measured"], ["observed"])}
"""Keys that are required, or else others in their place."""
_NAMED = ("ModelShapeSpec", "TrainableShape")
"""Parts that may replace single figures of what they name."""


@with_view()
def schema(view: View) -> int:
    """The JSON Schema of a scenario, for editors and checkers."""
    view.emit_text(json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE


def scenario_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, that accepts the short forms too."""
    from ds3opt.schema import Scenario
    from ds3opt.schema.descriptions import describe
    from ds3opt.schema.uncertain import SPREADING, Uncertain

    describe()
    found = Scenario.model_json_schema(by_alias=True)
    for name, keys in _TEXT_TOO.items():
        properties = found["$defs"][name]["properties"]
        properties |= {key: _or_text(properties[key]) for key in keys}
    for name, forms in _EITHER.items():
        part = found["$defs"][name]
        one_of_them = {key for form in forms for key in form}
        part["required"] = [key for key in part["required"] if key not in one_of_them]
        part["anyOf"] = [{"required": form} for form in forms]
    for name in _NAMED:
        part = found["$defs"][name]
        config = {**_TEXT, "description": "A Hugging Face config.json that the figures are from."}
        part["properties"]["config"] = config
        ways = [["config"], ["name"], part.pop("required")]
        part["anyOf"] = [{"required": way} for way in ways]
    found = _with_short_forms(_with_uncertain_numbers(found))
    ways = [{"required": [key]} for key in SPREADING]
    found["$defs"]["Uncertain"] = {**Uncertain.model_json_schema(by_alias=True), "anyOf": ways}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "ds3opt scenario",
    }


def _or_text(part: dict[str, Any]) -> dict[str, Any]:
    """A schema that accepts text besides, with what is said of it outside."""
    said = ("title", "description", "default")
    about: dict[str, Any] = {key: part[key] for key in said if key in part}
    forms = {key: value for key, value in part.items() if key not in about}
    return {"anyOf": [*forms.get("anyOf", [forms]), _TEXT], **about}


def _with_uncertain_numbers(found: dict[str, Any]) -> dict[str, Any]:
    """A schema in which every number but those that are fixed may be an uncertain one."""
    from ds3opt.schema.number_keys import is_fixed

    for name, part in found["$defs"].items():
        for key, value in part.get("properties", {}).items():
            if not is_fixed(name, key):
                part["properties"][key] = _or_uncertain(value)
    return found


def _or_uncertain(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if part.get("type") in ("number", "integer"):
        said = ("title", "description", "default", "examples")
        about = {key: part[key] for key in said if key in part}
        plain = {key: value for key, value in part.items() if key not in about}
        return {"anyOf": [plain, _UNCERTAIN], **about}
    if "anyOf" in part:
        forms: list[Any] = []
        for form in part["anyOf"]:
            changed = _or_uncertain(form)
            bare = isinstance(changed, dict) and set(changed) == {"anyOf"}
            forms += changed["anyOf"] if bare else [changed]
        return {**part, "anyOf": [f for f in forms if f != _UNCERTAIN] + _marked(forms)}
    for key in ("items", "additionalProperties"):
        if key in part:
            part = {**part, key: _or_uncertain(part[key])}
    if "prefixItems" in part:
        part = {**part, "prefixItems": [_or_uncertain(item) for item in part["prefixItems"]]}
    return part


def _marked(forms: list[Any]) -> list[Any]:
    return [_UNCERTAIN] if _UNCERTAIN in forms else []


def _with_short_forms(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_short_forms(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {key: _with_short_forms(value) for key, value in part.items()}
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name in _SHORT:
        about = {key: value for key, value in part.items() if key != "$ref"}
        return {"anyOf": [{"$ref": part["$ref"]}, *_SHORT[name]], **about}
    whole = part.get("items", {})
    if part.get("type") == "array" and isinstance(whole, dict) and whole.get("type") == "integer":
        about = {key: part.pop(key) for key in ("title", "description", "default") if key in part}
        return {"anyOf": [part, whole], **about}
    return part
