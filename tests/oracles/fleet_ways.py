"""Every way of answering a task on hardware: traces level by level, existing models one by one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from oracles.fleet_machine import Machine, Request, Shape, lattice, listed
from scipy.special import betaln

from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.voting import (
    majority_vote_success,
    truncated_geometric_shares,
    verified_choice_success,
)


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


class Ways:
    """The ways of answering of a scenario, with a model to train and with those that exist."""

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
                shape = listed(
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
                    tokens = one.flop / (2.0 * listed(candidate.shape, "bf16", "bf16").active)
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
            active = listed(candidate.shape, "bf16", "bf16").active
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
            shape = listed(candidate.shape, candidate.weights or part.weights, part.kv_cache)
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
