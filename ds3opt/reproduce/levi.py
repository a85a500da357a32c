"""Levi's simple model of inference scaling: pass@k, inference loss, and coverage over compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.coverage import (
    beta_coverage,
    coverage_power_law,
    samples_for_coverage,
)
from ds3opt.laws.populations import beta_quadrature
from ds3opt.laws.sampling_cost import samples_within_cost, sampling_cost
from ds3opt.plot.canvas import curve, curve_style, legend_below, name_axes
from ds3opt.reproduce.findings import (
    Block,
    Finding,
    Reproduction,
    check,
    log_slope,
    missing,
    number,
    percent,
    rounding,
    statement,
)
from ds3opt.reproduce.populations import fitted, points_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

CASES = ((2.0, 0.2), (4.2, 0.35), (20.0, 0.35), (4.2, 0.7))
"""Levi's alpha and beta, of failure; DS3 and ds3opt call them beta and alpha, of success. The
poster does not print those of its curves."""
PROMPT_TOKENS, OUTPUT_TOKENS = 100.0, 400.0
"""Tokens of a question and of an answer, ours."""
MODELS = {"Llama-3-8B-Instruct": 8e9, "Llama-3-70B-Instruct": 70e9}
TARGETS = (0.5, 0.8, 0.95)


def _words(alpha: float, beta: float) -> str:
    return f"alpha = {alpha:g}, beta = {beta:g}"


def pass_at_k(progress: Progress) -> Reproduction:
    """Results 1 and 2: pass@k in closed form, and the power law of what is missed."""
    samples = np.unique(np.round(np.geomspace(1, 1e6, 73)))
    reached = {case: beta_coverage(case[1], case[0], 1.0, samples) for case in CASES}
    missed = {
        case: beta_coverage(case[1], case[0], 1.0, samples, complement=True) for case in CASES
    }
    laws = {case: 1.0 - coverage_power_law(case[1], case[0], 1.0, samples) for case in CASES}
    apart = max(_against_quadrature(case) for case in CASES)
    late = samples >= 1e4
    slopes = {case: log_slope(samples[late], missed[case][late])[0] for case in CASES}
    steep = max(abs(slope + case[1]) for case, slope in slopes.items())
    a, b = CASES[1]
    first = float(coverage_power_law(b, a, 1.0, 1.0))
    exact = float(beta_coverage(b, a, 1.0, 1.0))
    easy = fitted("Llama-3-70B-Instruct", all_solvable=True)
    whole, part = (_laplace(easy.beta, easy.alpha, end) for end in (np.inf, 1.0))
    truth = float(1.0 - easy.coverage(np.array(1.0)))
    findings = [
        check(
            "result 1: pass@k = A (1 - Gamma(beta) Gamma(k + alpha) / (B Gamma(k + alpha + beta)))",
            apart < 1e-9,
            f"the mean over the population by quadrature agrees {rounding(apart)}",
        ),
        check(
            "result 2: inference loss falls as k^-beta for large k",
            steep < 0.01,
            "slopes between 1e4 and 1e6 samples: "
            + ", ".join(f"{slope:.3f} (beta {case[1]:g})" for case, slope in slopes.items()),
        ),
        check(
            "that power law is pass@k at any number of samples",
            abs(first - exact) < 0.01,
            f"at one sample it gives {first:.2f} in place of {exact:.3f} ({_words(a, b)}); "
            "the exact ratio costs no more",
        ),
        statement(
            "the Laplace form integrates sigma = -ln p from 0 to 1",
            abs(part / truth - 1.0) < 0.01,
            f"one sample of Llama-3-70B-Instruct then fails with {part:.3f}; to infinity it is "
            f"{whole:.3f}, as result 2 has it ({truth:.3f})",
        ),
        _measured(),
    ]
    blocks = [
        Block(
            {
                "levi_alpha": case[0],
                "levi_beta": case[1],
                "samples": samples,
                "pass_at_k": reached[case],
                "inference_loss": missed[case],
                "power_law": laws[case],
            }
        )
        for case in CASES
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for index, case in enumerate(CASES):
            curve(left, samples, reached[case], index, _words(*case))
            curve(right, samples, missed[case], index)
            right.plot(samples, laws[case], color="#777777", linewidth=0.9, linestyle=(0, (2, 2)))
        for axes in (left, right):
            axes.set_xscale("log")
        right.set_yscale("log")
        right.set_ylim(None, 2.0)
        name_axes(left, "Samples, k", "pass@k (probability)")
        name_axes(right, "Samples, k", "Inference loss (probability)", "Dashed: power law")
        legend_below(figure, [left], columns=2)

    return Reproduction(blocks, findings, draw, (7.6, 4.0))


def _against_quadrature(case: tuple[float, float]) -> float:
    """Farthest that the closed form is from a sum over Gauss nodes of the population."""
    node, weight = beta_quadrature(case[1], case[0], 200)
    k = np.array([1.0, 2.0, 10.0, 100.0])
    summed = (1.0 - (1.0 - node) ** k[:, None]) @ weight
    return float(np.max(np.abs(summed - beta_coverage(case[1], case[0], 1.0, k))))


def _laplace(alpha: float, beta: float, end: float) -> float:
    """Chance that one sample fails, ``<e^-sigma>``, with sigma up to `end`.

    In terms of the success 1 - p it is an integral of the Beta density up to 1 - e^-end.
    """
    node, weight = beta_quadrature(beta, alpha, 2000)
    inside = node <= -np.expm1(-end)
    return float(((1.0 - node) * weight)[inside].sum())


def _measured() -> Finding:
    fits = {
        name: fitted(name, all_solvable=name != "Pythia-2.8B") for name in ("Pythia-2.8B", *MODELS)
    }
    return check(
        "the model matches measured pass@k of Pythia-2.8B on MATH",
        fits["Pythia-2.8B"].rms < 0.01,
        "; ".join(
            f"{name}: alpha {fit.beta:.2f}, beta {fit.alpha:.2f}, A {fit.solvable:.2f}, "
            f"rms {fit.rms:.4f}"
            for name, fit in fits.items()
        ),
    )


def compute(progress: Progress) -> Reproduction:
    """Coverage over the compute of a question, exactly and by the printed approximation."""
    flop = np.geomspace(1e12, 1e19, 281)
    curves: dict[str, FloatArray] = {}
    printed: dict[str, FloatArray] = {}
    needed: dict[str, FloatArray] = {}
    spent: dict[str, FloatArray] = {}
    slips = []
    for name, parameters in MODELS.items():
        fit = fitted(name, all_solvable=True)
        price = 2.0 * parameters
        prices = (PROMPT_TOKENS, OUTPUT_TOKENS, price, price)
        k = samples_within_cost(flop, *prices, shared_prompt=True)
        curves[name] = fit.coverage(k)
        some = np.maximum(k, 1.0)
        printed[name] = np.where(
            k >= 1.0, coverage_power_law(fit.alpha, fit.beta, 1.0, some), np.nan
        )
        needed[name] = samples_for_coverage(np.array(TARGETS), fit.alpha, fit.beta, 1.0)
        spent[name] = sampling_cost(needed[name], *prices, shared_prompt=True)
        back = samples_within_cost(spent[name], *prices, shared_prompt=True)
        slips.append(float(np.max(np.abs(back - needed[name]))))
    small, large = MODELS
    per_question = float(
        sampling_cost(10.0, PROMPT_TOKENS, OUTPUT_TOKENS, 16e9, 16e9, shared_prompt=True)
    )
    apart = {name: float(np.nanmax(np.abs(printed[name] - curves[name]))) for name in MODELS}
    cheaper = spent[small] < spent[large]
    both = (curves[small] > 0.0) & (curves[large] > 0.0)
    findings = [
        check(
            "attempts and compute follow from each other: C = (N_p + N_d k) F",
            max(slips) == 0.0,
            f"samples to FLOP and back without a slip; a question at 10 samples of the 8B model "
            f"takes {number(per_question)} FLOP",
        ),
        check(
            "Coverage(C) with the power law in (C/F - N_p) / N_d",
            max(apart.values()) < 0.01,
            "good for many samples, off by "
            + ", ".join(f"{value:.2f} ({name})" for name, value in apart.items())
            + " at the first ones, where it may be negative",
        ),
        statement(
            "C is the inference cost per token",
            abs(per_question / 16e9 - 1.0) < 0.01,
            f"it is that of a question: {number(per_question / 16e9, 4)} times F, the FLOP of a "
            "token, at 10 samples",
        ),
        check(
            "the diversity of difficulty sets the attempts that are needed",
            bool(np.all(needed[large] < needed[small])),
            "samples for "
            + "; ".join(
                f"{percent(target)}: {needed[small][i]:,.0f} ({number(spent[small][i])} FLOP) of "
                f"the 8B, {needed[large][i]:,.0f} ({number(spent[large][i])} FLOP) of the 70B"
                for i, target in enumerate(TARGETS)
            )
            + (
                "; the small model is cheaper for all"
                if bool(np.all(cheaper))
                else "; which is cheaper depends on the target"
            ),
        ),
        missing(
            "parameters of the plotted curves",
            "the poster's text has none; fits to Brown et al.'s coverage on MATH are shown, with "
            "100 prompt and 400 output tokens",
        ),
    ]
    blocks = [
        Block(
            {
                "model": name,
                "flop": flop,
                "coverage": curves[name],
                "coverage_by_power_law": printed[name],
            }
        )
        for name in MODELS
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, parameters) in enumerate(MODELS.items()):
            shown = curves[name] > 0.0
            curve(
                axes,
                flop[shown],
                curves[name][shown],
                index,
                name,
                markers=0,
                drawstyle="steps-post",
            )
            k, value = points_of(name)
            price = 2.0 * parameters
            cost = sampling_cost(k, PROMPT_TOKENS, OUTPUT_TOKENS, price, price, shared_prompt=True)
            style = {**curve_style(index), "linestyle": "none"}
            axes.plot(cost, value, label=f"{name}, measured", **style)
            axes.plot(
                flop,
                printed[name],
                color="#777777",
                linewidth=0.9,
                linestyle=(0, (2, 2)),
                drawstyle="steps-post",
                label="power law" if index == 0 else None,
            )
        axes.set_xscale("log")
        axes.set_ylim(0.0, 1.0)
        axes.set_xlim(flop[both][0] / 20.0, flop[-1])
        name_axes(axes, "Compute of a question (FLOP)", "Coverage (probability)")
        legend_below(figure, [axes])

    return Reproduction(blocks, findings, draw, (6.6, 4.4))
