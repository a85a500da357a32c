"""What an unquoted word in YAML means, by the core schema of YAML 1.2."""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {w: w.lower() == "true" for w in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN = frozenset((".nan", ".NaN", ".NAN"))
_DIGITS_OF_A_FLOAT = 308

_PREFIX = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}


def plain_scalar(text: str) -> Scalar:
    """Value of an unquoted scalar.

    Only ``true`` and ``false`` are booleans; dates, ``yes``, ``1_000`` and ``12:30`` stay text. An
    integer beyond the range of a float becomes an infinite float, which no quantity accepts.

    >>> [plain_scalar(word) for word in ("1e24", "0x1F", "yes", "2026-01-01", "~")]
    [1e+24, 31, 'yes', '2026-01-01', None]
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return _integer(text, 10)
    if _OCTAL_OR_HEX.fullmatch(text):
        return _integer(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if text in _NAN else text


def _integer(digits: str, base: int) -> int | float:
    if base == 10 and len(digits) > _DIGITS_OF_A_FLOAT:
        return float(digits)
    number = int(digits, base)
    return number if number.bit_length() < 1024 else float("inf")


def tagged_scalar(text: str, tag: str) -> Scalar:
    """Value of a scalar with an explicit tag; ValueError, saying why, when there is none."""
    if tag in {"!", _PREFIX + "str"}:
        return text
    kind = tag.removeprefix(_PREFIX)
    if not tag.startswith(_PREFIX) or kind not in _TYPES:
        raise ValueError(refused_tag(tag))
    value = plain_scalar(text)
    accepted = isinstance(value, _TYPES[kind])
    if not accepted or (isinstance(value, bool) and kind != "bool"):
        raise ValueError(f'"{text[:40]}" is not of type !!{kind}')
    return float(value) if kind == "float" and isinstance(value, int) else value


def collection_tag_accepted(tag: str | None, kind: str) -> bool:
    """Whether a mapping (`map`) or a list (`seq`) may carry this tag."""
    return tag in {None, "!", _PREFIX + kind}


def refused_tag(tag: str) -> str:
    """Message for a tag that has no meaning here."""
    short = "!!" + tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else tag
    return f'the YAML tag "{short[:60]}" is not accepted'
