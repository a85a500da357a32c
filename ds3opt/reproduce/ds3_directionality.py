"""DS3 Fig. 12: difficulties of tasks and directionality of models, from their pass@k."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ds3opt.fit.directionality import HARDEST, MeasuredModels, fit_jointly, misses
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.pushforward import (
    never_solved,
    relative_directionality,
    success_distribution,
    trace_success,
)
from ds3opt.plot.canvas import bar_style, curve, curve_style, legend_below, name_axes
from ds3opt.reproduce.ds3_selection import BASE, LARGE, SMALL, model_fits
from ds3opt.reproduce.findings import Block, Reproduction, check, missing, number, statement
from ds3opt.reproduce.populations import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

NAMES = (BASE, SMALL, LARGE)
TRAINED = {BASE: (2.8e9, 3e11), SMALL: (8e9, 1.5e13), LARGE: (70e9, 1.5e13)}
"""Parameters and training tokens, DS3 Table II."""
STEPS = {BASE: 1948 / 25, SMALL: 8092 / 25, LARGE: 8092 / 25}
"""Output budget over tokens per step; Table II prints the context's."""


def _losses() -> FloatArray:
    law = LOSS_LAWS["hoffmann2022_rounded"]
    return np.array([float(law.loss(*TRAINED[name])) for name in NAMES])


def _models(fits: dict[str, Fit]) -> MeasuredModels:
    """The three of them, as the fit of directionality takes them."""
    alpha, beta, part = (
        np.array([getattr(fits[n], key) for n in NAMES]) for key in ("alpha", "beta", "solvable")
    )
    return MeasuredModels(NAMES, alpha, beta, part, _losses(), np.array([STEPS[n] for n in NAMES]))


def fig12(progress: Progress) -> Reproduction:
    """A mixture of difficulties, common to three models, and each model's directionality."""
    fits = model_fits()
    progress("joint fit", 0.1)
    models = _models(fits)
    problems, found, rms, _ = fit_jointly(models)
    tripled = fit_jointly(models, given=3.0 * found)[2]
    moved = [
        replace(problems, mean=np.array([problems.mean[0], at])) for at in (1.0, 2.0, 3.0, 4.0)
    ]
    anywhere = max(float(np.sqrt(np.mean(misses(models, one, found) ** 2))) for one in moved)
    progress("intervals", 0.6)
    index = relative_directionality(
        models.alpha, models.beta, models.solvable, models.loss, models.steps, problems, slack=0.01
    )
    wide = [float(high / low) for low, high in zip(index.low, index.high, strict=True)]
    spike = never_solved(problems, STEPS[BASE])
    missed = 1.0 - fits[BASE].solvable
    twice = 1.0 - fits[BASE].solvable * (1.0 - spike)
    top = float(trace_success(50.0, 1, 2.0, float(found[0]), STEPS[BASE]))
    listed = ", ".join(f"{number(i, 2)} ({n})" for n, i in zip(NAMES, found, strict=True))
    findings = [
        check(
            "higher directionality for instruction-tuned models",
            bool(found[0] < found[1] < found[2]),
            listed,
        ),
        check(
            "the push-forward closely matches the Beta fits (right panel)",
            rms < 0.03,
            f"root mean square {rms:.3f} in probability",
        ),
        check(
            "the values of directionality are inferred by the fit",
            tripled - rms > 0.01,
            "as ratios at best: all of them times 3 change the root mean square from "
            f"{rms:.3f} to {tripled:.3f}, as difficulties move along; at the same difficulties "
            f"each is known to a factor of {max(wide):.1f} at a distance of 0.01 more",
        ),
        check(
            "both modes of the difficulty are inferred (left panel)",
            anywhere - rms > 0.002,
            f"tasks of 1 skill about {problems.mean[0]:.2f} nats/token; those of 100 skills may be "
            f"anywhere from 1 to {HARDEST:g} (root mean square {anywhere:.3f} at most): at such "
            "directionality none of the models finishes them",
        ),
        statement(
            "(70) weighs the push-forward with the fitted solvable part",
            abs(twice - missed) < 0.005,
            f"{number(spike)} of the tasks need 100 steps, more than Pythia has, and are the "
            f"spike at 0 already; with A = {fits[BASE].solvable:.3f} on top it would be "
            f"{twice:.3f}, the fit has {missed:.3f}",
        ),
        check(
            "the density (70) is stated for every success",
            top > 0.999,
            f"its support ends where i does: Pythia solves tasks of one skill with at most "
            f"1 - (1 - i)^T = {top:.3f}",
        ),
        missing(
            "the inferred values and the curves of Llama-3-8B and Gemma-2B",
            "printed in the plot only; three models are fitted here, by least squares on "
            "distributions, as points of a pass@k curve are no sample to be likely",
        ),
    ]
    fine = np.linspace(0.002, 0.998, 250)
    losses = _losses()
    curves = {
        n: success_distribution(fine, problems, float(losses[i]), float(found[i]), STEPS[n])
        for i, n in enumerate(NAMES)
    }
    betas = {
        n: 1.0 - fits[n].solvable * special.betaincc(fits[n].alpha, fits[n].beta, fine)
        for n in NAMES
    }
    blocks = [
        Block(
            {
                "model": n,
                "directionality": float(found[i]),
                "loss_nats_per_token": float(losses[i]),
                "success": fine,
                "share_below": curves[n],
                "share_below_beta_fit": betas[n],
            }
        )
        for i, n in enumerate(NAMES)
    ]
    blocks.append(
        Block(
            {
                "skills": problems.skills,
                "share": problems.share,
                "difficulty_mean_nats_per_token": problems.mean,
                "difficulty_deviation_nats_per_token": problems.deviation,
            }
        )
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        low = float(np.min(problems.mean - 3.0 * problems.deviation))
        high = float(np.max(problems.mean + 3.0 * problems.deviation))
        edges = np.linspace(low, high, 41)
        for group, words in enumerate(("1 skill", "100 skills")):
            z = (edges - problems.mean[group]) / problems.deviation[group]
            mass = problems.share[group] * np.diff(special.ndtr(z))
            left.bar(
                edges[:-1], mass, np.diff(edges), align="edge", label=words, **bar_style(group)
            )
        for i, n in enumerate(NAMES):
            style = curve_style(i)
            left.axvline(losses[i], color=style["color"], linestyle=style["linestyle"])
            left.annotate(
                n.replace("Llama-3-", "").replace("-Instruct", "-I"),
                (losses[i], 0.98 - 0.07 * i),
                xycoords=("data", "axes fraction"),
                xytext=(3, -8),
                textcoords="offset points",
                fontsize=8,
            )
            label = f"{n}, i = {number(found[i], 2)}"
            curve(right, fine, curves[n], i, label)
            right.plot(fine, betas[n], color="#777777", linewidth=0.9)
        left.legend(loc="center right")
        name_axes(left, "Difficulty (nats/token)", "Share of tasks", "Lines: loss of the models")
        name_axes(right, "Success of one sample", "Share of tasks below", "Grey: Beta fits")
        legend_below(figure, [right])

    return Reproduction(blocks, findings, draw, (8.4, 4.2))
