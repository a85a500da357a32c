"""Whether a result is as expected: its answer, and where it was solved for draws, their spread."""

from __future__ import annotations

from typing import Any

from ds3opt.regression import points, spreads
from ds3opt.regression.points import Data, Drift, policy_words, row_words, stable


def compare(expected: Data, actual: Data) -> list[Drift]:
    """Everything in which a result differs from the expected one beyond its tolerance.

    The tolerances are those of `points.compare` and `spreads.compare`.
    """
    drifts = points.compare(expected, actual)
    return drifts + spreads.compare(expected, actual)


def draws_of(expected: Data) -> tuple[int, int, float | None] | None:
    """Number of draws, seed and tail of the robust plan that a result is for; None for a point."""
    told: Any = expected.get("uncertainty")
    if not isinstance(told, dict):
        return None
    draws, seed = told.get("draws"), told.get("seed")
    if not isinstance(draws, int) or not isinstance(seed, int):
        return None
    robust: Any = told.get("robust")
    tail = robust.get("tail") if isinstance(robust, dict) else None
    return draws, seed, float(tail) if isinstance(tail, (int, float)) else None


__all__ = ["Data", "Drift", "compare", "draws_of", "policy_words", "row_words", "stable"]
