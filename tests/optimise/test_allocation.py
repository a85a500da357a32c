"""Envelopes and budgets: greedy against a linear programme against enumeration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from ds3opt.optimise.allocation import (
    Required,
    allocate,
    envelope,
    envelope_height,
    segments,
    spend,
    total_of,
)
from ds3opt.optimise.linear_programme import best_mix


def random_menu(seed: int, owners: int = 4, most: int = 8) -> tuple[np.ndarray, ...]:
    """Owner, cost, gain of random actions, ties, repeats and free ones among them; weights."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(owners), rng.integers(1, most + 1, owners))
    cost = np.round(rng.uniform(0.0, 3.0, owner.size) ** 3, int(rng.integers(1, 12)))
    gain = np.round(rng.uniform(0.0, 1.0, owner.size), int(rng.integers(1, 12)))
    return owner, cost, gain, rng.dirichlet(np.ones(owners))


def programme(
    owner: np.ndarray,
    cost: np.ndarray,
    gain: np.ndarray,
    weight: np.ndarray,
    budget: float,
    least: np.ndarray | None = None,
) -> float | None:
    """The optimum over all actions by HiGHS, `least` being least weighted gain of each owner."""
    one = (owner == np.arange(weight.size)[:, None]).astype(float)
    rows, limits = [*one, weight[owner] * cost], [*np.ones(weight.size), budget]
    for i, required in enumerate(np.zeros(0) if least is None else least):
        rows.append(-one[i] * weight[owner] * gain)
        limits.append(-required)
    solved = linprog(-weight[owner] * gain, A_ub=np.array(rows), b_ub=limits, method="highs")
    return -float(solved.fun) if solved.status == 0 else None


@given(seed=st.integers(0, 10**6), budget=st.floats(0.0, 12.0))
def test_greedy_equals_the_linear_programme(seed: int, budget: float) -> None:
    owner, cost, gain, weight = random_menu(seed)
    found = allocate(owner, cost, gain, weight, budget)
    best = programme(owner, cost, gain, weight, budget)
    assert best is not None
    assert found.value == pytest.approx(best, abs=1e-7)  # HiGHS' feasibility tolerance
    assert found.used <= budget
    # what was chosen is worth and costs what is said
    amount = np.zeros(owner.size)
    amount[found.chosen[found.chosen >= 0]] = 1.0
    if found.split_owner >= 0:
        first = found.chosen[found.split_owner]
        if first >= 0:
            amount[first] -= found.split_fraction
        amount[found.split_action] += found.split_fraction
    assert np.all(amount >= 0.0)
    assert np.all(np.bincount(owner, amount, minlength=weight.size) <= 1.0 + 1e-12)
    assert weight[owner] * gain @ amount == pytest.approx(found.value, abs=1e-12)
    assert weight[owner] * cost @ amount == pytest.approx(found.used, abs=1e-11)


@given(seed=st.integers(0, 10**6), budget=st.floats(0.0, 12.0))
def test_whole_choices_never_beat_the_mix(seed: int, budget: float) -> None:
    owner, cost, gain, weight = random_menu(seed, owners=3, most=5)
    found = allocate(owner, cost, gain, weight, budget)
    menus = [[-1, *np.flatnonzero(owner == o)] for o in range(weight.size)]
    best = 0.0
    for chosen in itertools.product(*menus):
        real = np.array([i for i in chosen if i >= 0], dtype=int)
        if weight[owner[real]] @ cost[real] <= budget:
            best = max(best, float(weight[owner[real]] @ gain[real]))
    assert best <= found.value + 1e-12


