"""How tasks are worked on: the policies to choose from and how their tokens are counted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ds3opt.policies import POLICIES, Policy
from ds3opt.schema.policies import POLICY_EXAMPLES, PolicyChoice
from ds3opt.schema.quantities import Fraction, PositiveFraction, Section, Tokens
from ds3opt.schema.workload import Directionality


def _policy(value: object) -> object:
    if isinstance(value, str):
        if value == "chain_of_thought":
            return {"chain_of_thought": True}
        if value in POLICIES:
            raise ValueError(f"{value} needs its numbers, such as `{POLICY_EXAMPLES[value]}`")
        import difflib

        near = difflib.get_close_matches(value, POLICIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; one of {', '.join(POLICIES)}"
        raise ValueError(f"no policy is named {value!r}{hint}")
    return value


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
