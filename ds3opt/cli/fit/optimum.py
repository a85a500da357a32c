"""What a fitted loss law makes of compute, with the uncertainty of its joint draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds3opt.fit.bootstrap import Spread
    from ds3opt.laws._types import FloatArray
    from ds3opt.laws.loss import LossLaw
    from ds3opt.report.document import Table
    from ds3opt.report.values import Value


def _optimum(
    law: LossLaw, draws: FloatArray, budget: float
) -> list[tuple[str, str, float, Spread | None]]:
    """Size, tokens and their ratio of least loss at a compute, each with its uncertainty."""
    import numpy as np

    from ds3opt.fit.bootstrap import spread
    from ds3opt.laws.loss import optimal_size

    n, d = law.compute_optimal(budget)
    _, a, b, alpha, beta = draws[:, :5].T
    sizes = optimal_size(budget, a, b, alpha, beta)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # at 0 or infinity where the data do not identify the constants
        tokens = budget / 6.0 / sizes
        ratios, ratio = tokens / sizes, float(d / n)
    return [
        ("parameters", "parameters, fixed", float(n), spread(sizes)),
        ("training_tokens", "tokens, fixed", float(d), spread(tokens)),
        ("tokens_per_parameter", "count, fixed", ratio, spread(ratios)),
    ]


def optimum_data(law: LossLaw, draws: FloatArray, budgets: Sequence[float]) -> list[dict[str, Any]]:
    """Compute-optimal sizes and tokens as machines read them.

    Parameters
    ----------
    draws : (draw, constant), columns as in `fit.loss.CONSTANTS`; no rows where there are none.
    budgets : training compute, FLOP.
    """
    return [
        {
            "training_flop": budget,
            **{
                name: {
                    "value": value,
                    "standard_error": None if one is None else one.standard_error,
                    "interval": None if one is None else [one.low, one.high],
                }
                for name, _, value, one in _optimum(law, draws, budget)
            },
        }
        for budget in budgets
    ]


def optimum_table(law: LossLaw, draws: FloatArray, budgets: Sequence[float]) -> Table:
    """The same for people."""
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval

    rows: list[tuple[Value, ...]] = []
    for budget in budgets:
        row: list[Value] = [budget]
        for _, dimension, value, one in _optimum(law, draws, budget):
            row += [value, None if one is None else Interval(one.low, one.high, dimension)]
        rows.append(tuple(row))
    shown = (
        Column("training_flop", "training FLOP", "flop, short"),
        Column("parameters", "parameters", "parameters, fixed, short"),
        Column("parameters_interval", "95 % interval"),
        Column("training_tokens", "tokens", "tokens, fixed, short"),
        Column("training_tokens_interval", "95 % interval"),
        Column("tokens_per_parameter", "tokens per parameter", "count, fixed"),
        Column("tokens_per_parameter_interval", "95 % interval"),
    )
    table = Table("Compute-optimal by this law, all tokens fresh", shown, tuple(rows))
    return table.without_empty()
