"""Every policy is on the list, and keeps what the optimiser takes for granted of a policy."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import ds3opt
from ds3opt import policies
from ds3opt.policies import (
    POLICIES,
    BestOfN,
    ChainOfThought,
    MajorityVote,
    MonteCarloTreeSearch,
    Policy,
    Rebase,
    TaskTraits,
    TreeOfThought,
    WeightedVote,
)

Rates = tuple[float, float] | float
"""Of a verifier that accepts, or d' of one that scores."""
TRAITS: dict[str, Rates] = {
    "perfect": (1.0, 0.0),
    "good": (0.9, 0.1),
    "never wrongly accepts": (0.5, 0.0),
    "always accepts the right": (1.0, 0.4),
    "barely better than chance": (0.6, 0.5),
    "chance": (0.5, 0.5),
    "scores": 1.2,
    "scores well": 4.0,
    "scores at random": 0.0,
}
SPECTRA = ((1.0,), (0.5, 0.3, 0.2), (0.6, 0.1), tuple([1 / 9] * 9))


def traits(rates: Rates, count: int, spectrum: int = 0) -> TaskTraits:
    at = np.full(count, spectrum, dtype=np.intp)
    if isinstance(rates, float):
        ones = np.ones(count)
        return TaskTraits(ones, 0.0 * ones, SPECTRA, at, rates * ones)
    true, false = (np.full(count, rate) for rate in rates)
    return TaskTraits(true, false, SPECTRA, at)


def test_every_policy_module_is_registered() -> None:
    shared = {"base", "guided_search", "short_form"}
    modules = {m.name for m in pkgutil.iter_modules(policies.__path__)} - shared
    listed = {cls.__module__.rpartition(".")[2] for cls in POLICIES.values()}
    assert modules == listed
    assert all(name == cls.name for name, cls in POLICIES.items())


def test_every_policy_class_of_a_module_is_registered() -> None:
    for module in pkgutil.iter_modules(policies.__path__):
        loaded = importlib.import_module(f"ds3opt.policies.{module.name}")
        for value in vars(loaded).values():
            named = isinstance(value, type) and issubclass(value, Policy) and hasattr(value, "name")
            if named:
                assert value in POLICIES.values()


def test_imports_go_one_way() -> None:
    root = Path(ds3opt.__file__).parent
    config = root.parent / "pyproject.toml"
    if not config.exists():
        pytest.skip("only where the source tree is at hand")
    contracts = tomllib.loads(config.read_text())["tool"]["importlinter"]["contracts"]
    layers = [
        [part.strip().removeprefix("ds3opt.") for part in layer.split("|")]
        for layer in contracts[0]["layers"]
    ]
    rank = {name: level for level, names in enumerate(layers) for name in names}
    for path in root.rglob("*.py"):
        own = path.relative_to(root).parts[0].removesuffix(".py")
        if own not in rank:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            for name in named:
                target = ([*name.split("."), ""])[1] if name.startswith("ds3opt.") else ""
                assert target not in rank or target == own or rank[target] > rank[own], (
                    f"{path.name} imports {name}"
                )


def every_policy() -> list[Policy]:
    return [
        ChainOfThought(),
        *(TreeOfThought(branches=b) for b in (2, 3, 64)),
        *(BestOfN(samples=k) for k in (2, 3, 16, 64)),
        BestOfN(samples=4, branches=8),
        *(MajorityVote(samples=k) for k in (2, 3, 9, 64)),
        *(WeightedVote(samples=k, weight_ratio=g) for k in (2, 9) for g in (0.7, 1.3, 5.0)),
        *(Rebase(samples=8, tilt=1.5, choose=c) for c in ("majority_vote", "best_of_n")),
        Rebase(samples=5, tilt=3.0, choose="weighted_vote", weight_ratio=1.4),
        MonteCarloTreeSearch(samples=16, tilt=1.6, effective_votes=0.4, choose="best_of_n"),
        MonteCarloTreeSearch(samples=16, tilt=1.6, effective_votes=0.4, weight_ratio=2.0),
    ]


def test_special_cases_of_policies_agree() -> None:
    x = np.linspace(0.0, 1.0, 101)
    who = traits((0.9, 0.2), x.size, 1)
    vote = MajorityVote(samples=7).answer_success(x, who)
    assert np.all(WeightedVote(samples=7, weight_ratio=1.0).answer_success(x, who) == vote)
    plain = Rebase(samples=7, tilt=1.0, choose="majority_vote").answer_success(x, who)
    assert plain == pytest.approx(vote, rel=1e-14)
    best = BestOfN(samples=3).answer_success(x, who)
    search = MonteCarloTreeSearch(samples=7, effective_votes=0.5, choose="best_of_n")
    assert search.answer_success(x, who) == pytest.approx(best, rel=1e-14)
    covered = WeightedVote(samples=7, weight_ratio=100.0).answer_success(x, who)
    assert covered == pytest.approx(1.0 - (1.0 - x) ** 7, abs=1e-14)
    # a verifier that scores without error, or at random
    for d, wanted in ((np.inf, 1.0 - (1.0 - x) ** 5), (0.0, x)):
        scored = BestOfN(samples=5).answer_success(x, traits(float(d), x.size))
        assert scored == pytest.approx(wanted, abs=1e-11)


