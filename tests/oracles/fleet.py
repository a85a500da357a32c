"""A scenario on hardware by brute force: shapes one by one, batches one by one, a plain programme.

Written from the formulas of the theory with own arithmetic: traces are counted level by level, a
replica's sequences are tried one after the other, and mixes are left to scipy's HiGHS. It shares
nothing with the search but the laws of voting and of populations. Slow and literal.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.special import betaln

from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.voting import (
    majority_vote_success,
    truncated_geometric_shares,
    verified_choice_success,
)

BYTES = {
    "fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625, "int4": 0.5625,
    "mxfp4": 0.53125,
}  # fmt: skip
EMBODIED_SECONDS = 5 * 365 * 86400.0 * 0.8


class Shape(NamedTuple):
    """One model as its server sees it."""

    total: float
    active: float
    routed: float
    experts: float
    used_experts: float
    layers: float
    width: float
    attention: float  # width, on average over the layers
    kv: float  # elements a token
    window_kv: float
    window_attention: float
    window: float
    state: float
    shards: float
    weight_bytes: float
    routed_bytes: float
    kv_bytes: float
    loss_size: float


def lattice(scenario: Any) -> list[Shape]:
    """Every shape that may be trained, smallest first."""
    model = scenario.model
    if not model.train:
        return []
    inference = scenario.hardware.inference if scenario.hardware else None
    weights = inference.weights if inference else "bf16"
    cache = inference.kv_cache if inference else "bf16"
    spec = model.shape
    if spec is not None and spec.list is not None:
        found = [_listed(one, weights, cache) for one in spec.list]
        return sorted(found, key=lambda shape: shape.total)
    ratio = (spec.width_per_layer if spec is not None else None) or 128.0
    head = spec.head_width if spec is not None else 128.0
    group = spec.query_heads_per_kv_head if spec is not None else 8.0
    found, layers = [], 0
    while True:
        layers += 1
        # half a head is rounded to the even number, as IEEE arithmetic does
        heads = max(1.0, float(round(ratio * layers / head)))
        width = heads * head
        size = 12.0 * layers * width * width
        if size > model.parameters.max * (1 + 1e-9):
            return found
        if size < model.parameters.min * (1 - 1e-9):
            continue
        kv = max(1.0, math.floor(heads / group))
        found.append(
            Shape(
                size, size, 0.0, 1.0, 1.0, layers, width, width, 2.0 * layers * kv * head,
                0.0, 0.0, 0.0, 0.0, kv, BYTES[weights], BYTES[weights], BYTES[cache], size,
            )
        )  # fmt: skip


def _listed(spec: Any, weights: str, cache: str) -> Shape:
    total, idle = spec.parameters, 1.0 - spec.active_experts / spec.experts
    routed = spec.routed_parameters
    if routed is None:
        few = spec.active_parameters is None or idle == 0.0
        routed = 0.0 if few else min((total - spec.active_parameters) / idle, total)
    active = spec.active_parameters
    if active is None:
        active = total - routed * idle
    head = spec.width / spec.heads if spec.head_width is None else spec.head_width
    attentive = spec.layers if spec.attention_layers is None else spec.attention_layers
    windowed = 0.0 if spec.windowed is None else spec.windowed.layers
    if spec.latent is None:
        kv_heads = spec.heads if spec.kv_heads is None else spec.kv_heads
        kv, across, shards = 2.0 * kv_heads * head, spec.heads * head, kv_heads
    else:
        kv, shards = spec.latent.rank + spec.latent.rope_width, 1.0
        across = spec.heads * (spec.latent.rank + spec.latent.rope_width / 2.0)
    finer = BYTES[spec.routed_precision] if spec.routed_precision else BYTES[weights]
    size = getattr(spec, "dense_equivalent", None)
    if size is None:
        size = math.sqrt(total * active)
    return Shape(
        total, active, routed, spec.experts, spec.active_experts, spec.layers, spec.width,
        across * (attentive - windowed) / spec.layers, kv * (attentive - windowed), kv * windowed,
        across * windowed / spec.layers,
        0.0 if spec.windowed is None else spec.windowed.window_tokens,
        spec.state_elements * BYTES[spec.state_precision or cache], shards, BYTES[weights],
        min(finer, BYTES[weights]), BYTES[cache], size,
    )  # fmt: skip


class Machine:
    """The accelerators that serve, with their measured efficiencies."""

    def __init__(self, scenario: Any) -> None:
        hardware, part = scenario.hardware, scenario.hardware.inference
        chip, calibration = part.accelerator, part.calibration
        rates = chip.dense_flop_per_s
        self.part = part
        own = part.weights if part.weights in ("fp8", "int8", "fp4") else "bf16"
        kind = part.arithmetic or (own if getattr(rates, own) is not None else "bf16")
        self.flop = getattr(rates, kind)
        self.band = chip.bandwidth_bytes_per_s
        self.memory = chip.memory_bytes
        self.link = chip.link_bytes_per_s or 1e9
        self.board = chip.board_power_watts or 1.0
        self.host, self.pue = hardware.host_power, hardware.power_usage_effectiveness
        serving, power, capacity = calibration.serving, calibration.power, calibration.capacity
        self.at = serving
        share = serving.compute
        self.compute = share.narrow if kind in ("fp8", "int8", "fp4") else share.sixteen_bit
        self.power = power
        eight = part.weights in ("fp8", "int8")
        experts = serving.expert_layer_seconds
        self.expert_layer = experts.eight_bit if eight else experts.sixteen_bit
        self.usable = capacity.usable_memory * self.memory - capacity.reserve_bytes

    def step(
        self, m: Shape, b: Any, context: Any, n: Any, prompt: Any, length: Any
    ) -> tuple[Any, Any, Any]:
        """Seconds of one decoding step, and utilisation of memory and of arithmetic."""
        at = self.at
        read = b * prompt / length
        memory = (self.touched(m, b + read) + 2.0 * b * m.state) / n / self.band
        cache = b * self.cached(m, context) / np.minimum(n, m.shards) / self.band
        work = b * self.token_flop(m, context) + read * self.token_flop(m, prompt / 2.0)
        compute = work / n / self.flop
        sent = 2.0 * (n - 1.0) / n * (b + read) * m.width * 2.0 / self.link * at.exchange
        wait = np.where(np.asarray(n) > 1, at.allreduce_seconds, 0.0)
        layer = at.layer_seconds + (self.expert_layer if m.routed > 0 else 0.0)
        reading = np.where(np.asarray(prompt) > 0, 1.0 - np.exp(-b / np.asarray(length)), 0.0)
        seconds = np.maximum(memory / at.memory + cache / at.cache, compute / self.compute)
        seconds = seconds + 2.0 * m.layers * (wait + sent)
        seconds = seconds + m.layers * (layer + at.prompt_layer_seconds * reading)
        seconds = seconds + b * at.sequence_seconds
        return seconds, (memory + cache) / seconds, compute / seconds

    def prefill(self, m: Shape, prompt: float, n: Any) -> Any:
        """Seconds to read one prompt alone."""
        at = self.at
        memory = (self.touched(m, prompt) + m.state) / n / at.memory
        memory = memory + self.cached(m, prompt) / np.minimum(n, m.shards) / at.cache
        compute = prompt * self.token_flop(m, prompt / 2.0) / n / self.flop / self.compute
        sent = 2.0 * (n - 1.0) / n * prompt * m.width * 2.0 / self.link * at.exchange
        wait = np.where(np.asarray(n) > 1, at.allreduce_seconds, 0.0)
        layer = at.layer_seconds + (self.expert_layer if m.routed > 0 else 0.0)
        layer = layer + at.prompt_layer_seconds
        return np.maximum(memory / self.band, compute) + m.layers * (2.0 * (wait + sent) + layer)

    def touched(self, m: Shape, tokens: Any) -> Any:
        """Bytes of weights that a step of so many tokens reads."""
        share = 1.0 - (1.0 - m.used_experts / m.experts) ** np.asarray(tokens, dtype=float)
        return (m.total - m.routed) * m.weight_bytes + m.routed * m.routed_bytes * share

    def cached(self, m: Shape, tokens: Any) -> Any:
        """Bytes of keys and values of one sequence."""
        return (m.kv * tokens + m.window_kv * np.minimum(tokens, m.window)) * m.kv_bytes

    def token_flop(self, m: Shape, context: Any) -> Any:
        """FLOP of one token with so many before it."""
        seen = m.attention * context + m.window_attention * np.minimum(context, m.window)
        return 2.0 * m.active + 4.0 * m.layers * seen

    def sequences(self, m: Shape, r: Request, n: int) -> int:
        """The most sequences of a replica that memory holds and the latency allows; 0 for none."""
        weights = (m.total - m.routed) * m.weight_bytes + m.routed * m.routed_bytes
        free = self.usable - weights / n
        if free <= 0:
            return 0
        each = self.cached(m, r.kept(self.part)) / min(n, m.shards) + m.state / n
        fit = self.part.max_sequences if each == 0 else min(free / each, self.part.max_sequences)
        most = int(fit * (1 + 1e-12))
        if most < 1 or not math.isfinite(r.limit):
            return most
        tried = np.arange(1, most + 1)
        good = tried[self.latency(m, r, n, tried) <= r.limit]
        return int(good.max()) if good.size else 0

    def latency(self, m: Shape, r: Request, n: Any, b: Any) -> Any:
        """Longest time of a request, waiting included."""
        seconds, _, _ = self.step(
            m, b, r.context(self.part, 2.0 * r.longest), n, r.prompts(self.part), r.longest
        )
        turns = np.maximum(r.width / np.asarray(b, dtype=float), 1.0)
        judging = r.longest_check / (n * self.flop * self.compute)
        whole = self.prefill(m, max(r.prompt, 1.0), n) + r.longest * seconds * turns + judging
        return (1.0 + self.part.queueing_allowance) * whole

    def use(self, m: Shape, r: Request, n: int, b: int, trace: Any, check: Any) -> tuple[Any, Any]:
        """Accelerator-seconds and joules of one request with traces of so many tokens."""
        seconds, memory, compute = self.step(
            m, float(b), r.context(self.part, trace), float(n), r.prompts(self.part), trace
        )
        share = self.power.base + self.power.memory * memory + self.power.compute * compute
        busy = n * r.width * trace * seconds / b
        checking = check / (self.flop * self.compute)
        idle = (busy + checking) * (1.0 / self.part.utilisation - 1.0)
        held = busy + checking + idle
        full = min(1.0, self.power.base + self.power.compute)
        boards = np.minimum(share, 1.0) * busy + full * checking + self.part.idle_power * idle
        return held, self.pue * (self.board * boards + self.host * held)

    def placed(self, m: Shape, r: Request) -> tuple[int, int] | None:
        """Replica and sequences of least accelerator time where every trace is at its longest."""
        found = []
        for n in sorted(self.part.accelerators_per_replica):
            b = self.sequences(m, r, n)
            if b:
                found.append((float(self.use(m, r, n, b, r.longest, 0.0)[0]), n, b))
        if not found:
            return None
        least = min(held for held, _, _ in found)
        return next((n, b) for held, n, b in found if held <= least * (1 + 1e-11))


class Request(NamedTuple):
    """A request as the server sees it."""

    prompt: float
    samples: float
    branches: float
    step_tokens: float
    longest: float  # tokens of one trace
    longest_check: float
    limit: float

    @property
    def width(self) -> float:
        return self.samples * self.branches

    def kept(self, part: Any) -> float:
        """Tokens in memory for each sequence."""
        if part.prefix_sharing == "none":
            return self.prompt + self.longest
        extra = self.branches * self.step_tokens if self.branches > 1 else 0.0
        return (self.prompt + self.samples * (self.longest + extra)) / self.width

    def prompts(self, part: Any) -> float:
        """Prompt tokens that are read for each sequence."""
        return self.prompt / (self.branches if part.prefix_sharing == "none" else self.width)

    def context(self, part: Any, trace: Any) -> Any:
        """Tokens that a sequence looks at, on average over its trace."""
        if part.prefix_sharing == "memory_and_reads":
            return self.prompt / self.width + 0.5 * trace / self.branches
        return self.prompt + 0.5 * trace


class Point(NamedTuple):
    """One point of a class: a difficulty and a number of skills."""

    group: int
    weight: float
    task: Any
    difficulty: float
    skills: int


def points(scenario: Any) -> list[Point]:
    """Tasks of all classes; lists of difficulties and skills only."""
    found = []
    for index, task in enumerate(scenario.workload.mix):
        pairs = [(d, int(s)) for d in task.difficulty.values for s in task.skills.values]
        found += [Point(index, task.share / len(pairs), task, d, s) for d, s in pairs]
    return found


def follow(
    advance: np.ndarray, ruin: np.ndarray, skills: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Success within n levels and mean levels used for n = 1..most, (level, loss)."""
    have = [np.ones(advance.size)] + [np.zeros(advance.size) for _ in range(skills)]
    success, used, spent = [], [], np.zeros(advance.size)
    for _ in range(most):
        spent = spent + (1.0 - have[skills])
        for k in range(skills, -1, -1):
            stay = have[k] if k == skills else have[k] * (1.0 - advance) * (1.0 - ruin)
            have[k] = stay + (have[k - 1] * advance if k else 0.0)
        success.append(np.minimum(have[skills], 1.0))
        used.append(spent)
    return np.array(success), np.array(used)


