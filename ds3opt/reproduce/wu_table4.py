"""Wu et al. Table 4: what selection costs and brings, and what its rows tell of each other."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from ds3opt.plot.canvas import curve, legend_below, name_axes
from ds3opt.reproduce.findings import Block, Finding, Reproduction, Verdict, agree, check, number
from ds3opt.reproduce.published import PARAMETERS, TABLE4
from ds3opt.reproduce.wu_calibration import ALPHAS, all_calibrations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

REWARD_MODEL = "Llemma-34B"
"""Scores every sample in Wu et al.; its compute is not charged there."""


@dataclass(frozen=True)
class _Prediction:
    """Accuracy of REBASE with one way of choosing, from the other rows of a model."""

    model: str
    benchmark: str
    alpha_assumed: float
    decay: float
    weight_ratio: float
    discrimination: float
    tilt: float
    way: str
    predicted_percent: float
    measured_percent: float

    @property
    def miss(self) -> float:
        """Points by which it is too high."""
        return self.predicted_percent - self.measured_percent


def _predictions() -> tuple[list[_Prediction], int, int]:
    """What the calibrations say, how many of them there are, and of how many."""
    rows, found = [], all_calibrations()
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
            decay = float(fit.shares[1] / fit.shares[0])
            numbers = (decay, fit.weight_ratio, fit.discrimination, fit.tilt)
            rows.append(_Prediction(model, benchmark, alpha, *numbers, way, value, measured))
    return rows, sum(fit is not None for fit in found.values()), len(found)


def table4(progress: Progress) -> Reproduction:
    """Costs, and REBASE with two ways of choosing predicted from the other rows."""
    progress("calibrations", 0.1)
    rows, kept, cases = _predictions()
    miss = {
        way: np.array([row.miss for row in rows if row.way == way])
        for way in ("rebase+WV", "rebase+BoN")
    }
    ranges = {
        key: {
            benchmark: [getattr(row, key) for row in rows if row.benchmark == benchmark]
            for benchmark in ALPHAS
        }
        for key in ("weight_ratio", "tilt", "decay")
    }
    findings = [
        check(
            "accuracies of REBASE with weighted vote and with best of n",
            all(float(np.max(np.abs(m))) < 2.0 for m in miss.values()),
            "foreseen from the other rows of each model: "
            + "; ".join(
                f"{way}: {m.mean():+.1f} points on average, {m.min():+.1f} to {m.max():+.1f}"
                for way, m in miss.items()
            )
            + ". The same reward model steers the search and weighs the votes, so its help does "
            "not add up",
        ),
        *_cost_findings(),
        _pareto_finding(),
        _weighted_finding(),
        _charged_finding(),
        Finding(
            "what the rows determine",
            f"two accuracies do not give a population: alpha is assumed "
            f"({', '.join(f'{a[0]:g} to {a[1]:g} on {b}' for b, a in ALPHAS.items())}), and "
            f"{kept} of {cases} cases have a solution: "
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
    names = [field.name for field in fields(_Prediction)]
    columns = zip(*(astuple(row) for row in rows), strict=True)
    predictions = Block({n: np.array(column) for n, column in zip(names, columns, strict=True)})
    blocks = [predictions, _table4_block()]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        ways = list(TABLE4[next(iter(TABLE4))])
        for index, (model, by_way) in enumerate(TABLE4.items()):
            curve(left, ways, [by_way[way].math.accuracy for way in ways], index, model)
        left.tick_params(axis="x", rotation=60)
        name_axes(left, "", "MATH500 accuracy (%)", "Measured")
        places = [(model, benchmark) for benchmark in ALPHAS for model in TABLE4]
        marks = (("rebase+WV", "o", "#0072b2", -0.12), ("rebase+BoN", "s", "white", 0.12))
        for way, mark, face, shift in marks:
            mine = [row for row in rows if row.way == way]
            right.plot(
                [places.index((row.model, row.benchmark)) + shift for row in mine],
                [row.miss for row in mine],
                mark,
                color="#0072b2",
                markerfacecolor=face,
                label=way,
            )
        right.axhline(0.0, color="#777777", linewidth=0.9)
        names_shown = [f"{model}, {benchmark}" for model, benchmark in places]
        right.set_xticks(range(len(places)), names_shown, rotation=60, ha="right")
        name_axes(right, "", "Predicted less measured (points)", "REBASE, from the other rows")
        legend_below(figure, [left, right], columns=6)

    return Reproduction(blocks, findings, draw, (9.0, 4.6))


def _table4_block() -> Block:
    cells = [
        (model, benchmark, way, row.samples, *getattr(row, benchmark))
        for model, rows in TABLE4.items()
        for way, row in rows.items()
        for benchmark in ALPHAS
    ]
    names = ("model", "benchmark", "way", "samples", "flop", "measured_percent")
    return Block(
        {
            name: np.array(column)
            for name, column in zip(names, zip(*cells, strict=True), strict=True)
        }
    )


def _cost_findings() -> list[Finding]:
    factor: list[float] = []
    overhead: dict[str, list[float]] = {benchmark: [] for benchmark in ALPHAS}
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
