"""Fixing a bug in four skills, three traces and a verifier: how far from the ideal may one be?

ds3opt simulate --kernel docs/examples/bug_fix.py:build
"""

from dataclasses import replace

import numpy as np

from ds3opt.laws.search import best_of_n_success, expected_steps
from ds3opt.simulate import STOP, Process, process_of

SKILLS = ("read", "locate", "patch", "test")
CHANCES = np.array([0.9, 0.25, 0.5, 0.8])  # of each skill, where the ideal has one for all
TRACES, STEPS, TOKENS = 3, 10, 25.0
SAME = len(SKILLS) / np.sum(1.0 / CHANCES)  # the one chance that needs as many steps on average


def bug_fix(chances=CHANCES, forget=0.0, accepts_right=1.0, accepts_wrong=0.0, pooled=False):
    """Three traces, one chosen by a verifier, beside the closed forms of equal skills."""

    def transition(state, rng):
        spent = state.steps >= STEPS
        if pooled:
            spent = state["left"][:, None] < state.alive.sum(axis=1, keepdims=True)
        return np.where(spent | (state["done"] == len(SKILLS)), STOP, state["done"])

    def surround(state, rng):
        state["left"] -= np.sum(state.node >= 0, axis=1)

    def outcome(state, rng):
        return rng.random(state.shape) < chances[state.node]

    def remember(state, rng):
        state["done"] += state.outcome == 1
        lost = (state.outcome == 0) & (rng.random(state.shape) < forget)
        state["done"] -= lost & (state["done"] > 0)

    def success(state, rng):
        fixed = state["done"] == len(SKILLS)
        accepted = rng.random(state.shape) < np.where(fixed, accepts_right, accepts_wrong)
        candidate = accepted | ~accepted.any(axis=1, keepdims=True)
        chosen = np.argmax(candidate * rng.random(state.shape), axis=1)
        return fixed[np.arange(len(fixed)), chosen]

    steps = TRACES * float(expected_steps(SAME, len(SKILLS), STEPS))
    return Process(
        skills=SKILLS,
        transition=transition,
        outcome=outcome,
        evaluate=success,
        tokens=TOKENS,
        memory={"done": 0},
        remember=remember,
        environment={"left": TRACES * STEPS},
        surround=surround,
        traces=TRACES,
        max_traces=TRACES,
        max_steps=TRACES * STEPS + 1,
        closed_form={
            "success": float(best_of_n_success(SAME, len(SKILLS), TRACES * STEPS, TRACES)),
            "steps": steps,
            "tokens": TOKENS * steps,
        },
    )


def ideal():
    """What DS3 describes: every skill alike, nothing forgotten, an oracle."""
    return bug_fix(np.full(len(SKILLS), SAME))


def unequal():
    """Skills that differ in their chances."""
    return bug_fix()


def forgetting():
    """Unequal skills; a failed step loses the last one gained, one time in five."""
    return bug_fix(forget=0.2)


def erring():
    """Unequal skills; the verifier accepts 90 % of right fixes and 15 % of wrong ones."""
    return bug_fix(accepts_right=0.9, accepts_wrong=0.15)


def build():
    """All of it: unequal skills, forgetting, a verifier that errs."""
    return bug_fix(forget=0.2, accepts_right=0.9, accepts_wrong=0.15)


def pooled():
    """The same, but what a trace leaves over is for the others."""
    return bug_fix(forget=0.2, accepts_right=0.9, accepts_wrong=0.15, pooled=True)


def forgetful(task):
    """The process of any class of a scenario, with forgetting."""
    process = process_of(task)

    def remember(state, rng):
        process.remember(state, rng)
        lost = (state.outcome == 0) & (rng.random(state.shape) < 0.2)
        state["gained"] -= lost & (state["gained"] > 0)

    return replace(process, remember=remember)
