"""Allocation under several limits at once: a linear programme over options (cvxpy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_INSIDE = 1e-9
"""Part of every limit that is kept free, so that a solver's tolerance breaks none."""


@dataclass(frozen=True)
class Programme:
    """The optimum of the linear programme and the prices of its limits."""

    value: float
    amount: FloatArray  # (option,) part of its task that has the option
    prices: FloatArray  # (limit,) value per unit of room


def best_mix(
    task: IntArray,
    worth: FloatArray,
    usage: FloatArray,
    room: FloatArray,
    *,
    required: IntArray | None = None,
) -> Programme | None:
    """Most worth within several limits.

    Parameters
    ----------
    task : (option,) the task that each option serves.
    worth : (option,) of serving the whole task so; any sign.
    usage : (option, limit) of serving the whole task so; below 0 where the limit is a lower one.
    room : (limit,) the sum of usage is at most this; inf for no limit.
    required : tasks that must be served whole.

    Returns
    -------
    None where no mix keeps every limit.
    """
    import cvxpy
    from scipy import sparse

    count = task.size
    tasks, row = np.unique(task, return_inverse=True)
    one = sparse.csr_matrix((np.ones(count), (row, np.arange(count))), (tasks.size, count))
    amount = cvxpy.Variable(count, nonneg=True)
    finite = np.flatnonzero(np.isfinite(room))
    scale = np.maximum(np.abs(room[finite]), 1e-300)
    constraints = [one @ amount <= 1.0]
    if finite.size:
        shares = (usage[:, finite] / scale).T
        constraints.append(shares @ amount <= room[finite] / scale - _INSIDE)
    if required is not None and required.size:
        must = np.flatnonzero(np.isin(tasks, required))
        constraints.append(one[must] @ amount == 1.0)
    problem = cvxpy.Problem(cvxpy.Maximize(worth @ amount), constraints)
    try:
        problem.solve(solver=cvxpy.SCIPY, scipy_options={"method": "highs"})
    except cvxpy.error.SolverError:
        problem.solve(solver=cvxpy.CLARABEL)
    if problem.status not in ("optimal", "optimal_inaccurate") or amount.value is None:
        return None
    prices = np.zeros(room.size)
    if finite.size:
        prices[finite] = np.abs(np.atleast_1d(constraints[1].dual_value)) / scale
    mix = np.clip(np.asarray(amount.value), 0.0, 1.0)
    mix[mix < 1e-12] = 0.0
    return Programme(float(worth @ mix), mix, prices)
