"""Speed and memory of ds3opt, as ratios to public optimisers and against its own targets.

`python benchmarks/run.py [--full] [JOB]...` with the jobs listed in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DIFFICULTIES = np.linspace(0.1, 4.0, 8).tolist()
SKILLS = {"uniform": [1, 50]}
BUDGET = 5.5e21


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    job: str
    ours: str
    rival: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


# -- problems -------------------------------------------------------------------------------


def problem_of(**scenario: Any) -> Any:
    """The compiled problem of a scenario given as keys."""
    from ds3opt.problem import compile_problem
    from ds3opt.schema import Scenario

    return compile_problem(Scenario.model_validate(scenario))


def one_token_budget() -> Any:
    """The hypothetical of DS3 appendix C at 5.5e21 FLOP."""
    return problem_of(
        workload={
            "tasks": 1e9,
            "mix": [
                {"name": "all", "share": 1.0, "difficulty": DIFFICULTIES, "skills": SKILLS},
            ],
        },
        model={"loss_law": "hoffmann2022_rounded", "capability": {"slope": 5}},
        reasoning={"budgets": "shared", "charge": "budget", "steps": "continuous"},
        limits={"total_flop": BUDGET},
        solver={"gap": 1e-4},
    )


def five_families(shape: dict[str, float]) -> Any:
    """400 kinds of task, each with its own policy of five families and its own token budget."""
    return problem_of(
        workload={
            "tasks": 1e9,
            "mix": [
                {
                    "name": "all",
                    "share": 1.0,
                    "difficulty": DIFFICULTIES,
                    "skills": SKILLS,
                    "prompt_tokens": 200,
                    "verifier": {"kind": "process"},
                    "wrong_answers": {"count": 9, "decay": 0.75},
                },
            ],
        },
        model={"loss_law": "hoffmann2022_rounded", "shape": shape},
        reasoning={
            "policies": [
                "chain_of_thought",
                {"tree_of_thought": {"branches": [4]}},
                {"best_of_n": {"samples": [4], "branches": [1, 4]}},
                {"majority_vote": {"samples": [5]}},
            ],
        },
        limits={"total_flop": 1e21},
        solver={"gap": 1e-3},
    )


def many_tasks(count: int) -> Any:
    """So many kinds of task, chain of thought only, each with its own token budget."""
    rng = np.random.default_rng(20)
    return problem_of(
        workload={
            "tasks": 1e9,
            "mix": [
                {
                    "name": "all",
                    "share": 1.0,
                    "difficulty": rng.uniform(2.0, 3.0, count // 20).tolist(),
                    "skills": {"uniform": [1, 20]},
                },
            ],
        },
        limits={"total_flop": 1e20},
        solver={"gap": 1e-3},
    )


# -- measuring ------------------------------------------------------------------------------


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median wall time of several runs, and the last result."""
    times, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def seconds(value: float) -> str:
    """A time in a unit that suits it."""
    return f"{1e3 * value:.0f} ms" if value < 1.0 else f"{value:.2f} s"


def child(*argv: str) -> tuple[float, float, str]:
    """Wall time, peak memory in MB and output of a Python process."""
    code = (
        "import resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)\n"
        "wall = time.perf_counter() - start\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "sys.stderr.write(f'{wall} {peak}')\n"
        "sys.stdout.buffer.write(done.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *argv],
        capture_output=True,
        text=True,
        check=True,
    )
    wall, peak = done.stderr.split()
    per_mb = 1024.0 if sys.platform != "darwin" else 1024.0**2
    return float(wall), float(peak) / per_mb, done.stdout


# -- rivals on the problem with one token budget --------------------------------------------


