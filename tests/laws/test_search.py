import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws import search

probability = st.one_of(
    st.floats(0.0, 1.0), st.floats(1e-300, 1e-3), st.floats(0.0, 1e-12).map(lambda e: 1.0 - e)
)
SEARCH_REFERENCES = {
    "psi_cot",
    "psi_cot_continuous",
    "psi_tot1",
    "psi_bon",
    "psi_bon_mixture",
    "tokens_cot_exact",
    "tokens_exact",
    "cost_flops_exact_moment",
    "wu_success",
    "fatigue",
}
ELSEWHERE = {
    *("cost_flops", "psi_mv", "psi_mv_beta", "chinchilla"),
    *("dominance", "crossover_eps_star", "eps_dagger", "low_capability_ratio"),
}


def law_of(case):
    """The law that a reference case of policies.json asks for, taking complement and log."""
    fn, given = case["fn"], case["inputs"]
    if fn in ("psi_cot", "psi_cot_continuous"):
        return lambda **how: search.chain_of_thought_success(
            given["r"], given["m"], given["Tmax"], **how
        )
    if fn == "psi_tot1":
        return lambda **how: search.tree_of_thought_success(
            given["r"], given["m"], given["Tmax"], given["b"], **how
        )
    if fn == "psi_bon":
        return lambda **how: search.best_of_n_success(
            given["r"], given["m"], given["Tmax"], given["k"], given["b"], **how
        )
    if fn == "fatigue":  # the first step decides in each of b samples
        b = given["b"]
        return lambda **how: search.best_of_n_success(given["r1"], 1, 5 * b, b, fatigue=1, **how)
    if fn == "wu_success":  # every one of T steps must succeed
        steps = given["T"]
        step = (
            (1 - given["sigma"] * given["ell"])
            * (1 - given["E"] * given["ell"] / steps)
            * given["alpha"] ** (1 / steps)
        )
        return lambda **how: search.chain_of_thought_success(step, steps, steps, **how)
    parts = [
        search.tree_of_thought_success(p["r"], p["m"], p["Tmax"], p["b"]) for p in given["policies"]
    ]
    return lambda **how: search.any_success(parts, **how)


@pytest.fixture(scope="module")
def cases(shared):
    return json.loads(shared("reference/policies.json").read_text())["cases"]


def test_every_kind_of_reference_case_is_accounted_for(cases):
    kinds = {case["fn"] for case in cases}
    assert kinds == SEARCH_REFERENCES | ELSEWHERE


def test_success_meets_the_reference(cases, oracle):
    exact = oracle("exact")
    worst = {}
    for case in cases:
        if case["fn"] not in SEARCH_REFERENCES - {
            "tokens_cot_exact",
            "tokens_exact",
            "cost_flops_exact_moment",
        }:
            continue
        if case["id"] == "psi_cot_continuous-03":
            continue  # fewer steps than skills: 0 by the settled reading
        law = law_of(case)
        tolerance = 1e-13 + 4e-16 * case.get("cond_r", 0.0)
        value = exact.mpf(case["expected"])
        complement = exact.mpf(case.get("complement", 1 - value))
        with np.errstate(all="raise"):
            got = [law(), law(complement=True), law(log=True), law(complement=True, log=True)]
        for name, have, want in zip(
            ("value", "complement", "log", "log complement"),
            got,
            (value, complement, *exact.logs(value, complement)),
            strict=True,
        ):
            if want == -exact.mp.inf:
                assert have == -np.inf
            else:
                worst[case["id"], name] = exact.relative_error(have, want) / tolerance
    assert max(worst.values()) <= 1.0, max(worst, key=worst.get)


def test_continuous_reading_is_zero_below_the_skills():
    assert search.chain_of_thought_success(0.2, 5, 4.5) == 0.0


def test_expected_tokens_meet_the_reference(cases, oracle):
    for case in cases:
        if case["fn"] in ("tokens_cot_exact", "tokens_exact"):
            given = {"b": 1, "k": 1, **case["inputs"]}
            split = given["b"] * given["k"]
            levels = given["budget"] // (given["omega"] * split)
            with np.errstate(all="raise"):
                mean = search.expected_steps(given["r"], given["m"], levels, branches=given["b"])
            tokens = split * given["omega"] * mean
            assert oracle("exact").relative_error(tokens, case["expected"]) < 1e-13, case["id"]


