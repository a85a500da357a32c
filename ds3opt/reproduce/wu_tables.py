"""Wu et al. Tables 1, 3 and 4: what one number per ingredient predicts of measured selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.coverage import beta_majority_vote
from ds3opt.laws.populations import BetaProblems
from ds3opt.laws.scored_choice import scored_choice_success
from ds3opt.laws.tilt import tilted_success
from ds3opt.laws.voting import (
    majority_vote_success,
    truncated_geometric_shares,
    weighted_vote_success,
)
from ds3opt.plot.canvas import curve, curve_style, legend_below, name_axes
from ds3opt.reproduce.findings import Block, Finding, Reproduction, Verdict, agree, check, number
from ds3opt.reproduce.populations import fit_coverage
from ds3opt.reproduce.published import PARAMETERS, TABLE1, TABLE3, TABLE4, WRONG_ANSWERS, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

ALPHAS = {"math": (0.3, 0.4), "gsm8k": (0.9, 1.3)}
"""Assumed first parameters of the populations: one row has too few numbers to give them. Fits to
Brown et al.'s counts on the same benchmarks lie about there."""
REWARD_MODEL = "Llemma-34B"
"""Scores every sample in Wu et al.; its compute is not charged there."""


@dataclass(frozen=True)
class Calibration:
    """Numbers with which the laws give a model's measured accuracies on one benchmark."""

    problems: BetaProblems
    shares: FloatArray
    """Of wrong answers."""
    weight_ratio: float
    """Weight of a right vote over that of a wrong one."""
    discrimination: float
    """Of the reward model, standard deviations."""
    tilt: float
    """Odds that REBASE gives a trace over those of sampling."""

    def vote(self, samples: int, weight_ratio: float, tilt: float) -> float:
        """Accuracy of a vote, in percent."""
        found = self.problems.mean(
            lambda psi: weighted_vote_success(
                tilted_success(psi, tilt), samples, self.shares, weight_ratio
            )
        )
        assert found is not None
        return 100.0 * found

    def best(self, samples: int, tilt: float) -> float:
        """Accuracy of the best-scored of n, in percent."""
        found = self.problems.mean(
            lambda psi: scored_choice_success(
                tilted_success(psi, tilt), samples, self.discrimination
            )
        )
        assert found is not None
        return 100.0 * found


def _root(of: Callable[[float], float], low: float, high: float, wanted: float) -> float | None:
    """Where a rising function has a value, on a logarithmic scale; None if nowhere."""
    if not of(low) <= wanted <= of(high):
        return None
    for _ in range(30):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if of(middle) < wanted else (low, middle)
    return float(np.sqrt(low * high))


def calibrated(rows: dict[str, Row], benchmark: str, alpha: float) -> Calibration | None:
    """One number per ingredient, each from one row; None where no spectrum of errors fits.

    The mean is that of greedy decoding, which is not quite that of a sample.
    """
    accuracy = {way: getattr(row, benchmark).accuracy for way, row in rows.items()}
    samples = rows["sampling+MV"].samples
    mean = accuracy["greedy"] / 100.0
    problems = BetaProblems(alpha, alpha * (1.0 - mean) / mean)

    def voted(decay: float) -> float:
        shares = truncated_geometric_shares(decay, WRONG_ANSWERS)
        return 100.0 * float(
            beta_majority_vote(problems.alpha, problems.beta, 1.0, samples, shares)
        )

    decay = _root(voted, 1e-3, 1.0, accuracy["sampling+MV"])
    if decay is None:
        return None
    shares = truncated_geometric_shares(decay, WRONG_ANSWERS)
    plain = Calibration(problems, shares, 1.0, 1.0, 1.0)
    ratio = _root(lambda g: plain.vote(samples, g, 1.0), 0.5, 20.0, accuracy["sampling+WV"])
    sharp = _root(
        lambda d: Calibration(problems, shares, 1.0, d, 1.0).best(samples, 1.0),
        1e-3,
        8.0,
        accuracy["sampling+BoN"],
    )
    tilt = _root(
        lambda rho: (
            100.0
            * float(
                problems.mean(
                    lambda psi: majority_vote_success(tilted_success(psi, rho), samples, shares)
                )
                or 0.0
            )
        ),
        0.5,
        20.0,
        accuracy["rebase+MV"],
    )
    if ratio is None or sharp is None or tilt is None:
        return None
    return Calibration(problems, shares, ratio, sharp, tilt)


def _all_calibrations() -> dict[tuple[str, str, float], Calibration | None]:
    return {
        (model, benchmark, alpha): calibrated(rows, benchmark, alpha)
        for model, rows in TABLE4.items()
        for benchmark, alphas in ALPHAS.items()
        for alpha in alphas
    }


# -- Table 4 --------------------------------------------------------------------------------


