"""DS3 Figs 8 and 15: the optimum of (53) over compute, free and restricted to planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.search import success_by_skills
from ds3opt.plot.canvas import bar_style, curve, legend_below, name_axes
from ds3opt.reproduce.findings import (
    Block,
    Reproduction,
    check,
    is_rising,
    log_slope,
    missing,
    number,
)
from ds3opt.reproduce.trajectories import Trajectory, trajectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

RANGE = (1e18, 1e26, 81)
"""FLOP from, to, points: a tenth of a decade each. Above 1e26 every task is solved."""
ISO_FLOP = 5.5e21
"""Of the translucent surface in Fig. 8.2."""
GAP = 1e-5
"""Of the certificates, in accuracy."""
TASKS_SERVED, TOKENS_PER_STEP, MOST_SKILLS, SLOPE = 1e9, 25.0, 50, 5.0
DIFFICULTIES = np.linspace(0.1, 4.0, 8)
WINDOW = (1e19, 1e25)
"""Where exponents are fitted; the paper does not state its own window."""
FIXED_TOKENS = (1250, 5000)
"""The paper does not state the token budget that Fig. 15 fixes."""


def _free() -> Trajectory:
    return trajectory("ds3_fig8", *RANGE, gap=GAP)


def fig8(progress: Progress) -> Reproduction:
    """The global optimum beside the plane of 20 tokens per parameter."""
    progress("optimum", 0.1)
    free = _free()
    progress("20 tokens per parameter", 0.6)
    longer = trajectory("ds3_fig8", RANGE[0], 1e27, 91, "model.tokens_per_parameter=20", gap=GAP)
    plane = longer.first(free.flop.size)
    before = (free.flop >= 1e19) & (free.accuracy < 0.999)
    gap = free.accuracy - plane.accuracy
    ratio = free.tokens_per_parameter
    extra = longer.flop_for(free.accuracy) / free.flop
    told = np.isfinite(extra) & before
    dip = int(np.argmin(np.where((free.flop >= 3e19) & (free.flop <= 1e23), ratio, np.inf)))
    peak = int(np.argmax(np.where(free.flop <= free.flop[dip], np.where(before, ratio, 0.0), 0.0)))
    inside = (free.flop >= WINDOW[0] * 0.999) & (free.flop <= WINDOW[1] * 1.001)
    slopes = {
        name: {
            quantity: log_slope(path.flop[inside], getattr(path, quantity)[inside])
            for quantity in ("parameters", "training_tokens", "token_budget")
        }
        for name, path in (("optimum", free), ("20 per parameter", plane))
    }
    top = slopes["optimum"]
    bound = float(np.max(free.upper - free.accuracy))

    def at(values: FloatArray, flop: float) -> float:
        return float(values[np.argmin(np.abs(np.log(free.flop / flop)))])

    findings = [
        check(
            "training on 20 tokens per parameter trails the joint optimum in accuracy (7)",
            float(np.min(gap[before])) > 0.0,
            f"at every budget from 1e19 FLOP to saturation, by {100 * at(gap, 1e20):.1f} points at "
            f"1e20, {100 * at(gap, 1e22):.1f} at 1e22 and {100 * at(gap, 1e25):.1f} at 1e25; "
            f"optima certified {'to 1e-5' if bound <= 1.001 * GAP else 'less closely'}",
        ),
        check(
            "matching the optimum takes far more compute, more so for higher accuracy (8)",
            float(np.min(extra[told])) > 1.5 and at(extra, 1e24) > at(extra, 1e21),
            "; ".join(f"{at(extra, c):.1f} x at {number(c)}" for c in (1e19, 1e21, 1e23, 1e25)),
        ),
        check(
            "the optimal tokens per parameter rise with compute (4)",
            is_rising(ratio[before]),
            f"they fall from {ratio[peak]:,.0f} at {number(free.flop[peak], 2)} FLOP to "
            f"{ratio[dip]:,.0f} at {number(free.flop[dip], 2)} before they rise to "
            f"{number(at(ratio, 1e25))} at 1e25",
        ),
        check(
            "and exceed the Chinchilla constant of 20",
            float(np.min(ratio[before])) > 20.0,
            f"never below {np.min(ratio[before]):,.0f}",
        ),
        check(
            "the plane spends a larger share of compute at inference, at every budget (5)",
            bool(np.all(plane.inference_share[before] > free.inference_share[before])),
            f"{at(plane.inference_share, 1e20):.3f} against {at(free.inference_share, 1e20):.3f} "
            f"at 1e20, {at(plane.inference_share, 1e24):.3f} against "
            f"{at(free.inference_share, 1e24):.3f} at 1e24",
        ),
        check(
            "training data and inference tokens grow more steeply than parameters (6)",
            top["training_tokens"][0] > top["parameters"][0] < top["token_budget"][0],
            "exponents over 1e19 to 1e25: "
            + ", ".join(
                f"{words} {top[key][0]:.2f}"
                for key, words in (
                    ("parameters", "N"),
                    ("training_tokens", "D"),
                    ("token_budget", "tokens"),
                )
            ),
        ),
        check(
            "the curves have generally consistent trends, marked by power laws (3)",
            all(fit[2] > 0.9 for fit in top.values()),
            f"R2 {top['parameters'][2]:.2f} for N, which levels off at "
            f"{number(at(free.parameters, 1e24), 2)}, {top['training_tokens'][2]:.2f} for D and "
            f"{top['token_budget'][2]:.2f} for tokens",
        ),
        missing(
            "fitted exponents and their R2",
            "printed in the legends only, over an unstated range, after nearest-neighbour search "
            "and smoothing; ours depend on the range",
        ),
    ]
    blocks = [
        Block({"path": "optimum", **free.columns(), "extra_compute": extra}),
        Block({"path": "tokens_per_parameter_20", **plane.columns()}),
    ]
    surface = _surface()

    def draw(figure: Figure) -> None:
        _draw_fig8(figure, free, plane, extra, slopes, surface)

    return Reproduction(blocks, findings, draw, (10.0, 9.0))


def _draw_fig8(
    figure: Figure,
    free: Trajectory,
    plane: Trajectory,
    extra: FloatArray,
    slopes: dict[str, dict[str, tuple[float, float, float]]],
    surface: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    axes = figure.subplots(3, 3)
    size, data, accuracy = surface
    shown = axes[0, 0]
    lines = shown.contour(size, data, accuracy, levels=np.arange(0.1, 0.6, 0.1), colors="#555555")
    shown.clabel(lines, fontsize=7)
    at = int(np.argmin(np.abs(np.log(free.flop / ISO_FLOP))))
    for path, mark, label in ((free, "o", "optimum"), (plane, "s", "20 per parameter")):
        shown.plot(path.parameters[at], path.training_tokens[at], mark, color="black", label=label)
    shown.plot(size, 20.0 * size, color="#d55e00", linestyle="--", linewidth=1.0)
    shown.set_ylim(data[0], data[-1])
    shown.set_xscale("log")
    shown.set_yscale("log")
    shown.legend(loc="upper right")
    name_axes(shown, "Parameters", "Training tokens (tokens)", "1-2  Accuracy at 5.5e21 FLOP")
    panels: tuple[tuple[int, int, str, str, str], ...] = (
        (0, 1, "parameters", "Parameters", "3a  Model size"),
        (0, 2, "training_tokens", "Training tokens (tokens)", "3b  Training data"),
        (1, 0, "token_budget", "Tokens per task (tokens)", "3c  Inference"),
        (1, 1, "tokens_per_parameter", "Tokens per parameter", "4  Data per parameter"),
        (1, 2, "inference_share", "Share of FLOP", "5  Share of compute at inference"),
        (2, 1, "accuracy", "Accuracy (probability)", "7  Accuracy"),
    )
    for row, column, name, words, title in panels:
        panel = axes[row, column]
        curve(panel, free.flop, getattr(free, name), 0, "joint optimum")
        curve(panel, plane.flop, getattr(plane, name), 1, "20 tokens per parameter")
        panel.set_xscale("log")
        if name not in {"inference_share", "accuracy"}:
            panel.set_yscale("log")
        name_axes(panel, "Compute (FLOP)", words, title)
    curve(axes[2, 1], free.flop, free.accuracy - plane.accuracy, 3, "gap")
    bars = axes[2, 0]
    for index, (name, fits) in enumerate(slopes.items()):
        places = np.arange(3) + 0.4 * index
        bars.bar(places, [fit[0] for fit in fits.values()], 0.38, label=name, **bar_style(index))
    bars.set_xticks(np.arange(3) + 0.2, ["N", "D", "tokens"])
    name_axes(bars, "", "Exponent of compute", "6  Power laws, 1e19 to 1e25")
    bars.set_ylim(0.0, 1.05)
    bars.legend()
    curve(axes[2, 2], free.accuracy, extra, 0)
    name_axes(axes[2, 2], "Accuracy (probability)", "Compute, multiple", "8  Plane's extra compute")
    legend_below(figure, [axes[2, 1]])


def _surface() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Accuracy over model size and data at one compute, the rest of it spent at inference."""
    size, data = np.geomspace(1e7, 1e10, 61), np.geomspace(1e9, 1e13, 61)
    rest = ISO_FLOP - 6.0 * size * data[:, None]
    steps = np.maximum(rest, 0.0) / (2.0 * size * TASKS_SERVED * TOKENS_PER_STEP)
    loss = np.asarray(LOSS_LAWS["hoffmann2022_rounded"].loss(size, data[:, None]))
    step = step_skill_success(loss[..., None], DIFFICULTIES, slope=SLOPE)
    solved = success_by_skills(step, MOST_SKILLS, steps[..., None])
    return size, data, np.asarray(solved.mean(axis=(-1, -2)))