def test_tasks_with_different_verifiers_are_kept_apart() -> None:
    x = np.full(3, 0.3)
    mixed = TaskTraits(
        np.array([1.0, 0.8, 1.0]),
        np.array([0.0, 0.3, 0.0]),
        SPECTRA,
        np.zeros(3, dtype=np.intp),
        np.array([np.nan, np.nan, 1.2]),
    )
    policy = BestOfN(samples=6)
    apart = [
        policy.answer_success(x[:1], traits(rates, 1))[0] for rates in ((1.0, 0.0), (0.8, 0.3), 1.2)
    ]
    assert policy.answer_success(x, mixed) == pytest.approx(apart, rel=1e-14)
    slopes = policy.answer_slope(x, x, mixed)
    for i, rates in enumerate(((1.0, 0.0), (0.8, 0.3), 1.2)):
        alone = policy.answer_slope(x[:1], x[:1], traits(rates, 1))
        assert [s[i] for s in slopes] == pytest.approx([s[0] for s in alone], rel=1e-14)
    assert mixed.take(np.array([2])).oracle().tolist() == [False]
    assert mixed.oracle().tolist() == [True, False, False]


@pytest.mark.parametrize("policy", every_policy(), ids=lambda p: p.words())
def test_what_a_result_file_says_makes_the_policy_again(policy: Policy) -> None:
    kept = policy.as_dict()
    name = kept.pop("name")
    assert POLICIES[name](**kept) == policy


@pytest.mark.parametrize("policy", every_policy(), ids=lambda p: p.words())
@pytest.mark.parametrize("rates", TRAITS.values(), ids=TRAITS.keys())
def test_answers_improve_with_traces(policy: Policy, rates: Rates) -> None:
    x = np.linspace(0.0, 1.0, 2001)
    for spectrum in range(len(SPECTRA)):
        answer = policy.answer_success(x, traits(rates, x.size, spectrum))
        assert np.all(np.diff(answer) >= -1e-13)  # rounding of sums of k terms near 1
        assert np.all((answer >= 0.0) & (answer <= 1.0 + 1e-15))


@pytest.mark.parametrize("policy", every_policy(), ids=lambda p: p.words())
@pytest.mark.parametrize("rates", TRAITS.values(), ids=TRAITS.keys())
def test_slope_bounds_hold_on_dense_grids(policy: Policy, rates: Rates) -> None:
    """Secants and second differences are averages of derivatives, so the bounds cover them."""
    edges = np.array([0.0, 1e-6, 1e-3, 0.01, 0.03, 0.1, 0.25, 0.4, 0.5, 0.7, 0.9, 0.99, 1.0])
    for spectrum in range(len(SPECTRA)):
        for i, low in enumerate(edges[:-1]):
            for high in edges[i + 1 :]:
                one = traits(rates, 1, spectrum)
                slope, curvature = policy.answer_slope(np.array([low]), np.array([high]), one)
                x = np.linspace(low, high, 301)
                step = x[1] - x[0]
                answer = policy.answer_success(x, traits(rates, x.size, spectrum))
                # differences of values near 1 carry a few ulp, divided by the step
                noise = 1e-14 / step
                assert np.max(np.diff(answer)) / step <= slope[0] * (1 + 1e-9) + noise
                bend = -np.diff(answer, 2) / step**2
                assert np.max(bend) <= curvature[0] * (1 + 1e-9) + 4.0 * noise / step


@pytest.mark.parametrize("branches", [2, 3, 8, 64])
@pytest.mark.parametrize("fatigue", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("rates", TRAITS.values(), ids=TRAITS.keys())
def test_better_steps_never_make_worse_traces(
    branches: int, fatigue: float, rates: Rates, oracle: object
) -> None:
    """The search's bounds need the success of a trace to rise with the success of a step.

    Counted level by level with the level's chances; not implied by each chance alone, because
    imperfect verifiers make ruin more likely when right steps first appear.
    """
    step = np.concatenate([[0.0], np.geomspace(1e-9, 0.1, 120), np.linspace(0.11, 1.0, 120)])
    advance, ruin = TreeOfThought(branches=branches).level(
        step, np.full(step.size, fatigue), traits(rates, step.size)
    )
    for skills in (1, 4):
        success, used = oracle("allocation").trace(advance, ruin, skills, 30)  # type: ignore[operator]
        assert np.min(np.diff(success, axis=1)) >= -1e-12  # 30 levels of rounding
        assert np.max(np.diff(used, axis=1)) <= 1e-12 * 30