def table4(progress: Progress) -> Reproduction:
    """Costs, and REBASE with two ways of choosing predicted from the other rows."""
    progress("calibrations", 0.1)
    found = _all_calibrations()
    rows: list[dict[str, object]] = []
    for (model, benchmark, alpha), fit in found.items():
        if fit is None:
            continue
        n = TABLE4[model]["sampling+MV"].samples
        predicted = {
            "rebase+WV": fit.vote(n, fit.weight_ratio, fit.tilt),
            "rebase+BoN": fit.best(n, fit.tilt),
        }
        for way, value in predicted.items():
            measured = getattr(TABLE4[model][way], benchmark).accuracy
            rows.append(
                {
                    "model": model,
                    "benchmark": benchmark,
                    "alpha_assumed": alpha,
                    "decay": float(fit.shares[1] / fit.shares[0]),
                    "weight_ratio": fit.weight_ratio,
                    "discrimination": fit.discrimination,
                    "tilt": fit.tilt,
                    "way": way,
                    "predicted_percent": value,
                    "measured_percent": measured,
                }
            )
    miss = {
        way: np.array(
            [r["predicted_percent"] - r["measured_percent"] for r in rows if r["way"] == way]  # type: ignore[operator]
        )
        for way in ("rebase+WV", "rebase+BoN")
    }
    ranges = {
        key: {
            benchmark: [float(r[key]) for r in rows if r["benchmark"] == benchmark]  # type: ignore[arg-type]
            for benchmark in ALPHAS
        }
        for key in ("weight_ratio", "tilt", "decay")
    }
    kept = sum(fit is not None for fit in found.values())
    findings = [
        *_cost_findings(),
        _pareto_finding(),
        _weighted_finding(),
        _charged_finding(),
        check(
            "the laws tell REBASE with weighted vote and best of n from the other rows",
            all(float(np.max(np.abs(m))) < 2.0 for m in miss.values()),
            "; ".join(
                f"{way}: {m.mean():+.1f} points on average, {m.min():+.1f} to {m.max():+.1f}"
                for way, m in miss.items()
            )
            + ". The same reward model steers the search and weighs the votes, so its help does "
            "not add up",
        ),
        Finding(
            "what the rows determine",
            f"two accuracies do not give a population: alpha is assumed "
            f"({', '.join(f'{a[0]:g} to {a[1]:g} on {b}' for b, a in ALPHAS.items())}), and "
            f"{kept} of {len(found)} cases have a solution: "
            + "; ".join(
                f"{words} "
                + ", ".join(
                    f"{min(values):.2f} to {max(values):.2f} on {benchmark}"
                    for benchmark, values in ranges[key].items()
                    if values
                )
                for key, words in (
                    ("decay", "lambda"),
                    ("weight_ratio", "weight ratio"),
                    ("tilt", "tilt"),
                )
            ),
            Verdict.NOT_FROM_TEXT,
        ),
    ]
    names = [k for k in rows[0]]
    blocks = [Block({name: np.array([r[name] for r in rows]) for name in names}), _table4_block()]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for index, model in enumerate(TABLE4):
            style = {**curve_style(index), "linestyle": "none"}
            for way, row in TABLE4[model].items():
                left.plot(row.math.flop, row.math.accuracy, **style)
                left.annotate(
                    way.replace("sampling+", "").replace("rebase+", "R+"),
                    (row.math.flop, row.math.accuracy),
                    xytext=(4, -3),
                    textcoords="offset points",
                    fontsize=6,
                )
            left.plot([], [], label=model, **style)
            for way, fill in (("rebase+WV", "full"), ("rebase+BoN", "none")):
                mine = [r for r in rows if r["model"] == model and r["way"] == way]
                right.plot(
                    [r["measured_percent"] for r in mine],
                    [r["predicted_percent"] for r in mine],
                    **{**style, "fillstyle": fill},
                )
        left.set_xscale("log")
        left.set_xlim(2.5e12, 4e14)
        name_axes(left, "Compute of a question (FLOP)", "MATH500 accuracy (%)", "Measured")
        right.plot([38, 92], [38, 92], color="#777777", linewidth=0.9)
        name_axes(
            right,
            "Measured accuracy (%)",
            "Predicted accuracy (%)",
            "REBASE: filled weighted vote, open best of n",
        )
        legend_below(figure, [left], columns=4)

    return Reproduction(blocks, findings, draw, (9.0, 4.6))


def _table4_block() -> Block:
    cells = [
        (model, benchmark, way, row.samples, *getattr(row, benchmark))
        for model, rows in TABLE4.items()
        for way, row in rows.items()
        for benchmark in ALPHAS
    ]
    names = ("model", "benchmark", "way", "samples", "flop", "measured_percent")
    return Block({name: np.array(column) for name, column in zip(names, zip(*cells), strict=True)})


def _cost_findings() -> list[Finding]:
    factor, overhead = [], {"math": [], "gsm8k": []}
    for rows in TABLE4.values():
        for benchmark in ALPHAS:
            greedy = getattr(rows["greedy"], benchmark).flop
            sampling = getattr(rows["sampling+MV"], benchmark).flop
            factor.append(sampling / (greedy * rows["sampling+MV"].samples))
            overhead[benchmark].append(getattr(rows["rebase+MV"], benchmark).flop / sampling)
    return [
        agree(
            "n samples cost n times the FLOP of one",
            1.0,
            np.array(factor),
            within=0.02,
            relative=True,
        ),
        check(
            "REBASE costs about as much as sampling (3.1.2)",
            max(overhead["math"] + overhead["gsm8k"]) < 1.2,
            "; ".join(f"{min(v):.2f} to {max(v):.2f} times on {b}" for b, v in overhead.items()),
        ),
    ]


