"""What existing models offer each task: success, use and words, whatever is trained beside them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import ScenarioError
from ds3opt.fleet.models import number_formats, shapes_at, stacked, stored
from ds3opt.fleet.resources import ACCELERATOR_SECONDS, DOLLARS, FLOP, JOULES, USES
from ds3opt.fleet.serving import Requests, Server, served
from ds3opt.laws.compute import inference_flop
from ds3opt.laws.populations import Population
from ds3opt.laws.roofline import ModelShape
from ds3opt.policies import Policy
from ds3opt.problem import Problem
from ds3opt.schema import Scenario
from ds3opt.schema.candidates import Candidate, Measured, Outcome

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Way:
    """One way of answering with an existing model."""

    model: str
    policy: Policy | None
    """None where it was measured as a whole."""
    words: str


@dataclass(frozen=True)
class Offered:
    """What existing models offer; arrays (offer,), by task."""

    task: IntArray
    success: FloatArray
    uses: FloatArray  # (offer, use) of one task served
    tokens: FloatArray  # generated for one task
    longest_tokens: FloatArray  # of all its traces at most
    latency: FloatArray  # seconds; nan where unknown
    accelerators: FloatArray  # of a replica; 0 where hosted
    sequences: FloatArray  # that a replica works on at once
    hosted: NDArray[np.bool_]  # whether somebody else serves it
    way: IntArray  # index into `ways`
    ways: tuple[Way, ...]

    def __len__(self) -> int:
        return int(self.task.size)

    def take(self, index: IntArray | NDArray[np.bool_]) -> Offered:
        """A selection, in order."""
        arrays = [f.name for f in fields(self) if f.name != "ways"]
        return Offered(**{n: getattr(self, n)[index] for n in arrays}, ways=self.ways)


@dataclass(frozen=True)
class KnownModel:
    """An existing model whose pretraining loss says what it can do."""

    name: str
    shape: ModelShape
    """Its fields are arrays of one."""
    loss: float
    classes: NDArray[np.bool_]  # (class,) that the law speaks for, having no measurements


def known_models(scenario: Scenario) -> tuple[KnownModel, ...]:
    """The candidates of known loss."""
    weights, cache = number_formats(scenario)
    names = [task.name for task in scenario.workload.mix or ()]
    return tuple(
        KnownModel(
            one.name,
            stacked([stored(one.shape, one.weights or weights, cache)]),
            one.loss,
            np.array([name not in one.measured for name in names], dtype=bool),
        )
        for one in scenario.model.candidates
        if one.loss is not None and one.shape is not None and one.hosted is None
    )


def measured_populations(scenario: Scenario) -> tuple[tuple[str, int, Population], ...]:
    """The problems of each class as each candidate solves them, where traces were measured."""
    names = [task.name for task in scenario.workload.mix or ()]
    return tuple(
        (one.name, names.index(name), measured.over())
        for one in scenario.model.candidates
        for name, measured in one.measured.items()
        if measured.outcomes is None
    )


def joined(parts: list[Offered]) -> Offered:
    """Several candidates' offers as one."""
    first = np.cumsum([0] + [len(part.ways) for part in parts])
    arrays = [f.name for f in fields(Offered) if f.name not in ("way", "ways")]
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in arrays}
    way = np.concatenate([part.way + at for part, at in zip(parts, first[:-1], strict=True)])
    return Offered(**columns, way=way, ways=tuple(way for part in parts for way in part.ways))


@dataclass
class _Gathered:
    """Offers of one candidate for one class, before they are put on its server."""

    success: list[float]
    samples: list[float]
    tokens: list[float]  # of one trace
    longest: list[float]
    judged: list[bool]
    flop: list[float]  # of one task; nan where it follows from tokens
    ways: list[Way]


