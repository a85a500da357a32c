"""DS3 Tables I and II: what four policies reach and cost; losses and step budgets of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.compute import inference_flop
from ds3opt.laws.length_approximations import linear_expected_steps
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.search import (
    best_of_n_success,
    chain_of_thought_success,
    expected_squared_steps,
    expected_steps,
    tree_of_thought_success,
)
from ds3opt.laws.voting import majority_vote_success, truncated_geometric_shares
from ds3opt.plot.canvas import bar_style, curve, legend_below, name_axes
from ds3opt.reproduce.findings import (
    Block,
    Finding,
    Reproduction,
    agree,
    check,
    number,
    percent,
    rounding,
    statement,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

TOKENS_PER_STEP = 25.0
SKILLS, STEP_SUCCESS, SPLIT = 10, 0.1, 4
"""A task and a width at which the four rows are worked out; the table is general."""
PARAMETERS, PROMPT_TOKENS, LAYERS, ATTENTION_WIDTH = 10e9, 200.0, 96, 12288
"""The model of appendix A-B."""


def table1(progress: Progress) -> Reproduction:
    """The four rows at one task, whole steps beside the table's continuous ones."""
    budget = np.arange(20.0, 20001.0, 20.0)
    steps = budget / TOKENS_PER_STEP
    shares = truncated_geometric_shares(0.75, 9)
    r, m, k = STEP_SUCCESS, SKILLS, SPLIT
    whole, printed = np.floor(steps / k * (1 + 1e-12)), steps / k
    tree_step = 1.0 - (1.0 - r) ** k
    one = {
        "whole": chain_of_thought_success(r, m, whole),
        "printed": chain_of_thought_success(r, m, printed, clamped=False),
    }
    success = {
        "chain of thought": (
            chain_of_thought_success(r, m, np.floor(steps * (1 + 1e-12))),
            chain_of_thought_success(r, m, steps, clamped=False),
        ),
        "ToT(1), b = 4": (
            tree_of_thought_success(r, m, np.floor(steps * (1 + 1e-12)), k),
            chain_of_thought_success(tree_step, m, printed, clamped=False),
        ),
        "best of 4": (
            best_of_n_success(r, m, np.floor(steps * (1 + 1e-12)), k),
            1.0 - (1.0 - one["printed"]) ** k,
        ),
        "majority of 4": (
            majority_vote_success(one["whole"], k, shares),
            majority_vote_success(one["printed"], k, shares),
        ),
    }
    use = {
        "chain of thought": (expected_steps(r, m, steps), linear_expected_steps(r, m, steps)),
        "ToT(1), b = 4": (
            k * expected_steps(r, m, printed, branches=k),
            k * linear_expected_steps(tree_step, m, printed),
        ),
        "best of 4": (
            k * expected_steps(r, m, printed),
            k * linear_expected_steps(r, m, printed),
        ),
    }
    use["majority of 4"] = use["best of 4"]
    blocks = [
        Block(
            {
                "policy": name,
                "token_budget": budget,
                "success": success[name][0],
                "success_as_printed": success[name][1],
                "expected_tokens": TOKENS_PER_STEP * use[name][0],
                "expected_tokens_as_printed": TOKENS_PER_STEP * use[name][1],
            }
        )
        for name in success
    ]
    multiple = np.abs(np.remainder(budget, TOKENS_PER_STEP * k)) < 1e-9
    at_whole = max(float(np.max(np.abs(a - b)[multiple])) for a, b in success.values())
    between = max(float(np.max(np.abs(a - b))) for a, b in success.values())
    half = float(chain_of_thought_success(0.9, 1, 0.5, clamped=False))
    excess = {name: float(np.max(b / a - 1.0)) for name, (a, b) in use.items()}
    below = min(float(np.min(b - a)) for a, b in use.values())
    findings = [
        check(
            "the success of the four policies, at budgets of whole steps",
            at_whole < 1e-12,
            f"equal to (20), (29), (32) and (38) {rounding(at_whole)} wherever Omega / (k omega) "
            "is whole",
        ),
        statement(
            "the Omega / (k omega) of Table I and (35) is what (29) and (32) round down",
            between < 1e-3,
            f"the two differ by up to {number(between)} here; the printed form gives "
            f"{number(half)} to a task of one step with half a step to spend (r = 0.9)",
        ),
        check(
            "mean tokens are about min(omega k m / r, Omega)",
            max(excess.values()) < 0.01,
            "an upper bound: too high by up to "
            + ", ".join(f"{percent(value)} ({name})" for name, value in excess.items())
            + (
                "; never too low" if below > -1e-9 else f"; too low by up to {number(-below)} steps"
            ),
        ),
        _mean_cost(),
        _prompt_cost(),
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for index, name in enumerate(success):
            curve(left, budget, success[name][0], index, name)
            if name != "majority of 4":
                curve(right, budget, 100.0 * (use[name][1] / use[name][0] - 1.0), index)
        name_axes(left, "Token budget (tokens)", "Success (probability)", "m = 10, r = 0.1")
        name_axes(
            right,
            "Token budget (tokens)",
            "Excess of printed mean tokens (%)",
            "Table I, last column",
        )
        for axes in (left, right):
            axes.set_xlim(0, 12000)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.locator_params(axis="x", nbins=4)
        legend_below(figure, [left], columns=4)

    return Reproduction(blocks, findings, draw, (7.6, 3.8))


def _mean_cost() -> Finding:
    """The cost of the mean against the mean of the cost, chain of thought."""
    steps = np.arange(SKILLS, 2001.0)
    mean = TOKENS_PER_STEP * expected_steps(STEP_SUCCESS, SKILLS, steps)
    square = TOKENS_PER_STEP**2 * expected_squared_steps(STEP_SUCCESS, SKILLS, steps)
    of_mean = inference_flop(
        PARAMETERS, mean, PROMPT_TOKENS, layers=LAYERS, attention_width=ATTENTION_WIDTH
    )
    # the cost is linear in the tokens and in their square
    curvature = (
        inference_flop(PARAMETERS, 1.0, 0.0, layers=LAYERS, attention_width=ATTENTION_WIDTH)
        - 2.0 * PARAMETERS
    )
    short = float(np.max(curvature * (square - mean**2) / of_mean))
    return check(
        "mean compute is the compute of the mean tokens (28), (31), (34), (37)",
        short < 1e-6,
        f"attention is quadratic, so it is too low, here by up to {percent(short)}",
    )


def _prompt_cost() -> Finding:
    tokens = 1000.0
    shares = [
        float(
            inference_flop(
                PARAMETERS,
                tokens,
                PROMPT_TOKENS,
                samples=k,
                prefill=True,
                layers=LAYERS,
                attention_width=ATTENTION_WIDTH,
            )
            / inference_flop(
                PARAMETERS,
                tokens,
                PROMPT_TOKENS,
                samples=k,
                layers=LAYERS,
                attention_width=ATTENTION_WIDTH,
            )
            - 1.0
        )
        for k in (1, 16)
    ]
    return check(
        "parameters cost 2 N Omega, the prompt nothing",
        max(shares) < 0.01,
        f"reading a prompt of 200 tokens adds {percent(shares[0])} to 1,000 tokens of output, and "
        f"{percent(shares[1])} where 16 samples each read it",
    )


# -- Table II -------------------------------------------------------------------------------

MODELS: tuple[tuple[str, float, float, float, float, float], ...] = (
    ("Llama-3-8B", 8e9, 1.5e13, 1.9485, 8092, 327.68),
    ("Gemma-2B", 2e9, 3e12, 2.1014, 8092, 327.68),
    ("Pythia-2.8B", 2.8e9, 3e11, 2.1906, 1948, 81.92),
    ("Llama-3-8B-Instruct", 8e9, 1.5e13, 1.9485, 8092, 327.68),
    ("Llama-3-70B-Instruct", 70e9, 1.5e13, 1.8575, 8092, 327.68),
)
"""DS3 Table II: model, N, D, loss in nats per token, output budget in tokens, T_max in steps."""


def table2(progress: Progress) -> Reproduction:
    """Losses by the rounded Hoffmann law, and steps that the output budgets hold."""
    names = [model[0] for model in MODELS]
    size, data, loss, budget, steps = np.array([model[1:] for model in MODELS]).T
    ours = np.asarray(LOSS_LAWS["hoffmann2022_rounded"].loss(size, data))
    held = budget / TOKENS_PER_STEP
    blocks = [
        Block(
            {
                "model": np.array(names),
                "parameters": size,
                "training_tokens": data,
                "loss_printed": loss,
                "loss": ours,
                "output_budget_tokens": budget,
                "steps_printed": steps,
                "steps": held,
            }
        )
    ]
    context = steps * TOKENS_PER_STEP - budget
    findings = [
        agree(
            "losses by 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28",
            loss,
            ours,
            within=5.1e-5,
            unit="nats/token",
        ),
        statement(
            "T_max is the output budget / 25",
            float(np.max(np.abs(held - steps))) < 0.005,
            f"{held[0]:.2f} and {held[2]:.2f} steps, not {steps[0]:.2f} and {steps[2]:.2f}: the "
            f"column divides the whole context, {context[0]:.0f} tokens of prompt included",
        ),
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        place = np.arange(len(names), dtype=float)
        for axes, printed, computed in ((left, loss, ours), (right, steps, held)):
            axes.barh(place - 0.2, printed, height=0.38, label="printed", **bar_style(0))
            axes.barh(place + 0.2, computed, height=0.38, label="computed", **bar_style(1))
            axes.grid(visible=False, axis="y")
            for y, value in [
                *zip(place - 0.2, printed, strict=True),
                *zip(place + 0.2, computed, strict=True),
            ]:
                axes.annotate(
                    f"{value:.6g}",
                    (value, y),
                    xytext=(2, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                )
            axes.margins(x=0.15)
        left.set_yticks(place, names)
        left.invert_yaxis()
        left.set_xlim(1.7, 2.3)
        name_axes(left, "Pretraining loss (nats/token)", "")
        name_axes(right, "Steps of a trace, T_max (steps)", "")
        legend_below(figure, [left])

    return Reproduction(blocks, findings, draw, (7.6, 3.6))