def _pareto_finding() -> Finding:
    pairs = [
        (getattr(rows[f"rebase+{c}"], b).accuracy, getattr(rows[f"sampling+{c}"], b).accuracy)
        for rows in TABLE4.values()
        for b in ALPHAS
        for c in ("MV", "BoN", "WV")
    ]
    better = sum(rebase > sampling for rebase, sampling in pairs)
    return check(
        "REBASE outperforms sampling in all settings (4.3)",
        better == len(pairs),
        f"in {better} of {len(pairs)} cells of the table, and in none is it worse"
        if all(rebase >= sampling for rebase, sampling in pairs)
        else f"in {better} of {len(pairs)} cells of the table",
    )


def _weighted_finding() -> Finding:
    wins = {
        s: [
            getattr(rows[f"{s}+WV"], b).accuracy >= getattr(rows[f"{s}+MV"], b).accuracy
            for rows in TABLE4.values()
            for b in ALPHAS
        ]
        for s in ("sampling", "rebase")
    }
    return check(
        "weighted majority vote dominates majority vote (3.1)",
        all(all(each) for each in wins.values()),
        f"after sampling in {sum(wins['sampling'])} of {len(wins['sampling'])} cells, after REBASE "
        f"in {sum(wins['rebase'])} of {len(wins['rebase'])}",
    )


def _charged_finding() -> Finding:
    """Whether the 7B model stays ahead of the 34B one where scoring is paid for."""

    def charged(model: str, way: str) -> float:
        flop = TABLE4[model][way].math.flop
        return flop * (1.0 + PARAMETERS[REWARD_MODEL] / PARAMETERS[model])

    small, large = TABLE4["Mistral-7B"]["sampling+WV"], TABLE4["Llemma-34B"]["sampling+WV"]
    paid = charged("Mistral-7B", "sampling+WV"), charged("Llemma-34B", "sampling+WV")
    return check(
        "costs count the compute of inference",
        paid[0] / small.math.flop < 1.1,
        f"that of the policy only: with 2 N FLOP per token for the 34B reward model, Mistral-7B "
        f"with a weighted vote of 32 takes {number(paid[0])} FLOP in place of "
        f"{number(small.math.flop)}, more than the 34B policy's {number(paid[1])} with 8, which "
        f"is the better one ({small.math.accuracy} against {large.math.accuracy} %)",
    )


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
        fits = [calibrated(TABLE4[model], "math", alpha) for alpha in ALPHAS["math"]]
        known = [fit for fit in fits if fit is not None]
        values = [fit.vote(samples, fit.weight_ratio, 1.0) for fit in known]
        predicted[model] = (min(values), max(values))
        k = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])
        band = np.array([[fit.vote(int(n), fit.weight_ratio, 1.0) for n in k] for fit in known])
        curves[model] = (k * one, band.min(axis=0), band.max(axis=0))
    miss = {
        m: max(low - by_model[m][0][3], by_model[m][0][3] - high, 0.0)
        for m, (low, high) in predicted.items()
    }
    findings = [
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
        check(
            "weighted vote of 256 samples (34B: 64), predicted from 32 (8)",
            max(miss.values()) < 1.0,
            "; ".join(
                f"{m}: {low:.1f} to {high:.1f}, measured {by_model[m][0][3]}"
                for m, (low, high) in predicted.items()
            ),
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
            for (way, samples, cost, accuracy), fill in zip(cells, ("full", "none"), strict=True):
                axes.plot(
                    cost,
                    accuracy,
                    label=f"{model}, {way}, n = {samples}",
                    **{**style, "linestyle": "none", "fillstyle": fill, "markersize": 7},
                )
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

    tilt = _root(lambda rho: tilted(rho, k[0]), 0.5, 20.0, float(rebase[0]))
    assert tilt is not None
    predicted = np.array([tilted(tilt, n) for n in k])
    ahead = 100.0 * first.coverage(k)
    overhead = rebase_flop / sampling_flop
    findings = [
        check(
            "pass rate of sampling is the coverage of a Beta population",
            fit.rms < 0.01,
            f"alpha {fit.alpha:.2f}, beta {fit.beta:.2f}, rms {100 * fit.rms:.1f} points at four "
            "points (a standard error is about 2)",
        ),
        check(
            "and is foreseen from 8 and 16 samples",
            float(np.max(np.abs(ahead - sampling))) < 2.5,
            f"{ahead[2]:.1f} and {ahead[3]:.1f} at 32 and 64, measured {sampling[2]} and "
            f"{sampling[3]}",
        ),
        check(
            "REBASE from one tilt of the odds, set at 8 samples",
            float(np.max(np.abs(predicted - rebase))) < 2.5,
            f"tilt {tilt:.2f}: {', '.join(f'{v:.1f}' for v in predicted[1:])} at 16, 32, 64, "
            f"measured {', '.join(f'{v:.1f}' for v in rebase[1:])}",
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