@given(seed=st.integers(0, 10**6), price=st.floats(0.0, 30.0))
def test_the_price_of_a_budget_is_its_dual(seed: int, price: float) -> None:
    """Any price bounds the value from above; the price at the margin bounds it tightly."""
    owner, cost, gain, weight = random_menu(seed)
    budget = 0.3
    found = allocate(owner, cost, gain, weight, budget)

    def bound(at: float) -> float:
        score = np.zeros(weight.size)
        np.maximum.at(score, owner, gain - at * cost)
        return float(weight @ score) + at * budget

    assert bound(price) >= found.value - 1e-12
    assert bound(found.price) == pytest.approx(found.value, abs=1e-9)


@given(seed=st.integers(0, 10**6))
def test_envelopes_are_concave_and_contain_all_points(seed: int) -> None:
    owner, cost, gain, _ = random_menu(seed)
    points = envelope(owner, cost, gain)
    for own in np.unique(owner):
        mine = points[owner[points] == own]
        x = np.concatenate([[0.0], cost[mine]])
        y = np.concatenate([[0.0], gain[mine]])
        assert np.all(np.diff(y) > 0.0)
        assert np.all(np.diff(x[1:]) > 0.0)
        run = np.diff(x)
        slopes = np.diff(y)[run > 0.0] / run[run > 0.0]
        assert np.all(np.diff(slopes) < 1e-12 * (1.0 + slopes[:-1]))
        for i in np.flatnonzero(owner == own):
            height = np.interp(cost[i], x, y)
            assert gain[i] <= height + 1e-12 or cost[i] == 0.0


@given(seed=st.integers(0, 10**6))
def test_height_of_envelopes_with_clipped_slopes(seed: int) -> None:
    """Clipped slopes give the height that no action need exceed at prices within the range."""
    rng = np.random.default_rng(seed)
    owner, cost, gain, _ = random_menu(seed)
    points = envelope(owner, cost, gain)
    low, high = sorted(rng.uniform(0.0, 5.0, 2))
    ask, at = rng.integers(0, 4, 40), rng.uniform(0.0, 30.0, 40)
    height = envelope_height(
        ask, at, owner[points], cost[points], gain[points], np.full(40, low), np.full(40, high)
    )
    for query in range(40):
        mine = points[owner[points] == ask[query]]
        x, y = np.append(cost[mine], 0.0), np.append(gain[mine], 0.0)
        # the least over prices of the best score plus the price of the cost
        prices = np.linspace(low, high, 400)
        literal = np.min(np.max(y - prices[:, None] * x, axis=1) + prices * at[query])
        step = (high - low) / 399 * (30.0 + at[query])
        if mine.size:
            assert literal - step <= height[query] <= literal + 1e-9


def cells_of(seeds: list[int], scale: np.ndarray) -> tuple[Any, ...]:
    """Several random menus side by side as cells, costs scaled cell by cell."""
    parts = [random_menu(seed) for seed in seeds]
    weight = parts[0][3]
    owner = np.concatenate([p[0] + 4 * i for i, p in enumerate(parts)])
    cell = np.concatenate([np.full(p[0].size, i) for i, p in enumerate(parts)])
    cost = np.concatenate([p[1] * scale[i] for i, p in enumerate(parts)])
    gain = np.concatenate([p[2] for p in parts])
    return parts, weight, owner, cell, cost, gain


@given(seeds=st.lists(st.integers(0, 10**6), min_size=2, max_size=5))
def test_cells_spend_as_each_alone(seeds: list[int]) -> None:
    scale = np.ones(len(seeds))
    parts, weight, owner, cell, cost, gain = cells_of(seeds, scale)
    points = envelope(owner, cost, gain)
    heavy = weight[owner % 4]
    found = segments(points, cell, owner, cost, gain, heavy, len(seeds))
    budget = np.linspace(0.1, 4.0, len(seeds))
    bought = spend(found, budget)
    used = total_of(found, bought, cost, heavy)
    for i, (own, dear, worth, _) in enumerate(parts):
        alone = allocate(own, dear, worth, weight, float(budget[i]))
        assert bought.value[i] == pytest.approx(alone.value, abs=1e-12)
        assert used[i] == pytest.approx(alone.used, abs=1e-11)


