"""Wu et al. Tables 1 and 3: more samples, or samples that a reward model steers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.populations import BetaProblems
from ds3opt.laws.tilt import tilted_success
from ds3opt.plot.canvas import curve, curve_style, legend_below, name_axes
from ds3opt.reproduce.findings import Block, Reproduction, agree, check
from ds3opt.reproduce.populations import fit_coverage
from ds3opt.reproduce.published import TABLE1, TABLE3, TABLE4
from ds3opt.reproduce.wu_calibration import ALPHAS, calibrated, rising_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

# -- Table 1 --------------------------------------------------------------------------------


def table1(progress: Progress) -> Reproduction:
    """Sampling with many samples, predicted from Table 4, and the compute that REBASE saves."""
    by_model: dict[str, list[tuple[str, int, float, float]]] = {}
    for model, way, samples, flop, accuracy in TABLE1:
        by_model.setdefault(model, []).append((way, samples, flop, accuracy))
    ratio = {m: cells[0][2] / cells[1][2] for m, cells in by_model.items()}
    lead = {m: cells[1][3] - cells[0][3] for m, cells in by_model.items()}
    per_sample = []
    predicted: dict[str, tuple[float, float]] = {}
    curves: dict[str, tuple[FloatArray, FloatArray, FloatArray]] = {}
    for index, (model, cells) in enumerate(by_model.items()):
        progress(model, index / len(by_model))
        _, samples, flop, _ = cells[0]
        one = TABLE4[model]["greedy"].math.flop
        per_sample.append(flop / samples / one)
        fits = [calibrated(model, "math", alpha) for alpha in ALPHAS["math"]]
        known = [fit for fit in fits if fit is not None]
        values = [fit.vote(samples, fit.weight_ratio, 1.0) for fit in known]
        predicted[model] = (min(values), max(values))
        k = np.array([1, 2, 4, 8, 16, 32, 64, 256])
        band = np.array([[fit.vote(int(n), fit.weight_ratio, 1.0) for n in k] for fit in known])
        curves[model] = (k * one, band.min(axis=0), band.max(axis=0))
    miss = {
        m: max(low - by_model[m][0][3], by_model[m][0][3] - high, 0.0)
        for m, (low, high) in predicted.items()
    }
    findings = [
        check(
            "weighted vote of 256 samples (34B: 64): "
            + ", ".join(f"{cells[0][3]} % ({m})" for m, cells in by_model.items()),
            max(miss.values()) < 1.0,
            "foreseen from Table 4's 32 (8) samples: "
            + ", ".join(f"{low:.1f} to {high:.1f} %" for low, high in predicted.values())
            + "; the laws saturate earlier",
        ),
        check(
            "REBASE is better with less compute",
            all(lead[m] > 0.0 and ratio[m] > 1.0 for m in ratio),
            "; ".join(f"{m}: {lead[m]:+.1f} points at 1/{ratio[m]:.1f}" for m in ratio),
        ),
        check(
            "with the 7B model 7 times less",
            all(abs(ratio[m] - 7.0) < 0.75 for m in ("Mistral-7B", "Llemma-7B")),
            f"{ratio['Mistral-7B']:.1f} (Mistral) and {ratio['Llemma-7B']:.1f} (Llemma) times",
        ),
        agree(
            "FLOP of a sample as in Table 4",
            1.0,
            np.array(per_sample),
            within=0.03,
            relative=True,
        ),
    ]
    blocks = [
        Block(
            {
                "model": np.array([row[0] for row in TABLE1]),
                "way": np.array([row[1] for row in TABLE1]),
                "samples": np.array([row[2] for row in TABLE1]),
                "flop": np.array([row[3] for row in TABLE1]),
                "measured_percent": np.array([row[4] for row in TABLE1]),
            }
        ),
        *(
            Block(
                {
                    "model": m,
                    "way": "sampling+WV predicted",
                    "flop": flop,
                    "lowest_percent": low,
                    "highest_percent": high,
                }
            )
            for m, (flop, low, high) in curves.items()
        ),
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (model, cells) in enumerate(by_model.items()):
            style = curve_style(index)
            flop, low, high = curves[model]
            axes.fill_between(flop, low, high, color=style["color"], alpha=0.25, linewidth=0)
            curve(axes, flop, 0.5 * (low + high), index, f"{model}, predicted", markers=0)
            for way, samples, cost, accuracy in cells:
                axes.plot(cost, accuracy, **{**style, "linestyle": "none", "markersize": 7})
                axes.annotate(
                    f"{way.split('+')[0]} {samples}",
                    (cost, accuracy),
                    xytext=(6, -3),
                    textcoords="offset points",
                    fontsize=8,
                )
            axes.plot([], [], label=f"{model}, measured", **{**style, "linestyle": "none"})
        axes.set_xscale("log")
        name_axes(
            axes,
            "Compute of a question, policy only (FLOP)",
            "MATH500 accuracy (%)",
            "Weighted vote: bands for the assumed alpha, calibrated on Table 4",
        )
        legend_below(figure, [axes])

    return Reproduction(blocks, findings, draw, (8.0, 5.0))


# -- Table 3 --------------------------------------------------------------------------------


def table3(progress: Progress) -> Reproduction:
    """Pass rate on MBPP: coverage of a population, and of the same one with tilted odds."""
    k, sampling_flop, sampling, rebase_flop, rebase = np.array(TABLE3, dtype=np.float64).T
    fit = fit_coverage(k, sampling / 100.0, all_solvable=True)
    first = fit_coverage(k[:2], sampling[:2] / 100.0, all_solvable=True)
    problems = BetaProblems(fit.alpha, fit.beta)

    def tilted(rho: float, samples: float) -> float:
        found = problems.mean(
            lambda psi: (
                -np.expm1(samples * np.log1p(-np.minimum(tilted_success(psi, rho), 1 - 1e-16)))
            )
        )
        assert found is not None
        return 100.0 * found

    tilt = rising_root(lambda rho: tilted(rho, k[0]), 0.5, 20.0, float(rebase[0]))
    assert tilt is not None
    predicted = np.array([tilted(tilt, n) for n in k])
    ahead = 100.0 * first.coverage(k)
    overhead = rebase_flop / sampling_flop
    findings = [
        check(
            f"pass rate of sampling: {', '.join(f'{v:.1f}' for v in sampling)} % at 8, 16, 32, 64",
            fit.rms < 0.01,
            f"coverage of a Beta population with alpha {fit.alpha:.2f}, beta {fit.beta:.2f} to "
            f"{100 * fit.rms:.1f} points (a standard error is about 2)",
        ),
        check(
            "of these the last two",
            float(np.max(np.abs(ahead - sampling))) < 2.5,
            f"foreseen from the first two as {ahead[2]:.1f} and {ahead[3]:.1f} %",
        ),
        check(
            f"pass rate of REBASE: {', '.join(f'{v:.1f}' for v in rebase)} %",
            float(np.max(np.abs(predicted - rebase))) < 2.5,
            f"one tilt of the odds, {tilt:.2f}, set at 8 samples, gives "
            f"{', '.join(f'{v:.1f}' for v in predicted[1:])} % at 16, 32, 64",
        ),
        check(
            "REBASE is better at every number of samples, at nearly the same cost",
            bool(np.all(rebase > sampling)) and float(np.max(overhead)) < 1.1,
            f"by {np.min(rebase - sampling):.1f} to {np.max(rebase - sampling):.1f} points for "
            f"{overhead.min():.2f} to {overhead.max():.2f} times the FLOP",
        ),
    ]
    fine = np.geomspace(4.0, 128.0, 41)
    curves = {
        "sampling": 100.0 * fit.coverage(fine),
        "REBASE": np.array([tilted(tilt, n) for n in fine]),
    }
    blocks = [
        Block(
            {
                "samples": k,
                "sampling_flop": sampling_flop,
                "sampling_percent": sampling,
                "sampling_predicted_percent": 100.0 * fit.coverage(k),
                "rebase_flop": rebase_flop,
                "rebase_percent": rebase,
                "rebase_predicted_percent": predicted,
            }
        )
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        measured = {"sampling": sampling, "REBASE": rebase}
        for index, (name, values) in enumerate(curves.items()):
            curve(axes, fine, values, index, f"{name}, population", markers=0)
            axes.plot(
                k,
                measured[name],
                label=f"{name}, measured",
                **{**curve_style(index), "linestyle": "none"},
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        name_axes(axes, "Samples", "MBPP pass rate (%)")
        axes.legend()

    return Reproduction(blocks, findings, draw, (5.8, 3.8))