def fig15(progress: Progress) -> Reproduction:
    """The joint optimum beside plans of a fixed token budget."""
    progress("optimum", 0.1)
    free = _free()
    fixed = {}
    for index, tokens in enumerate(FIXED_TOKENS):
        progress(f"{tokens} tokens", 0.5 + 0.2 * index)
        fixed[tokens] = trajectory(
            "ds3_fig15_fixed_tokens", *RANGE, f"reasoning.token_budget={tokens}", gap=GAP
        )

    def lost(tokens: int, flop: float) -> float:
        path = fixed[tokens]
        here = float(free.accuracy[np.argmin(np.abs(np.log(free.flop / flop)))])
        return 100.0 * (here - float(path.accuracy[np.argmin(np.abs(np.log(path.flop / flop)))]))

    least = {
        tokens: min(lost(tokens, flop) for flop in free.flop[(free.flop > 9e18)])
        for tokens in FIXED_TOKENS
    }
    most = {tokens: lost(tokens, 1e25) for tokens in FIXED_TOKENS}
    findings = [
        missing(
            "optimal trajectory at a fixed token budget",
            "the fixed budget is not stated; 1,250 and 5,000 tokens are shown",
        ),
        check(
            "fixing the token budget leads to significant inefficiencies",
            min(least.values()) > 1.0,
            "at large budgets: "
            + ", ".join(f"{most[t]:.1f} points at 1e25 FLOP with {t:,} tokens" for t in most)
            + "; but near the compute that the budget suits next to nothing: "
            + ", ".join(f"{least[t]:.2f} points with {t:,}" for t in least),
        ),
        check(
            "a fixed budget never beats the joint optimum",
            all(
                np.all(np.interp(np.log(path.flop), np.log(free.flop), free.upper) >= path.accuracy)
                for path in fixed.values()
            ),
            "below the certified bound at every compute",
        ),
    ]
    blocks = [Block({"path": "optimum", **free.columns()})]
    blocks += [Block({"path": f"tokens_{t}", **path.columns()}) for t, path in fixed.items()]
    paths = {
        "joint optimum": free,
        **{f"{tokens:,} tokens fixed": path for tokens, path in fixed.items()},
    }

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, 2)
        for panel, name, words in zip(
            axes.ravel(),
            ("accuracy", "parameters", "training_tokens", "token_budget"),
            (
                "Accuracy (probability)",
                "Parameters",
                "Training tokens (tokens)",
                "Tokens per task (tokens)",
            ),
            strict=True,
        ):
            for index, (label, path) in enumerate(paths.items()):
                curve(panel, path.flop, getattr(path, name), index, label)
            panel.set_xscale("log")
            if name != "accuracy":
                panel.set_yscale("log")
            name_axes(panel, "Compute (FLOP)", words)
        legend_below(figure, [axes[0, 0]])

    return Reproduction(blocks, findings, draw, (7.6, 5.8))
