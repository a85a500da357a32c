"""Wu et al. Fig. 1: which model size is best for the compute of a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.compute import inference_flop, output_tokens_for_flop
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.search import chain_of_thought_success
from ds3opt.laws.voting import truncated_geometric_shares, weighted_vote_success
from ds3opt.plot.canvas import curve, legend_below, name_axes
from ds3opt.reproduce.findings import (
    Block,
    Reproduction,
    check,
    log_slope,
    missing,
    number,
)
from ds3opt.reproduce.published import FIG1_BUDGETS, PYTHIA, SIZE_LAW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds3opt.reproduce.registry import Progress

FloatArray = NDArray[np.float64]

TRAINING_TOKENS = 3e11
"""Of every Pythia model."""
TOKENS_PER_SAMPLE = 150.0
"""About what Table 4 has on GSM8K; 142 to 171 by model."""
STEPS, SKILLS = 6.0, 3.0
"""Steps of 25 tokens in a sample, and skills of a task: ours."""
DIFFICULTY, DEVIATION, SLOPE = 2.32, 0.22, 5.0
"""Of skills, nats/token: ours, so that one sample of the largest model is right about half of the
time."""
DECAY, WRONG_ANSWERS, WEIGHT_RATIO = 0.5, 9, 1.5
"""Of wrong answers and votes: about what Table 4 implies on GSM8K."""
SAMPLES = tuple(2**i for i in range(9))


def _errors() -> dict[str, FloatArray]:
    """Error of a weighted vote of 1, 2, 4, ..., 256 samples, by model."""
    z = np.linspace(-5.0, 5.0, 401)
    mass = np.exp(-0.5 * z * z)
    mass = mass / mass.sum()
    shares = truncated_geometric_shares(DECAY, WRONG_ANSWERS)
    law = LOSS_LAWS["hoffmann2022_rounded"]
    errors = {}
    for name, size in PYTHIA.items():
        loss = float(law.loss(size, TRAINING_TOKENS))
        step = step_skill_success(loss, DIFFICULTY + DEVIATION * z, slope=SLOPE)
        trace = chain_of_thought_success(step, SKILLS, STEPS)
        right = [weighted_vote_success(trace, k, shares, WEIGHT_RATIO) @ mass for k in SAMPLES]
        errors[name] = 1.0 - np.array(right)
    return errors


def fig1(progress: Progress) -> Reproduction:
    """The regression of the optimal size, and error curves of the laws for the same sizes."""
    slope, intercept = SIZE_LAW
    budgets = np.array(FIG1_BUDGETS)
    size = 10.0 ** ((np.log10(budgets) - intercept) / slope)
    names = list(PYTHIA)
    known = np.array(list(PYTHIA.values()))
    nearest = [names[int(np.argmin(np.abs(np.log(known / n))))] for n in size]
    tokens = output_tokens_for_flop(size, budgets)
    stars = np.array([PYTHIA[name] for name in nearest])
    refit = log_slope(stars, budgets)

    errors = _errors()
    flop = {
        name: np.asarray(inference_flop(n, TOKENS_PER_SAMPLE * np.array(SAMPLES)))
        for name, n in PYTHIA.items()
    }
    rise = max(float(np.max(np.diff(e))) for e in errors.values())
    flat = {name: float(e[-2] - e[-1]) for name, e in errors.items()}
    fine = np.geomspace(2.0**37, 2.0**50, 105)
    best = _best_size(fine, flop, errors)
    at_stars = [names[int(np.argmin(np.abs(known - n)))] for n in _best_size(budgets, flop, errors)]
    chosen = np.unique(best)
    middle = np.array([np.exp(np.mean(np.log(fine[best == n]))) for n in chosen])
    inner = slice(1, -1) if chosen.size > 3 else slice(None)
    ours = log_slope(chosen[inner], middle[inner])
    findings = [
        check(
            "the optimal size grows with the compute of a question, small models first",
            bool(np.all(np.diff(best) >= 0.0)) and chosen.size >= 4 and at_stars == nearest,
            f"{chosen.size} of {known.size} sizes are best in turn by DS3's laws with a task mix "
            "that is ours, but each takes over after a few samples of the one before: at 2^41, "
            f"2^44, 2^47 FLOP {', '.join(at_stars)} is best, not {', '.join(nearest)}",
        ),
        check(
            "log10 C = 1.19 log10 N + 2.03 goes through the stars of the right panel",
            nearest == ["410M", "2.8B", "12B"] and abs(refit[0] - slope) < 0.1,
            "at 2^41, 2^44, 2^47 FLOP it gives "
            + ", ".join(f"{number(n)} ({name})" for n, name in zip(size, nearest, strict=True))
            + f"; a line through those three models is {refit[0]:.2f} log N + {refit[1]:.2f}",
        ),
        check(
            "compute goes mostly into size, not into samples",
            1.0 / slope > 0.7,
            f"{1.0 / slope:.2f} of every decade by the printed line: {tokens[0]:,.0f} to "
            f"{tokens[-1]:,.0f} tokens or {tokens[0] / TOKENS_PER_SAMPLE:.0f} to "
            f"{tokens[-1] / TOKENS_PER_SAMPLE:.0f} samples at every budget; our mix has "
            f"{1.0 / ours[0]:.2f}",
        ),
        check(
            "errors fall steadily with compute and converge",
            rise <= 0.0 and max(flat.values()) < 0.01,
            f"from 128 to 256 samples by at most {100 * max(flat.values()):.2f} points; before, "
            f"they rise once by {100 * max(rise, 0.0):.1f}, as a few votes may outvote a right "
            "one. At 256: " + ", ".join(f"{e[-1]:.2f} ({name})" for name, e in errors.items()),
        ),
        missing(
            "the plotted error rates",
            "in pixels only; successes of the Pythia models on GSM8K are not printed",
        ),
    ]
    blocks = [
        *(
            Block(
                {
                    "curve": name,
                    "parameters": PYTHIA[name],
                    "samples": np.array(SAMPLES),
                    "flop": flop[name],
                    "error": errors[name],
                }
            )
            for name in PYTHIA
        ),
        Block({"curve": "printed size law", "flop": budgets, "parameters": size}),
        Block({"curve": "optimal size", "flop": fine, "parameters": best}),
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for index, name in enumerate(PYTHIA):
            curve(left, flop[name], errors[name], index, name, markers=9)
        left.set_xscale("log")
        left.set_yscale("log")
        left.set_yticks([0.05, 0.1, 0.2, 0.3, 0.5], ["0.05", "0.1", "0.2", "0.3", "0.5"])
        left.minorticks_off()
        name_axes(
            left, "Compute of a question (FLOP)", "Error (probability)", "Laws, a task mix of ours"
        )
        right.step(fine, best, where="mid", color="black", label="optimal, laws")
        curve(right, budgets, size, 1, "printed line", markers=0)
        right.plot(budgets, stars, "*", color="#d55e00", markersize=11, label="nearest Pythia")
        right.set_xscale("log")
        right.set_yscale("log")
        name_axes(right, "Compute of a question (FLOP)", "Parameters", "Optimal size")
        legend_below(figure, [left, right], columns=4)

    return Reproduction(blocks, findings, draw, (8.0, 4.2))


def _best_size(
    budget: FloatArray, flop: dict[str, FloatArray], errors: dict[str, FloatArray]
) -> FloatArray:
    """Size of least error at each budget; the smallest where none can take a sample."""
    names = list(flop)
    reached = np.array(
        [
            np.interp(np.log(budget), np.log(flop[n]), errors[n], left=1.0, right=errors[n][-1])
            for n in names
        ]
    )
    sizes = np.array([PYTHIA[n] for n in names])
    return np.asarray(sizes[np.argmin(reached, axis=0)])