class Objective:
    """Accuracy over (ln N, logit of training's share) with the whole budget spent.

    Uses the same vectorised laws as the solver, many points in one call.
    """

    def __init__(self, problem: Any) -> None:
        from ds3opt.optimise.shared import SharedSearch

        self.search = SharedSearch(problem, [problem.budgets], 1e-4)
        self.policy = problem.policies[0]
        self.law = problem.space.law
        self.served = problem.tasks_served
        self.weight = problem.tasks.weight
        self.bounds = [(np.log(1e6), np.log(1e12)), (-8.0, 8.0)]
        self.calls = 0

    def accuracy(self, size: FloatArray, tokens: FloatArray, budget: FloatArray) -> FloatArray:
        """Accuracy of plans, (plan,)."""
        self.calls += size.size
        loss = np.asarray(self.law.loss(size, tokens))
        rows = 2000
        parts = [
            self.search.success(self.policy, loss[i : i + rows], budget[i : i + rows]) @ self.weight
            for i in range(0, size.size, rows)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Minus accuracy at x, (2,) or (2, plan)."""
        points = np.atleast_2d(x.T).T
        size, share = np.exp(points[0]), 1.0 / (1.0 + np.exp(-points[1]))
        tokens = share * BUDGET / (6.0 * size)
        budget = (1.0 - share) * BUDGET / (2.0 * size * self.served)
        found = -self.accuracy(size, tokens, np.maximum(budget, 1e-6))
        return found if np.ndim(x) > 1 else found[0]


def three_decisions(objective: Objective) -> float:
    """SciPy's differential evolution over (ln N, ln D, ln token budget), vectorised.

    As a planner would state it, without spending the budget by algebra: plans over it solve
    nothing, and the farther over, the worse.
    """
    from scipy.optimize import differential_evolution as optimise

    def cost(x: FloatArray) -> FloatArray:
        size, tokens, budget = np.exp(x)
        spent = 6.0 * size * tokens + 2.0 * size * budget * objective.served
        fits = spent <= BUDGET
        result = np.log(np.maximum(spent / BUDGET, 1.0))
        result[fits] = -objective.accuracy(size[fits], tokens[fits], budget[fits])
        return result

    bounds = [(np.log(1e6), np.log(1e12)), (np.log(1e9), np.log(1e15)), (np.log(10), np.log(1e7))]
    found = optimise(cost, bounds, rng=1, tol=1e-8, vectorized=True, updating="deferred")
    return -float(found.fun)


def differential_evolution(objective: Objective) -> float:
    """SciPy's over (ln N, logit of training's share), vectorised."""
    from scipy.optimize import differential_evolution as optimise

    found = optimise(
        objective, objective.bounds, rng=1, tol=1e-8, vectorized=True, updating="deferred"
    )
    return -float(found.fun)


def shgo(objective: Objective) -> float:
    """SciPy's, simplicial sampling with local searches."""
    from scipy.optimize import shgo as optimise

    found = optimise(
        lambda x: float(objective(np.asarray(x))),
        objective.bounds,
        n=128,
        iters=2,
        sampling_method="sobol",
    )
    return -float(found.fun)


def grid(objective: Objective) -> float:
    """100 x 100 x 100 in (ln N, ln D, ln token budget); plans over the budget are left out."""
    size = np.geomspace(1e7, 1e10, 100)[:, None, None]
    tokens = np.geomspace(1e10, 1e14, 100)[None, :, None]
    budget = np.geomspace(1e2, 1e6, 100)[None, None, :]
    spent = 6.0 * size * tokens + 2.0 * size * budget * objective.served
    fits = np.nonzero(spent <= BUDGET)
    return float(
        np.max(
            objective.accuracy(
                size.ravel()[fits[0]], tokens.ravel()[fits[1]], budget.ravel()[fits[2]]
            )
        )
    )


# -- jobs -----------------------------------------------------------------------------------


def job_one_budget(full: bool) -> Iterator[Row]:
    """One token budget for 400 kinds of task at 5.5e21 FLOP, gap 1e-4."""
    from ds3opt.optimise.shared import SharedSearch

    problem = one_token_budget()

    def solve() -> Any:
        return SharedSearch(problem, [problem.budgets], 1e-4).run()[0]

    solve()
    ours, plan = timed(solve, 15)
    yield Row(
        "one token budget, 400 tasks",
        seconds(ours),
        target="<= 50 ms",
        met=ours <= 0.050,
    )
    yield Row("  accuracy reached", f"{plan.value:.8f}", f"bound {plan.upper:.8f}")
    rivals = (
        ("differential evolution, 2 decisions", differential_evolution, 3, 10.0),
        ("differential evolution, 3 decisions", three_decisions, 3, 10.0),
        ("shgo", shgo, 3, None),
        ("grid 100 x 100 x 100", grid, 1, None),
    )
    for name, run, repeats, times in rivals:
        objective = Objective(problem)
        took, reached = timed(lambda run=run, objective=objective: run(objective), repeats)
        calls = objective.calls // repeats
        yield Row(
            f"  {name}",
            seconds(ours),
            seconds(took),
            f"{took / ours:.1f} x",
            f">= {times:g} x" if times else "",
            took >= times * ours if times else None,
        )
        yield Row(
            "    accuracy, evaluations",
            f"{plan.value:.8f}",
            f"{reached:.8f}, {calls}",
            f"{plan.value - reached:+.1e}",
            ">= -1e-9",
            plan.value >= reached - 1e-9 or reached <= plan.upper,
        )


