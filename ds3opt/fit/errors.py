"""How far predictions lie from measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ds3opt.laws._types import FloatArray

SHARE_INSIDE = 0.8
"""Of rows between the tenth and ninetieth percentile."""
SURE = 0.01
"""A band is missed when chance would leave so few rows inside it less often than this."""


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


def too_few(inside: int, rows: int) -> bool:
    """Whether fewer rows lie inside a band of 80 % than chance leaves in 1 of 100 tables.

    The lower tail of the binomial distribution.

    >>> too_few(8, 10), too_few(4, 10), too_few(0, 2), too_few(0, 3)
    (False, True, False, True)
    """
    from scipy.special import bdtr

    return rows > 0 and float(bdtr(inside, rows, SHARE_INSIDE)) < SURE