def offered_steps(scenario: Any) -> list[list[int]]:
    """Budgets that each task is offered, as the solution's scope says: four to an octave."""
    tasks = points(scenario)
    caps = [most_steps(scenario, t.task) for t in tasks]
    widest = max([1] + [cap - t.skills for cap, t in zip(caps, tasks, strict=True)])
    offsets, k = {0}, 0
    while k / 4 < math.log2(max(widest, 2)) + 1.0:
        offsets.add(round(2.0 ** (k / 4)))
        k += 1
    return [
        sorted({max(1, min(t.skills + o, cap)) for o in offsets}) if max(t.skills, 1) <= cap else []
        for cap, t in zip(caps, tasks, strict=True)
    ]


def most_steps(scenario: Any, task: Any) -> int:
    """Whole steps of one trace at most."""
    per_step = task.tokens_per_step or scenario.reasoning.tokens_per_step
    tokens = math.inf
    for cap in (task.context_tokens, scenario.model.context_tokens):
        if cap is not None:
            tokens = min(tokens, cap - task.prompt_tokens)
    if task.max_output_tokens is not None:
        tokens = min(tokens, task.max_output_tokens)
    return max(0, math.floor(tokens / per_step * (1 + 1e-12)))


class Way(NamedTuple):
    """One option of a task; arrays over losses, or one number where no model is trained."""

    task: int
    label: tuple[Any, ...]  # (policy name, samples, branches, steps) or (model, index)
    success: np.ndarray
    flop: np.ndarray
    seconds: np.ndarray
    joules: np.ndarray
    dollars: float = 0.0
    latency: float = math.nan
    trained: bool = True