def job_frontier(full: bool) -> Iterator[Row]:
    """The same at 60 budgets from 1e19 to 1e26 FLOP, in one search."""
    from ds3opt.optimise.shared import SharedSearch

    problem = one_token_budget()
    limits = np.geomspace(1e19, 1e26, 60)
    sets = [problem.budgets.with_limit("total_flop", float(limit)) for limit in limits]
    ours, plans = timed(lambda: SharedSearch(problem, sets, 1e-4).run(), 3)
    worst = max(plan.upper - plan.value for plan in plans)
    yield Row("frontier of 60 budgets", seconds(ours), target="<= 1 s", met=ours <= 1.0)
    yield Row("  worst gap", f"{worst:.1e}", target="<= 1e-4", met=worst <= 1.0001e-4)


def job_families(full: bool) -> Iterator[Row]:
    """400 kinds of task, five policy families, attention charged, gap 1e-3."""
    from ds3opt.optimise.optimum import best_plans

    shapes = (
        ("fixed shape", {"layers": 96, "attention_width": 12288}),
        ("shape follows size", {"width_per_layer": 128}),
    )
    for name, shape in shapes:
        problem = five_families(shape)
        ours, plans = timed(
            lambda problem=problem: best_plans(problem, [problem.budgets], problem.gap), 3
        )
        gap = plans[0].upper - plans[0].value
        yield Row(f"400 tasks, 5 families, {name}", seconds(ours), target="<= 3 s", met=ours <= 3.0)
        yield Row("  gap", f"{gap:.1e}", target="<= 1e-3", met=gap <= 1.0001e-3)


def job_quickstart(full: bool) -> Iterator[Row]:
    """The whole process of `ds3opt solve quickstart`."""
    runs = [child("-m", "ds3opt", "solve", "quickstart") for _ in range(5)]
    wall = statistics.median(run[0] for run in runs)
    peak = statistics.median(run[1] for run in runs)
    yield Row("ds3opt solve quickstart", seconds(wall), target="<= 1.5 s", met=wall <= 1.5)
    yield Row("  peak memory", f"{peak:.0f} MB", target="<= 200 MB", met=peak <= 200.0)


def job_hardware(full: bool) -> Iterator[Row]:
    """Whole processes: 20 classes with all policies on hardware, five limits and one."""
    scenario = str(Path(__file__).with_name("twenty_classes.yaml"))
    others = ("energy", "carbon", "accelerator_hours", "total_flop")
    one = [part for name in others for part in ("--set", f"limits.{name}=null")]
    cases = (("five limits", [], 3.5), ("one limit", one, 2.0))
    for name, settings, target in cases:
        command = ("-m", "ds3opt", "solve", scenario, "-f", "json", *settings)
        runs = [child(*command) for _ in range(3)]
        wall = statistics.median(run[0] for run in runs)
        peak = statistics.median(run[1] for run in runs)
        found = json.loads(runs[0][2])
        gap = found["certificate"]["gap"]
        binding = sum(one["binding"] for one in found["limits"])
        yield Row(
            f"20 classes on hardware, {name}, {binding} binding",
            seconds(wall),
            target=f"<= {target:g} s",
            met=wall <= target,
        )
        yield Row("  gap", f"{gap:.1e}", target="<= 1e-3", met=gap <= 1.0001e-3)
        yield Row("  peak memory", f"{peak:.0f} MB", target="<= 250 MB", met=peak <= 250.0)


