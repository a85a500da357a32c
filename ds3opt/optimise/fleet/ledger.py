"""Limits and objective as the search counts them: everything relative to its own size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet
from ds3opt.fleet.resources import USES
from ds3opt.optimise.fleet.options import Evaluated, Options
from ds3opt.optimise.fleet.prices import Offers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_CERTAIN = 30.0
"""What doing the training is worth, over its own size, where it is placed in periods: enough that
no price makes leaving it out look good."""


@dataclass(frozen=True)
class Ledger:
    """One set of limits on one fleet."""

    fleet: Fleet
    limits: FloatArray  # (row,) upper limits of the fleet's rows
    caps: FloatArray  # (cap,) limits on training alone
    least: FloatArray  # (least,) weighted success of the groups that must reach some
    groups: tuple[IntArray, ...]  # tasks of each group that must reach some
    target: float | None
    scale: float
    """Size of the objective: worth is counted in it."""

    @staticmethod
    def of(fleet: Fleet, scale: float) -> Ledger:
        """The limits that the scenario sets."""
        tasks = fleet.tasks
        needy = np.flatnonzero(tasks.group_min_accuracy > 0.0)
        groups = [np.flatnonzero(tasks.group == group) for group in needy]
        least = [float(tasks.group_min_accuracy[g] * tasks.group_share[g]) for g in needy]
        target = fleet.problem.target_accuracy
        if target is not None:
            groups.append(np.arange(len(tasks)))
            least.append(target)
        return Ledger(
            fleet=fleet,
            limits=np.array([row.limit for row in fleet.rows]),
            caps=np.array([cap.limit for cap in fleet.caps]),
            least=np.array(least),
            groups=tuple(groups),
            target=target,
            scale=scale,
        )

    @property
    def rows(self) -> int:
        """Number of upper limits."""
        return int(self.limits.size)

    @property
    def size(self) -> int:
        """Number of limits, lower ones included."""
        return self.rows + int(self.least.size)

    @property
    def placed(self) -> bool:
        """Whether training must be placed in one of several periods."""
        return len(self.fleet.periods) > 1 and self.fleet.models is not None

    @property
    def weight(self) -> FloatArray:
        """Weights of the tasks, and of training where it is placed like one."""
        weight = self.fleet.tasks.weight
        return np.append(weight, 1.0) if self.placed else weight

    def most_worth(self) -> float:
        """Worth of every task solved for nothing, in units of the scale: a bound on any plan."""
        fleet = self.fleet
        return float(fleet.tasks.weight @ fleet.worth) / self.scale

    def least_worth(self) -> float:
        """Worth below which no plan lies: nothing, where nothing is subtracted."""
        fleet = self.fleet
        free = not np.any(fleet.objective_serving) and not np.any(fleet.objective_training)
        return -1e-9 if free else -np.inf

    def training_cap(self) -> float:
        """The most training FLOP that any limit lets be."""
        fleet = self.fleet
        together = self.accelerators_at_most()
        if together < 1.0:
            return 0.0
        taken = [cap.taken_per_flop(together) for cap in fleet.caps]
        found = [
            float(limit) / each if each > 0.0 else np.inf
            for each, limit in zip(taken, self.caps, strict=True)
        ]
        timed = []
        for row, limit in zip(fleet.rows, self.limits, strict=True):
            each = row.training_charges(together)
            if row.shared:
                timed.append(float(limit) / float(np.max(each)))
            elif np.min(each) > 0.0:
                found.append(float(limit) / float(np.min(each)))
        # each period takes its part of a run at the same time as the others
        found += [sum(timed)] if timed else []
        return min(found, default=np.inf)

    def accelerators_at_most(self) -> float:
        """Accelerators that may train at a time: as many as there are and the power allows."""
        run = self.fleet.run
        most = run.count
        for row, limit in zip(self.fleet.rows, self.limits, strict=True):
            if row.key == "limits.power" and run.watts > 0.0:
                most = min(most, float(np.floor(limit / run.watts * (1.0 + 1e-12))))
        return most

    def training_charges(self) -> tuple[FloatArray, FloatArray]:
        """For each training FLOP: part of each limit, (row, period), and objective, (period,)."""
        fleet = self.fleet
        shape = (self.rows, len(fleet.periods))
        together = self.accelerators_at_most()
        rows = np.array([row.training_charges(together) for row in fleet.rows]).reshape(shape)
        return rows / self.limits[:, None], fleet.objective_training / self.scale

    def room_before_training(self, cells: int) -> FloatArray:
        """Room of every limit where nothing is trained, (cell, limit)."""
        room = np.ones((cells, self.size))
        room[:, self.rows :] = -1.0
        return room

    def offers(
        self,
        options: Options,
        index: IntArray,
        cell: IntArray,
        found: Evaluated,
        training_flop: FloatArray,
    ) -> tuple[Offers, IntArray, FloatArray]:
        """Options in cells as offers, with what training leaves of the limits.

        Parameters
        ----------
        index : (offer,) into the options, by cell, then task. cell : (offer,).
        training_flop : (cell,).

        Returns
        -------
        offers, which of the options they are (those that cannot be served are left out; -1 for
        training), and the worth of training, (cell,), to be added to any value.
        """
        fleet, tasks = self.fleet, self.fleet.tasks
        cells = training_flop.size
        possible = np.flatnonzero(np.all(np.isfinite(found.uses), axis=1))
        index, cell = index[possible], cell[possible]
        task, period = options.task[index], options.period[index]
        heavy = tasks.weight[task]
        served = fleet.problem.tasks_served * heavy
        uses = found.uses[possible] * served[:, None]
        success = heavy * found.success[possible]
        shape = (self.rows, len(fleet.periods), USES)
        serving = np.array([row.serving for row in fleet.rows]).reshape(shape)
        serving = serving / self.limits[:, None, None]
        usage = np.zeros((index.size, self.size))
        worth = fleet.worth[task] * success
        for number in range(len(fleet.periods)):
            at = slice(None) if len(fleet.periods) == 1 else np.flatnonzero(period == number)
            usage[at, : self.rows] = uses[at] @ serving[:, number].T
            worth[at] -= uses[at] @ fleet.objective_serving[number]
        for number, group in enumerate(self.groups):
            member = np.zeros(len(tasks), bool)
            member[group] = True
            usage[:, self.rows + number] = (
                -np.where(member[task], success, 0.0) / self.least[number]
            )
        room = self.room_before_training(cells)
        charges, cost = self.training_charges()
        owner = cell * self.weight.size + task
        worth = worth / self.scale
        if not self.placed:
            room[:, : self.rows] -= training_flop[:, None] * charges[:, 0]
            return Offers(owner, worth, usage, room, self.weight), index, -cost[0] * training_flop
        # training is one more task, which must be done, in any of the periods
        bonus = _CERTAIN * (1.0 + np.max(cost) * training_flop)
        count = len(fleet.periods)
        which = np.repeat(np.arange(cells), count)
        when = np.tile(np.arange(count), cells)
        amount = training_flop[which]
        extra = np.zeros((which.size, self.size))
        extra[:, : self.rows] = amount[:, None] * charges.T[when]
        owner = np.concatenate([owner, which * self.weight.size + len(tasks)])
        worth = np.concatenate([worth, bonus[which] - amount * cost[when]])
        usage = np.concatenate([usage, extra])
        index = np.concatenate([index, np.full(which.size, -1, dtype=np.intp)])
        order = np.argsort(owner, kind="stable")
        offers = Offers(owner[order], worth[order], usage[order], room, self.weight)
        return offers, index[order], -bonus
