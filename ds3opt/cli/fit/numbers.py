"""Numbers that fits take as options: shares, and whole numbers of samples, several at once."""

from __future__ import annotations

from ds3opt.errors import Problem, UsageError

MOST = 1e9
"""Samples."""


def parts(text: str | None) -> list[str]:
    """What commas separate.

    >>> parts("0.5, 90%")
    ['0.5', '90%']
    """
    return [] if text is None else [part.strip() for part in text.split(",") if part.strip()]


def share(option: str, text: str) -> float:
    """A number above 0 and at most 1.

    Raises
    ------
    UsageError : another one, or none.
    """
    return _number(option, text, 1.0)


def whole(option: str, text: str, most: float = MOST) -> float:
    """A whole number from 1 up.

    Raises
    ------
    UsageError : another one, or none.
    """
    value = _number(option, text, most)
    if value != int(value):
        raise UsageError(f"{option} {text}: a whole number is expected")
    return value


def _number(option: str, text: str, most: float) -> float:
    from ds3opt.units import UnitError, parse_quantity

    try:
        value = parse_quantity(text, "ratio" if most <= 1.0 else "dimensionless")
    except UnitError as error:
        raise UsageError(Problem(f"{option} {text}: {error.message}", hint=error.hint)) from None
    if not 0.0 < value <= most:
        raise UsageError(f"{option} {text}: must be above 0 and at most {most:g}")
    return value