def check_flop(
    task: Any, name: str, k: float, b: float, output: Any, prompt: float, used: Any
) -> Any:
    """Verifier FLOP of a task."""
    per_token, each = 2.0 * task.verifier.parameters, task.verifier.flop_per_check
    flop = 0.0 * np.asarray(output)
    if name == "best_of_n":
        flop = flop + per_token * (k * prompt + output / b) + each * k
    if b > 1:
        flop = flop + per_token * (k * prompt + output) + each * k * b * used
    return flop


def variants(scenario: Any) -> list[tuple[str, int, int]]:
    """(name, samples, branches) of every policy, each once."""
    found = []
    for choice in scenario.reasoning.policies:
        if choice.tree_of_thought:
            found += [("tree_of_thought", 1, b) for b in choice.tree_of_thought.branches]
        elif choice.best_of_n:
            c = choice.best_of_n
            found += [("best_of_n", k, b) for b in c.branches for k in c.samples]
        elif choice.majority_vote:
            found += [("majority_vote", k, 1) for k in choice.majority_vote.samples]
        else:
            found.append(("chain_of_thought", 1, 1))
    return list(dict.fromkeys(found))


def allowed(task: Any, name: str, b: int) -> bool:
    """Whether a class has what a policy needs."""
    kind = task.verifier.kind
    if b > 1:
        return bool(kind == "process")
    if name == "best_of_n":
        return bool(kind != "none")
    return name != "majority_vote" or task.wrong_answers is not None


def spectrum(task: Any) -> np.ndarray:
    """Shares of wrong answers."""
    wrong = task.wrong_answers
    if wrong.shares is not None:
        return np.sort(np.array(wrong.shares))[::-1]
    return np.asarray(truncated_geometric_shares(wrong.decay, wrong.count))


