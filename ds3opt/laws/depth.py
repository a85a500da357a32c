"""What a longer search adds to the effect of model size: DS3 Theorem 2."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval

_ROUNDING = 1e-12
"""Relative distance at which 1 / r counts as whole: 1 / 0.1 must."""


@np.errstate(under="ignore", divide="ignore", invalid="ignore")
def depth_amplification(steps: ArrayLike, step_success: ArrayLike) -> FloatArray:
    """Factor by which t steps steepen the success of a skill in its step success: DS3 (65).

    ``A(t, r) = t (1 - r)^(t - 1)``, the derivative of ``1 - (1 - r)^t`` in r.

    Parameters
    ----------
    steps : t >= 0.
    step_success : r in [0, 1].

    >>> depth_amplification([1, 2, 3, 5], 0.4).round(6).tolist()
    [1.0, 1.2, 1.08, 0.648]
    """
    t = interval("steps", steps, 0, np.inf, bounds="[)")
    r = interval("step_success", step_success, 0, 1)
    power = np.where(t == 1.0, 0.0, (t - 1.0) * np.log1p(-r))
    value = t * np.exp(power)
    # no step, no slope, even at r = 1, where the power is not defined
    return np.asarray(np.where(t == 0.0, 0.0, value))[()]


def steepest_steps(step_success: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Numbers of steps of largest amplification: ``floor(1 / r)``, lowest and highest of a tie.

    Parameters
    ----------
    step_success : r in (0, 1].

    Notes
    -----
    DS3 Theorem 2 names ``1 / r - 1``, which is no whole number in general, and then not where the
    maximum is. Where 1 / r is whole, 1 / r - 1 and 1 / r tie. More steps than that make success
    less steep in model size, though they raise it.

    >>> [t.tolist() for t in steepest_steps([0.3, 0.25, 0.1, 0.7])]
    [[3.0, 3.0, 9.0, 1.0], [3.0, 4.0, 10.0, 1.0]]
    """
    r = interval("step_success", step_success, 0, 1, bounds="(]")
    inverse = 1.0 / r
    nearest = np.rint(inverse)
    whole = np.abs(inverse - nearest) <= _ROUNDING * inverse
    most = np.where(whole, nearest, np.floor(inverse))
    least = np.where(whole, np.maximum(most - 1.0, 1.0), most)
    return np.asarray(least)[()], np.asarray(most)[()]


def largest_amplification(step_success: ArrayLike) -> FloatArray:
    """Amplification at the best whole number of steps; at least 1, and 1 from r = 1/2 on.

    >>> largest_amplification([0.4, 0.5, 0.9]).round(6).tolist()
    [1.2, 1.0, 1.0]
    """
    return depth_amplification(steepest_steps(step_success)[1], step_success)


def theorem_amplification(step_success: ArrayLike) -> FloatArray:
    """g of DS3 Theorem 2: the amplification at ``t = 1 / r - 1``, and 1 from r = 1/2 on.

    At most `largest_amplification`, which exceeds it by up to 3.4% (next to r = 0.414), and the
    same where 1 / r is whole.

    >>> theorem_amplification([0.4, 0.5, 1.0]).round(6).tolist()
    [1.161895, 1.0, 1.0]
    """
    r = interval("step_success", step_success, 0, 1, bounds="(]")
    low = np.minimum(r, 0.5)
    log_g = np.log1p(-low) - np.log(low) + (1.0 / low - 2.0) * np.log1p(-low)
    return np.asarray(np.exp(log_g))[()]


def continuous_steepest_steps(step_success: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Real number of steps, at least 1, of largest amplification, and that amplification.

    ``t = -1 / ln(1 - r)``, value ``-1 / (e (1 - r) ln(1 - r))``, and 1, 1 from r = 1 - 1/e on.

    >>> [round(float(v), 5) for v in continuous_steepest_steps(0.4)]
    [1.95762, 1.20028]
    """
    r = interval("step_success", step_success, 0, 1, bounds="(]")
    log_fail = np.log1p(-np.minimum(r, 1.0 - 1.0 / np.e))
    steps = np.maximum(-1.0 / log_fail, 1.0)
    return np.asarray(steps)[()], depth_amplification(steps, np.minimum(r, 1.0 - 1.0 / np.e))
