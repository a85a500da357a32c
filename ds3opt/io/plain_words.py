"""What each kind of pydantic error says, in the words of somebody who writes scenarios."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_EXPECTED = {
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type"), "a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "path_type"), "text"),
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), "a list"
    ),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"),
        "a mapping",
    ),
    "none_required": "nothing",
}
_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_CHOICES = {"literal_error", "enum", "union_tag_invalid"}
_CHOICE = re.compile(r"'((?:[^'\\]|\\.)*)'|(-?\d[\w.]*)")


def shown(value: object, width: int = 40) -> str:
    """A value as it would be written in a scenario, cut to `width`.

    >>> shown(True), shown("abc"), shown([1, 2])
    ('true', '"abc"', 'the list [1, 2]')
    """
    if isinstance(value, dict):
        keys = ", ".join(str(key) for key in value)
        return f"a mapping with {_cut(keys, width)}" if keys else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "the list [" + _cut(", ".join(shown(v, 20) for v in value[:9]), width) + "]"
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        finite = repr(value).removesuffix(".0")
        return finite if math.isfinite(value) else re.sub("inf|nan", r".\g<0>", finite)
    return f'"{_cut(value, width)}"' if isinstance(value, str) else _cut(str(value), width)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def expected(error: ErrorDetails) -> tuple[str, ...]:
    """What would have fitted at all: ``("a number",)``; empty when the type was right."""
    if error["type"] in _CHOICES:
        return tuple(f'"{choice}"' for choice in choices(error))
    of_quantity = getattr(error.get("ctx", {}).get("error"), "expected", "")
    asked = of_quantity or _EXPECTED.get(error["type"], "")
    return (asked,) if asked else ()


def choices(error: ErrorDetails) -> list[str]:
    """The accepted words, where there is a fixed set of them."""
    context = error.get("ctx", {})
    listed = str(context.get("expected") or context.get("expected_tags") or "")
    return [quoted or number for quoted, number in _CHOICE.findall(listed)]


def wording(error: ErrorDetails) -> tuple[str, str]:
    """Message and hint for one error."""
    kind, context = error["type"], error.get("ctx", {})
    value: Any = error["input"]
    if kind == "missing":
        return "required, but missing", ""
    if kind in {"value_error", "assertion_error"}:
        return _raised(context.get("error", error["msg"]))
    if kind in _CHOICES:
        return _choice(choices(error), _tag(error, value))
    if kind == "union_tag_not_found":
        return _tag_missing(str(context.get("discriminator", "")))
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"must be {words} {shown(context.get(key))}, not {shown(value)}", ""
    if kind in _EXPECTED:
        hint = ""
        if _EXPECTED[kind] == "text" and isinstance(value, (int, float)):
            hint = f'put it in quotes: "{shown(value)}"'
        return f"{_EXPECTED[kind]} is expected, not {shown(value)}", hint
    return _rarer(kind, context, value, error["msg"])


def _rarer(kind: str, context: dict[str, Any], value: object, message: str) -> tuple[str, str]:
    if kind == "finite_number":
        return f"must be finite, not {shown(value)}", ""
    if kind in {"too_short", "too_long", "string_too_short", "string_too_long"}:
        short = kind.endswith("short")
        bound = context.get("min_length" if short else "max_length")
        what = "characters" if kind.startswith("string") else "items"
        what = what[:-1] if bound == 1 else what
        return f"needs at {'least' if short else 'most'} {bound} {what}, not {shown(value)}", ""
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} does not match {context.get('pattern')}", ""
    plain = re.sub(r"^Input should (not )?", r"should \1", message)
    plain = plain.replace("should be a valid ", "should be a ").replace("Input", "the value")
    return f"{plain[:1].lower()}{plain[1:]}, not {shown(value)}"[:300], ""


def _raised(error: object) -> tuple[str, str]:
    message = getattr(error, "message", None) or str(error).removeprefix("Value error, ")
    return str(message) or "not accepted", str(getattr(error, "hint", ""))


def _tag(error: ErrorDetails, value: Any) -> object:
    tag = error.get("ctx", {}).get("tag")
    return value if tag is None else str(tag)


def _choice(accepted: list[str], value: object) -> tuple[str, str]:
    listed = ", ".join(accepted[:20]) + (", ..." if len(accepted) > 20 else "")
    single = f'must be "{listed}", not {shown(value)}'
    message = single if len(accepted) == 1 else f"{shown(value)} is none of {listed}"
    near = difflib.get_close_matches(str(value)[:60], accepted, n=1)
    return message, f'did you mean "{near[0]}"?' if near else ""


def _tag_missing(discriminator: str) -> tuple[str, str]:
    if discriminator.startswith("'"):
        name = discriminator.split("|")[0].strip(" '")
        return f'the key "{name}" is required, but missing', ""
    return "this form is not one of those accepted here", ""
