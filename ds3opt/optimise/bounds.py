"""Upper bounds for search cells: Lagrangian values at nodes, bounded between the nodes.

A cell is a range of pretraining loss [L1, L2] and of model size [N1, N2]. Cost is counted in
*effective tokens*, inference FLOP over 2 N, because the price of a token hardly depends on N. For
any price nu >= 0 no plan in the cell has more value than

    Phi(N) + nu M(N),    Phi(N) = sum over tasks of the best of gain - nu cost at L1,
                         M(N) = (C - T(N, L2)) / (2 N),

because gain never rises with loss, cost never falls with it, and less loss takes more training.
In z = 1 / N every action's cost is concave, so Phi is convex and lies below its chord between two
nodes; training FLOP is log-convex in ln N, so it lies above its logarithm's outer secants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.training import Training

FloatArray = NDArray[np.float64]

_STEP = 1e-4
"""Distance in ln N of the outer secants' second point."""


def interval_bounds(
    training: Training,
    loss: FloatArray,
    log_size: FloatArray,
    phi: FloatArray,
    price: FloatArray,
    total_flop: FloatArray,
    inference_flop: FloatArray,
    served: FloatArray,
) -> FloatArray:
    """Largest value between neighbouring nodes of model size.

    Parameters
    ----------
    loss : (cell,) upper end L2 of the cell's loss range.
    log_size : (cell, node) ln N, increasing.
    phi : (cell, node) Lagrangian value per task at the lower end L1.
    price : (cell,) value per effective token.
    total_flop, inference_flop : (cell,) limits; inf where there is none.
    served : (cell,) tasks that share the training.

    Returns
    -------
    (cell, node - 1)
    """
    with np.errstate(over="ignore"):
        total_cap, inference_cap = total_flop / served, inference_flop / served
    inverse = np.exp(-log_size)
    free = (price == 0.0)[:, None]
    with np.errstate(invalid="ignore"):
        capped = phi + np.where(free, 0.0, 0.5 * (price * inference_cap)[:, None] * inverse)
    of_inference = np.maximum(capped[:, :-1], capped[:, 1:])
    if np.all(np.isinf(total_cap)):
        return np.where(np.isnan(of_inference), np.inf, of_inference)
    with np.errstate(divide="ignore", invalid="ignore"):
        at, tasks = loss[:, None], served[:, None]
        here = np.log(training.flop(1.0 / inverse, at) / tasks)
        left = np.log(training.flop(np.exp(log_size - _STEP), at) / tasks)
        right = np.log(training.flop(np.exp(log_size + _STEP), at) / tasks)
        of_total = _with_training(log_size, inverse, phi, price, total_cap, here, left, right)
    return np.where(np.isnan(of_total), of_inference, np.minimum(of_inference, of_total))


def _with_training(
    log_size: FloatArray,
    inverse: FloatArray,
    phi: FloatArray,
    price: FloatArray,
    total_cap: FloatArray,
    here: FloatArray,
    left: FloatArray,
    right: FloatArray,
) -> FloatArray:
    ua, ub = log_size[:, :-1], log_size[:, 1:]
    ta, tb = here[:, :-1], here[:, 1:]
    sa, sb = (ta - left[:, :-1]) / _STEP, (right[:, 1:] - tb) / _STEP
    has_a, has_b = np.isfinite(sa), np.isfinite(sb)
    crossing = (tb - ta + sa * ua - sb * ub) / (sa - sb)
    crossing = np.clip(np.where(np.isfinite(crossing), crossing, 0.5 * (ua + ub)), ua, ub)
    crossing = np.where(has_a, np.where(has_b, crossing, ub), ua)
    za, zb = inverse[:, :-1], inverse[:, 1:]
    span = za - zb
    slope = np.where(span > 0.0, (phi[:, :-1] - phi[:, 1:]) / np.where(span > 0.0, span, 1.0), 0.0)
    start = phi[:, 1:] - slope * zb
    # Phi's chord and the budget's share are linear in z: together start + line z
    line = slope + 0.5 * (price * total_cap)[:, None]
    half = 0.5 * price[:, None]
    best = np.full(ua.shape, -np.inf)
    for known, anchor, level, exponent, low, high in (
        (has_a, ua, ta, sa, ua, crossing),
        (has_b, ub, tb, sb, crossing, ub),
    ):
        cost = half * np.where(known, np.exp(level), 0.0)
        steep = np.where(known, exponent, 0.0)
        piece = _largest(start, line, cost, steep, anchor, low, high)
        # an unknown secant leaves the interval to the other; without either training is free
        best = np.maximum(best, np.where(known | ~(has_a | has_b), piece, -np.inf))
    return best


def _largest(
    start: FloatArray,
    line: FloatArray,
    cost: FloatArray,
    exponent: FloatArray,
    anchor: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> FloatArray:
    """Largest of ``start + (line - cost (N / anchor)**exponent) / N`` for ln N in [low, high].

    In z = 1 / N this is linear less a power of z, with the exponent 1 - `exponent`: concave if
    that lies outside [0, 1], when the stationary point is the maximum, else convex, when an end
    is. The largest of the three covers both.
    """

    def value(u: FloatArray) -> FloatArray:
        power = np.exp(np.clip(exponent * (u - anchor), -700.0, 700.0))
        return np.asarray(start + (line - cost * power) * np.exp(-u))

    ratio = line / (cost * (1.0 - exponent))
    stationary = anchor + np.log(ratio) / exponent
    stationary = np.clip(np.where(np.isfinite(stationary), stationary, low), low, high)
    return np.maximum(np.maximum(value(low), value(high)), value(stationary))
