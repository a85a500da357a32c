"""The idealised policies, DS3 II-A to II-E, as instances of the general process.

A walk is one independent sample: a chain of thought, or a tree where it has branches. A task is
one or more walks and a rule that makes one answer of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.simulate.kernels import BRANCH, IDLE, STOP, FloatArray, IntArray, ProcessError
from ds3opt.simulate.process import MOST_TRACES, Process
from ds3opt.simulate.state import State

ANY, VERIFIER, VOTE = "any", "verifier", "vote"
CHOICES = (ANY, VERIFIER, VOTE)


@dataclass(frozen=True)
class Walk:
    """One walk through the skill graph, DS3 (16) and (17)."""

    skills: int
    """m >= 0, in order."""
    levels: int
    """n >= 0, steps of a chain; a tree takes `branches` steps at each."""
    skill_success: float = 1.0
    """p, chance that the right skill succeeds."""
    directionality: float = 1.0
    """iota, chance that a step goes to the right skill."""
    branches: int = 1
    fatigue: float = 0.0
    """h, chance that a failed step ruins the walk, which does not notice."""
    true_positive_rate: float = 1.0
    """Of the process verifier that chooses between branches."""
    false_positive_rate: float = 0.0
    tokens_per_step: float = 1.0
    prompt_tokens: float = 0.0
    parameters: float = 0.0
    """N of the model that walks; 0 to leave out what passing its parameters takes."""
    attention: float = 0.0
    """Layers times attention width; 0 to leave attention out."""
    prefill: bool = True
    """Whether reading the prompt passes the parameters."""

    def __post_init__(self) -> None:
        chances = (
            "skill_success",
            "directionality",
            "fatigue",
            "true_positive_rate",
            "false_positive_rate",
        )
        wrong = [n for n in chances if not 0.0 <= getattr(self, n) <= 1.0]
        if wrong:
            raise ProcessError(*(f"{n} must be from 0 to 1, got {getattr(self, n)}" for n in wrong))
        for name, least in (("skills", 0), ("levels", 0), ("branches", 1)):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise ProcessError(f"{name} must be whole and at least {least}, got {value}")

    @property
    def step_success(self) -> float:
        """r = iota p."""
        return self.directionality * self.skill_success


@dataclass(frozen=True)
class IdealTask:
    """Walks for one task, and how one answer is made of theirs."""

    walks: tuple[Walk, ...]
    choice: str = ANY
    """any: an oracle finds a right answer, footnote 10; verifier: a fallible one chooses among
    those it accepts; vote: the most frequent wins, ties by lot."""
    true_positive_rate: float = 1.0
    false_positive_rate: float = 0.0
    wrong_answer_shares: tuple[float, ...] = ()
    """Over which wrong votes split; the rest abstains."""
    unsolvable: float = 0.0
    """Chance that no step can succeed, whatever the walks, whose budgets are then spent.

    With a skill graph ``1 - gamma**m``, that the skills do not compose.
    """
    verifier_parameters: float = 0.0
    flop_per_check: float = 0.0
    judges_answers: bool = False
    """Whether the answers are read by the verifier, and charged."""

    def __post_init__(self) -> None:
        if not self.walks:
            raise ProcessError("a task needs walks")
        if self.choice not in CHOICES:
            raise ProcessError(f"choice must be one of {', '.join(CHOICES)}, got {self.choice!r}")
        shares = self.wrong_answer_shares
        if self.choice == VOTE and (not shares or sum(shares) > 1.0 + 1e-9 or min(shares) < 0.0):
            total = f"{sum(shares):.10g}"
            raise ProcessError(f"wrong_answer_shares must be at least 0 and sum to 1, not {total}")
        for name in ("true_positive_rate", "false_positive_rate", "unsolvable"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ProcessError(f"{name} must be from 0 to 1, got {getattr(self, name)}")

    @property
    def judges_steps(self) -> bool:
        """Whether a process verifier reads candidate steps."""
        return any(walk.branches > 1 for walk in self.walks)


# -- how one answer is made of many; shared with the shortcut -------------------------------------


def chosen(task: IdealTask, right: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    """Whether the answer chosen is right, or the chance of it in a tied vote.

    Parameters
    ----------
    right : of every walk, (run, walk).
    """
    if right.shape[1] == 1 or task.choice == ANY:
        return np.asarray(right.any(axis=1), dtype=np.float64)
    if task.choice == VERIFIER:
        rate = np.where(right, task.true_positive_rate, task.false_positive_rate)
        accepted = rng.random(right.shape) < rate
        candidate = accepted | ~accepted.any(axis=1, keepdims=True)
        lot = np.where(candidate, rng.random(right.shape), -1.0)
        picked = right[np.arange(len(right)), np.argmax(lot, axis=1)]
        return np.asarray(picked, dtype=np.float64)
    return _voted(task.wrong_answer_shares, right, rng)


def _voted(
    shares: Sequence[float], right: NDArray[np.bool_], rng: np.random.Generator
) -> FloatArray:
    """Whether the right answer has most votes, ties drawn by lot."""
    runs, answers = right.shape[0], len(shares) + 2  # the right one, the wrong ones, abstention
    edges = np.cumsum(shares)
    if edges[-1] > 1.0 - 1e-9:
        edges[-1] = np.inf
    wrong = 1 + np.searchsorted(edges, rng.random(right.shape), side="right")
    vote = np.where(right, 0, wrong) + answers * np.arange(runs)[:, None]
    counts = np.bincount(vote.ravel(), minlength=runs * answers).reshape(runs, answers)
    votes = counts[:, 0]
    ahead = np.max(counts[:, 1:-1], axis=1)
    tied = np.sum(counts[:, 1:-1] == votes[:, None], axis=1)
    wins = (votes > 0) & (votes >= ahead) & (rng.random(runs) * (1.0 + tied) < 1.0)
    return np.asarray(wins, dtype=np.float64)


# -- the instance ---------------------------------------------------------------------------------

_NEXT, _OTHER = 0, 1


def process_of(task: IdealTask) -> Process:
    """The task as a general process, every step and branch of it.

    The graph is that of (16) with all skills but the next one joined, which changes nothing: each
    of them fails for sure. A tree comes to branch before every level, its children step with it,
    and all but the one that the verifier keeps then stop.
    """
    walks = task.walks
    room = sum(walk.branches for walk in walks)
    if room > MOST_TRACES:
        raise ProcessError(f"{room} traces at a time are more than {MOST_TRACES}")
    kernels = _Kernels(task)
    longest = max(walk.levels for walk in walks)
    return Process(
        skills=("next", "other"),
        transition=kernels.transition,
        outcome=kernels.outcome,
        evaluate=kernels.evaluate,
        tokens=kernels.tokens,
        memory={
            "walk": np.arange(len(walks)),
            "gained": 0,
            "ruined": False,
            "spoiled": False,
            "answer": False,
        },
        remember=kernels.remember,
        environment={"solvable": lambda rng, runs: rng.random(runs) >= task.unsolvable},
        cost={"flop": kernels.flop} if kernels.charged else {},
        children=kernels.children,
        traces=len(walks),
        max_traces=room,
        forget=lambda state: ~state["answer"],
        max_steps=2 * longest + 3,
    )


class _Kernels:
    """The kernels of (16) and (17), one set of figures for each walk."""

    def __init__(self, task: IdealTask) -> None:
        self.task = task
        walks = task.walks

        def each(name: str) -> NDArray[Any]:
            return np.array([getattr(walk, name) for walk in walks])

        self.skills, self.levels = each("skills"), each("levels")
        self.skill_success, self.directionality = each("skill_success"), each("directionality")
        self.branches, self.fatigue = each("branches"), each("fatigue")
        self.true, self.false = each("true_positive_rate"), each("false_positive_rate")
        self.per_step, self.prompt = each("tokens_per_step"), each("prompt_tokens")
        self.size, self.attention = each("parameters"), each("attention")
        self.prefill = each("prefill")
        self.tree = bool(np.any(self.branches > 1))
        figures = (self.size, self.attention, task.verifier_parameters, task.flop_per_check)
        self.charged = any(bool(np.any(figure)) for figure in figures)

    def transition(self, state: State, rng: np.random.Generator) -> IntArray:
        """(16): stop where done or out of budget, branch in a tree, else a skill."""
        walk, alive, node = state["walk"], state.alive, state.node
        searched = node >= 0
        kept = alive
        if self.tree:
            kept = self._kept(state, rng, alive & searched)
        finished = (state["gained"] >= self.skills[walk]) | (state.steps >= self.levels[walk])
        ends = kept & finished & (node != BRANCH)
        state["answer"] |= ends
        towards = np.where(rng.random(state.shape) < self.directionality[walk], _NEXT, _OTHER)
        if self.tree:
            forks = (self.branches[walk] > 1) & (searched | (node == IDLE))
            towards = np.where(forks, BRANCH, towards)
        return np.where(ends | ~kept, STOP, towards)

    def _kept(
        self, state: State, rng: np.random.Generator, stepped: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """The one of every walk's candidates that the verifier keeps; traces at branch are."""
        walk, hit = state["walk"], state.outcome == 1
        run, trace = np.nonzero(stepped)
        mine = walk[run, trace]
        group = run * len(self.task.walks) + mine
        count = state.shape[0] * len(self.task.walks)
        right = hit[run, trace]
        rate = np.where(right, self.true[mine], self.false[mine])
        accepted = rng.random(run.size) < rate
        order = np.lexsort((rng.random(run.size), accepted, group))
        last = np.ones(order.size, dtype=bool)
        last[:-1] = group[order][1:] != group[order][:-1]
        winner = order[last]
        kept = state.alive & ~stepped
        kept[run[winner], trace[winner]] = True
        # fatigue: a level without a right candidate ruins if it spoils all; a misjudged one if it
        # spoils the one that is kept
        some_right = np.bincount(group, right, count) > 0.0
        sound = ~state["spoiled"][run, trace]
        all_spoiled = np.bincount(group, sound, count) == 0.0
        own = state["spoiled"][run[winner], trace[winner]]
        ruin = np.where(some_right[group[winner]], own, all_spoiled[group[winner]])
        state["ruined"][run[winner], trace[winner]] |= ruin
        return kept

    def outcome(self, state: State, rng: np.random.Generator) -> NDArray[np.bool_]:
        """(17): success at the next skill with p, unless the walk is ruined or hopeless."""
        able = (state.node == _NEXT) & ~state["ruined"] & state["solvable"][:, None]
        return np.asarray(able & (rng.random(state.shape) < self.skill_success[state["walk"]]))

    def remember(self, state: State, rng: np.random.Generator) -> None:
        """Skills gained, and what a failed step spoils."""
        state["gained"] += state.outcome == 1
        if not np.any(self.fatigue):
            return
        spoiled = (state.outcome == 0) & (rng.random(state.shape) < self.fatigue[state["walk"]])
        state["spoiled"] = spoiled
        state["ruined"] |= spoiled & (self.branches[state["walk"]] == 1)

    def children(self, state: State) -> IntArray:
        """One trace less than the branches of a tree, the parent being one of them."""
        return np.asarray(self.branches[state["walk"]] - 1)

    def tokens(self, state: State) -> FloatArray:
        """Of a step."""
        return np.asarray(self.per_step[state["walk"]])

    def evaluate(self, state: State, rng: np.random.Generator) -> FloatArray:
        """Whether the answer made of all walks is right, (32), (38)."""
        run, trace = np.nonzero(state["answer"])
        walk = state["walk"][run, trace]
        right = np.zeros((state.shape[0], len(self.task.walks)), dtype=bool)
        right[run, walk] = state["gained"][run, trace] >= self.skills[walk]
        return chosen(self.task, right, rng)

    def flop(self, state: State) -> FloatArray:
        """(18), context by context; the prompt once a walk, and what verifiers read."""
        task, walk = self.task, state["walk"]
        prompt, step = self.prompt[walk], self.per_step[walk]
        emitted = state.node >= 0
        pairs = step * (prompt + state.tokens - 0.5 * step)
        check = 2.0 * task.verifier_parameters
        per_step = 2.0 * (self.size[walk] * step + self.attention[walk] * pairs)
        if task.judges_steps:
            per_step = per_step + check * step + task.flop_per_check
        amount = np.where(emitted, per_step, 0.0)
        if state.time == 1:
            reading = 2.0 * (
                self.size[walk] * prompt * self.prefill[walk]
                + self.attention[walk] * prompt * prompt
            )
            if task.judges_steps:
                reading = reading + check * prompt
            amount = amount + np.where(state.parent < 0, reading, 0.0)
        if task.judges_answers:
            judged = check * (prompt + state.tokens) + task.flop_per_check
            amount = amount + np.where((state.node == STOP) & state["answer"], judged, 0.0)
        return np.asarray(amount)
