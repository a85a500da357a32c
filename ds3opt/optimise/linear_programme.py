"""Allocation under several limits at once: a linear programme over envelope points (cvxpy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_INSIDE = 1e-9
"""Relative distance kept from every limit, so that a solver's tolerance breaks none."""


@dataclass(frozen=True)
class Programme:
    """The optimum of the linear programme and the prices of its limits."""

    value: float
    amount: FloatArray  # (action,) part of the task's requests that have the action
    budget_prices: FloatArray  # (budget,) value per unit
    group_prices: FloatArray  # (group,) value per unit of a group's gain


def best_mix(
    task: IntArray,
    success: FloatArray,
    worth: FloatArray,
    weight: FloatArray,
    costs: FloatArray,
    budgets: FloatArray,
    group: IntArray,
    group_least: FloatArray,
) -> Programme | None:
    """Most weighted worth of success within several budgets, with least success for groups.

    Parameters
    ----------
    task : (action,) the task that each action serves.
    success : (action,). worth : (action,) value of one success. weight : (action,) of its task.
    costs : (resource, action) per task served. budgets : (resource,) of weighted cost.
    group : (action,) index into `group_least`.
    group_least : (group,) least weighted success; 0 where nothing is required.

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
    finite = np.flatnonzero(np.isfinite(budgets))
    needed = np.flatnonzero(group_least > 0.0)
    constraints = [one @ amount <= 1.0]
    scale = np.maximum(budgets[finite], 1e-300)
    if finite.size:
        shares = costs[finite] * weight / scale[:, None]
        constraints.append(shares @ amount <= 1.0 - _INSIDE)
    solved = weight * success
    if needed.size:
        member = sparse.csr_matrix((solved, (group, np.arange(count))), (group_least.size, count))[
            needed
        ]
        least = group_least[needed]
        constraints.append(sparse.diags(1.0 / least) @ member @ amount >= 1.0 + _INSIDE)
    problem = cvxpy.Problem(cvxpy.Maximize((solved * worth) @ amount), constraints)
    try:
        problem.solve(solver=cvxpy.SCIPY, scipy_options={"method": "highs"})
    except cvxpy.error.SolverError:
        problem.solve(solver=cvxpy.CLARABEL)
    if problem.status not in ("optimal", "optimal_inaccurate") or amount.value is None:
        return None
    budget_prices = np.zeros(budgets.size)
    group_prices = np.zeros(group_least.size)
    if finite.size:
        budget_prices[finite] = np.abs(np.atleast_1d(constraints[1].dual_value)) / scale
    if needed.size:
        group_prices[needed] = np.abs(np.atleast_1d(constraints[-1].dual_value)) / least
    mix = np.clip(np.asarray(amount.value), 0.0, 1.0)
    mix[mix < 1e-12] = 0.0
    return Programme(float(solved * worth @ mix), mix, budget_prices, group_prices)
