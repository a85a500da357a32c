import json

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws import policy_comparison as rule
from ds3opt.laws.compute import inference_flop
from ds3opt.laws.search import chain_of_thought_success, tree_of_thought_success

SKILLS = (3, 5, 10, 30, 100, 300)
TREE, CHAIN = 1.0, 0.0
ROOT2 = 2**0.5
CROSSOVERS = {  # branches, steps per skill: exact roots of the continuous reading, 6 digits
    (2, 1.05 * ROOT2): (0.994783, 0.713574, 0.287012, CHAIN, CHAIN, CHAIN),
    (2, 1.2 * ROOT2): (TREE, 0.972777, 0.813315, 0.654663, 0.591931, 0.573392),
    (4, 2.0002): (TREE, 0.754827, 0.410476, 0.163037, 0.059852, 0.024078),
    (4, 2.1): (TREE, 0.885048, 0.590320, 0.391146, 0.322234, 0.302592),
    (4, 2.4): (TREE, TREE, 0.932937, 0.796420, 0.745507, 0.731027),
    (4, 2.8): (TREE, TREE, TREE, 0.999905, 0.996576, 0.994096),
    (16, 4.2): (TREE, TREE, 0.808094, 0.479094, 0.400455, 0.380875),
    (16, 4.8): (TREE, TREE, TREE, 1 - 1.6e-8, 0.984080, 0.966596),
    (64, 8.4): (TREE, TREE, TREE, 0.660786, 0.420293, 0.372807),
}


@pytest.mark.parametrize("setting", CROSSOVERS)
def test_known_crossovers(setting):
    """The table of crossovers when a tree has sqrt(b) times the tokens of a chain."""
    branches, ratio = setting
    m = np.array(SKILLS, dtype=float)
    found = rule.branching_crossover(m, ratio * m, branches, ratio * m / np.sqrt(branches))
    assert found == pytest.approx(np.array(CROSSOVERS[setting]), abs=6e-7)


def test_reference_cases(shared):
    """Crossovers, thresholds, ratios and verdicts computed with 50 digits."""
    rows = json.loads(shared("reference/policies.json").read_text())["cases"]
    seen = set()
    for row in rows:
        given_, expected = row["inputs"], row["expected"]
        b, m = given_.get("b"), given_.get("m")
        if row["fn"] == "crossover_eps_star":
            n = given_["c"] * m
            found = rule.branching_crossover(m, n, b, n / np.sqrt(b))
            assert found == pytest.approx(float(expected), rel=1e-12)
        elif row["fn"] == "eps_dagger":
            assert rule.branching_threshold(b) == pytest.approx(float(expected), rel=1e-14)
        elif row["fn"] == "low_capability_ratio":
            n = given_["c"] * m
            found = rule.hard_task_log_ratio(m, n, b, n / np.sqrt(b))
            assert found == pytest.approx(float(row["log_expected"]), rel=1e-12)
        elif row["fn"] == "dominance":
            found = float(rule.branching_crossover(m, given_["n"], b, given_["L"]))
            words = {0.0: {"cot_all", "tie"}, 1.0: {"tot_all"}}.get(found, {"one_crossover"})
            assert expected in words
        else:
            continue
        seen.add(row["fn"])
    assert seen == {"crossover_eps_star", "eps_dagger", "low_capability_ratio", "dominance"}


@given(
    m=st.integers(1, 12),
    b=st.integers(2, 8),
    extra=st.integers(0, 40),
    more=st.integers(0, 60),
    odds=st.floats(-6.0, 6.0),
)
def test_the_rule_says_who_wins(m, b, extra, more, odds):
    """At any step success the better of the two, in 40 digits, is the one that the rule names."""
    levels, steps = m + extra, m + more
    r = 1.0 / (1.0 + np.exp(-odds))
    crossover = float(rule.branching_crossover(m, steps, b, levels))
    with mpmath.workdps(40):
        x = 1 - (1 - mpmath.mpf(r)) ** b
        tree = mpmath.betainc(m, levels - m + 1, 0, x, regularized=True)
        chain = mpmath.betainc(m, steps - m + 1, 0, r, regularized=True)
        lead = float(mpmath.sign(tree - chain) if abs(tree - chain) > mpmath.mpf(10) ** -30 else 0)
    if abs(r - crossover) > 1e-9:
        assert lead * (crossover - r) >= 0.0


def test_who_cannot_finish():
    """A tree without levels enough loses, a chain without steps enough too; both: neither."""
    assert rule.branching_crossover(5, 20, 4, 4.999) == CHAIN
    assert rule.branching_crossover(5, 4, 2, 9) == TREE
    assert rule.branching_crossover(5, 4, 2, 2) == CHAIN
    assert rule.branching_crossover(0, 4, 2, 2) == CHAIN
    assert rule.hard_task_log_ratio(5, [20, 4, 4], 2, [4, 9, 2]).tolist() == [-np.inf, np.inf, 0]


def test_equal_tokens_are_never_better_spent_on_a_tree():
    """With L = n / b the chain is at least as good, as the paper says of equal tokens."""
    m, b = np.meshgrid([1, 2, 5, 20], [1, 2, 4, 16])
    n = b * m * 3
    assert np.all(rule.branching_crossover(m, n, b, n // b) == CHAIN)


def test_a_crossover_is_where_success_is_equal():
    m, n, b, levels = 10, 21.0, 4, 10.5
    r = float(rule.branching_crossover(m, n, b, levels))
    tree = tree_of_thought_success(r, m, levels * b, b, whole_levels=False)
    assert tree == pytest.approx(chain_of_thought_success(r, m, n), rel=1e-12)


def test_threshold_of_one_branch_and_of_many():
    assert rule.branching_threshold([1, 1e6]).tolist() == pytest.approx([0.0, 1e-3])


@given(
    flop=st.floats(1e9, 1e18),
    prompt=st.floats(0.0, 1e5),
    width=st.floats(0.0, 1e7),
    b=st.integers(1, 64),
    k=st.integers(1, 64),
)
def test_tokens_for_flop_spend_them(flop, prompt, width, b, k):
    how = {"layers": width, "attention_width": 1.0, "branches": b, "samples": k}
    tokens = rule.tokens_for_inference_flop(flop, 1e9, prompt, **how)
    prompts = inference_flop(1e9, 0.0, prompt, **how)
    expected = max(flop, prompts)
    assert inference_flop(1e9, tokens, prompt, **how) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "wrong", [{"skills": -1}, {"steps": np.inf}, {"branches": 0.5}, {"levels": np.nan}]
)
def test_refuses_what_is_outside_its_domain(wrong):
    usual = {"skills": 3, "steps": 9, "branches": 2, "levels": 5}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        rule.branching_crossover(**{**usual, **wrong})
