"""DS3 Fig. 3: tokens that a chain of thought uses under a cap, exactly and approximately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ds3opt.laws.length_approximations import gaussian_expected_steps, linear_expected_steps
from ds3opt.laws.search import expected_steps
from ds3opt.plot.canvas import curve, legend_below, name_axes
from ds3opt.reproduce.findings import (
    Block,
    Reproduction,
    check,
    is_rising,
    number,
    percent,
    statement,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

TOKENS_PER_STEP = 25.0
CASES = ((5, 0.2), (100, 0.05))
"""Skills and step success of the two panels, as the caption states."""
CENTRAL = 2.0
"""Half width of the Gaussian part, z*, as below (26)."""


def fig3(progress: Progress) -> Reproduction:
    """The exact mean of (23) against (26) and (27)."""
    panels = [_panel(skills, success) for skills, success in CASES]
    blocks = [
        Block({"skills": m, "step_success": r, "token_budget": budget, **curves})
        for (m, r), (budget, curves) in zip(CASES, panels, strict=True)
    ]
    worst = [
        {
            name: np.max(np.abs(curves[f"{name}_tokens"] / curves["exact_tokens"] - 1.0))
            for name in ("gaussian", "linear")
        }
        for _, curves in panels
    ]
    exact = [curves["exact_tokens"] for _, curves in panels]
    linear = [curves["linear_tokens"] for _, curves in panels]
    ends = [
        float(values[-1] * r / (TOKENS_PER_STEP * m))
        for values, (m, r) in zip(exact, CASES, strict=True)
    ]

    def words(name: str) -> str:
        parts = (
            f"{percent(each[name])} at m = {m}" for each, (m, _) in zip(worst, CASES, strict=True)
        )
        return "off by at most " + " and ".join(parts)

    jumps = [_jump(m, r) for m, r in CASES]
    short = float(
        TOKENS_PER_STEP * gaussian_expected_steps(0.1, 1, 5.0 / TOKENS_PER_STEP, central=CENTRAL)
    )
    findings = [
        check(
            "the Gaussian approximation (26) and the two straight lines (27) keep the key trends",
            all(each["gaussian"] < 0.05 and each["linear"] < 0.2 for each in worst)
            and all(is_rising(values, 1e-6) for values in (*exact, *linear))
            and all(np.all(a >= b - 1e-6) for a, b in zip(linear, exact, strict=True)),
            f"(26) {words('gaussian')}; (27) {words('linear')}, never below the exact mean",
        ),
        check(
            "use grows with the budget and levels off at omega m / r (24), (25)",
            all(abs(end - 1.0) < 1e-3 for end in ends)
            and all(
                np.allclose(v[:5], b[:5], rtol=1e-3)
                for v, (b, _) in zip(exact, panels, strict=True)
            ),
            f"625 and 50,000 tokens, reached to {number(max(abs(e - 1.0) for e in ends), 1)}",
        ),
        statement(
            "(26) is a smooth interpolation between its limits",
            max(jumps) < 1e-9 and short >= 0.0,
            f"it jumps at z = -2 and 2, by {number(jumps[0])} tokens at m = 5 and "
            f"{number(jumps[1])} at m = 100, and is negative for m < 4 (1 - r): "
            f"{number(short)} tokens at m = 1, r = 0.1 and a budget of 5",
        ),
        statement(
            "a budget of Omega tokens has omega Omega steps (II-B, before (20))",
            abs(_tokens_to_finish(TOKENS_PER_STEP) / _tokens_to_finish(1.0 / TOKENS_PER_STEP) - 1)
            < 0.5,
            f"with Omega / omega, the panel m = 5 is half done at "
            f"{number(_tokens_to_finish(1.0 / TOKENS_PER_STEP))} tokens, as plotted; with the "
            f"product it would be at {number(_tokens_to_finish(TOKENS_PER_STEP))}",
        ),
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 2)
        for panel, (skills, success), (budget, curves) in zip(axes, CASES, panels, strict=True):
            curve(panel, budget, curves["exact_tokens"], 0, "exact, (23) in closed form")
            curve(panel, budget, curves["gaussian_tokens"], 1, "linear-Gaussian, (26)")
            curve(panel, budget, curves["linear_tokens"], 3, "two lines, (27)")
            mean = TOKENS_PER_STEP * skills / success
            panel.axvline(mean, color="#777777", linewidth=0.9, linestyle=(0, (2, 2)))
            panel.annotate(
                f"{mean:,.0f} tokens",
                (mean, 0.04),
                xycoords=("data", "axes fraction"),
                xytext=(4, 0),
                textcoords="offset points",
            )
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter("{x:,.0f}")
            panel.locator_params(axis="x", nbins=4)
            name_axes(
                panel,
                "Token budget (tokens)",
                "Expected use (tokens)",
                f"m = {skills}, r = {success}",
            )
        legend_below(figure, list(axes))

    return Reproduction(blocks, findings, draw, (7.2, 3.6))


def _panel(skills: int, success: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    steps = np.unique(np.round(np.linspace(1.0, 3.0 * skills / success, 301)))
    exact = expected_steps(success, skills, steps)
    gaussian = gaussian_expected_steps(success, skills, steps, central=CENTRAL)
    linear = linear_expected_steps(success, skills, steps)
    named = {"exact_tokens": exact, "gaussian_tokens": gaussian, "linear_tokens": linear}
    return TOKENS_PER_STEP * steps, {k: TOKENS_PER_STEP * v for k, v in named.items()}


def _jump(skills: int, success: float) -> float:
    """By how much (26) jumps at the upper end of its middle part, tokens."""
    end = skills / success + CENTRAL * np.sqrt(skills * (1.0 - success)) / success
    sides = np.array([end * (1.0 - 1e-12), end * (1.0 + 1e-12)])
    below, above = gaussian_expected_steps(success, skills, sides, central=CENTRAL)
    return float(TOKENS_PER_STEP * abs(above - below))


def _tokens_to_finish(steps_per_token: float) -> float:
    """Least token budget at which the first panel's chain uses half of its uncapped mean."""
    skills, success = CASES[0]
    budget = np.geomspace(1e-2, 1e4, 6001)
    used = expected_steps(success, skills, budget * steps_per_token)
    return float(budget[np.argmax(used >= 0.5 * skills / success)])