def job_help(full: bool) -> Iterator[Row]:
    """The whole process of `ds3opt --help`."""
    wall = statistics.median(child("-m", "ds3opt", "--help")[0] for _ in range(7))
    bare = statistics.median(child("-c", "pass")[0] for _ in range(7))
    yield Row(
        "ds3opt --help, against bare Python",
        seconds(wall),
        seconds(bare),
        f"{bare / wall:.2f} x",
        "<= 300 ms",
        wall <= 0.3,
    )


def job_growth(full: bool) -> Iterator[Row]:
    """Chain of thought for ever more kinds of task: time and peak memory, a process each."""
    counts = [100, 1_000, 10_000] + ([100_000] if full else [])
    first: float | None = None
    for count in counts:
        _, peak, said = child(__file__, "--measure", str(count))
        result = json.loads(said)
        per_task = result["seconds"] / count
        first = first if first is not None else per_task
        last = count == 100_000
        yield Row(
            f"{count} tasks, gap {result['gap']:.1e}",
            seconds(result["seconds"]),
            f"{peak:.0f} MB",
            f"{per_task / first:.2f} x per task",
            "<= 1024 MB" if last else "<= 1 x per task",
            peak <= 1024.0 if last else per_task <= 1.05 * first,
        )


def measure(count: int) -> None:
    """Print time and gap of one size, for `job_growth`."""
    from ds3opt.optimise.optimum import best_plans

    problem = many_tasks(count)
    start = time.perf_counter()
    (plan,) = best_plans(problem, [problem.budgets], problem.gap)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": took, "gap": plan.upper - plan.value, "peak": peak}))


def job_simulate(full: bool) -> Iterator[Row]:
    """A million chains of thought of up to 100 steps: shortcut, every step, a plain loop."""
    from ds3opt.simulate import IdealTask, Walk, process_of, simulate, simulate_task

    walk = Walk(skills=30, levels=100, skill_success=0.5, directionality=0.6)
    task = IdealTask((walk,))
    runs = 1_000_000
    loop = plain_chains(walk, 2_000) * (runs / 2_000)
    for name, run, target in (
        ("waits drawn", lambda: simulate_task(task, runs), 2.0),
        ("every step", lambda: simulate(process_of(task), runs), None),
    ):
        ours, found = timed(run, 3)
        yield Row(
            f"1e6 chains of 100 steps, {name}",
            seconds(ours),
            f"{seconds(loop)} plain loop",
            f"{loop / ours:.0f} x",
            f"<= {target:g} s" if target else "",
            None if target is None else ours <= target,
        )
        yield Row("  accuracy", f"{found.success.mean():.5f}")


def plain_chains(walk: Any, runs: int) -> float:
    """Seconds of the same chains, one after another in Python."""
    import random

    draw = random.Random(1).random
    start = time.perf_counter()
    for _ in range(runs):
        gained = 0
        for _ in range(walk.levels):
            gained += draw() < walk.step_success
            if gained == walk.skills:
                break
    return time.perf_counter() - start


JOBS = {
    "one-budget": job_one_budget,
    "frontier": job_frontier,
    "families": job_families,
    "quickstart": job_quickstart,
    "hardware": job_hardware,
    "help": job_help,
    "simulate": job_simulate,
    "growth": job_growth,
}


def shown(rows: Iterator[Row]) -> None:
    """Print rows as they come."""
    for row in rows:
        mark = {True: "met", False: "MISSED", None: ""}[row.met]
        cells = (row.job, row.ours, row.rival, row.ratio, row.target, mark)
        widths = (44, 14, 22, 18, 16, 6)
        print("".join(f"{c:<{w}}" for c, w in zip(cells, widths, strict=True)).rstrip(), flush=True)


def main() -> None:
    """Run the jobs named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--full", action="store_true", help="also the largest sizes")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure)
        return
    unknown = set(asked.jobs) - set(JOBS)
    if unknown:
        parser.error(f"no job is named {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    shown(iter([Row("job", "ours", "rival", "ratio", "target")]))
    for name in asked.jobs or JOBS:
        shown(JOBS[name](asked.full))


if __name__ == "__main__":
    main()
