"""Array types of the laws, and the one way in which they refuse a value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ArrayLike", "FloatArray", "interval", "refuse"]

FloatArray = NDArray[np.float64]
"""What every law returns; a scalar argument gives a NumPy scalar."""


def refuse(name: str, allowed: str, value: object) -> ValueError:
    """Error that names the argument, the values it may take and the value it had.

    >>> refuse("skills", "in [0, inf)", -1.0)
    ValueError('skills must be in [0, inf), got -1.0')
    """
    return ValueError(f"{name} must be {allowed}, got {value}")


def interval(
    name: str, value: ArrayLike, low: float, high: float, *, bounds: str = "[]"
) -> FloatArray:
    """Argument as a float64 array, refused unless every element lies in the interval.

    Costs one minimum and one maximum, both of which propagate NaN, so NaN is refused too.

    >>> interval("share", [0.25, 1], 0.0, 1.0).tolist()
    [0.25, 1.0]
    >>> interval("share", [0.25, 1.5], 0.0, 1.0)
    Traceback (most recent call last):
        ...
    ValueError: share must be in [0, 1], got 1.5
    """
    array = np.asarray(value, dtype=np.float64)
    if array.size == 0:
        return array
    least, greatest = array.min(), array.max()
    above = least >= low if bounds[0] == "[" else least > low
    below = greatest <= high if bounds[1] == "]" else greatest < high
    if above and below:
        return array
    culprit = greatest if above else least
    raise refuse(name, f"in {bounds[0]}{low:g}, {high:g}{bounds[1]}", float(culprit))
