"""Existing models of known pretraining loss: what they offer follows from the laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ds3opt.fleet import Fleet
from ds3opt.fleet.candidates import KnownModel, Offered, Way, joined
from ds3opt.fleet.models import shapes_at
from ds3opt.fleet.resources import ACCELERATOR_SECONDS, FLOP, JOULES, USES
from ds3opt.fleet.serving import served
from ds3opt.optimise.fleet.requests import requests_of
from ds3opt.optimise.menu import evaluate, first_actions


def with_known_models(fleet: Fleet, steps_per_octave: int) -> Fleet:
    """The fleet with the options of models whose loss is known among those on offer."""
    if not fleet.known:
        return fleet
    found = [_offered(fleet, known, steps_per_octave) for known in fleet.known]
    parts = ([] if fleet.offered is None else [fleet.offered]) + found
    return replace(fleet, offered=joined(parts), known=())


def _offered(fleet: Fleet, known: KnownModel, steps_per_octave: int) -> Offered:
    problem, tasks = fleet.problem, fleet.tasks
    actions = first_actions(problem, steps_per_octave)
    actions = actions.take(known.classes[tasks.group[actions.task]])
    values = evaluate(problem, actions, np.full(len(actions), known.loss))
    requests = requests_of(fleet, actions.task, actions.policy, actions.steps)
    count = len(actions)
    prompts = requests.samples * requests.prompt_tokens if problem.prefill else 0.0
    output = values.tokens - prompts
    shape = shapes_at(known.shape, np.zeros(count, dtype=np.intp))
    uses = np.zeros((count, USES))
    attention = np.asarray(shape.layers * np.asarray(shape.attention_width))
    uses[:, FLOP] = (
        2.0 * (np.asarray(shape.active_parameters) * values.tokens + attention * values.pairs)
        + values.checking
    )
    latency = np.full(count, np.nan)
    accelerators, sequences = np.zeros(count), np.zeros(count)
    if fleet.server is not None:
        placed, use, latency = served(
            fleet.server, shape, requests, output / requests.width, values.checking
        )
        uses[:, ACCELERATOR_SECONDS], uses[:, JOULES] = use.accelerator_seconds, use.joules
        accelerators, sequences = placed.accelerators, placed.sequences
    ways = tuple(Way(known.name, policy, policy.words()) for policy in problem.policies)
    return Offered(
        task=actions.task,
        success=values.success,
        uses=uses,
        tokens=output,
        longest_tokens=requests.width * requests.trace_tokens,
        latency=latency,
        accelerators=accelerators,
        sequences=sequences,
        hosted=np.zeros(count, bool),
        way=actions.policy,
        ways=ways,
    )
