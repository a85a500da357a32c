"""How tasks are worked on: the policies to choose from and how their tokens are counted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from ds3opt.policies import POLICIES, BestOfN, ChainOfThought, MajorityVote, Policy, TreeOfThought
from ds3opt.schema.quantities import Fraction, PositiveFraction, Section, Tokens
from ds3opt.schema.workload import Directionality


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _integers(low: int, high: int) -> Any:
    return Annotated[
        tuple[Annotated[StrictInt, Field(ge=low, le=high)], ...],
        Field(min_length=1),
        BeforeValidator(_listed),
    ]


class TreeOfThoughtChoice(Section):
    """Which trees of thought may be chosen."""

    branches: _integers(2, 10_000)  # type: ignore[valid-type]
    """Candidate steps a level."""

    def variants(self) -> list[Policy]:
        """Every tree of thought on offer."""
        return [TreeOfThought(branches=b) for b in self.branches]


class BestOfNChoice(Section):
    """Which best-of-n policies may be chosen."""

    samples: _integers(2, 100_000)  # type: ignore[valid-type]
    """Independent traces."""
    branches: _integers(1, 10_000) = (1,)  # type: ignore[valid-type]
    """1: chains of thought; above: trees of thought."""

    def variants(self) -> list[Policy]:
        """Every best-of-n policy on offer."""
        return [BestOfN(samples=k, branches=b) for b in self.branches for k in self.samples]


class MajorityVoteChoice(Section):
    """Which majority votes may be chosen."""

    samples: _integers(2, 1000)  # type: ignore[valid-type]
    """Independent traces that vote."""

    def variants(self) -> list[Policy]:
        """Every majority vote on offer."""
        return [MajorityVote(samples=k) for k in self.samples]


class PolicyChoice(Section):
    """One family of policies and its integers; exactly one key."""

    chain_of_thought: Literal[True] | None = None
    """One sequential trace; no verifier."""
    tree_of_thought: TreeOfThoughtChoice | None = None
    """Candidate steps that a process verifier chooses among."""
    best_of_n: BestOfNChoice | None = None
    """Several traces; an outcome verifier chooses one."""
    majority_vote: MajorityVoteChoice | None = None
    """Several traces vote; no verifier, but wrong_answers must be known."""

    @model_validator(mode="after")
    def _one(self) -> PolicyChoice:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"name one policy: {', '.join(POLICIES)}")
        return self

    def variants(self) -> list[Policy]:
        """Every policy on offer."""
        choice = self.tree_of_thought or self.best_of_n or self.majority_vote
        return choice.variants() if choice is not None else [ChainOfThought()]


def _policy(value: object) -> object:
    if isinstance(value, str):
        if value == "chain_of_thought":
            return {"chain_of_thought": True}
        if value in POLICIES:
            raise ValueError(f"{value} needs its integers, such as `{_EXAMPLES[value]}`")
        import difflib

        near = difflib.get_close_matches(value, POLICIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; one of {', '.join(POLICIES)}"
        raise ValueError(f"no policy is named {value!r}{hint}")
    return value


_EXAMPLES = {
    "tree_of_thought": "tree_of_thought: {branches: [2, 4]}",
    "best_of_n": "best_of_n: {samples: [2, 4, 8]}",
    "majority_vote": "majority_vote: {samples: [3, 5, 9]}",
}


class TokenBudgetRange(Section):
    """Allowed token budgets under `budgets: shared`; one number fixes the budget."""

    min: Tokens | None = None
    """Smallest token budget."""
    max: Tokens | None = None
    """Largest token budget."""

    @model_validator(mode="after")
    def _upright(self) -> TokenBudgetRange:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(
                f"the range is upside down: min {self.min:g} is above max {self.max:g}"
            )
        return self


def _as_budget(value: object) -> object:
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError(f"a range is [lowest, highest], not {len(value)} numbers")
        return {"min": value[0], "max": value[1]}
    return value if isinstance(value, dict) else {"min": value, "max": value}


class Reasoning(Section):
    """How tasks are worked on."""

    tokens_per_step: Tokens = 25.0
    """Tokens of one reasoning step."""
    directionality: PositiveFraction | Directionality = 1.0
    """Chance that a step goes toward the next skill needed; DS3's iota-hat."""
    fatigue: Fraction = 0.0
    """Chance that a failed step ruins its trace without the trace knowing."""
    policies: Annotated[
        tuple[Annotated[PolicyChoice, BeforeValidator(_policy)], ...], Field(min_length=1)
    ] = (PolicyChoice(chain_of_thought=True),)
    """The inference policies to choose from; a class is offered those it has a verifier for."""
    budgets: Literal["per_task", "shared"] = "per_task"
    """per_task: each class its own policy and token budget. shared: one for all, DS3 (53)."""
    token_budget: Annotated[TokenBudgetRange, BeforeValidator(_as_budget)] | None = None
    """Fixes or bounds the one token budget of `budgets: shared`."""
    charge: Literal["expected", "budget"] = "expected"
    """expected: the tokens used on average, exactly. budget: the whole budget, DS3 (53)."""
    steps: Literal["floor", "continuous", "as_printed"] = "floor"
    """floor: whole steps. continuous: real steps, none below the skills a task needs. as_printed:
    DS3's formula as it stands, with success from one step less. Both with shared budgets only."""
    prefill: bool = True
    """Charge 2 N FLOP for every prompt token, which the paper leaves out."""

    @model_validator(mode="after")
    def _consistent(self) -> Reasoning:
        if self.budgets == "per_task":
            if self.steps != "floor":
                raise ValueError(f"steps: {self.steps} goes with budgets: shared")
            if self.token_budget is not None:
                raise ValueError("token_budget goes with budgets: shared")
        return self

    def variants(self) -> tuple[Policy, ...]:
        """Every policy on offer, each once, in the order written."""
        listed = [variant for choice in self.policies for variant in choice.variants()]
        return tuple(dict.fromkeys(listed))
