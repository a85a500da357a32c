"""DS3 Figs 4, 5 and 13: chain of thought against ToT(1) at equal compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.compute import inference_flop, output_tokens_for_flop
from ds3opt.laws.search import chain_of_thought_success, tree_of_thought_success
from ds3opt.plot.canvas import curve, legend_below, name_axes
from ds3opt.reproduce.findings import Block, Reproduction, check, number, rounding, statement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

TOKENS_PER_STEP = 25.0
PARAMETERS, PROMPT_TOKENS, LAYERS, ATTENTION_WIDTH = 10e9, 200.0, 96, 12288
"""The model of DS3 appendix A-B."""
FIG4_BRANCHES = (2, 4, 16, 64)
"""4 and 16 are those of Fig. 5; the paper does not say which others Fig. 4 shows."""
STEP_SUCCESS = (0.01, 0.05, 0.2, 0.6)
"""The paper does not say which it shows."""
SKILLS = np.unique(np.round(np.geomspace(1, 100, 31)))
BUDGETS = np.geomspace(25.0, 1e6, 116)
"""Tokens of the chain of thought."""


def _flop(tokens: FloatArray, branches: float = 1.0) -> FloatArray:
    return inference_flop(
        PARAMETERS,
        tokens,
        PROMPT_TOKENS,
        layers=LAYERS,
        attention_width=ATTENTION_WIDTH,
        branches=branches,
    )


def tree_tokens(chain_tokens: FloatArray, branches: float) -> FloatArray:
    """Tokens of ToT(1) for the compute of a chain of thought, by the costs (28) and (31)."""
    return output_tokens_for_flop(
        PARAMETERS,
        _flop(chain_tokens),
        PROMPT_TOKENS,
        layers=LAYERS,
        attention_width=ATTENTION_WIDTH,
        branches=branches,
    )


def fig4(progress: Progress) -> Reproduction:
    """Tokens of both policies over inference compute, and their ratio."""
    chain = np.geomspace(1e2, 1e8, 121)
    flop = _flop(chain)
    trees = {b: tree_tokens(chain, b) for b in FIG4_BRANCHES}
    blocks = [Block({"policy": "chain_of_thought", "flop": flop, "tokens": chain})]
    for b, tokens in trees.items():
        blocks.append(
            Block({"policy": f"tree_of_thought:{b}", "flop": flop, "tokens": tokens, "branches": b})
        )
    limits = {b: float(tokens[-1] / chain[-1]) for b, tokens in trees.items()}
    apart = max(abs(limit / b**0.5 - 1.0) for b, limit in limits.items())
    at = np.array([1e4, 1e5])
    ratios = {b: tree_tokens(at, b) / at for b in (4, 16)}
    equal = 2.0 * PARAMETERS / (LAYERS * ATTENTION_WIDTH)
    to_tree = {b: float(trees[b][-1] / (b**0.5 * trees[b][-1])) for b in (4, 16)}
    findings = [
        check(
            "with all attention, ToT(1) gets sqrt(b) times the tokens of chain of thought (39)",
            apart < 0.005,
            f"{', '.join(f'{limits[b]:.4f} at b = {b}' for b in (4, 16))}, at 1e8 tokens",
        ),
        statement(
            "the caption's limit is sqrt(b) Omega_ToT(1), a curve that ToT(1) tends to",
            min(to_tree.values()) > 0.99,
            "tokens of ToT(1) are "
            + ", ".join(f"{number(to_tree[b])} of it at b = {b}" for b in to_tree)
            + ": sqrt(b) Omega_CoT is meant",
        ),
        statement(
            "chain of thought's cost is dominated by attention (A-B)",
            equal < TOKENS_PER_STEP * 10,
            f"below {equal:,.0f} tokens the parameters cost more; at 1e4 tokens ToT(1) gets "
            f"{ratios[4][0]:.2f} (b = 4) and {ratios[16][0]:.2f} (b = 16) times as many, "
            f"at 1e5 {ratios[4][1]:.2f} and {ratios[16][1]:.2f}",
        ),
        statement(
            "10 billion parameters in 96 layers of width 12,288 (A-B)",
            abs(12.0 * LAYERS * ATTENTION_WIDTH**2 / PARAMETERS - 1.0) < 0.2,
            f"12 layers x width^2 is {number(12.0 * LAYERS * ATTENTION_WIDTH**2)} parameters; "
            "attention is charged as that of a model 17 times larger",
        ),
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        curve(left, flop, chain, 0, "chain of thought")
        for index, (b, tokens) in enumerate(trees.items(), start=1):
            curve(left, flop, tokens, index, f"ToT(1), b = {b}")
            curve(right, flop, tokens / chain, index)
            right.axhline(b**0.5, color="#777777", linewidth=0.9, linestyle=(0, (2, 2)))
            right.annotate(
                f"sqrt({b})", (flop[0], b**0.5), xytext=(0, 2), textcoords="offset points"
            )
        for axes in (left, right):
            axes.set_xscale("log")
        left.set_yscale("log")
        name_axes(left, "Inference compute (FLOP)", "Tokens of one task (tokens)")
        name_axes(right, "Inference compute (FLOP)", "Tokens of ToT(1) over chain's")
        legend_below(figure, [left])

    return Reproduction(blocks, findings, draw, (7.4, 3.8))


# -- success --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Maps:
    """Success by step success, skills and budget, (step success, skills, budget)."""

    chain: FloatArray
    trees: dict[int, FloatArray]


def _maps() -> _Maps:
    r = np.array(STEP_SUCCESS)[:, None, None]
    m = SKILLS[:, None]
    chain = chain_of_thought_success(r, m, np.floor(BUDGETS * (1 + 1e-12) / TOKENS_PER_STEP))
    trees = {}
    for b in (4, 16):
        steps = np.floor(tree_tokens(BUDGETS, b) * (1 + 1e-12) / TOKENS_PER_STEP)
        trees[b] = tree_of_thought_success(r, m, steps, b)
    return _Maps(chain, trees)


def _blocks(maps: _Maps) -> list[Block]:
    r, m = np.array(STEP_SUCCESS)[:, None, None], SKILLS[:, None]
    return [
        Block(
            {
                "step_success": r,
                "skills": m,
                "chain_token_budget": BUDGETS,
                "chain_success": maps.chain,
                "tree_4_success": maps.trees[4],
                "tree_16_success": maps.trees[16],
            }
        )
    ]


def fig5(progress: Progress) -> Reproduction:
    """Difference in success between ToT(1) and chain of thought at equal compute."""
    maps = _maps()
    gains = {b: tree - maps.chain for b, tree in maps.trees.items()}
    wins = {b: np.mean(gain > 0.01, axis=(1, 2)) for b, gain in gains.items()}
    losses = {b: np.mean(gain < -0.01, axis=(1, 2)) for b, gain in gains.items()}
    lead = {b: wins[b] - losses[b] for b in gains}
    need = {b: _chain_tokens_needed(50.0, b) for b in (1, 4, 16)}
    ample = (maps.chain > 0.999) & (maps.trees[4] > 0.999) & (maps.trees[16] > 0.999)
    near = max(float(np.max(np.abs(gain[ample]))) for gain in gains.values())
    always = _least_lead_of_tree(4, 2.4, 3)
    never = _greatest_lead_of_tree(2, 1.05 * 2**0.5, 100)
    fixed = [_lead(0.4, 4, 2.1, m) for m in (10, 30, 100)]
    findings = [
        check(
            "ToT(1) is preferred at low step success, chain of thought at high",
            all(values[0] > 0.0 > values[-1] for values in lead.values())
            and all(np.all(np.diff(values) < 0.0) for values in lead.values()),
            "part of the map that ToT(1) wins less the part that it loses, at r = "
            + ", ".join(f"{r:g}" for r in STEP_SUCCESS)
            + ": "
            + "; ".join(
                f"b = {b}: " + ", ".join(f"{value:+.3f}" for value in values)
                for b, values in lead.items()
            ),
        ),
        check(
            "between them the number of skills and of branches decides",
            _sign_changes(gains),
            "at r = 0.05 and 0.2 both policies win somewhere by more than a point, "
            "by up to "
            + ", ".join(
                f"{np.max(gain[1:3]):+.2f} / {np.min(gain[1:3]):+.2f} (b = {b})"
                for b, gain in gains.items()
            ),
        ),
        statement(
            "the budget needed at perfect success is lower for ToT(1) (caption)",
            need[4] < need[1] and need[16] < need[1],
            f"for 50 skills {need[1]:,.0f} tokens of chain of thought, but the compute of "
            f"{need[4]:,.0f} (b = 4) and {need[16]:,.0f} (b = 16): higher, as b steps are "
            "taken where one would do",
        ),
        check(
            "right of the frontier both are nearly equal",
            near < 0.01,
            f"where all three exceed 0.999 they differ by at most {number(near, 2)}",
        ),
        statement(
            "Conjecture 1.1, drawn from this figure: every m > 1 has a crossover",
            always < 0.0 and never > 0.0,
            f"b = 4, c = 2.4, m = 3: ToT(1) leads at every step success, by "
            f"{number(always, 2)} or more; b = 2, c = 1.48, m = 100: chain of thought leads "
            "at every one",
        ),
        statement(
            "Conjecture 1.2: below a fixed step success ToT(1) wins ever more surely as m grows",
            all(value > 0.0 for value in fixed),
            "b = 4, c = 2.1, r = 0.40 (below the 0.456 of its definition): ToT(1) leads by "
            + ", ".join(f"{value:+.4f}" for value in fixed)
            + " at m = 10, 30, 100",
        ),
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, len(STEP_SUCCESS), sharex=True, sharey=True)
        for row, (b, gain) in enumerate(gains.items()):
            for column, r in enumerate(STEP_SUCCESS):
                panel = axes[row, column]
                mesh = panel.pcolormesh(
                    BUDGETS, SKILLS, gain[column], cmap="PuOr", vmin=-1, vmax=1, rasterized=True
                )
                if np.ptp(gain[column]) > 0.1:
                    panel.contour(
                        BUDGETS,
                        SKILLS,
                        gain[column],
                        levels=[-0.5, -0.05, 0.05, 0.5],
                        colors="black",
                        linestyles=["--", "--", "-", "-"],
                        linewidths=0.7,
                    )
                for branches, line in ((1, "--"), (b, ":")):
                    needed = [_chain_tokens_needed(m, branches) for m in SKILLS]
                    panel.plot(needed, SKILLS, color="black", linewidth=1.0, linestyle=line)
                panel.set_xscale("log")
                panel.set_yscale("log")
                panel.set_xlim(BUDGETS[0], BUDGETS[-1])
                panel.set_ylim(SKILLS[0], SKILLS[-1])
                if row == 0:
                    panel.set_title(f"r = {r:g}")
                if column == 0:
                    panel.set_ylabel(f"b = {b}\nSkills of the task, m")
        figure.supxlabel(
            "Chain of thought's token budget (tokens); ToT(1) has the same compute.\n"
            "Straight lines: least budgets, dashed chain, dotted ToT(1). Contours at 0.05 and 0.5: "
            "solid where ToT(1) wins, dashed where the chain does.",
            fontsize=9,
        )
        figure.colorbar(mesh, ax=axes, label="Success of ToT(1) less chain (probability)")

    return Reproduction(_blocks(maps), findings, draw, (9.0, 5.0))


def fig13(progress: Progress) -> Reproduction:
    """Success of chain of thought and of ToT(1) with 4 and 16 branches."""
    maps = _maps()
    widths = _transition_decades()
    tree = tree_tokens(np.array([2500.0]), 16)
    steps = np.floor(BUDGETS / TOKENS_PER_STEP)
    r, m = np.array(STEP_SUCCESS)[:, None, None], SKILLS[:, None]
    matched = tree_of_thought_success(r, m, steps, 4) - chain_of_thought_success(r, m, steps)
    apart = max(float(np.max(np.abs(tree - maps.chain))) for tree in maps.trees.values())
    findings = [
        check(
            "on a logarithmic scale the transition from near 0 to near 1 is narrow",
            max(widths.values()) < 0.5,
            "less than half a decade: from 10 to 90 % at r = 0.1 takes "
            + ", ".join(f"{width:.2f} decades at m = {m}" for m, width in widths.items()),
        ),
        check(
            "yet the strategies differ significantly",
            apart > 0.5,
            f"by up to {apart:.3f} in success at the same compute",
        ),
        statement(
            "the rows are at matched total token budgets (A-B, below Fig. 13)",
            abs(float(tree[0]) / 2500.0 - 1.0) < 1e-6,
            f"at the matched compute of its setup, 2,500 tokens of chain of thought stand beside "
            f"{tree[0]:,.0f} of ToT(1) with b = 16; with matched tokens ToT(1) never wins "
            f"(it leads by 0, {rounding(max(float(np.max(matched)), 0.0))})",
        ),
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(3, len(STEP_SUCCESS), sharex=True, sharey=True)
        rows = (("chain", maps.chain), ("b = 4", maps.trees[4]), ("b = 16", maps.trees[16]))
        for row, (name, success) in enumerate(rows):
            for column, r in enumerate(STEP_SUCCESS):
                panel = axes[row, column]
                mesh = panel.pcolormesh(
                    BUDGETS, SKILLS, success[column], cmap="Greys", vmin=0, vmax=1, rasterized=True
                )
                panel.contour(
                    BUDGETS,
                    SKILLS,
                    success[column],
                    levels=[0.1, 0.5, 0.9],
                    colors="#d55e00",
                    linestyles=[":", "-", "--"],
                    linewidths=1.0,
                )
                panel.set_xscale("log")
                panel.set_yscale("log")
                panel.set_ylim(SKILLS[0], SKILLS[-1])
                if row == 0:
                    panel.set_title(f"r = {r:g}")
                if column == 0:
                    panel.set_ylabel(f"{name}\nSkills, m")
        figure.supxlabel(
            "Chain of thought's token budget (tokens); the trees have the same compute.\n"
            "Lines: success 0.1 dotted, 0.5 solid, 0.9 dashed.",
            fontsize=9,
        )
        figure.colorbar(mesh, ax=axes, label="Success (probability)")

    return Reproduction(_blocks(maps), findings, draw, (9.0, 6.4))


def _chain_tokens_needed(skills: float, branches: int) -> float:
    """Tokens of chain of thought whose compute lets b branches take m levels."""
    flop = _flop(np.asarray(skills * branches * TOKENS_PER_STEP), float(branches))
    return float(
        output_tokens_for_flop(
            PARAMETERS, flop, PROMPT_TOKENS, layers=LAYERS, attention_width=ATTENTION_WIDTH
        )
    )


def _sign_changes(gains: dict[int, FloatArray]) -> bool:
    return all(np.max(gain[1:3]) > 0.01 and np.min(gain[1:3]) < -0.01 for gain in gains.values())


def _transition_decades() -> dict[int, float]:
    """Decades of tokens in which a chain of thought goes from 10 to 90 % success."""
    widths = {}
    for skills in (5, 20, 100):
        steps = np.arange(1.0, 4000.0)
        success = chain_of_thought_success(0.1, skills, steps)
        low, high = steps[np.argmax(success >= 0.1)], steps[np.argmax(success >= 0.9)]
        widths[skills] = float(np.log10(high / low))
    return widths


# -- the conjecture, in the sqrt(b) reading of Theorem 1 ---------------------------------------


def _lead(step_success: FloatArray | float, branches: int, cap: float, skills: int) -> float:
    """Success of ToT(1) less chain at ``Omega = c m omega``, the least over step successes."""
    return float(np.min(_leads(step_success, branches, cap, skills)))


def _leads(step_success: FloatArray | float, branches: int, cap: float, skills: int) -> FloatArray:
    steps = cap * skills
    low, high = (
        tree_of_thought_success(
            step_success,
            skills,
            steps * branches**0.5,
            branches,
            whole_levels=False,
            complement=complement,
        )
        - chain_of_thought_success(step_success, skills, steps, complement=complement)
        for complement in (False, True)
    )
    # where both nearly always succeed only their failures tell them apart
    return np.where(np.abs(high) < np.abs(low), low, -high)


_EVERY = np.concatenate([np.geomspace(1e-4, 0.5, 400), 1.0 - np.geomspace(1e-4, 0.5, 400)[::-1]])


def _least_lead_of_tree(branches: int, cap: float, skills: int) -> float:
    return _lead(_EVERY, branches, cap, skills)


def _greatest_lead_of_tree(branches: int, cap: float, skills: int) -> float:
    return float(np.max(_leads(_EVERY, branches, cap, skills)))
