"""A study over draws as plain data: what `--format json` promises to scripts."""

from __future__ import annotations

from typing import Any

from ds3opt.report.solution_data import solution_data
from ds3opt.report.words import outcome_key
from ds3opt.uncertainty.plan_risk import PlanRisk
from ds3opt.uncertainty.study import Robust, Study
from ds3opt.uncertainty.summary import LEVELS, ClassOdds, Regret, Spread

Data = dict[str, Any]


def uncertainty_data(study: Study, *, version: str, sha256: str) -> Data:
    """The point estimate's answer as a solve without draws has it, and `uncertainty` beside it."""
    spreads = study.spreads
    return {
        **solution_data(study.point, version=version, sha256=sha256),
        "uncertainty": {
            "draws": spreads.draws,
            "seed": study.sample.seed,
            "gap_of_a_draw": spreads.gap,
            "infeasible": spreads.infeasible,
            "not_converged": spreads.not_converged,
            "constants": [
                {
                    "path": constant.path,
                    "label": constant.label,
                    "value": constant.value,
                    "source": constant.source,
                    "drawn_with": constant.group,
                    **_numbers(spread),
                }
                for constant, spread in study.constants
            ],
            "amounts": {outcome_key(one.name): _spread(one) for one in spreads.amounts},
            "classes": [_class(one) for one in spreads.classes],
            "regret_of_the_model": _regret(spreads.model_regret),
            "plan": _risk(study.plan),
            "robust": _robust(study.robust),
            "left_out": list(study.left_out),
        },
    }


def _numbers(one: Spread) -> Data:
    quantiles = {
        f"p{100 * level:g}".replace(".", "_"): value
        for level, value in zip(LEVELS, one.quantiles, strict=True)
    }
    return {"mean": one.mean, **quantiles}


def _spread(one: Spread) -> Data:
    return {"point": one.point, **_numbers(one)}


def _class(one: ClassOdds) -> Data:
    return {
        "name": one.name,
        "accuracy": _spread(one.accuracy),
        "expected_tokens": _spread(one.tokens),
        "policies": [
            {
                "policy": policy.policy,
                "in_point_plan": policy.in_plan,
                "probability_best": policy.best,
                "served": policy.served,
                "as_good_as_leading": policy.as_good,
                "verdict": policy.verdict.replace(" ", "_"),
                "lost": _numbers(policy.lost),
            }
            for policy in one.policies
        ],
    }


def _regret(regret: Regret | None) -> Data | None:
    if regret is None:
        return None
    quantiles = {
        f"p{100 * level:g}".replace(".", "_"): value
        for level, value in zip(LEVELS, regret.quantiles, strict=True)
    }
    return {
        "mean": regret.mean,
        **quantiles,
        "beyond_gap": regret.beyond_gap,
        "impossible": regret.impossible,
        "relative": regret.relative,
    }


def _risk(risk: PlanRisk | None) -> Data | None:
    if risk is None:
        return None
    return {
        "objective": _spread(risk.objective),
        "classes": {name: _numbers(spread) for name, spread in risk.classes},
        "regret": _regret(risk.regret),
        "limits": [
            {
                "name": one.name,
                "broken": one.broken,
                "limit": _numbers(one.limit),
                "used": _numbers(one.used),
                "used_beyond_limit": _numbers(one.beyond),
            }
            for one in risk.limits
        ],
    }


def _robust(robust: Robust | None) -> Data | None:
    if robust is None:
        return None
    plan = robust.plan
    return {
        "tail": plan.tail,
        "objective_lower": plan.value,
        "objective_upper": plan.upper,
        "gap": plan.gap,
        "requested_gap": plan.requested_gap,
        "converged": plan.converged,
        "point_plan": robust.point_value,
        "limits_kept_on_average": dict(plan.limits.items()),
        "parameters": plan.plan.parameters,
        "training_tokens": plan.plan.training_tokens,
        "tasks": [
            {
                "name": row.name,
                "policy": row.policy.as_dict(),
                "fraction": row.fraction,
                "token_budget": row.token_budget,
                "accuracy": row.accuracy,
            }
            for row in robust.rows
        ],
        "in_the_draws": _risk(robust.risk),
    }
