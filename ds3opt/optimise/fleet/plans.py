"""Plans on a fleet: a shape, a pretraining loss, and what the limits then allow.

A good plan is found by a coarse look at everything and closer ones around the best; how good it is
against all others is for `branch` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet
from ds3opt.optimise.fleet.existing import with_known_models
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.options import STEPS_PER_OCTAVE, Evaluator, Options, options_of
from ds3opt.optimise.fleet.prices import Offers, best_net, bound, good_prices, net_worth
from ds3opt.optimise.menu import Actions
from ds3opt.optimise.training import Training

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_SCAN_LOSSES = 6
_SURE, _HOPELESS = 6.0, 4.0
"""Logits of a step's success beyond which a loss is not looked at first."""
_SCAN_SHAPES = 6
_REFINEMENTS = 6
CHUNK = 250_000
"""Options that are evaluated together, for memory."""
FIRST_PRICE = 0.3
"""Price of a limit that nothing is known of, in worth for its whole size."""
_WINDOW = 0.03
"""Net worth per task, of the ledger's scale, within which options count as near."""
_FINEST = 3e-5
_POINTS = 7
_WIDTH, _NARROW = 0.04, 3e-6
"""First and last step of the reducible loss, relative."""


@dataclass
class Plan:
    """A model and how far its training goes, with prices of the limits."""

    value: float = -np.inf
    """Worth of a mix of options that keeps every limit, in units of the ledger's scale."""
    shape: int = -1
    """-1: no model is trained."""
    loss: float = np.nan
    price: FloatArray | None = None


def better(best: Plan, found: list[Plan]) -> Plan:
    """The best of several plans, the first of equals."""
    return max([best, *found], key=lambda plan: plan.value)