def offered_candidates(
    scenario: Scenario, problem: Problem, server: Server | None, max_latency: FloatArray
) -> Offered | None:
    """Everything that the candidates of a scenario offer.

    Raises
    ------
    ScenarioError : where a class can use no model, or a figure is missing.
    """
    candidates = scenario.model.candidates
    if not candidates:
        return None
    tasks = problem.tasks
    assert tasks is not None
    parts: list[Offered] = []
    mix = scenario.workload.mix or ()
    for index, candidate in enumerate(candidates):
        for number, task_class in enumerate(mix):
            measured = candidate.measured.get(task_class.name)
            mine = np.flatnonzero(tasks.group == number)
            if measured is None or mine.size == 0:
                continue
            gathered = _gather(candidate, measured, problem, int(mine[0]))
            part = _priced(candidate, index, gathered, problem, mine, server, max_latency)
            parts.append(part)
    _everyone_served(scenario, {int(tasks.group[t]) for p in parts for t in p.task})
    if not parts:
        return None
    every = joined(parts)
    late = every.latency > max_latency[every.task] * (1.0 + 1e-12)
    # what comes too late is no option, but says how long the class would have to wait
    return replace(every, uses=np.where(late[:, None], np.inf, every.uses))


def _everyone_served(scenario: Scenario, served: set[int]) -> None:
    if scenario.model.train:
        return
    if any(one.loss is not None for one in scenario.model.candidates):
        return
    for number, task_class in enumerate(scenario.workload.mix or ()):
        if number not in served:
            raise ScenarioError(
                Mistake(
                    f"no candidate has measurements for class {task_class.name!r}",
                    path=f"workload.mix[{number}].name",
                    hint=f"give model.candidates[0].measured.{task_class.name}, or train a model",
                )
            )


def _gather(candidate: Candidate, measured: Measured, problem: Problem, task: int) -> _Gathered:
    """Ways of answering that a measurement speaks of."""
    found = _Gathered([], [], [], [], [], [], [])
    if measured.outcomes is not None:
        for outcome in measured.outcomes:
            _add_outcome(found, candidate, outcome)
        return found
    tasks = problem.tasks
    assert tasks is not None
    assert measured.output_tokens is not None
    traits = tasks.traits.take(np.array([task], dtype=np.intp))
    problems = measured.over()
    for index, policy in enumerate(problem.policies):
        # single steps were not measured, only whole traces
        if not tasks.allowed[task, index] or policy.branches > 1:
            continue
        success = policy.success_over(problems, traits)
        if success is None:
            continue
        found.success.append(success)
        found.samples.append(float(policy.samples))
        overhead = policy.token_overhead
        found.tokens.append(overhead * measured.output_tokens)
        found.longest.append(overhead * (measured.longest_output_tokens or measured.output_tokens))
        found.judged.append(policy.outcome_checks > 0 or policy.checks_steps)
        found.flop.append(np.nan)
        found.ways.append(Way(candidate.name, policy, policy.words()))
    return found


def _add_outcome(found: _Gathered, candidate: Candidate, outcome: Outcome) -> None:
    tokens = outcome.output_tokens
    if tokens is None:
        assert outcome.flop is not None
        assert candidate.shape is not None
        tokens = outcome.flop / (2.0 * candidate.shape.active)
    words = outcome.policy
    if outcome.samples > 1:
        words = f"{words}, {outcome.samples} traces"
    found.success.append(outcome.accuracy)
    found.samples.append(float(outcome.samples))
    found.tokens.append(tokens / outcome.samples)
    found.longest.append(tokens / outcome.samples)
    found.judged.append(outcome.judged)
    found.flop.append(np.nan if outcome.flop is None else outcome.flop)
    found.ways.append(Way(candidate.name, None, words))


