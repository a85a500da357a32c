"""Prices of several limits and exact mixes, against linear programmes solved by scipy's HiGHS."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import linprog

from ds3opt.fleet import compile_fleet
from ds3opt.optimise.fleet import mix as mixes
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.mix import exact_mix
from ds3opt.optimise.fleet.plans import FleetSearch, Plan
from ds3opt.optimise.fleet.prices import Offers, bound, good_prices

Oracle = Callable[[str], ModuleType]

FINEST = 1e-5
ROUNDING = 1e-9
"""HiGHS keeps rows to 1e-10 here, times prices of some units."""


def menus(
    seed: int, *, cells: int, tasks: int, offers: int, limits: int, lower: int = 0
) -> tuple[Offers, np.ndarray]:
    """Random offers, what a random mix of them uses as room, and that mix."""
    rng = np.random.default_rng(seed)
    weight = rng.dirichlet(np.full(tasks, 2.0))
    count = cells * tasks * offers
    owner = np.repeat(np.arange(cells * tasks), offers)
    of = weight[owner % tasks]
    effort = rng.uniform(0.0, 1.0, count)
    success = np.clip(effort + rng.normal(0.0, 0.2, count), 0.0, 1.0)
    usage = (np.exp(3.0 * effort) - 0.9)[:, None] * np.exp(rng.normal(0.0, 0.7, (count, limits)))
    usage[:, limits - lower :] = -rng.uniform(0.0, 1.0, (count, lower))
    usage *= of[:, None]
    part = rng.dirichlet(np.ones(offers + 1), cells * tasks)[:, :offers].ravel()
    room = np.zeros((cells, limits))
    np.add.at(room, owner // tasks, part[:, None] * usage)
    return Offers(owner, of * success, usage, room, weight), part


def optimum(offers: Offers, cell: int) -> float:
    """The most worth in one cell, by HiGHS."""
    mine = np.flatnonzero(offers.cell_of() == cell)
    one = np.zeros((offers.tasks, mine.size))
    one[offers.owner[mine] % offers.tasks, np.arange(mine.size)] = 1.0
    result = linprog(
        -offers.worth[mine],
        A_ub=np.vstack([offers.usage[mine].T, one]),
        b_ub=np.concatenate([offers.room[cell], np.ones(offers.tasks)]),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert result.status == 0
    return float(-result.fun)


sizes = st.fixed_dictionaries(
    {
        "cells": st.integers(1, 3),
        "tasks": st.integers(1, 5),
        "offers": st.integers(1, 30),
        "limits": st.integers(1, 5),
    }
)


@given(st.integers(0, 10**6), sizes, st.floats(-6.0, 6.0), st.data())
def test_no_prices_bound_less_than_the_optimum(
    seed: int, shape: dict[str, int], size: float, data: st.DataObject
) -> None:
    lower = data.draw(st.integers(0, shape["limits"] - 1))
    offers, _ = menus(seed, lower=lower, **shape)
    rng = np.random.default_rng(seed + 1)
    price = 10.0 ** rng.uniform(size - 2.0, size + 2.0, offers.room.shape)
    found = bound(offers, price)
    for cell in range(offers.cells):
        best = optimum(offers, cell)
        # both sides are sums of terms as large as the prices
        slack = 1e-12 * float(np.sum(price[cell] * np.abs(offers.room[cell])))
        assert found[cell] >= best - ROUNDING - slack


@given(st.integers(0, 10**6), sizes)
@example(7, {"cells": 2, "tasks": 1, "offers": 1, "limits": 1})
@example(0, {"cells": 3, "tasks": 5, "offers": 30, "limits": 5})
def test_good_prices_come_near_the_optimum(seed: int, shape: dict[str, int]) -> None:
    """A log-sum-exp over 30 offers lies within 3.4 temperatures of its maximum.

    The barrier adds 0.02 of one a limit, and a few Newton steps at each temperature end early: in
    all ten temperatures, which is far less than any gap that is asked for.
    """
    offers, _ = menus(seed, **shape)
    price, amount, value = good_prices(offers, np.full(offers.room.shape, 0.3), finest=FINEST)
    near = 10.0 * FINEST
    upper = bound(offers, price)
    served = np.bincount(offers.owner, amount, minlength=offers.cells * offers.tasks)
    assert np.all(served <= 1.0 + 1e-12)
    for cell in range(offers.cells):
        best = optimum(offers, cell)
        mine = offers.cell_of() == cell
        assert value[cell] <= best + ROUNDING
        assert value[cell] == pytest.approx(float(amount[mine] @ offers.worth[mine]), abs=1e-12)
        assert np.all(amount[mine] @ offers.usage[mine] <= offers.room[cell] * (1.0 + 1e-12))
        assert upper[cell] >= best - ROUNDING
        assert upper[cell] - best <= near
        # a mix that is thinned out until it keeps every limit loses more, with few tasks
        assert best - value[cell] <= 0.02


@pytest.mark.parametrize("seed", range(12))
def test_prices_of_lower_limits_bound_too(seed: int) -> None:
    """A required success has room -1 and usage below 0; the bound comes near where it is tight."""
    offers, _ = menus(seed, cells=3, tasks=4, offers=20, limits=3, lower=1)
    price, amount, value = good_prices(offers, np.full(offers.room.shape, 0.3), finest=FINEST)
    upper = bound(offers, price)
    for cell in range(offers.cells):
        best = optimum(offers, cell)
        assert upper[cell] >= best - ROUNDING
        assert upper[cell] - best <= 1e-4
        if np.isfinite(value[cell]):
            mine = offers.cell_of() == cell
            used = amount[mine] @ offers.usage[mine]
            assert np.all(used <= offers.room[cell] + 1e-12 * np.abs(offers.room[cell]))
            assert value[cell] <= best + ROUNDING


def test_cells_do_not_touch_each_other() -> None:
    """Solving cells together or alone gives the same prices."""
    offers, _ = menus(5, cells=4, tasks=3, offers=12, limits=3)
    start = np.full(offers.room.shape, 0.3)
    together = good_prices(offers, start, finest=FINEST)[0]
    for cell in range(4):
        mine = np.flatnonzero(offers.cell_of() == cell)
        alone = Offers(
            offers.owner[mine] - cell * offers.tasks,
            offers.worth[mine],
            offers.usage[mine],
            offers.room[cell : cell + 1],
            offers.weight,
        )
        price = good_prices(alone, start[:1], finest=FINEST)[0]
        there = bound(alone, together[cell : cell + 1])[0]
        assert bound(alone, price)[0] == pytest.approx(there, abs=1e-5)


# -- exact mixes ----------------------------------------------------------------------------


def middle_plan(scenario: Any) -> tuple[FleetSearch, Ledger, Plan]:
    search = FleetSearch(compile_fleet(scenario))
    ledger = Ledger.of(search.fleet, 1.0)
    lowest, highest = search.loss_span(ledger)
    able = np.flatnonzero(np.isfinite(lowest))
    shape = int(able[able.size // 2])
    floor = search.space.law.irreducible
    loss = floor + np.sqrt((lowest[shape] - floor) * (highest[shape] - floor))
    return search, ledger, Plan(0.0, shape, float(loss))


MIXED = (0, 1, 2, 4, 5, 8, 11, 12, 16, 17, 20, 22, 24, 27, 28)


@pytest.mark.parametrize("seed", MIXED)
def test_an_exact_mix_is_the_programme_s(seed: int, oracle: Oracle) -> None:
    """One model, its loss: the mix against HiGHS over options counted anew."""
    scenario = oracle("fleet_scenarios").read(
        oracle("fleet_scenarios").random_scenario(seed, oracle("fleet"))
    )
    search, ledger, plan = middle_plan(scenario)
    bench = oracle("fleet").Bench(scenario)
    shape = bench.shapes[plan.shape]
    tokens = np.array([float(search.training.tokens(np.array([shape.loss_size]), plan.loss)[0])])
    ways = bench.ways(shape, bench.loss(shape, tokens)) + bench.old
    best = bench.best_mix(shape, float(tokens[0]), ways, 0)
    found = exact_mix(search, ledger, plan)
    if found is None:
        assert best.value == -np.inf
        return
    size = max(abs(best.value), search.fleet.scale)
    # a part in 1e9 of every limit is kept back
    assert found.value == pytest.approx(best.value, abs=1e-7 * size)
    assert np.all(found.used <= 1.0 + 1e-9)
    assert found.placed.sum() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", ["energy", "cost", "accelerator_hours", "total_flop"])
@pytest.mark.parametrize("part", [0.0, 0.05, 0.5, 1.5])
def test_one_limit_alone_needs_no_programme(
    name: str, part: float, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concave envelopes give what the programme gives, in value, use and price."""
    data = oracle("fleet_scenarios").random_scenario(5, oracle("fleet"))
    data.update(objective="accuracy", limits={name: 1e40 if name == "total_flop" else 1e30})
    data["hardware"]["inference"].pop("count", None)
    data["hardware"]["electricity"].pop("periods", None)
    read = oracle("fleet_scenarios").read
    search, ledger, plan = middle_plan(read(data))
    free = exact_mix(search, ledger, plan)
    assert free is not None
    spent = float(search.spent(ledger, np.array([plan.shape]), np.array([plan.loss]))[0])
    trained = spent * float(search.fleet.rows[0].training[0])
    served = free.used[0] * ledger.limits[0] - trained
    data["limits"] = {name: trained * (1.0 + 1e-9) + part * served}
    search = FleetSearch(compile_fleet(read(data)))
    ledger = Ledger.of(search.fleet, 1.0)
    envelope = exact_mix(search, ledger, plan)
    monkeypatch.setattr(mixes, "_one_limit", lambda offers, ledger: None)
    programme = exact_mix(search, ledger, plan)
    assert envelope is not None
    assert programme is not None
    assert envelope.value == pytest.approx(programme.value, abs=1e-7)
    assert envelope.value >= programme.value - ROUNDING
    assert envelope.used[0] == pytest.approx(programme.used[0], abs=1e-6)
    assert envelope.prices[0] == pytest.approx(programme.prices[0], rel=1e-5, abs=1e-7)