def test_a_cell_of_huge_costs_leaves_its_neighbours_exact() -> None:
    """Costs of hopeless cells may be 1e20 times those of the next; sums must not mix them."""
    scale = np.array([1e20, 1.0, 1e16, 1e-6])
    parts, weight, owner, cell, cost, gain = cells_of([1, 2, 3, 4], scale)
    points = envelope(owner, cost, gain)
    found = segments(points, cell, owner, cost, gain, weight[owner % 4], 4)
    bought = spend(found, 0.3 * scale)
    for i, (own, dear, worth, _) in enumerate(parts):
        alone = allocate(own, dear, worth, weight, 0.3)
        assert bought.value[i] == pytest.approx(alone.value, abs=1e-9)


@given(seed=st.integers(0, 10**6), budget=st.floats(0.05, 6.0), part=st.floats(0.05, 0.99))
def test_required_gains_come_first(seed: int, budget: float, part: float) -> None:
    owner, cost, gain, weight = random_menu(seed)
    ceiling = np.zeros(weight.size)
    np.maximum.at(ceiling, owner, gain)
    least = weight * ceiling * part
    least[::2] = 0.0
    points = envelope(owner, cost, gain)
    one = np.zeros(owner.size, dtype=np.intp)
    needs = Required(owner, np.ones(weight.size), least)
    found = segments(points, one, owner, cost, gain, weight[owner], 1, needs)
    value = float(spend(found, np.array([budget])).value[0])
    best = programme(owner, cost, gain, weight, budget, least)
    needed = float(found.needed[0])
    if abs(needed - budget) <= 1e-6 * (1.0 + budget):
        return  # on the edge the tolerance of HiGHS decides
    assert (best is None) == (value == -np.inf)
    if best is not None:
        assert value == pytest.approx(best, abs=1e-6)  # of limits kept to 1e-7


@pytest.mark.parametrize("seed", range(6))
def test_the_programme_with_two_limits_and_requirements(seed: int) -> None:
    owner, cost, gain, weight = random_menu(seed)
    rng = np.random.default_rng(seed)
    other = rng.uniform(0.0, 2.0, owner.size)
    costs, budgets = np.stack([cost, other]), np.array([0.5, 0.4])
    ceiling = np.zeros(weight.size)
    np.maximum.at(ceiling, owner, gain)
    least = np.where(np.arange(weight.size) == 1, 0.3 * weight * ceiling, 0.0)
    usage = np.stack([*(weight[owner] * costs), -weight[owner] * gain * (owner == 1)], axis=1)
    found = best_mix(owner, weight[owner] * gain, usage, np.append(budgets, -least[1]))
    one = (owner == np.arange(weight.size)[:, None]).astype(float)
    rows = [*one, *(weight[owner] * costs), -one[1] * weight[owner] * gain]
    solved = linprog(
        -weight[owner] * gain, A_ub=np.array(rows), b_ub=[*np.ones(4), *budgets, -least[1]]
    )
    assert (found is None) == (solved.status == 2)
    if found is None:
        return
    assert found.value == pytest.approx(-solved.fun, abs=1e-6)
    # limits are kept, not merely nearly kept
    assert np.all((weight[owner] * costs) @ found.amount <= budgets)
    assert np.all(np.bincount(owner, weight[owner] * gain * found.amount) >= least * (1 - 1e-12))
    assert np.all(np.bincount(owner, found.amount, minlength=4) <= 1.0 + 1e-7)


def test_nothing_to_choose_from() -> None:
    nothing = np.zeros(0, dtype=np.intp)
    found = allocate(nothing, np.zeros(0), np.zeros(0), np.ones(2), 1.0)
    assert found.value == 0.0
    assert found.chosen.tolist() == [-1, -1]
    assert envelope(nothing, np.zeros(0), np.zeros(0)).size == 0