class FleetSearch:
    """The best plan for a fleet and the least upper bound found for any."""

    def __init__(
        self, fleet: Fleet, like: FleetSearch | None = None, *, actions: Actions | None = None
    ) -> None:
        """A search over a fleet.

        Parameters
        ----------
        like : a search over the same tasks, models and servers under other limits, or another rule
            for training: its options, and what they use, are taken over.
        actions : all that a trained model may do, in place of every policy and token budget.
        """
        self.fleet: Fleet = (
            with_known_models(fleet, STEPS_PER_OCTAVE)
            if like is None
            else replace(fleet, offered=like.fleet.offered, known=())
        )
        self.space = fleet.problem.space
        self.training = Training(self.space)
        self.options: Options
        self.evaluate: Evaluator
        if like is None:
            trained = fleet.models is not None
            self.options = options_of(self.fleet, trained=trained, actions=actions)
            self.evaluate = Evaluator(self.fleet, self.options)
        else:
            self.options, self.evaluate = like.options, like.evaluate
        self.without = np.flatnonzero(self.options.existing >= 0)
        self.every = np.arange(len(self.options))
        self.coarse = np.flatnonzero(self.options.coarse)

    @property
    def may_train_nothing(self) -> bool:
        """Whether plans without a trained model count: others may serve, or all be left alone."""
        alone = self.fleet.problem.objective == "net_value"
        return bool(self.without.size or self.fleet.models is None or alone)

    # -- training ---------------------------------------------------------------------------

    def flop(self, loss: FloatArray, ledger: Ledger) -> FloatArray:
        """Training FLOP of every shape for losses, (loss, shape); inf where limits forbid it."""
        models = self.fleet.models
        assert models is not None
        tokens = self.training.tokens(models.loss_parameters[None, :], loss[:, None])
        found = models.training_flop(self.space, np.asarray(tokens))
        return np.where(found <= self.shape_caps(ledger), found, np.inf)

    def shape_caps(self, ledger: Ledger) -> FloatArray:
        """The most training FLOP of every shape, (shape,); negative where it does not fit."""
        models, run = self.fleet.models, self.fleet.run
        assert models is not None
        cap = np.full(len(models), ledger.training_cap() * (1.0 + 1e-12))
        if np.isfinite(run.memory_bytes):
            states = run.bytes_per_parameter * np.asarray(models.shape.parameters)
            needed = np.maximum(np.ceil(states / run.memory_bytes), 1.0)
            cap = np.where(needed <= ledger.accelerators_at_most(), cap, -1.0)
        return cap

    def loss_span(self, ledger: Ledger) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest loss that each shape may be trained to, (shape,); nan for none."""
        models = self.fleet.models
        assert models is not None
        size = models.loss_parameters
        cap = self.shape_caps(ledger)
        if self.space.infinite_data:
            loss = self.training.reached_loss(size, np.full(size.shape, np.inf))
            return np.where(cap >= 0.0, loss, np.nan), np.where(cap >= 0.0, loss, np.nan)
        low_tokens, high_tokens = self.space.training_tokens
        least, most = self.space.tokens_per_parameter
        fewest = np.maximum(low_tokens, least * size)
        if self.space.on_ray:
            fewest = np.asarray(self.space.law.optimal_tokens(size))
        per_token = models.training_flop(self.space, np.ones(size.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            tokens = np.minimum(np.minimum(cap / per_token, high_tokens), most * size)
        if self.space.on_ray:
            tokens = np.where(tokens >= fewest, fewest, -1.0)
        possible = (tokens >= fewest * (1.0 - 1e-12)) & (cap >= 0.0)
        # a trace less, so that the tokens for the loss found here are within the cap again
        tokens = np.where(possible, np.maximum(tokens * (1.0 - 1e-10), fewest), 1.0)
        lowest = self.training.reached_loss(size, tokens)
        highest = self.training.reached_loss(size, np.where(possible, fewest, 1.0))
        return np.where(possible, lowest, np.nan), np.where(possible, highest, np.nan)

    # -- plans ------------------------------------------------------------------------------

    def plans(
        self,
        ledger: Ledger,
        shape: IntArray,
        loss: FloatArray,
        start: FloatArray | None = None,
        *,
        menu: IntArray | None = None,
        coarsest: float = np.inf,
        finest: float = 1e-4,
    ) -> list[Plan]:
        """The best plan at each pair of shape and loss, to the accuracy of its prices.

        Parameters
        ----------
        start : (pair, limit) prices to begin from.
        menu : options that are looked at, all where none are given.
        coarsest, finest : temperatures of the search for prices.
        """
        found: list[Plan] = []
        menu = self.every if menu is None else menu
        first = np.full((shape.size, ledger.size), FIRST_PRICE) if start is None else start
        per_block = max(1, CHUNK // max(menu.size, 1))
        for begin in range(0, shape.size, per_block):
            part = slice(begin, begin + per_block)
            found += self._plans(
                ledger, shape[part], loss[part], first[part], menu, coarsest, finest
            )
        return found

    def _plans(
        self,
        ledger: Ledger,
        shape: IntArray,
        loss: FloatArray,
        start: FloatArray,
        menu: IntArray,
        coarsest: float,
        finest: float,
    ) -> list[Plan]:
        count = shape.size
        spent = self.spent(ledger, shape, loss)
        option = np.tile(menu, count)
        cell = np.repeat(np.arange(count), menu.size)
        offers, _, extra = self.offers_at(ledger, shape, shape, loss, spent, option, cell)
        possible = np.isfinite(spent) & np.all(offers.room[:, : ledger.rows] > 0.0, axis=1)
        price, _, _ = good_prices(offers, start, coarsest=coarsest, finest=finest)
        # by duality the bound is what the best mix is worth, and it is far closer to that than
        # the mix that comes with the prices; below nothing there is no mix
        value = np.minimum(bound(offers, price) + extra, ledger.most_worth())
        possible &= value >= ledger.least_worth()
        value = np.where(possible, value, -np.inf)
        return [
            Plan(float(value[i]), int(shape[i]), float(loss[i]), price[i]) for i in range(count)
        ]

    def spent(self, ledger: Ledger, shape: IntArray, loss: FloatArray) -> FloatArray:
        """Training FLOP of pairs of shape and loss; 0 where no model is trained."""
        if self.fleet.models is None:
            return np.zeros(shape.size)
        every = self.flop(np.nan_to_num(loss, nan=1e9), ledger)
        return np.where(shape >= 0, every[np.arange(shape.size), np.maximum(shape, 0)], 0.0)

    def offers_at(
        self,
        ledger: Ledger,
        low: IntArray,
        high: IntArray,
        loss: FloatArray,
        spent: FloatArray,
        option: IntArray,
        cell: IntArray,
    ) -> tuple[Offers, IntArray, FloatArray]:
        """Options in cells as offers; a cell without a trained model has existing models only."""
        known = (self.options.existing[option] >= 0) | (low[cell] >= 0)
        option, cell = option[known], cell[known]
        found = self.evaluate(option, loss[cell], low[cell], high[cell])
        return ledger.offers(
            self.options, option, cell, found, np.where(np.isfinite(spent), spent, 0.0)
        )

    def scan(self, ledger: Ledger, price: FloatArray | None = None) -> Plan:
        """A good plan: a coarse look at everything, then closer ones around the best.

        `price` is of limits at a plan that is known, to begin from.
        """
        best = Plan()
        if self.may_train_nothing:
            best = better(best, self.plans(ledger, np.array([-1]), np.array([np.nan])))
        if self.fleet.models is None:
            return best
        lowest, highest = self._likely_losses(ledger)
        able = np.flatnonzero(np.isfinite(lowest))
        if able.size == 0:
            return best
        picks = np.unique(np.round(np.linspace(0, able.size - 1, _SCAN_SHAPES)).astype(int))
        shape, loss = self._grid(
            able[picks], lowest, highest, np.linspace(0.03, 0.97, _SCAN_LOSSES)
        )
        start = None if price is None else np.tile(np.maximum(price, 1e-4), (shape.size, 1))
        rough = better(
            Plan(),
            self.plans(
                ledger,
                shape,
                loss,
                start,
                menu=self.coarse,
                coarsest=np.inf if price is None else 1e-2,
                finest=3e-3,
            ),
        )
        stride = max(1, int(np.max(np.diff(able[picks]), initial=1)))
        width = 1.0 / (_SCAN_LOSSES - 1)
        for _ in range(_REFINEMENTS):
            if not np.isfinite(rough.value):
                return best
            assert rough.price is not None
            stride, width = max(1, stride // 2), 0.55 * width
            place = self._place(rough, lowest, highest)
            near = np.unique(rough.shape + stride * np.array([-1, 0, 1]))
            near = near[np.isin(near, able)]
            at = np.unique(np.clip(place + width * np.array([-1.0, 0.0, 1.0]), 0.0, 1.0))
            shape, loss = self._grid(near, lowest, highest, at)
            start = np.tile(np.maximum(rough.price, 1e-4), (shape.size, 1))
            found = self.plans(
                ledger, shape, loss, start, menu=self.coarse, coarsest=3e-3, finest=1e-3
            )
            rough = better(Plan(), found)
        if not np.isfinite(rough.value):
            return best
        menu = near_options(self, ledger, rough)
        if ledger.least.size:
            # what a requirement asks for may lie far from what pays
            menu = np.union1d(menu, self.coarse)
        return better(best, [polished(self, ledger, rough, np.union1d(menu, self.without))])

    def _likely_losses(self, ledger: Ledger) -> tuple[FloatArray, FloatArray]:
        """The losses of each shape at which some tasks are neither hopeless nor sure."""
        lowest, highest = self.loss_span(ledger)
        difficulty, slope = self.fleet.tasks.difficulty, self.fleet.problem.capability_slope
        low = float(np.min(difficulty)) - _SURE / slope
        high = float(np.max(difficulty)) + _HOPELESS / slope
        return (
            np.minimum(np.maximum(lowest, low), highest),
            np.maximum(np.minimum(highest, high), lowest),
        )

    def _grid(
        self, shapes: IntArray, lowest: FloatArray, highest: FloatArray, at: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        shape = np.repeat(shapes, at.size)
        part = np.tile(at, shapes.size)
        floor = self.space.law.irreducible
        low, high = np.log(lowest[shape] - floor), np.log(highest[shape] - floor)
        loss = floor + np.exp(low + part * (high - low))
        loss = np.clip(loss, lowest[shape], highest[shape])
        pairs = np.unique(np.stack([shape.astype(float), loss], axis=1), axis=0)
        return pairs[:, 0].astype(np.intp), pairs[:, 1]

    def _place(self, plan: Plan, lowest: FloatArray, highest: FloatArray) -> float:
        floor = self.space.law.irreducible
        low, high = np.log(lowest[plan.shape] - floor), np.log(highest[plan.shape] - floor)
        if high <= low:
            return 0.0
        return float((np.log(plan.loss - floor) - low) / (high - low))


def near_options(search: FleetSearch, ledger: Ledger, plan: Plan) -> IntArray:
    """Options that are nearly as good as the best of their task at a plan's prices."""
    menu = search.every if plan.shape >= 0 else search.without
    one = np.zeros(menu.size, dtype=np.intp)
    shape = np.full(menu.size, plan.shape)
    found = search.evaluate(menu, np.full(menu.size, plan.loss), shape, shape)
    offers, which, _ = ledger.offers(search.options, menu, one, found, np.zeros(1))
    assert plan.price is not None
    net = net_worth(offers, plan.price[None, :])
    best = best_net(offers, net).ravel()
    weight = ledger.weight[offers.owner]
    return np.sort(which[(net >= best[offers.owner] - _WINDOW * weight) & (which >= 0)])