def whole_answer(task: Any, name: str, k: int, one: np.ndarray) -> np.ndarray:
    """Success of a policy from that of one trace."""
    right, wrong = task.verifier.true_positive_rate, task.verifier.false_positive_rate
    if name == "best_of_n":
        return np.asarray(verified_choice_success(one, k, right, wrong))
    if name == "majority_vote":
        return np.asarray(majority_vote_success(one, k, spectrum(task)))
    return one


class Bench:
    """A scenario taken apart."""

    def __init__(self, scenario: Any) -> None:
        self.scenario = scenario
        self.tasks = points(scenario)
        self.steps = offered_steps(scenario)
        self.shapes = lattice(scenario)
        inference = scenario.hardware.inference if scenario.hardware else None
        self.machine = Machine(scenario) if inference else None
        chosen = scenario.model.loss_law
        self.law = LOSS_LAWS[chosen] if isinstance(chosen, str) else chosen
        self._places: dict[tuple[Any, ...], tuple[int, int] | None] = {}
        self.old = self._existing()

    # -- ways of answering --------------------------------------------------------------------

    def loss(self, shape: Shape, tokens: np.ndarray) -> np.ndarray:
        """E + A / N^alpha + B / D^beta."""
        law = self.law
        a = law.parameter_coefficient / shape.loss_size**law.parameter_exponent
        return law.irreducible + a + law.data_coefficient / tokens**law.data_exponent

    def ways(self, shape: Shape, loss: np.ndarray, besides: tuple[str, ...] = ()) -> list[Way]:
        """Every option of a model at several losses; nothing for the classes named besides."""
        scenario, found = self.scenario, []
        ability = scenario.model.capability
        for index, point in enumerate(self.tasks):
            task, steps = point.task, self.steps[index]
            if not steps or task.name in besides:
                continue
            per_step = task.tokens_per_step or scenario.reasoning.tokens_per_step
            fatigue = scenario.reasoning.fatigue if task.fatigue is None else task.fatigue
            toward = task.directionality or scenario.reasoning.directionality
            middle = point.difficulty
            sigmoid = 1.0 / (1.0 + np.exp(ability.slope * (loss - middle)))
            step = toward * (ability.offset + ability.scale * sigmoid)
            for name, k, b in variants(scenario):
                if not allowed(task, name, b):
                    continue
                advance, ruin = step, np.full(loss.size, fatigue)
                if b > 1:
                    right = task.verifier.true_positive_rate
                    wrong = task.verifier.false_positive_rate
                    none = (1.0 - step) ** b
                    advance = np.asarray(verified_choice_success(step, b, right, wrong))
                    missed = np.maximum(1.0 - advance - none, 0.0)
                    ruin = (none * fatigue**b + missed * fatigue) / np.maximum(
                        1.0 - advance, 1e-300
                    )
                    ruin = np.clip(ruin, 0.0, 1.0)
                done, used = follow(advance, ruin, point.skills, max(steps))
                for n in steps:
                    mean = used[n - 1]
                    if scenario.reasoning.charge == "budget":
                        mean = np.full(loss.size, float(n))
                    way = self._way(shape, index, name, k, b, n, mean, per_step)
                    if way is not None:
                        success = whole_answer(task, name, k, done[n - 1])
                        found.append(way._replace(success=success))
        return found

    def _way(
        self, shape: Shape, index: int, name: str, k: int, b: int, n: int, mean: Any, per: float
    ) -> Way | None:
        task = self.tasks[index].task
        prompt, output = task.prompt_tokens, k * b * per * mean
        check = check_flop(task, name, k, b, output, prompt, mean)
        pairs = k * prompt**2 + output * prompt + output**2 / (2.0 * b * k)
        through = output + (k * prompt if self.scenario.reasoning.prefill else 0.0)
        attention = shape.layers * shape.attention
        flop = 2.0 * (shape.active * through + attention * pairs) + check
        seconds = joules = np.zeros(np.shape(mean))
        latency = math.nan
        if self.machine is not None:
            most = check_flop(task, name, k, b, k * b * per * n, prompt, n)
            request = Request(prompt, k, b, per, per * n, float(most), task.max_latency or math.inf)
            key = (shape, index, name, k, b, n)
            if key not in self._places:
                self._places[key] = self.machine.placed(shape, request)
            place = self._places[key]
            if place is None:
                return None
            seconds, joules = self.machine.use(shape, request, *place, per * mean, check)
            latency = float(self.machine.latency(shape, request, *place))
        return Way(index, (name, k, b, n), np.zeros(0), flop, seconds, joules, latency=latency)

    def _existing(self) -> list[Way]:
        """Options of models that exist."""
        scenario, found = self.scenario, []
        part = scenario.hardware.inference if scenario.hardware else None
        for candidate in scenario.model.candidates:
            if candidate.loss is not None:
                shape = _listed(
                    candidate.shape,
                    candidate.weights or (part.weights if part else "bf16"),
                    part.kv_cache if part else "bf16",
                )
                known = self.ways(shape, np.array([candidate.loss]), tuple(candidate.measured))
                found += [
                    w._replace(label=(candidate.name, *w.label), trained=False) for w in known
                ]
            for index, point in enumerate(self.tasks):
                measured = candidate.measured.get(point.task.name)
                if measured is None:
                    continue
                for label, success, k, trace, longest, judged, flop in self._measured(
                    candidate, measured, point.task
                ):
                    way = self._old_way(
                        candidate, index, (candidate.name, *label), k, trace, longest, judged, flop
                    )
                    if way is not None:
                        found.append(way._replace(success=np.array([success])))
        return found

    def _measured(self, candidate: Any, measured: Any, task: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        if measured.outcomes is not None:
            for number, one in enumerate(measured.outcomes):
                tokens = one.output_tokens
                if tokens is None:
                    tokens = one.flop / (2.0 * _listed(candidate.shape, "bf16", "bf16").active)
                each = tokens / one.samples
                found.append(
                    ((number,), one.accuracy, one.samples, each, each, one.judged, one.flop)
                )
            return found
        longest = measured.longest_output_tokens or measured.output_tokens
        for name, k, b in variants(self.scenario):
            if b > 1 or not allowed(task, name, b):
                continue
            success = self._population(measured, task, name, k)
            if success is not None:
                judged = name == "best_of_n"
                found.append(((name, k), success, k, measured.output_tokens, longest, judged, None))
        return found

    def _population(self, measured: Any, task: Any, name: str, k: int) -> float | None:
        if measured.accuracy is not None:
            return measured.accuracy if k == 1 else None
        verifier = task.verifier
        perfect = verifier.true_positive_rate == 1.0 and verifier.false_positive_rate == 0.0
        coverage = name == "best_of_n" and perfect
        if measured.success_counts is not None:
            chances = []
            for one in measured.success_counts:
                rate = one.correct / one.samples
                if k == 1:
                    chances.append(rate)
                elif coverage:
                    if one.samples < k:
                        return None
                    wrong = one.samples - one.correct
                    chances.append(1.0 - math.comb(wrong, k) / math.comb(one.samples, k))
                else:
                    chances.append(float(whole_answer(task, name, k, np.array([rate]))[0]))
            return sum(chances) / len(chances)
        p = measured.population
        if k == 1 or coverage:
            never = math.exp(betaln(p.alpha, p.beta + k) - betaln(p.alpha, p.beta))
            return p.solvable * (1.0 - never)
        # midpoints of quantiles of the population: slow, but of no quadrature's making
        from scipy.stats import beta

        chance = beta.ppf((np.arange(200_000) + 0.5) / 200_000, p.alpha, p.beta)
        mean = float(np.mean(whole_answer(task, name, k, chance)))
        nothing = float(whole_answer(task, name, k, np.zeros(1))[0])
        return p.solvable * mean + (1.0 - p.solvable) * nothing

    def _old_way(
        self, candidate: Any, index: int, label: tuple[Any, ...], k: float, trace: float,
        longest: float, judged: bool, stated: float | None,
    ) -> Way | None:  # fmt: skip
        task = self.tasks[index].task
        prompt, limit = task.prompt_tokens, task.max_latency or math.inf
        check = most = 0.0
        if judged:
            reader, each = 2.0 * task.verifier.parameters, task.verifier.flop_per_check
            check = k * (reader * (prompt + trace) + each)
            most = k * (reader * (prompt + longest) + each)
        flop = 0.0
        if candidate.shape is not None:
            active = _listed(candidate.shape, "bf16", "bf16").active
            through = k * trace + (k * prompt if self.scenario.reasoning.prefill else 0.0)
            flop = 2.0 * active * through
        flop = (flop if stated is None else stated) + check
        seconds = joules = dollars = 0.0
        latency = math.nan
        if candidate.hosted is not None:
            h = candidate.hosted
            dollars = h.input_price * k * prompt + h.output_price * k * trace
            if h.output_tokens_per_s is not None:
                latency = (h.first_token or 0.0) + longest / h.output_tokens_per_s
                if latency > limit:
                    return None
        elif self.machine is not None:
            part = self.machine.part
            shape = _listed(candidate.shape, candidate.weights or part.weights, part.kv_cache)
            per = task.tokens_per_step or self.scenario.reasoning.tokens_per_step
            request = Request(prompt, k, 1.0, per, longest, most, limit)
            place = self.machine.placed(shape, request)
            if place is None:
                return None
            s, j = self.machine.use(shape, request, *place, trace, check)
            seconds, joules = float(s), float(j)
            latency = float(self.machine.latency(shape, request, *place))
        one = np.ones(1)
        return Way(
            index, label, one, flop * one, seconds * one, joules * one, dollars, latency, False
        )

    # -- resources ----------------------------------------------------------------------------

    def periods(self) -> list[tuple[str, float, float]]:
        """(name, part of the time, part of the load)."""
        hardware = self.scenario.hardware
        listed = hardware.electricity.periods if hardware else None
        if listed is None:
            return [("day", 1.0, 1.0)]
        parts = [p.duration / 86400.0 for p in listed]
        loads = parts if listed[0].load_share is None else [p.load_share for p in listed]
        return list(zip([p.name for p in listed], parts, loads, strict=True))

    def _tariff(self, name: str, period: int) -> float:
        electricity = self.scenario.hardware.electricity
        own = None
        if electricity.periods is not None:
            own = getattr(electricity.periods[period], name)
        return getattr(electricity, name) if own is None else own

    @staticmethod
    def _each_second(part: Any) -> tuple[float, bool]:
        """Price of an accelerator-second, and whether electricity comes on top."""
        if part.own is None:
            return getattr(part.accelerator.price_per_hour, part.price) / 3600.0, False
        capital = part.own.capital_cost
        if capital is None:
            capital = part.accelerator.capital_cost
        return capital / (part.own.lifetime * part.own.running_share), True

    @staticmethod
    def _made(part: Any) -> float:
        if part is None or part.accelerator.embodied_carbon_kg is None:
            return 0.0
        life = EMBODIED_SECONDS
        if part.own is not None:
            life = part.own.lifetime * part.own.running_share
        return part.accelerator.embodied_carbon_kg / life

    def served(self, name: str, period: int) -> tuple[float, float, float, float]:
        """What a FLOP, an accelerator-second, a joule and a dollar of serving take of it."""
        part = self.scenario.hardware.inference if self.scenario.hardware else None
        if name in ("total_flop", "inference_flop"):
            return 1.0, 0.0, 0.0, 0.0
        if name == "accelerator_hours":
            return 0.0, 1.0 / 3600.0, 0.0, 0.0
        if name == "energy":
            return 0.0, 0.0, 1.0, 0.0
        if name == "carbon":
            return 0.0, self._made(part), self._tariff("carbon_intensity", period), 0.0
        if name == "cost":
            if part is None:
                return 0.0, 0.0, 0.0, 1.0
            price, owned = self._each_second(part)
            return 0.0, price, self._tariff("price", period) if owned else 0.0, 1.0
        return 0.0, 0.0, 0.0, 0.0

    def trained(self, name: str, period: int) -> float:
        """What one training FLOP takes of a resource."""
        if name in ("total_flop", "training_flop"):
            return 1.0
        if name == "inference_flop" or not self.scenario.model.train:
            return 0.0
        if self.scenario.hardware is None or self.scenario.hardware.training is None:
            return 0.0
        seconds, watts = self.training_seconds(), self.training_watts()
        part = self.scenario.hardware.training
        if name == "accelerator_hours":
            return seconds / 3600.0
        if name == "energy":
            return seconds * watts
        if name == "carbon":
            return seconds * (watts * self._tariff("carbon_intensity", period) + self._made(part))
        price, owned = self._each_second(part)
        return seconds * (price + (watts * self._tariff("price", period) if owned else 0.0))

    def training_seconds(self) -> float:
        """Accelerator-seconds of a training FLOP."""
        part = self.scenario.hardware.training
        utilisation, goodput = part.utilisation, part.goodput
        if utilisation is None:
            utilisation = getattr(part.calibration.training, part.precision).matrix
        if goodput is None:
            goodput = part.calibration.training.goodput
        rate = getattr(part.accelerator.dense_flop_per_s, part.precision)
        return 1.0 / (rate * utilisation * goodput)

    def training_watts(self) -> float:
        """Of the site for each accelerator that trains."""
        hardware = self.scenario.hardware
        board = hardware.training.accelerator.board_power_watts
        each = 0.0 if board is None else board + hardware.host_power
        return each * hardware.power_usage_effectiveness

    def trainers(self) -> float:
        """The most accelerators that may train at a time."""
        limits, hardware = self.scenario.limits, self.scenario.hardware
        most = hardware.training.count or math.inf
        if limits.power is not None:
            most = min(most, math.floor(limits.power / self.training_watts() * (1 + 1e-12)))
        return most

    def training_takes(self, name: str, limit: float, period: int | None, where: int) -> float:
        """Part of a row that a training FLOP placed in a period takes."""
        if period is None:
            return self.trained(name, where) / limit
        if name != "training_time" or period != where or self.trainers() < 1:
            return 0.0
        # a run lasts so many days that the part of each day that it is given is enough
        day_part = self.periods()[where][1]
        return self.training_seconds() / self.trainers() / day_part / limit

    def may_train(self, shape: Shape, flop: float) -> bool:
        """Whether limits on training alone are kept."""
        limits = self.scenario.limits
        if limits.training_flop is not None and flop > limits.training_flop * (1 + 1e-9):
            return False
        hardware = self.scenario.hardware
        if hardware is None or hardware.training is None:
            return True
        part, most = hardware.training, self.trainers()
        usable = part.calibration.capacity.usable_memory
        if part.accelerator.memory_bytes is not None:
            need = part.bytes_per_parameter * shape.total / (part.accelerator.memory_bytes * usable)
            if max(1, math.ceil(need)) > most:
                return False
        if most < 1:
            return False
        if limits.training_time is None:
            return True
        return flop * self.training_seconds() / most <= limits.training_time * (1 + 1e-9)

    def token_range(self, shape: Shape) -> tuple[float, float] | None:
        """Fewest and most training tokens."""
        model = self.scenario.model
        ratio, tokens = model.tokens_per_parameter, model.training_tokens
        low = max(tokens.min, (ratio.min or 0.0) * shape.loss_size)
        high = min(tokens.max, (ratio.max or math.inf) * shape.loss_size)
        per_token, given = self.flop_per_token(shape), self.scenario.limits
        for name in ("total_flop", "energy", "cost", "carbon", "accelerator_hours"):
            limit = getattr(given, name)
            least = min(
                [self.trained(name, p) for p in range(len(self.periods()))] if limit else [0.0]
            )
            if limit and least > 0:
                high = min(high, limit / least / per_token)
        if given.training_flop is not None:
            high = min(high, given.training_flop / per_token)
        if not self.may_train(shape, 0.0):
            return None
        if given.training_time is not None and not self.may_train(shape, high * per_token):
            a, b = 0.0, high * per_token
            for _ in range(200):
                middle = 0.5 * (a + b)
                a, b = (middle, b) if self.may_train(shape, middle) else (a, middle)
            high = a / per_token
        return (low, high) if high >= low else None

    def flop_per_token(self, shape: Shape) -> float:
        """Training FLOP of one token."""
        tokens = self.scenario.model.training_sequence_tokens
        return 6.0 * shape.active + 3.0 * shape.layers * shape.attention * tokens

    # -- the programme ------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, float, int | None]]:
        """(name, limit, period) of every upper limit that a mix must keep."""
        limits = self.scenario.limits
        names = ("total_flop", "inference_flop", "energy", "cost", "carbon", "accelerator_hours")
        given = [(name, getattr(limits, name)) for name in names]
        found: list[tuple[str, float, int | None]] = [
            (name, limit, None) for name, limit in given if limit is not None
        ]
        hardware = self.scenario.hardware
        count = hardware.inference.count if hardware and hardware.inference else None
        for index in range(len(self.periods())):
            if count is not None:
                found.append(("held", count, index))
            if limits.power is not None:
                found.append(("power", limits.power, index))
            trains = hardware is not None and hardware.training is not None
            if limits.training_time is not None and trains and len(self.periods()) > 1:
                found.append(("training_time", limits.training_time, index))
        return found

    def arrivals(self, index: int) -> list[tuple[float, list[int]]]:
        """Parts of a task and the periods that each may be served in."""
        point, periods = self.tasks[index], self.periods()
        if len(periods) == 1:
            return [(point.weight, [0])]
        patient = point.task.deferrable
        found = [
            (point.weight * (1 - patient) * load, [p]) for p, (_, _, load) in enumerate(periods)
        ]
        found.append((point.weight * patient, list(range(len(periods)))))
        return [part for part in found if part[0] > 0.0]

    def takes(self, name: str, period: int | None, where: int, use: tuple[float, ...]) -> float:
        """What serving one task in a period takes of a row."""
        if period is None:
            rates = self.served(name, where)
            return sum(r * u for r, u in zip(rates, use, strict=True))
        if period != where or name == "training_time":
            return 0.0
        span = self.scenario.workload.horizon * self.periods()[period][1]
        return (use[1] if name == "held" else use[2]) / span

    def best_mix(self, shape: Shape | None, tokens: float, ways: list[Way], at: int) -> Mixed:
        """The optimum of the mix by linear programming; -inf where there is none."""
        scenario, rows, periods = self.scenario, self.rows(), self.periods()
        tasks = scenario.workload.tasks
        objective = scenario.objective
        target = None if isinstance(objective, str) else objective
        flop = 0.0 if shape is None else tokens * self.flop_per_token(shape)
        if shape is not None and not self.may_train(shape, flop):
            return Mixed(-math.inf)
        gains, columns, parts, keys = [], [], [], []
        needy = [g for g, t in enumerate(scenario.workload.mix) if t.min_accuracy > 0.0]
        number = 0
        for index, point in enumerate(self.tasks):
            for weight, when in self.arrivals(index):
                for way in ways:
                    if way.task != index:
                        continue
                    i = at if way.trained else 0
                    use = tuple(
                        tasks * weight * float(u)
                        for u in (way.flop[i], way.seconds[i], way.joules[i], way.dollars)
                    )
                    success = weight * float(way.success[i])
                    for p in when:
                        column = [self.takes(n, q, p, use) / limit for n, limit, q in rows]
                        column += [-success if point.group == g else 0.0 for g in needy]
                        if target is not None:
                            column.append(-success)
                            gain = -self.takes(target.minimise, None, p, use)
                        elif objective == "net_value":
                            gain = tasks * success * point.task.value
                            gain -= self.takes("cost", None, p, use)
                        else:
                            gain = success * (point.task.value if objective == "value" else 1.0)
                        gains.append(gain)
                        columns.append(column)
                        parts.append(number)
                        keys.append((index, way.label, p))
                number += 1
        right = [1.0] * len(rows)
        right += [-scenario.workload.mix[g].min_accuracy * scenario.workload.mix[g].share
                  for g in needy]  # fmt: skip
        if target is not None:
            right.append(-target.accuracy)
        for p in range(len(periods)):  # training in each period
            column = [flop * self.training_takes(n, limit, q, p) for n, limit, q in rows]
            column += [0.0] * (len(right) - len(rows))
            name = target.minimise if target is not None else "cost"
            counts = target is not None or objective == "net_value"
            gains.append(-flop * self.trained(name, p) if counts else 0.0)
            columns.append(column)
        served = len(parts)
        one = np.zeros((number, len(gains)))
        one[parts, np.arange(served)] = 1.0
        upper = np.vstack([np.array(columns).T.reshape(len(right), len(gains)), one])
        limit = np.concatenate([right, np.ones(number)])
        equal = np.zeros((1, len(gains)))
        equal[0, served:] = 1.0
        size = max(np.max(np.abs(gains), initial=0.0), 1e-300)
        result = linprog(
            -np.array(gains) / size, A_ub=upper, b_ub=limit, A_eq=equal, b_eq=[1.0],
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )  # fmt: skip
        if result.status != 0:
            return Mixed(-math.inf)
        chosen = {keys[i]: result.x[i] for i in range(served) if result.x[i] > 1e-9}
        used = upper[: len(rows)] @ result.x
        return Mixed(float(np.array(gains) @ result.x), chosen, used)

    def values(self, shape: Shape | None, tokens: np.ndarray) -> list[float]:
        """The best value of one shape at several numbers of training tokens."""
        if shape is None:
            return [self.best_mix(None, 0.0, self.old, 0).value]
        ways = self.ways(shape, self.loss(shape, tokens)) + self.old
        return [self.best_mix(shape, float(t), ways, i).value for i, t in enumerate(tokens)]

    def best(
        self, start: tuple[float, float] | None, *, shapes: int = 10, side: int = 8, rounds: int = 3
    ) -> tuple[float, str]:
        """The best value of a scan over shapes and tokens that closes in, and where it is."""
        found: list[tuple[float, int, float]] = []
        if self.old:
            found.append((self.values(None, np.zeros(1))[0], -1, 0.0))
        every = [(i, self.token_range(s)) for i, s in enumerate(self.shapes)]
        able = {i: span for i, span in every if span is not None}
        picks = sorted({list(able)[round(x)] for x in np.linspace(0, len(able) - 1, shapes)}
                       if able else [])  # fmt: skip
        for i in picks:
            tokens = np.exp(np.linspace(*np.log(able[i]), side))
            tokens = np.clip(tokens, *able[i])
            scores = self.values(self.shapes[i], tokens)
            found += [(v, i, float(t)) for v, t in zip(scores, tokens, strict=True)]
        centres = sorted([f for f in found if f[1] >= 0 and f[0] > -math.inf], reverse=True)[:1]
        if start is not None:
            near = min(able, key=lambda i: abs(self.shapes[i].total / start[0] - 1.0), default=None)
            if near is not None:
                centres.append((-math.inf, near, start[1]))
        stride = max(1, max((b - a for a, b in itertools.pairwise(picks)), default=1) // 2)
        for value, i, middle in centres:
            near_by = start is not None and (value == -math.inf)
            width, step = (0.3 if near_by else 1.0), (1 if near_by else stride)
            for _ in range(rounds):
                batch = []
                for j in {i - step, i, i + step} & set(able):
                    tokens = np.unique(
                        np.clip(middle * np.exp(width * np.linspace(-1, 1, 5)), *able[j])
                    )
                    scores = self.values(self.shapes[j], tokens)
                    batch += [(v, j, float(t)) for v, t in zip(scores, tokens, strict=True)]
                if not batch:
                    break
                found += batch
                _, i, middle = max(batch)
                width, step = 0.4 * width, max(1, step // 2)
        value, i, tokens_at = max(found, default=(-math.inf, -1, 0.0))
        size = self.shapes[i].total if i >= 0 else 0.0
        return value, f"at {size:.6g} parameters and {tokens_at:.6g} tokens"

    # -- a printed answer ---------------------------------------------------------------------

    def reviewed(self, solution: Any) -> Reviewed:
        """A printed answer counted again, row by row."""
        scenario, tasks = self.scenario, self.scenario.workload.tasks
        shape, flop, ways = None, 0.0, list(self.old)
        if solution.parameters is not None:
            shape = min(self.shapes, key=lambda s: abs(s.total / solution.parameters - 1.0))
            tokens = np.array([solution.training_tokens])
            flop = float(tokens[0]) * self.flop_per_token(shape)
            ways = self.ways(shape, self.loss(shape, tokens)) + ways
        periods = self.periods()
        by_key = {(w.task, w.label): w for w in ways}
        rows = self.rows()
        used = np.zeros(len(rows))
        amounts: dict[tuple[int, int], float] = {}
        success = np.zeros(len(scenario.workload.mix))
        worth = spent = 0.0
        objective = scenario.objective
        name = objective if isinstance(objective, str) else objective.minimise
        name = "cost" if name == "net_value" else name
        late = 0.0
        for row in solution.tasks:
            index = next(
                i for i, p in enumerate(self.tasks)
                if p.task.name == row.name and p.difficulty == row.difficulty
                and p.skills == row.skills
            )  # fmt: skip
            point = self.tasks[index]
            when = [
                p for p, (n, _, _) in enumerate(periods) if n == row.period or len(periods) == 1
            ]
            amounts[index, when[0] if when else -1] = (
                amounts.get((index, when[0] if when else -1), 0.0) + row.share
            )
            if not row.attempted:
                continue
            way = by_key[index, self._label(row, index)]
            use = tuple(
                tasks * row.share * float(u)
                for u in (way.flop[0], way.seconds[0], way.joules[0], way.dollars)
            )
            for r, (n, limit, q) in enumerate(rows):
                used[r] += self.takes(n, q, when[0], use) / limit
            success[point.group] += row.share * float(way.success[0])
            worth += row.share * float(way.success[0]) * point.task.value
            spent += self.takes(name, None, when[0], use)
            if point.task.max_latency is not None and not math.isnan(way.latency):
                late = max(late, way.latency / point.task.max_latency)
        placed = [1.0] if len(periods) == 1 else [p.share_of_training for p in solution.periods]
        for p, part in enumerate(placed):
            for r, (n, limit, q) in enumerate(rows):
                used[r] += part * flop * self.training_takes(n, limit, q, p)
            spent += part * flop * self.trained(name, p)
        if isinstance(objective, str):
            value = float(success.sum())
            if objective != "accuracy":
                value = worth
            if objective == "net_value":
                value = tasks * worth - spent
        else:
            value = -spent
        return Reviewed(
            value, used, success, late, shape is None or self.may_train(shape, flop), amounts
        )

    def _label(self, row: Any, index: int) -> tuple[Any, ...]:
        if row.model is None:
            p = row.policy
            return (p.name, p.samples, p.branches, round(row.steps))
        candidate = next(c for c in self.scenario.model.candidates if c.name == row.model)
        if row.policy is not None and row.name in candidate.measured:
            return (row.model, row.policy.name, row.policy.samples)
        if row.policy is not None:
            p, task = row.policy, self.tasks[index].task
            per_step = task.tokens_per_step or self.scenario.reasoning.tokens_per_step
            steps = round(row.token_budget / (p.samples * p.branches * per_step))
            return (row.model, p.name, p.samples, p.branches, steps)
        outcomes = candidate.measured[self.tasks[index].task.name].outcomes
        for number, one in enumerate(outcomes):
            words = one.policy if one.samples == 1 else f"{one.policy}, {one.samples} traces"
            if words == row.way and one.accuracy == row.accuracy:
                return (row.model, number)
        raise AssertionError(f"no outcome is called {row.way}")


class Mixed(NamedTuple):
    """A linear programme's answer."""

    value: float
    chosen: dict[tuple[Any, ...], float] = {}  # noqa: RUF012 - never changed
    used: Any = None


class Reviewed(NamedTuple):
    """A printed answer counted again."""

    value: float
    used: np.ndarray  # parts of upper limits
    success: np.ndarray  # (class,) weighted
    late: float  # the most latency over its limit
    trainable: bool
    amounts: dict[tuple[int, int], float]
