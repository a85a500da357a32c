"""How far predictions lie from measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ds3opt.laws._types import FloatArray


@dataclass(frozen=True)
class Errors:
    """Quantiles over rows: of measured over predicted, and of ``|predicted / measured - 1|``."""

    rows: int
    p10: float
    p50: float
    p90: float
    median_error: float
    p90_error: float


def errors(measured: FloatArray, predicted: FloatArray) -> Errors | None:
    """Errors over the rows in which something was measured; None without any.

    >>> import numpy as np
    >>> found = errors(np.array([1.0, 2.0, 4.0, np.nan]), np.array([1.0, 3.0, 4.0, 9.0]))
    >>> found.rows, found.p50, found.median_error, round(found.p90_error, 2)
    (3, 1.0, 0.0, 0.4)
    """
    known = np.isfinite(measured)
    if not known.any():
        return None
    ratio = measured[known] / predicted[known]
    off = np.abs(1.0 / ratio - 1.0)
    low, middle, high = (float(q) for q in np.quantile(ratio, (0.1, 0.5, 0.9)))
    return Errors(
        int(known.sum()), low, middle, high, float(np.median(off)), float(np.quantile(off, 0.9))
    )


def inside(measured: FloatArray, predicted: FloatArray, low: float, high: float) -> tuple[int, int]:
    """Rows whose measured over predicted lies within a band, and rows in which it is known."""
    known = np.isfinite(measured)
    ratio = measured[known] / predicted[known]
    return int(np.sum((ratio >= low) & (ratio <= high))), int(known.sum())
