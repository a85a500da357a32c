"""What every task could do instead on hardware: the options of the fleet at its prices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ds3opt.explain.setting import EXACT, Menu, Setting, Way, step_success
from ds3opt.fleet import Fleet, compile_fleet
from ds3opt.fleet.resources import FLOP
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.mix import FleetMix
from ds3opt.optimise.fleet.plans import FleetSearch
from ds3opt.problem import Problem, Tasks
from ds3opt.schema import Scenario

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class FleetSetting(Setting):
    """A plan on hardware, or with existing models."""

    fleet: Fleet
    """As compiled; its tasks are the cases."""
    shape: int
    """Of the trained model; -1 where nothing is trained."""
    loss: float
    charges: FloatArray  # (period, use) worth of what a task uses
    worth: FloatArray
    unit: float
    paid: FloatArray
    known_loss: float = np.nan
    """Of the existing model that serves most, where its loss is known."""

    @staticmethod
    def of(fleet: Fleet, search: FleetSearch, ledger: Ledger, mix: FleetMix) -> FleetSetting:
        """The prices at which a mix is best, for the fleet that its search began from."""
        periods, uses = fleet.objective_serving.shape
        charges = np.asarray(fleet.objective_serving, dtype=np.float64).copy()
        for number, row in enumerate(fleet.rows):
            price = max(float(mix.prices[number]), 0.0) * ledger.scale / ledger.limits[number]
            charges = charges + price * row.serving.reshape(periods, uses)
        worth = fleet.worth.copy()
        unit = 1.0
        for number, group in enumerate(ledger.groups):
            price = max(float(mix.prices[ledger.rows + number]), 0.0)
            each = price * ledger.scale / float(ledger.least[number])
            worth[group] += each
            if fleet.minimised is not None and number == len(ledger.groups) - 1:
                unit = each or 1.0
        charges = fleet.problem.tasks_served * charges
        tasks = fleet.tasks
        each = np.sum(charges[search.options.period[mix.option]] * mix.found.uses, axis=1)
        paid: FloatArray = np.bincount(
            tasks.group[mix.tasks],
            tasks.weight[mix.tasks] * mix.amount * each,
            minlength=len(tasks.group_names),
        ).astype(np.float64)
        return FleetSetting(fleet, mix.plan.shape, mix.plan.loss, charges, worth, unit, paid)

    @property
    def problem(self) -> Problem:  # type: ignore[override]
        """Its tasks are the cases."""
        return self.fleet.problem

    @cached_property
    def _search(self) -> FleetSearch:
        return FleetSearch(self.fleet)

    @property
    def ways(self) -> tuple[Way, ...]:  # type: ignore[override]
        """Policies of the trained model, then the ways of existing models."""
        own = tuple(Way(policy.words(), policy.name) for policy in self.problem.policies)
        offered = self._search.fleet.offered
        if offered is None:
            return own
        return own + tuple(
            Way(
                f"{way.model}: {way.words}",
                way.model if way.policy is None else f"{way.model}: {way.policy.name}",
            )
            for way in offered.ways
        )

    @property
    def step_success(self) -> FloatArray:  # type: ignore[override]
        """Chance that one step succeeds with the trained model, or the one that serves most."""
        loss = self.loss if self.shape >= 0 else self.known_loss
        return step_success(self.problem, np.full(len(self.tasks), loss))

    def menu(self, refinements: int = EXACT) -> Menu:
        """Every option that can be served; token budgets are those that the fleet is offered."""
        search, options = self._search, self._search.options
        index = search.every if self.shape >= 0 else search.without
        shape = np.full(index.size, self.shape)
        found = search.evaluate(index, np.full(index.size, self.loss), shape, shape)
        able = np.all(np.isfinite(found.uses), axis=1)
        index, success, uses = index[able], found.success[able], found.uses[able]
        existing = options.existing[index]
        way = options.policy[index].copy()
        width = options.requests.width[index]
        tokens = width * found.trace_tokens[able]
        budget = width * options.requests.trace_tokens[index]
        offered = search.fleet.offered
        if offered is not None:
            old = existing >= 0
            way[old] = len(self.problem.policies) + offered.way[existing[old]]
            tokens[old] = offered.tokens[existing[old]]
            budget[old] = offered.longest_tokens[existing[old]]
        cost = np.sum(self.charges[options.period[index]] * uses, axis=1)
        return Menu(options.task[index], way, success, cost, tokens, budget, uses[:, FLOP])

    def free(self) -> FleetSetting:
        """The same at no price."""
        return replace(self, charges=np.zeros_like(self.charges))

    def under(self, scenario: Scenario) -> FleetSetting:
        """The same model and prices; also where tasks may take as long as they like."""
        there = compile_fleet(scenario, self.fleet.models)
        space = self.fleet.problem.space
        return replace(self, fleet=replace(there, problem=replace(there.problem, space=space)))

    def at(self, index: IntArray, tasks: Tasks) -> FleetSetting:
        """The same model and prices."""
        fleet = self.fleet
        offered = fleet.offered
        if offered is not None:
            # what was measured of a task holds for all its variations
            case, offer = np.nonzero(index[:, None] == offered.task[None, :])
            offered = replace(offered.take(offer), task=case.astype(np.intp))
        changed = replace(
            fleet,
            problem=replace(fleet.problem, tasks=tasks),
            task_period=fleet.task_period[index],
            max_latency=fleet.max_latency[index],
            worth=fleet.worth[index],
            offered=offered,
        )
        return replace(self, fleet=changed, worth=self.worth[index])

    def with_memory(self, factor: float) -> FleetSetting | None:
        """The same with more memory in every accelerator; None without accelerators."""
        server = self.fleet.server
        if server is None:
            return None
        device = replace(server.device, memory_bytes=server.device.memory_bytes * factor)
        return replace(self, fleet=replace(self.fleet, server=replace(server, device=device)))
