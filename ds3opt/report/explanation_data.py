"""An explanation as plain data, for machines; numbers in SI units with the unit in the name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ds3opt.explain.explanation import ClassExplanation, Exchange, Explanation
from ds3opt.report.solution_data import SCHEMA_VERSION, solution_data


def explanation_data(explanation: Explanation, *, version: str, sha256: str) -> dict[str, Any]:
    """Everything that an explanation says."""
    solution = explanation.solution
    data = solution_data(solution, version=version, sha256=sha256)
    kept = ("scenario", "objective", "target", "status", "certificate", "infeasibility")
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: data[name] for name in kept if name in data},
        "plan": {
            "parameters": solution.parameters,
            "training_tokens": solution.training_tokens,
            "loss_nats_per_token": solution.loss,
            "accuracy": solution.accuracy,
            "training_flop": solution.training_flop,
            "inference_flop": solution.inference_flop,
        },
        "change_unit": change_unit(explanation),
        "price_per_percent_of_inference": explanation.price_per_percent,
        "classes": [_class_data(one) for one in explanation.classes],
        "chain_or_tree": [{**asdict(one), "better": one.better} for one in explanation.branching],
        "depth": [asdict(one) for one in explanation.depths],
        "exchange": _exchange_data(explanation.exchange),
        "not_applicable": list(explanation.not_applicable),
        "warnings": data["warnings"],
        "provenance": data["provenance"],
    }


def change_unit(explanation: Explanation) -> str:
    """The unit of losses and gains: accuracy where a resource is minimised."""
    return explanation.unit if explanation.unit in {"value", "net_value"} else "accuracy"


def _class_data(one: ClassExplanation) -> dict[str, Any]:
    binding = one.binding
    return {
        "name": one.name,
        "share": one.share,
        "accuracy": one.accuracy,
        "policy": one.policy,
        "binding": None if binding is None else binding.code,
        "rivals": [
            {
                "policy": rival.policy,
                "family": rival.family,
                "chosen": rival.chosen,
                "accuracy": rival.accuracy,
                "token_budget_min": rival.token_budget[0],
                "token_budget_max": rival.token_budget[1],
                "expected_tokens": rival.tokens,
                "inference_flop_per_task": rival.flop,
                "lost_at_least": rival.lost,
                "accuracy_at_own_compute": rival.accuracy_at_own_compute,
            }
            for rival in one.rivals
        ],
        "mechanisms": [
            {
                "code": m.code,
                "words": m.words,
                "accuracy_without": m.accuracy,
                "gained_at_most": m.gain,
                "policy_without": m.policy,
            }
            for m in one.mechanisms
        ],
        "turning_points": [asdict(point) for point in one.turning_points],
    }


def _exchange_data(rate: Exchange | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "training_flop": rate.training_flop,
        "inference_flop": rate.inference_flop,
        "accuracy": rate.accuracy,
        "accuracy_per_decade_of_training": rate.training_exponent,
        "accuracy_per_decade_of_inference": rate.inference_exponent,
        "decades_of_inference_per_decade_of_training": rate.decades_per_decade,
        "inference_flop_saved_per_training_flop": rate.flop_per_flop,
        "method": rate.method,
        "decades_to_either_side": rate.decades,
        "limits_set_aside": list(rate.set_aside),
        "contour": [
            {
                "training_flop": point.training_flop,
                "inference_flop_enough": point.inference_flop,
                "inference_flop_too_little": point.too_little,
            }
            for point in rate.contour
        ],
    }