def _priced(
    candidate: Candidate,
    number: int,
    found: _Gathered,
    problem: Problem,
    mine: IntArray,
    server: Server | None,
    max_latency: FloatArray,
) -> Offered:
    """The offers of one candidate to one class, every task of it, with what they use."""
    tasks = problem.tasks
    assert tasks is not None
    count = len(found.ways)
    task = np.repeat(mine, count)
    way = np.tile(np.arange(count), mine.size)
    samples, trace = np.array(found.samples)[way], np.array(found.tokens)[way]
    longest = np.array(found.longest)[way]
    prompt = tasks.prompt_tokens[task]
    judged = np.array(found.judged, dtype=bool)[way]
    check = _check_flop(problem, task, judged, samples, trace, prompt)
    longest_check = _check_flop(problem, task, judged, samples, longest, prompt)
    uses = np.zeros((task.size, USES))
    generated = samples * trace
    uses[:, FLOP] = _flop(candidate, problem, generated, prompt, samples)
    stated = np.array(found.flop)[way]
    uses[:, FLOP] = np.where(np.isnan(stated), uses[:, FLOP], stated) + check
    latency = np.full(task.size, np.nan)
    accelerators, sequences = np.zeros(task.size), np.zeros(task.size)
    if candidate.hosted is not None:
        hosted = candidate.hosted
        uses[:, DOLLARS] = hosted.input_price * samples * prompt + hosted.output_price * generated
        latency = _hosted_latency(candidate, number, longest, max_latency[task])
    elif server is not None:
        assert candidate.shape is not None
        weights = candidate.weights or server.weights
        shape = stacked([stored(candidate.shape, weights, server.kv_cache)])
        nought = np.zeros(task.size, dtype=np.intp)
        each = shapes_at(shape, nought)
        requests = Requests(
            prompt,
            samples,
            np.ones(task.size),
            tasks.tokens_per_step[task],
            longest,
            longest_check,
            max_latency[task],
        )
        placed, use, latency = served(server, each, requests, trace, check)
        uses[:, ACCELERATOR_SECONDS], uses[:, JOULES] = use.accelerator_seconds, use.joules
        accelerators, sequences = placed.accelerators, placed.sequences
        _fits(candidate, number, shape, server, accelerators, max_latency[task])
    return Offered(
        task=task,
        success=np.array(found.success)[way],
        uses=uses,
        tokens=generated,
        longest_tokens=samples * longest,
        latency=latency,
        accelerators=accelerators,
        sequences=sequences,
        hosted=np.full(task.size, candidate.hosted is not None),
        way=way,
        ways=tuple(found.ways),
    )


def _flop(
    candidate: Candidate,
    problem: Problem,
    generated: FloatArray,
    prompt: FloatArray,
    samples: FloatArray,
) -> FloatArray:
    if candidate.shape is None:
        return np.zeros(generated.size)
    return np.asarray(
        inference_flop(
            candidate.shape.active, generated, prompt, samples=samples, prefill=problem.prefill
        )
    )


def _check_flop(
    problem: Problem,
    task: IntArray,
    judged: NDArray[np.bool_],
    samples: FloatArray,
    trace: FloatArray,
    prompt: FloatArray,
) -> FloatArray:
    """Verifier FLOP of a task: a verifier model reads prompts and traces, 2 FLOP a weight."""
    tasks = problem.tasks
    assert tasks is not None
    per_token, per_check = 2.0 * tasks.verifier_parameters[task], tasks.flop_per_check[task]
    return np.where(judged, samples * (per_token * (prompt + trace) + per_check), 0.0)


def _hosted_latency(
    candidate: Candidate, number: int, longest: FloatArray, limit: FloatArray
) -> FloatArray:
    hosted = candidate.hosted
    assert hosted is not None
    if hosted.output_tokens_per_s is None:
        if np.any(np.isfinite(limit)):
            raise ScenarioError(
                Mistake(
                    f"nothing says how fast {candidate.name} answers, and a class has max_latency",
                    path=f"model.candidates[{number}].hosted",
                    hint="give output_tokens_per_s and first_token",
                )
            )
        return np.full(longest.size, np.nan)
    return np.asarray((hosted.first_token or 0.0) + longest / hosted.output_tokens_per_s)


def _fits(
    candidate: Candidate,
    number: int,
    shape: ModelShape,
    server: Server,
    accelerators: FloatArray,
    limit: FloatArray,
) -> None:
    """Refuse a model that no replica holds."""
    if np.any(accelerators > 0.0) or np.any(np.isfinite(limit)):
        return
    need = float(np.asarray(shape.weight_bytes)[0])
    raise ScenarioError(
        Mistake(
            f"{candidate.name} does not fit: its weights are {need / 1e9:.4g} GB, and "
            f"{server.largest_replica}",
            path=f"model.candidates[{number}].shape",
            hint="give hardware.inference.accelerators_per_replica a larger number, or weights a "
            "smaller format",
        )
    )
