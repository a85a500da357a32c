"""DS3 Figs 7 and 14: accuracy and competence of models trained as a skill graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds3opt.laws.compute import inference_flop
from ds3opt.laws.concept_learning import ConceptMode
from ds3opt.laws.skill_graph import SkillGraph, SkillMode
from ds3opt.plot.canvas import curve, curve_style, legend_below, name_axes
from ds3opt.reproduce.findings import (
    Block,
    Reproduction,
    check,
    is_rising,
    linear_fit,
    missing,
    number,
    percent,
    statement,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

GRAPH = SkillGraph()
"""The constants of DS3 appendix B; required links are ours, the paper states none."""
TOKENS_PER_STEP = 25.0
CLAUDE_FLOP, O1_FLOP, O1_TOKENS = 3.35e25, 3.8e25, 64000.0
"""Training of the two models, and the token budget of Fig. 7.3b."""
LEVELS, SKILLS = np.arange(60.0, 71.0), np.arange(2.0, 16.0)
TASK_LEVEL, TASK_SKILLS = np.repeat(LEVELS, SKILLS.size), np.tile(SKILLS, LEVELS.size)
"""Tasks of appendix B, evenly spread: the paper does not state their weights."""
TASKS_SERVED = (1e8, 1e9, 1e10)
"""The paper does not state the task loads of Fig. 7.1a."""


def accuracy(
    training_flop: float, tokens: ArrayLike, mode: SkillMode, graph: SkillGraph = GRAPH
) -> FloatArray:
    """Mean success over the tasks of appendix B at token budgets."""
    parameters, _ = graph.allocation(training_flop)
    concepts = graph.concepts(parameters)
    learned = graph.composability(concepts, graph.concept_probability(concepts), mode)
    steps = np.asarray(tokens) / TOKENS_PER_STEP
    return graph.mean_success(TASK_LEVEL, TASK_SKILLS, 1.0, steps, learned)


def fig7(progress: Progress) -> Reproduction:
    """Accuracy over training and inference compute, and for the two published models."""
    training = np.geomspace(1e25, 2e26, 27)
    tokens = np.geomspace(500.0, 512000.0, 31)
    grid = np.empty((training.size, tokens.size))
    for row, flop in enumerate(training):
        progress("contours", row / training.size)
        grid[row] = accuracy(float(flop), tokens, "exact")
    size = np.asarray(GRAPH.allocation(training)[0])
    inference = np.asarray(inference_flop(size[:, None], tokens))

    budgets = 2000.0 * 2.0 ** np.arange(7)
    claude = {
        "Chernoff, eta = 15": accuracy(CLAUDE_FLOP, budgets, "chernoff"),
        "Chernoff, eta = 12": accuracy(
            CLAUDE_FLOP, budgets, "chernoff", replace(GRAPH, required_links=12.0)
        ),
        "Chernoff, eta = 18": accuracy(
            CLAUDE_FLOP, budgets, "chernoff", replace(GRAPH, required_links=18.0)
        ),
        "exact, eta = 52": accuracy(CLAUDE_FLOP, budgets, "exact"),
    }
    sweep = np.geomspace(1.2e25, 5.06e25, 21)
    at = np.array([O1_TOKENS])
    modes: tuple[tuple[str, SkillMode], ...] = (("exact", "exact"), ("Chernoff", "chernoff"))
    o1 = {
        words: np.array([accuracy(float(flop), at, mode)[0] for flop in sweep])
        for words, mode in modes
    }
    o1_tokens = accuracy(O1_FLOP, budgets, "exact")

    by_tokens = {k: linear_fit(np.log10(budgets[:6]), v[:6]) for k, v in claude.items()}
    by_training = linear_fit(np.log10(sweep), o1["exact"])
    by_o1_tokens = linear_fit(np.log10(budgets[:6]), o1_tokens[:6])
    contour = _contours(training, tokens, grid)
    straight = {
        level: linear_fit(np.log10(training[ok]), np.log10(t[ok]))
        for level, (t, ok) in contour.items()
    }
    paths = _cheapest(training, inference, grid)
    shares = {load: path[:, 0] / (path[:, 0] + load * path[:, 1]) for load, path in paths.items()}
    middle = {load: path[path.shape[0] // 2] for load, path in paths.items()}
    middling = [float(np.median(shares[load])) for load in TASKS_SERVED]
    concepts = GRAPH.concepts(GRAPH.allocation(CLAUDE_FLOP)[0])
    printed = float(GRAPH.concept_probability(concepts, complement=True))
    links = GRAPH.guaranteed_links(np.arange(1.0, 101.0), concepts)
    best = by_tokens["Chernoff, eta = 15"]
    findings = [
        check(
            "accuracy grows linearly with the logarithm of tokens used (7.2)",
            best[2] > 0.999,
            f"Claude 3.7 Sonnet, 2k to 64k tokens: {best[0]:.3f} per decade, R2 {best[2]:.4f}; "
            f"{claude['Chernoff, eta = 15'][1]:.3f} at 4k, "
            f"{claude['Chernoff, eta = 15'][5]:.3f} at 64k",
        ),
        check(
            "and with that of training compute at 64k tokens (7.3)",
            by_training[2] > 0.98,
            f"o1, 1.2e25 to 5e25 FLOP: {by_training[0]:.2f} per decade, R2 {by_training[2]:.3f}, "
            "with exact degrees; the printed Chernoff bound climbs in "
            f"{np.unique(o1['Chernoff'].round(6)).size} steps",
        ),
        check(
            "the two models show the same log-linear pattern in tokens",
            abs(by_o1_tokens[0] / best[0] - 1.0) < 0.1,
            f"{best[0]:.3f} and {by_o1_tokens[0]:.3f} per decade",
        ),
        check(
            "lines of equal accuracy are about straight in log compute (7.1b)",
            all(fit[2] > 0.98 for fit in straight.values()),
            "; ".join(
                f"{level:g}: one decade of training for {-fit[0]:.1f} of tokens, R2 {fit[2]:.3f}"
                for level, fit in straight.items()
            ),
        ),
        check(
            "a larger task load moves the optimum towards training (7.1a)",
            is_rising(np.array([middle[load][0] for load in TASKS_SERVED]))
            and is_rising(-np.array([middle[load][1] for load in TASKS_SERVED])),
            "for accuracy 0.5: "
            + ", ".join(
                f"{number(middle[load][0])} FLOP of training and {number(middle[load][1])} per "
                f"task at {number(load)} tasks"
                for load in (TASKS_SERVED[0], TASKS_SERVED[-1])
            )
            + f"; training's share of all compute stays, {percent(middling[0])} and "
            f"{percent(middling[-1])}",
        ),
        missing(
            "the published curves",
            "required links eta, failure chance rho, task weights and task loads are not stated: "
            f"eta from 12 to 18 moves accuracy at 64k tokens from "
            f"{claude['Chernoff, eta = 12'][5]:.2f} to {claude['Chernoff, eta = 18'][5]:.2f}",
        ),
        statement(
            "(44) is the probability that a concept is learned",
            printed > 0.5,
            f"at 20 tokens per parameter it is {number(printed, 1)}, so that nothing would be "
            "learned: it is the probability of failure",
        ),
        statement(
            "(48): a skill that needs more links than it has is learned for sure",
            not np.any(links < 15.0),
            f"{np.count_nonzero(links < 15.0)} of the 100 levels have fewer than 15 links, the "
            "hardest ones, and would be the only ones sure; it must be 0",
        ),
    ]
    blocks = [
        Block(
            {
                "panel": "1",
                "training_flop": training[:, None],
                "token_budget": tokens,
                "inference_flop_per_task": inference,
                "accuracy": grid,
            }
        ),
        *(
            Block(
                {
                    "panel": "2",
                    "curve": words,
                    "training_flop": CLAUDE_FLOP,
                    "token_budget": budgets,
                    "accuracy": values,
                }
            )
            for words, values in claude.items()
        ),
        *(
            Block(
                {
                    "panel": "3 training",
                    "curve": words,
                    "training_flop": sweep,
                    "token_budget": O1_TOKENS,
                    "accuracy": values,
                }
            )
            for words, values in o1.items()
        ),
        Block(
            {
                "panel": "3 tokens",
                "curve": "exact",
                "training_flop": O1_FLOP,
                "token_budget": budgets,
                "accuracy": o1_tokens,
            }
        ),
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, 2)
        plane = axes[0, 0]
        mesh = inference
        lines = plane.contour(
            np.broadcast_to(training[:, None], mesh.shape),
            mesh,
            grid,
            levels=np.arange(0.1, 1.0, 0.2),
            colors="#777777",
            linewidths=0.8,
        )
        plane.clabel(lines, fontsize=7)
        for index, (load, path) in enumerate(paths.items()):
            style = curve_style(index)
            plane.plot(path[:, 0], path[:, 1], label=f"{number(load)} tasks", **style)
        plane.set_xscale("log")
        plane.set_yscale("log")
        plane.set_xlim(training[0], training[-1])
        plane.set_ylim(inference.min(), inference.max())
        plane.legend(title="least total compute", loc="lower left", fontsize=7)
        name_axes(
            plane,
            "Training compute (FLOP)",
            "Inference compute (FLOP/task)",
            "1  Accuracy, 20 tokens per parameter",
        )
        for index, (words, values) in enumerate(claude.items()):
            curve(axes[0, 1], budgets, values, index, words)
        name_axes(
            axes[0, 1],
            "Tokens of a task (tokens)",
            "Accuracy (probability)",
            "2  Claude 3.7 Sonnet",
        )
        for index, (words, values) in enumerate(o1.items()):
            curve(axes[1, 0], sweep, values, index, words)
        name_axes(
            axes[1, 0],
            "Training compute (FLOP)",
            "Accuracy (probability)",
            "3  o1, 64k tokens: training",
        )
        curve(axes[1, 1], budgets, o1_tokens, 0, "exact")
        name_axes(
            axes[1, 1], "Tokens of a task (tokens)", "Accuracy (probability)", "3  o1: inference"
        )
        for panel in axes.ravel()[1:]:
            panel.set_xscale("log")
            panel.set_ylim(0.0, 1.0)
        axes[0, 1].legend()
        axes[1, 0].legend()

    return Reproduction(blocks, findings, draw, (8.6, 7.2))


def _contours(
    training: FloatArray, tokens: FloatArray, grid: FloatArray
) -> dict[float, tuple[FloatArray, NDArray[np.bool_]]]:
    """Tokens for an accuracy at each training compute, and where they are inside the grid."""
    result = {}
    for level in (0.3, 0.5, 0.7):
        logs = np.array([np.interp(level, row, np.log10(tokens)) for row in grid])
        inside = (grid[:, 0] < level) & (grid[:, -1] > level)
        result[level] = (10.0**logs, inside)
    return result


def _cheapest(
    training: FloatArray, inference: FloatArray, grid: FloatArray
) -> dict[float, FloatArray]:
    """Training and inference compute per task of least total, for accuracies 0.3 to 0.7."""
    fine = np.geomspace(training[0], training[-1], 481)
    levels = np.linspace(0.3, 0.7, 9)
    need = np.empty((levels.size, training.size))
    for column, row in enumerate(grid):
        need[:, column] = np.interp(
            levels, row, np.log(inference[column]), left=np.nan, right=np.inf
        )
    paths = {}
    for load in TASKS_SERVED:
        path = []
        for row in need:
            known = np.isfinite(row)
            per_task = np.exp(
                np.interp(np.log(fine), np.log(training[known]), row[known], left=np.inf)
            )
            best = int(np.argmin(fine + load * per_task))
            path.append((fine[best], per_task[best]))
        paths[load] = np.array(path)
    return paths


# -- Fig. 14 --------------------------------------------------------------------------------

FIG14_FLOP = (1e21, 1e23, 1e24, CLAUDE_FLOP)
"""The paper does not list the budgets it shows."""


def fig14(progress: Progress) -> Reproduction:
    """Sum over levels of the chance that a skill is learned, by tokens per parameter."""
    ratio = np.unique(np.concatenate([np.geomspace(5.0, 500.0, 121), np.linspace(17, 21, 161)]))
    levels = np.arange(1.0, GRAPH.levels + 1.0)
    competence: dict[float, FloatArray] = {}
    literal: dict[float, FloatArray] = {}
    modes: tuple[tuple[ConceptMode, dict[float, FloatArray]], ...] = (
        ("density_evolution", competence),
        ("paper", literal),
    )
    for flop in FIG14_FLOP:
        concepts = np.asarray(GRAPH.concepts(GRAPH.allocation(flop, ratio)[0]))
        for mode, kept in modes:
            learned = GRAPH.concept_probability(concepts, ratio, mode)
            kept[flop] = GRAPH.skill_probability(
                levels, concepts[:, None], np.asarray(learned)[:, None]
            ).sum(axis=-1)
    top = FIG14_FLOP[-1]
    jumps = {
        f: float(ratio[np.argmax(np.diff(np.log(v)) / np.diff(np.log(ratio)))])
        for f, v in competence.items()
    }
    peaks = {flop: float(ratio[np.argmax(values)]) for flop, values in competence.items()}
    beyond = {flop: values[ratio >= 20.0] for flop, values in competence.items()}
    below = float(np.interp(18.0, ratio, competence[top]))
    above = float(np.interp(18.3, ratio, competence[top]))
    early = literal[top]
    findings = [
        check(
            "a sharp transition near the Chinchilla-optimal ratio of 20",
            abs(jumps[top] / 20.0 - 1.0) < 0.15 and above / below > 1.15,
            f"at {GRAPH.learning_threshold:.2f} tokens per parameter, for any compute; from 18.0 "
            f"to 18.3 competence rises from {below:.1f} to {above:.1f} of 100 levels",
        ),
        check(
            "beyond it competence degrades monotonically",
            all(is_rising(-values, 1e-9) for values in beyond.values()),
            f"falling at every step from 20 to 500, by {beyond[top][0] - beyond[top][-1]:.1f} "
            f"levels at {number(top)} FLOP",
        ),
        check(
            "training-compute-optimal is 20 tokens per parameter (B)",
            all(abs(peak / 20.0 - 1.0) < 0.01 for peak in peaks.values()),
            "most competence at "
            + ", ".join(f"{peak:.2f} at {number(flop)}" for flop, peak in peaks.items())
            + " FLOP; 20 is a rounding",
        ),
        check(
            "below it the graph's formula does not apply (footnote 13)",
            float(early[0]) > float(np.min(early[ratio < 18.0])) + 1.0,
            f"(44) has competence rise again towards few tokens, to {early[0]:.1f} at 5 per "
            f"parameter from {np.min(early[ratio < 18.0]):.1f}; density evolution gives "
            f"{competence[top][0]:.1f}",
        ),
        missing(
            "heights of the curves",
            "required links and budgets are not stated; 52 links here",
        ),
    ]
    blocks = [
        Block(
            {
                "training_flop": flop,
                "tokens_per_parameter": ratio,
                "competence_levels": competence[flop],
                "competence_levels_by_44": literal[flop],
            }
        )
        for flop in FIG14_FLOP
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (flop, values) in enumerate(competence.items()):
            curve(axes, ratio, values, index, f"{number(flop)} FLOP", markers=9)
        undertrained = ratio < GRAPH.learning_threshold
        axes.plot(
            ratio[undertrained],
            early[undertrained],
            color="#999999",
            linestyle=":",
            label="(44) below its range",
        )
        axes.axvline(20.0, color="#777777", linewidth=0.9, linestyle=(0, (2, 2)))
        axes.annotate(
            "20",
            (20.0, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
        )
        axes.set_xscale("log")
        name_axes(
            axes, "Training tokens per parameter", "Sum of skill probabilities over levels (levels)"
        )
        legend_below(figure, [axes])

    return Reproduction(blocks, findings, draw, (6.6, 4.4))
