"""From tasks, policies and steps to the requests that a server sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet
from ds3opt.fleet.serving import Requests
from ds3opt.optimise.menu import checking_flop

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def requests_of(fleet: Fleet, task: IntArray, policy: IntArray, steps: FloatArray) -> Requests:
    """Requests of tasks that policies serve with so many steps a trace, each (option,)."""
    problem, tasks = fleet.problem, fleet.tasks
    samples, branches, overhead = np.array(
        [(p.samples, p.branches, p.token_overhead) for p in problem.policies], dtype=np.float64
    ).T[:, policy]
    per_step = tasks.tokens_per_step[task]
    trace = overhead * per_step * steps  # what does not end in a trace is spread over those that do
    prompt = tasks.prompt_tokens[task]
    check = np.zeros(task.size)
    output = samples * branches * trace
    for index, chosen in enumerate(problem.policies):
        at = np.flatnonzero(policy == index)
        if at.size:
            check[at] = checking_flop(
                tasks, task[at], chosen, output[at], samples[at] * prompt[at], steps[at]
            )
    return Requests(
        prompt_tokens=prompt,
        samples=samples,
        branches=branches,
        step_tokens=per_step,
        trace_tokens=trace,
        longest_check_flop=check,
        max_latency=fleet.max_latency[task],
    )