def polished(
    search: FleetSearch,
    ledger: Ledger,
    plan: Plan,
    menu: IntArray,
    *,
    width: float = _WIDTH,
    neighbours: bool = True,
) -> Plan:
    """The best plan near a plan, with its training adjusted to the last digit.

    Parameters
    ----------
    width : how far the reducible loss may move at first, relative.
    neighbours : also try the shapes beside the plan's.
    """
    best = _at(search, ledger, plan, menu)
    if plan.shape < 0 or search.fleet.models is None:
        return best
    lowest, highest = search.loss_span(ledger)
    floor = search.space.law.irreducible
    while width > _NARROW:
        beside = [-1, 0, 1] if neighbours else [0]
        shapes = np.unique(np.clip(best.shape + np.array(beside), 0, lowest.size - 1))
        shapes = shapes[np.isfinite(lowest[shapes])]
        steps = width * np.linspace(-1.0, 1.0, _POINTS)
        shape = np.repeat(shapes, steps.size)
        loss = floor + (best.loss - floor) * np.exp(np.tile(steps, shapes.size))
        loss = np.clip(loss, lowest[shape], highest[shape])
        _, once = np.unique(np.stack([shape, loss]), axis=1, return_index=True)
        shape, loss = shape[once], loss[once]
        assert best.price is not None
        start = np.tile(best.price, (shape.size, 1))
        found = search.plans(ledger, shape, loss, start, menu=menu, coarsest=3e-4, finest=_FINEST)
        moved = better(best, found)
        # once the shape stays it is settled, and the loss is closed in on
        neighbours = neighbours and moved.shape != best.shape
        best = moved
        width *= 2.4 / (_POINTS - 1)
    return best


def _at(search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray) -> Plan:
    assert plan.price is not None
    found = search.plans(
        ledger,
        np.array([plan.shape]),
        np.array([plan.loss]),
        plan.price[None, :],
        menu=menu,
        coarsest=1e-2,
        finest=_FINEST,
    )
    return better(plan, found)
