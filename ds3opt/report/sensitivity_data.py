"""A sensitivity study as plain data: what `--format json` promises to scripts."""

from __future__ import annotations

from typing import Any

from ds3opt.report.solution_data import solution_data
from ds3opt.uncertainty.keys import Constant
from ds3opt.uncertainty.sensitivity.elasticity import Elasticities, Elasticity
from ds3opt.uncertainty.sensitivity.information import Share, Worth
from ds3opt.uncertainty.sensitivity.study import Known, Sensitivity
from ds3opt.uncertainty.sensitivity.tornado import Bar

Data = dict[str, Any]
AMOUNTS = ("objective", "parameters", "training_tokens", "expected_tokens")


def sensitivity_data(study: Sensitivity, *, version: str, sha256: str) -> Data:
    """The point estimate's answer as a solve has it, and `sensitivity` beside it."""
    sample, following = study.sample, study.measure_next
    return {
        **solution_data(study.point, version=version, sha256=sha256),
        "sensitivity": {
            "draws": None if sample is None else len(sample),
            "seed": None if sample is None else sample.seed,
            "infeasible": None if sample is None else study.infeasible,
            "elasticities": _elasticities(study.elasticities),
            "tornado": [_bar(one) for one in study.bars],
            "information": [_known(one) for one in study.known],
            "plans_chosen_among": study.plans,
            "expected_regret": _worth(study.regret),
            "gap": study.gap,
            "measure_next": None
            if following is None
            else [one.path for one in following.constants],
            "left_out": list(study.left_out),
        },
    }


def _constant(one: Constant) -> Data:
    return {"path": one.path, "label": one.label, "value": one.value, "source": one.source}


def _elasticities(found: Elasticities | None) -> Data | None:
    if found is None:
        return None
    return {
        "constants": [_elasticity(one) for one in found.found],
        "without_effect": [one.path for one in found.without_effect],
        "no_relative_change": [one.path for one in found.no_relative_change],
    }


def _elasticity(one: Elasticity) -> Data:
    return {
        **_constant(one.constant),
        "steps": one.steps.replace(" ", "_"),
        **{
            name: {"value": effect.value, "noise": effect.noise, "clear": effect.clear}
            for name, effect in one.effects.items()
        },
    }


def _bar(one: Bar) -> Data:
    return {
        **_constant(one.constant),
        "low": one.ends[0],
        "high": one.ends[1],
        "drawn_with": list(one.with_others),
        **{
            name: dict(zip(("at_low", "at_high"), one.amounts(name), strict=True))
            for name in AMOUNTS
        },
    }


def _known(one: Known) -> Data:
    return {
        "label": one.label,
        "paths": [constant.path for constant in one.constants],
        "variance_removed": {name: _share(share) for name, share in one.shares.items()},
        "regret_removed": _worth(one.removed),
    }


def _share(one: Share) -> Data:
    return {"value": one.value, "standard_error": one.standard_error}


def _worth(one: Worth | None) -> Data | None:
    return None if one is None else {"value": one.value, "standard_error": one.standard_error}
