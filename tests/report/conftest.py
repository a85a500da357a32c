"""Solutions with realistic numbers, made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ds3opt.optimise.solution import (
    Baseline,
    Certificate,
    ClassOutcome,
    FrontierPoint,
    Infeasibility,
    LimitUse,
    Note,
    Solution,
    Status,
    TaskAllocation,
)
from ds3opt.policies import BestOfN, ChainOfThought, TreeOfThought


def task(name: str = "completion", **changes: object) -> TaskAllocation:
    row = TaskAllocation(
        name=name,
        difficulty=2.4,
        skills=2,
        share=0.7,
        fraction=1.0,
        policy=ChainOfThought(),
        steps=16.0,
        token_budget=400.0,
        expected_tokens=212.5,
        accuracy=0.91,
        value=1.0,
        inference_flop=9e20,
        token_budget_range=(350.0, 475.0),
        alternatives=("tree of thought, 2 branches",),
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def spread_class() -> tuple[TaskAllocation, ...]:
    policies = [
        ChainOfThought(),
        BestOfN(samples=8),
        BestOfN(samples=8),
        TreeOfThought(branches=4),
        None,
    ]
    return tuple(
        task(
            "refactor",
            skills=5 + i,
            share=0.06,
            policy=policy,
            token_budget=500.0 * (i + 1) if policy else 0.0,
            expected_tokens=300.0 * (i + 1) if policy else 0.0,
            accuracy=0.5 - 0.1 * i if policy else 0.0,
            inference_flop=7.2e20 if policy else 0.0,
            token_budget_range=None,
            alternatives=(),
        )
        for i, policy in enumerate(policies)
    )


def point(limit: float, accuracy: float) -> FrontierPoint:
    return FrontierPoint(
        limit, Status.OPTIMAL, accuracy, accuracy + 5e-5, 2.1e7, 1.5e11, 2e19, 8e19, 150.0
    )


def accuracy_solution() -> Solution:
    refactor = spread_class()
    return Solution(
        scenario="Coding assistant, first year",
        objective="accuracy",
        target=None,
        status=Status.OPTIMAL,
        certificate=Certificate("accuracy", 0.534282, 0.534309, 1e-4, relative=False),
        parameters=118.3e6,
        training_tokens=1.42e12,
        loss=2.6134,
        accuracy=0.534282,
        value=0.534282,
        training_flop=1.0e21,
        inference_flop=4.5e21,
        tasks_served=1e9,
        horizon_seconds=365 * 86400.0,
        tasks=(task(), *refactor),
        classes=(
            ClassOutcome("completion", 0.7, 0.91, 0.0, 212.5, 9e20),
            ClassOutcome("refactor", 0.3, 0.28, 0.0, 600.0, 3.6e21),
        ),
        limits=(
            LimitUse("total_flop", 5.5e21, 5.5e21, True, 0.03, "FLOP"),
            LimitUse("training_flop", 2e21, 1e21, False, None, "FLOP"),
        ),
        ranges={
            "parameters": (110e6, 126e6),
            "training_tokens": (1.3e12, 1.6e12),
            "tokens_per_parameter": (10300.0, 14500.0),
        },
        baselines=(
            Baseline("training_optimal_ratio", "the loss law's own ratio", 0.47, 3e8, 8e9),
            Baseline("tokens_per_parameter_20", "20 tokens per parameter", None, None, None),
        ),
        frontier_over="total_flop",
        frontier=(
            point(1e20, 0.2689),
            FrontierPoint(1e19, Status.INFEASIBLE, None, None, None, None, None, None, None),
        ),
        warnings=(
            Note("extrapolation", "model.loss_law", "12000 tokens per parameter; fitted to 341"),
        ),
        loss_law="besiroglu2024",
        loss_law_source="arXiv:2404.10102",
    )


@pytest.fixture
def solution() -> Solution:
    """Accuracy under a limit on total FLOP: two classes, one of them spread."""
    return accuracy_solution()


@pytest.fixture
def least_flop() -> Solution:
    """Least total FLOP for a pretraining loss; no tasks."""
    return Solution(
        scenario="Demand",
        objective="total_flop",
        target=("loss", 1.99),
        status=Status.OPTIMAL,
        certificate=Certificate("total_flop", 1.2341e24, 1.2349e24, 1e-3, relative=True),
        parameters=41.6e9,
        training_tokens=math.inf,
        loss=1.99,
        training_flop=8e23,
        inference_flop=4.349e23,
        served_tokens=1e13,
        loss_law="besiroglu2024",
    )


@pytest.fixture
def infeasible() -> Solution:
    """A required accuracy that the limit does not allow."""
    return Solution(
        scenario="Too little",
        objective="accuracy",
        target=None,
        status=Status.INFEASIBLE,
        infeasibility=Infeasibility(
            "limits.total_flop", 1e18, 3.2e20, "FLOP", "refactor cannot reach 40 % with so little"
        ),
    )