def test_expected_attention_cost_meets_the_reference(cases, oracle):
    for case in cases:
        if case["fn"] != "cost_flops_exact_moment":
            continue
        given = case["inputs"]
        split = given["b"] * given["k"]
        trace = (given["r"], given["m"], given["Tmax"] // split)
        mean = given["omega"] * search.expected_steps(*trace, branches=given["b"])
        square = given["omega"] ** 2 * search.expected_squared_steps(*trace, branches=given["b"])
        pairs = (
            given["k"] * given["prompt"] ** 2
            + given["prompt"] * split * mean
            + split * (square + mean) / 2
        )
        attention = 2 * given["n_layer"] * given["d_attn"] * pairs
        flop = 2 * given["N"] * split * mean + attention
        assert oracle("exact").relative_error(flop, case["expected"]) < 1e-12, case["id"]


def test_two_step_success_meets_the_reference(shared):
    from ds3opt.laws.capability import step_skill_success

    for case in json.loads(shared("reference/two_step.json").read_text())["cases"]:
        if case["kind"] == "psi_cot":
            given = case["inputs"]
            p = step_skill_success(
                given["L"], given["L0"], slope=given["b"], scale=given["a"], offset=given["d"]
            )
            assert p == pytest.approx(case["expect"]["p"], rel=1e-13)
            psi = search.chain_of_thought_success(p, given["m"], given["T"])
            assert psi == pytest.approx(case["expect"]["psi"], rel=case["rtol"])
        if case["kind"] == "Psi_mixture":  # 8 difficulties, 1 to 50 skills, all alike
            given = case["inputs"]
            p = step_skill_success(given["L"], np.linspace(0.1, 4, 8), slope=given["b"])
            steps = given["Omega"] / given["omega"]
            psi = search.chain_of_thought_success(p[:, np.newaxis], np.arange(1, 51), steps)
            assert psi.mean() == pytest.approx(case["expect"]["Psi"], abs=case["atol"])


GRID = [
    (r, m, n, b, h)
    for r in (1e-9, 0.03, 0.5, 0.97)
    for m, n in ((1, 1), (1, 30), (3, 7), (12, 40))
    for b in (1, 3)
    for h in (0.0, 0.2, 1.0)
]


def test_level_by_level_recursion(oracle):
    exact = oracle("exact")
    for r, m, n, b, h in GRID:
        success, failure, mean, square, masses = exact.trace(r, m, n, b, h)
        trace = {"branches": b, "fatigue": h}
        with np.errstate(all="raise"):
            got = {
                "success": search.tree_of_thought_success(r, m, n * b, b, fatigue=h),
                "failure": search.tree_of_thought_success(
                    r, m, n * b, b, fatigue=h, complement=True
                ),
                "mean": search.expected_steps(r, m, n, **trace),
                "square": search.expected_squared_steps(r, m, n, **trace),
                "mass": search.finish_probability(r, m, n, **trace),
            }
        want = {
            "success": success,
            "failure": failure,
            "mean": mean,
            "square": square,
            "mass": masses[n],
        }
        for name, value in want.items():
            assert exact.relative_error(got[name], value) < 2e-13, (name, r, m, n, b, h)


@pytest.mark.parametrize(
    ("r", "m", "n", "b", "h"),
    [
        (1e-12, 2, 10_000_000, 1, 0.0),
        (1e-12, 3, 10_000, 64, 1e-6),
        (2e-7, 2, 10_000_000, 1, 0.0),
        (2e-4, 7, 40_000, 1, 0.0),
        (0.34, 56, 56, 1, 0.3),
        (0.3, 10_000, 33_500, 1, 0.0),
        (0.3, 10_000, 33_000, 1, 1e-7),
        (0.9, 5_000, 5_020, 3, 0.0),
        (0.999, 10_000, 10_000, 2, 0.0),
        (0.5, 300, 310, 4, 0.3),
    ],
)
def test_long_budgets(oracle, r, m, n, b, h):
    exact = oracle("exact")
    want = exact.success(r, m, n, b, h)
    logs = exact.logs(*want)
    law = search.tree_of_thought_success
    for complement in (False, True):
        with np.errstate(all="raise"):
            value = law(r, m, n * b, b, fatigue=h, complement=complement)
            log = law(r, m, n * b, b, fatigue=h, complement=complement, log=True)
        # The condition number in r is at most about sqrt(m) near the centre and m in the tails.
        assert exact.relative_error(value, want[complement]) < 1e-13 + 4e-16 * m
        assert exact.relative_error(log, logs[complement]) < 1e-13 + 4e-16 * m


def test_logs_where_values_underflow(oracle):
    exact = oracle("exact")
    for r, m, n, b in ((1e-9, 60, 1_000, 1), (0.4, 30, 100_000, 2), (0.999, 3, 400, 5)):
        logs = exact.logs(*exact.success(r, m, n, b))
        for complement, want in zip((False, True), logs, strict=True):
            got = search.tree_of_thought_success(r, m, n * b, b, complement=complement, log=True)
            assert exact.relative_error(got, want) < 1e-12


def test_best_of_n_logs(oracle):
    exact = oracle("exact")
    for r, m, n, k in ((1e-9, 60, 1_000, 50), (1e-12, 2, 100, 10_000), (0.5, 4, 12, 400)):
        psi, fails = exact.success(r, m, n)
        # 1 - (1 - psi)^k is k psi where psi^2 is beyond the digits of the oracle.
        want = exact.logs(1 - fails**k, fails**k)
        if psi < 1e-50:
            want = exact.mp.log(k * psi), -k * psi
        for complement in (False, True):
            got = search.best_of_n_success(r, m, n * k, k, complement=complement, log=True)
            assert exact.relative_error(got, want[complement]) < 1e-12


@pytest.mark.parametrize(
    ("r", "m", "n", "b", "h"),
    [(0.2, 3, 14, 1, 0.0), (0.2, 3, 14, 1, 0.1), (0.15, 4, 9, 3, 0.6), (0.4, 2, 6, 2, 1.0)],
)
def test_simulated_search(oracle, r, m, n, b, h):
    used, finished = oracle("simulation").traces(r, m, n, branches=b, fatigue=h)

    def deviates(sample, value):
        return abs(sample.mean() - value) / max(sample.std() / np.sqrt(sample.size), 1e-12)

    psi = search.tree_of_thought_success(r, m, n * b, b, fatigue=h)
    assert deviates(finished, psi) < 4.5
    trace = {"branches": b, "fatigue": h}
    assert deviates(used, search.expected_steps(r, m, n, **trace)) < 4.5
    assert deviates(used**2, search.expected_squared_steps(r, m, n, **trace)) < 4.5
    early = finished & (used == m + 2)
    assert deviates(early, search.finish_probability(r, m, m + 2, **trace)) < 4.5


@given(
    r=probability,
    m=st.integers(0, 40),
    n=st.integers(0, 400),
    b=st.integers(1, 20),
    k=st.integers(1, 20),
    h=st.one_of(st.just(0.0), st.just(1.0), st.floats(0.0, 1.0)),
)
def test_bounds_and_agreement(r, m, n, b, k, h):
    with np.errstate(all="raise"):
        law = search.best_of_n_success
        value = law(r, m, n, k, b, fatigue=h)
        failure = law(r, m, n, k, b, fatigue=h, complement=True)
        log = law(r, m, n, k, b, fatigue=h, log=True)
        log_failure = law(r, m, n, k, b, fatigue=h, complement=True, log=True)
        mean = search.expected_steps(r, m, n, branches=b, fatigue=h)
        square = search.expected_squared_steps(r, m, n, branches=b, fatigue=h)
        mass = search.finish_probability(r, m, n, branches=b, fatigue=h)
    assert 0.0 <= value <= 1.0
    assert 0.0 <= failure <= 1.0
    assert value + failure == pytest.approx(1.0, abs=1e-13)
    assert np.exp(log) == pytest.approx(value, rel=1e-9, abs=1e-300)
    assert np.exp(log_failure) == pytest.approx(failure, rel=1e-9, abs=1e-300)
    assert min(m, n) * (1 - 1e-13) <= mean <= n
    assert mean**2 * (1 - 1e-12) <= square <= n * mean * (1 + 1e-12)
    assert 0.0 <= mass <= 1.0
    if b == 1 == k and n >= 1:
        gain = law(r, m, n, 1, fatigue=h) - law(r, m, n - 1, 1, fatigue=h)
        assert mass == pytest.approx(gain, abs=1e-13)


@given(
    r=probability,
    m=st.integers(1, 30),
    n=st.integers(0, 300),
    b=st.integers(1, 8),
    h=st.floats(0.0, 1.0),
)
def test_monotone(r, m, n, b, h):
    def law(r=r, m=m, n=n, b=b, h=h):
        return search.tree_of_thought_success(r, m, n * b, b, fatigue=h)

    slack = 1e-13
    assert law(n=n + 1) >= law() * (1 - slack)
    assert law(m=m + 1) <= law() * (1 + slack)
    assert law(r=min(1.0, r * 1.1)) >= law() * (1 - slack)
    assert law(h=h / 2) >= law() * (1 - slack)
    assert law(b=b + 1) >= law() * (1 - slack)  # at equal levels
    mean = search.expected_steps(r, m, n, branches=b, fatigue=h)
    assert search.expected_steps(r, m, n + 1, branches=b, fatigue=h) >= mean * (1 - slack)


def test_hand_values():
    assert search.chain_of_thought_success(0.3, 0, 0) == 1.0
    assert search.chain_of_thought_success(0.0, 2, 5) == 0.0
    assert search.chain_of_thought_success(1.0, 2, 2) == 1.0
    assert search.chain_of_thought_success(1.0, 3, 2) == 0.0
    assert search.expected_steps(0.0, 2, 5) == 5.0
    assert search.expected_steps(1.0, 2, 5) == 2.0
    assert search.expected_steps(0.3, 0, 5) == 0.0
    assert search.expected_steps(0.3, 7, 5) == 5.0
    assert search.expected_squared_steps(1.0, 2, 5) == 4.0
    assert search.finish_probability(0.3, 0, 0) == 1.0
    assert search.finish_probability(0.3, 0, 1) == 0.0
    assert search.finish_probability(1.0, 3, 3) == 1.0
    assert search.finish_probability(1.0, 3, 4) == 0.0
    # Fatigue 1: no step may fail, so r^m however long the budget.
    assert search.chain_of_thought_success(0.5, 3, 100, fatigue=1) == pytest.approx(0.125)
    assert search.any_success([[0.5, 0.5], [1e-20, 1e-20]]).tolist() == [0.75, 2e-20]


def test_a_mixture_with_counts_is_the_policies_written_out():
    """Footnote 10: 1 - prod (1 - psi_i)^k_i."""
    psi, counts = np.array([0.1, 0.02, 0.5]), np.array([3, 7, 0])
    written_out = np.repeat(psi, counts)
    for how in ({}, {"complement": True}, {"log": True}):
        got = search.any_success(psi, samples=counts, **how)
        assert got == pytest.approx(float(search.any_success(written_out, **how)), rel=1e-14)
    assert search.any_success([1.0, 0.3], samples=[0, 2]) == pytest.approx(0.51)
    assert search.any_success([1.0, 0.3], samples=[1, 0]) == 1.0
    assert search.any_success([1e-20, 1e-30], samples=[5, 1e9]) == pytest.approx(5e-20, rel=1e-9)


def test_floors_and_the_continuous_reading():
    assert search.tree_of_thought_success(0.5, 2, 11, 4) == search.tree_of_thought_success(
        0.5, 2, 8, 4
    )
    assert search.best_of_n_success(0.1, 10, 1000, 7, 4) == search.best_of_n_success(
        0.1, 10, 28 * 35, 7, 4
    )
    loose = search.tree_of_thought_success(0.5, 2, 11, 4, whole_levels=False)
    assert loose == pytest.approx(float(search.chain_of_thought_success(0.9375, 2, 2.75)))


def test_broadcasting():
    r = np.array([0.1, 0.2, 0.3])[:, np.newaxis, np.newaxis]
    m = np.array([0, 2])[:, np.newaxis]
    n = np.array([0, 5, 9, 200])
    whole = search.best_of_n_success(r, m, n, 2, 2)
    assert whole.shape == (3, 2, 4)
    single = search.best_of_n_success(0.2, 2, 9, 2, 2)
    assert np.ndim(single) == 0
    assert single == pytest.approx(whole[1, 1, 2], rel=1e-15)
    branches = np.array([1, 2])[:, np.newaxis]
    both = search.tree_of_thought_success(0.2, 2, n, branches)
    assert both.shape == (2, 4)
    assert both[0] == pytest.approx(search.chain_of_thought_success(0.2, 2, n), rel=1e-14)
    assert search.expected_steps(r, m, n, fatigue=[0, 0.1, 0.5, 1]).shape == (3, 2, 4)
    assert search.chain_of_thought_success(np.empty(0), 2, 5).shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_success": 1.2}, r"step_success must be in \[0, 1\], got 1.2"),
        ({"step_success": [0.5, np.nan]}, r"step_success must be in \[0, 1\], got nan"),
        ({"skills": -1}, r"skills must be in \[0, inf\), got -1"),
        ({"steps": np.inf}, r"steps must be in \[0, inf\), got inf"),
        ({"samples": 0}, r"samples must be in \[1, inf\), got 0"),
        ({"branches": 0.5}, r"branches must be in \[1, inf\), got 0.5"),
        ({"fatigue": -0.1}, r"fatigue must be in \[0, 1\], got -0.1"),
    ],
)
def test_refusals(change, message):
    good = {"step_success": 0.5, "skills": 2, "steps": 8, "samples": 2, "branches": 1, "fatigue": 0}
    with pytest.raises(ValueError, match=message):
        search.best_of_n_success(**{**good, **change})
