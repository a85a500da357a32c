"""The skill graph against reference values, fifty digits and its own invariants."""

import json
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ds3opt.laws import depth
from ds3opt.laws.capability import directionality
from ds3opt.laws.concept_learning import (
    EdgeDegrees,
    concept_transition,
    finite_length_spread,
    stalled_share,
    threshold_degree,
)
from ds3opt.laws.giant_component import giant_component_fraction
from ds3opt.laws.search import chain_of_thought_success
from ds3opt.laws.skill_graph import SkillGraph
from ds3opt.laws.skill_levels import skills_at_level
from ds3opt.laws.skill_links import binomial_tail, chernoff_tail

CLAUDE = 3.35e25
"""Training FLOP of DS3's fit of Claude 3.7 Sonnet."""
DIGITS = 1e-12
"""Relative error of reference values; ill-conditioned ones lose more (`loss_of_digits`)."""


def graph_of(given) -> SkillGraph:
    names = {
        "kappa": "tokens_per_parameter",
        "d_t": "text_degree",
        "zeta": "parameters_per_concept",
        "tau": "tokens_per_text",
        "L": "levels",
        "S": "skills_per_level",
        "b": "link_decay",
        "eta": "required_links",
        "rho": "degree_failure",
        "factor": "degree_margin",
    }
    return SkillGraph(**{names[k]: v for k, v in given.items() if k in names})


MODE = {"de": "density_evolution", "paper": "paper"}


def learned_by(given):
    graph = graph_of(given)
    parameters, _ = graph.allocation(given["C_tr"])
    concepts = graph.concepts(parameters)
    chance = graph.concept_probability(concepts)
    return graph, graph.composability(concepts, chance, given["skill"])


def aime() -> tuple[np.ndarray, np.ndarray]:
    """Levels 60 to 70 and 2 to 15 skills."""
    return np.repeat(np.arange(60, 71), 14), np.tile(np.arange(2, 16), 11)


def reference_value(fn: str, given):
    if fn == "allocation":
        graph = graph_of(given)
        n, d = graph.allocation(given["C_tr"])
        return {"N": n, "D": d, "R": graph.concepts(n), "T": graph.texts(d)}
    if fn == "kappa_threshold":
        return graph_of(given).learning_threshold
    if fn == "de_threshold":
        at = concept_transition(given["c"], given["d_t"])
        return {"eps": at.threshold, "nu": at.unlearned, "x": at.message, "alpha": at.spread}
    if fn == "concept_prob":
        return graph_of(given).concept_probability(given["R"], mode=MODE[given["mode"]])
    if fn == "de_fixed_point":
        unlearned = stalled_share(given["c"], given["d_t"])
        # x with concepts that no text mentions still in
        everyone = unlearned * -np.expm1(-given["c"]) + np.exp(-given["c"])
        return {"x": everyone / 2, "unlearned": unlearned}
    if fn == "d_rho":
        return graph_of(given).guaranteed_links(given["l"], given["R"])
    if fn == "p_s_chernoff":
        return chernoff_tail(given["d"], given["P"], given["eta"])
    if fn == "p_s_exact":
        return binomial_tail(given["R"], given["P"] * given["mu"] / given["R"], given["eta"])
    if fn == "gcc":
        return {
            "gamma": giant_component_fraction(given["a"]),
            "one_minus_gamma": giant_component_fraction(given["a"], complement=True),
        }
    if fn == "m_at":
        return skills_at_level(given["l"], given["m"], given["lp"], 100)
    if fn == "iota_hat":
        return directionality(np.ceil(given["m"] * (1 + given["beta"])), given["delta"])
    if fn == "nb_cdf":
        return chain_of_thought_success(given["r"], given["m"], given["T"])
    if fn == "ladder":
        graph, learned = learned_by(given)
        return {
            "p_s_59": learned.skill_probability[58],
            "p_s_60": learned.skill_probability[59],
            "gamma_59": learned.giant_component[58],
            "gamma_60": learned.giant_component[59],
            "frontier": graph.learned_level(learned),
        }
    if fn == "psi_cot":
        graph, learned = learned_by(given)
        found = graph.success(given["l"], given["m"], given["Omega"] // 25, learned)
        return {"psi": found.success, "level": found.level or None}
    if fn == "Psi_cot":
        graph, learned = learned_by(given)
        level, skills = aime()
        return graph.mean_success(level, skills, 1.0, given["Omega"] // 25, learned)
    if fn == "theorem2":
        r = given["r"]
        least, most = depth.steepest_steps(r)
        steps, value = depth.continuous_steepest_steps(r)
        g = depth.theorem_amplification(r)
        return {
            "t_star": 1 / r - 1,
            "g": g,
            "t_int_min": least,
            "t_int_max": most,
            "g_int": depth.largest_amplification(r),
            "t_cont": steps,
            "g_cont": value,
            "er_g": np.e * r * g,
        }
    raise AssertionError(fn)


def loss_of_digits(fn: str, given) -> float:
    """Factor by which a relative error of the input, or of r, grows in the result."""
    if fn == "nb_cdf":
        return float(given["m"])
    if fn == "theorem2":  # (1 - r)^(1/r): the relative error of 1/r - 2 in an exponent near 1
        return 10.0
    return 1.0


def test_reference_values(shared) -> None:
    seen = set()
    for case in json.loads(shared("reference/skill_graph.json").read_text())["cases"]:
        fn, given, expected = case["fn"], case["inputs"], case["expected"]
        seen.add(fn)
        if fn == "alpha_regular_36":
            continue
        found = reference_value(fn, given)
        tolerance = DIGITS * loss_of_digits(fn, given)
        if not isinstance(expected, dict):
            found, expected = {"value": found}, {"value": expected}
        for name, value in expected.items():
            if value is None:
                assert found[name] is None, (fn, given, name)
            else:
                assert found[name] == pytest.approx(value, rel=tolerance, abs=0.0), (
                    fn,
                    given,
                    name,
                )
    assert len(seen) == 17


def test_width_of_a_regular_graph_is_the_published_one() -> None:
    """Every concept in 3 texts of 6 concepts: eps* = 0.42944, alpha = 0.5604."""
    with mpmath.workdps(40):
        # the largest eps for which eps (1 - (1 - x)^5)^2 < x for all x
        x = mpmath.findroot(lambda x: mpmath.diff(lambda t: t / (1 - (1 - t) ** 5) ** 2, x), 0.26)
        eps = float(x / (1 - (1 - x) ** 5) ** 2)
        x = float(x)
    u = 1 - x
    y = 1 - u**5
    texts = EdgeDegrees(*(np.float64(v) for v in (u**5, u**10, 5 * u**4, 5 * u**8)))
    concepts = EdgeDegrees(*(np.float64(v) for v in (y**2, y**4, 2 * y, 2 * y**2)))
    alpha = finite_length_spread(eps, x, y, texts, concepts, 3)
    assert eps == pytest.approx(0.42943981441949186, rel=1e-12)
    assert alpha == pytest.approx(0.5603547392144262, rel=1e-11)


@pytest.mark.parametrize("degree", [2.8, 4.0, 7.5, 27.2, 30.0, 1500.0, 5000.0])
def test_transition_against_its_definition(degree) -> None:
    """eps* is the least of x / lambda(1 - rho(1 - x)) over x in (0, 1], and x* is where."""
    at = concept_transition(degree, 6.0)
    x = np.linspace(1e-4, 1.2, 400_001)
    channel = x * np.exp(np.minimum(degree * np.exp(-12.0 * x), 700.0))
    # beyond x* the curve has risen to its local minimum from the right
    right = x >= at.message
    assert at.threshold == pytest.approx(channel[right].min(), rel=1e-9)
    assert x[right][np.argmin(channel[right])] == pytest.approx(at.message, abs=1e-5)


@given(st.floats(0.01, 27.19))
def test_what_stalls_is_the_largest_fixed_point(degree) -> None:
    everyone = float(stalled_share(degree, 6.0))
    if degree >= 5.0:
        everyone = everyone * -np.expm1(-degree) + np.exp(-degree)
    x = 0.5
    for _ in range(200_000):
        following = 0.5 * np.exp(-degree * np.exp(-12.0 * x))
        if x - following < 1e-15:
            break
        x = following
    # next to the threshold two roots meet: an error e in the equation moves the root by sqrt(e)
    assert everyone / 2 == pytest.approx(x, abs=1e-7)
    assert everyone <= 2 * x + 1e-12


def test_learning_spreads_as_peeling_a_sampled_graph_does() -> None:
    """Peel random graphs of 6000 nodes well below and well above the threshold."""
    rng = np.random.default_rng(1)
    graph = SkillGraph()
    count = 3000
    for ratio in (15.0, 23.0):
        shares = []
        for _ in range(6):
            nodes, texts = 2 * count, round(count * ratio / 4)
            # every text mentions every node with the same chance: 12 nodes each on average
            edges = rng.poisson(12.0 * texts)
            text, node = rng.integers(0, texts, edges), rng.integers(0, nodes, edges)
            erased = np.zeros(nodes, bool)
            erased[rng.choice(nodes, count, replace=False)] = True
            unknown = erased.copy()
            while True:
                left = unknown[node]
                degree = np.bincount(text[left], minlength=texts)
                single = left & (degree[text] == 1)
                if not single.any():
                    break
                unknown[node[single]] = False
            shares.append(unknown.sum() / count)
        predicted = graph.concept_probability(count, ratio, complement=True)
        # six graphs; what stalls varies by about sqrt(1 / 3000) of itself per graph
        assert np.mean(shares) == pytest.approx(predicted, abs=0.03)


@given(
    st.floats(30.0, 1e12),
    st.floats(0.05, 1e4),
    st.floats(1.0, 10.0),
    st.floats(2.72, 40.0),
)
def test_more_texts_teach_more_concepts(concepts, ratio, factor, text_degree) -> None:
    # so few texts per text that there is hardly a threshold are left out: d_t next to e
    assume(text_degree > 3.0)
    graph = SkillGraph(text_degree=text_degree)
    fewer, more = graph.concept_probability(concepts, np.array([ratio, ratio * factor]))
    assert 0.0 <= fewer <= more <= 1.0
    paper = graph.concept_probability(concepts, ratio, "paper")
    assert 0.0 <= paper <= 1.0
    if ratio >= graph.learning_threshold:
        assert paper == fewer


def test_the_papers_formula_rewards_undertraining_and_ours_does_not() -> None:
    graph = SkillGraph()
    ratios = np.array([3.0, 10.0, 17.0, 18.0])
    assert np.all(np.diff(graph.concept_probability(1e8, ratios, "paper")) < 0)
    assert np.all(np.diff(graph.concept_probability(1e8, ratios)) > 0)


def test_threshold_does_not_depend_on_where_it_is_looked_for() -> None:
    for d in (2.8, 6.0, 40.0):
        assert concept_transition(threshold_degree(d), d).threshold == pytest.approx(0.5, rel=1e-12)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.0, 1.0))
def test_exact_skill_probability_is_the_binomial_tail(trials, least, chance) -> None:
    by_hand = sum(
        comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(least, trials + 1)
    )
    assert binomial_tail(trials, chance, least) == pytest.approx(by_hand, rel=1e-11, abs=1e-300)


@given(
    st.integers(2, 60),
    st.integers(1, 60),
    st.floats(0.01, 0.99),
)
def test_chernoff_bound_is_one(links, least, chance) -> None:
    bound, exact = chernoff_tail(links, chance, least), binomial_tail(links, chance, least)
    assert 0.0 <= bound <= exact * (1 + 1e-9) + 1e-15


@given(
    st.floats(1e3, 1e11),
    st.floats(0.0, 1.0),
    st.floats(1.0, 80.0),
    st.integers(1, 99),
)
def test_skill_probability_falls_with_level_and_links_needed(
    concepts, chance, links, level
) -> None:
    few, many = SkillGraph(required_links=links), SkillGraph(required_links=links + 1)
    here, above = few.skill_probability(np.array([level, level + 1]), concepts, chance)
    assert 0.0 <= above <= here + 1e-12
    assert here <= 1.0
    assert many.skill_probability(level, concepts, chance) <= here + 1e-12
    assert few.skill_probability(level, concepts * 1.1, chance) >= here - 1e-12
    assert few.skill_probability(level, concepts, min(chance * 1.1, 1.0)) >= here - 1e-12


@given(st.one_of(st.floats(0.0, 1e4), st.floats(1e-12, 1.0).map(lambda d: 1.0 + d)))
def test_giant_component_solves_its_equation(mean_degree) -> None:
    inside = float(giant_component_fraction(mean_degree))
    outside = float(giant_component_fraction(mean_degree, complement=True))
    assert inside + outside == pytest.approx(1.0, abs=4e-16)
    if mean_degree <= 1.0:
        assert inside == 0.0
        return
    assume(mean_degree < 700.0)
    with mpmath.workdps(60):
        a = mpmath.mpf(mean_degree)
        g = 1 + mpmath.lambertw(-a * mpmath.exp(-a)).real / a
        assert inside == pytest.approx(float(g), rel=1e-13)
        # the logarithm of what is outside is the mean degree: a relative error becomes absolute
        assert outside == pytest.approx(float(1 - g), rel=1e-15 * max(mean_degree, 10.0))


@given(st.integers(1, 100), st.integers(0, 10**6), st.integers(1, 100))
def test_skills_at_other_levels(level, skills, other) -> None:
    assert skills_at_level(level, skills, level, 100) == skills
    found = skills_at_level(level, skills, other, 100)
    with mpmath.workdps(50):
        product = mpmath.mpf(1)
        for k in range(min(level, other) + 1, max(level, other) + 1):
            product *= mpmath.log(k) / 2
        exact = skills * product if other < level else skills / product
        ceiling = mpmath.ceil(exact)
        if abs(exact - mpmath.nint(exact)) < 1e-11 * exact:
            return
        assert found == pytest.approx(float(ceiling), rel=2e-12, abs=0.5 if ceiling < 1e9 else 0)


@given(
    st.floats(1e22, 1e27),
    st.floats(1.0, 4.0),
    st.integers(1, 100),
    st.integers(0, 40),
    st.integers(0, 5000),
    st.integers(0, 5000),
)
def test_success_rises_with_training_and_steps(flop, more, level, skills, steps, extra) -> None:
    graph = SkillGraph()
    concepts = graph.concepts(graph.allocation(np.array([flop, flop * more]))[0])
    learned = graph.composability(concepts, graph.concept_probability(concepts))
    less, well = graph.success(level, skills, steps, learned).success
    assert 0.0 <= less <= well + 1e-12
    assert well <= 1.0
    longer = graph.success(level, skills, steps + extra, learned).success
    assert np.all(longer >= np.array([less, well]) - 1e-12)


def tail(trials, chance, least):
    """Chance of at least so many successes, term by term."""
    term = (1 - chance) ** trials
    missed = mpmath.mpf(0)
    for k in range(least):
        missed += term
        term *= (trials - k) * chance / ((k + 1) * (1 - chance))
    return 1 - missed


def test_success_by_brute_force() -> None:
    """Every level in a loop, with fifty digits, for a model at the edge of a level."""
    graph = SkillGraph()
    concepts = graph.concepts(graph.allocation(CLAUDE)[0])
    learned = graph.composability(concepts, 1.0)
    with mpmath.workdps(60):
        gamma, size = mpmath.mpf(1), mpmath.mpf(float(concepts))
        members, chances = [], []
        for level in range(1, 101):
            p = tail(size, mpmath.exp(-mpmath.mpf(level) / 10) / 10**4, 52)
            a = p**2 * gamma ** mpmath.log(level) * 10**4
            gamma = 1 + mpmath.lambertw(-a * mpmath.exp(-a)).real / a if a > 1 else mpmath.mpf(0)
            members.append(gamma)
            chances.append(p)
        for level, skills, steps in ((60, 15, 160), (66, 3, 400), (68, 2, 800), (70, 2, 100)):
            best, at = mpmath.mpf(0), 0
            for other in range(1, 101):
                m = int(min(skills_at_level(level, skills, other, 100), 10**6))
                if m > steps:
                    continue
                relevant = mpmath.ceil(m * 6)
                r = (mpmath.mpf(1) / 2 + mpmath.mpf(1) / 2 / relevant) * chances[other - 1]
                psi = tail(steps, r, m) * members[other - 1] ** m
                if psi > best:
                    best, at = psi, other
            found = graph.success(level, skills, steps, learned)
            assert float(found.success) == pytest.approx(float(best), rel=1e-11)
            assert found.level == at


def test_published_table_of_accuracies() -> None:
    """Accuracy by token budget of DS3's Claude fit: what the corrected equations give."""
    graph, (level, skills) = SkillGraph(), aime()
    concepts = graph.concepts(graph.allocation(CLAUDE)[0])
    steps = np.array([2, 4, 8, 16, 32, 64, 128]) * 1000 // 25
    table = {
        "chernoff": [0.169, 0.257, 0.344, 0.429, 0.513, 0.598, 0.688],
        "exact": [0.189, 0.273, 0.358, 0.444, 0.530, 0.616, 0.699],
    }
    for mode, expected in table.items():
        learned = graph.composability(concepts, graph.concept_probability(concepts), mode)
        found = graph.mean_success(level, skills, 1.0, steps, learned)
        assert found.round(3).tolist() == expected, mode


def test_learned_level_rises_by_five_per_e_fold_of_training() -> None:
    """Links per skill fall by e in ten levels and rise as the square root of training compute."""
    graph = SkillGraph()
    concepts = graph.concepts(graph.allocation(np.array([1e25, 1e25 * np.exp(2.0)]))[0])
    first, second = graph.learned_level(graph.composability(concepts, 1.0))
    assert second - first == 10


def test_edges_of_learning() -> None:
    graph = SkillGraph()
    nothing = graph.composability(1e8, 0.0)
    assert not nothing.giant_component.any()
    assert graph.learned_level(nothing) == 0
    assert graph.success(60, [0, 2], 1000, nothing).success.tolist() == [1.0, 0.0]
    assert graph.success(60, 2, 1000, nothing).level == 0
    everything = graph.composability(1e30, 1.0)
    assert np.all(everything.giant_component == 1.0)
    assert np.all(everything.outside < 1e-300)
    # too few steps for the fewest skills that any level asks for
    assert graph.success(100, 15, 14, everything).success == 0.0
    undertrained = graph.concept_probability(1e8, np.array([1e-6, 18.0]))
    assert undertrained[0] == pytest.approx(0.0, abs=1e-6)
    assert undertrained[1] == pytest.approx(1 - stalled_share(27.0, 6.0), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: g.skill_probability(0, 1e8, 1.0), "levels must be in"),
        (lambda g: g.skill_probability(101, 1e8, 1.0), "levels must be in"),
        (lambda g: g.link_mean(60.5, 1e8), "levels must be whole"),
        (lambda g: g.skills_at(60, 2, 101), "reasoning_level must be in"),
        (lambda g: g.concept_probability(1e8, mode="de"), "mode must be one of"),
        (lambda g: g.skill_probability(60, 1e8, 1.0, "bound"), "mode must be one of"),
        (lambda g: g.skill_probability(60, 1e8, 1.5), "concept_probability must be in"),
        (lambda g: g.success(60, -1, 10, g.composability(1e8, 1.0)), "skills must be in"),
        (lambda _: SkillGraph(text_degree=2.7), "text_degree must be in"),
        (lambda _: SkillGraph(levels=0), "levels must be in"),
        (lambda _: SkillGraph(degree_failure=0.0), "degree_failure must be in"),
        (lambda _: SkillGraph(required_links=0.0), "required_links must be in"),
    ],
)
def test_refuses_what_is_out_of_range(call, words) -> None:
    with pytest.raises(ValueError, match=words):
        call(SkillGraph())


@given(st.floats(1e-6, 1.0))
def test_best_depth_beats_its_neighbours(r) -> None:
    least, most = (int(t) for t in depth.steepest_steps(r))
    best = depth.largest_amplification(r)
    around = np.arange(max(least - 2, 1), most + 4)
    assert best >= depth.depth_amplification(around, r).max() * (1 - 1e-11)
    assert depth.theorem_amplification(r) <= best * (1 + 1e-12)
    assert best <= depth.continuous_steepest_steps(r)[1] * (1 + 1e-12)
    assert best <= 1.0345 * depth.theorem_amplification(r)


@pytest.mark.parametrize("count", [2, 3, 5, 7, 10, 49, 1000, 10**6])
def test_whole_inverses_tie(count) -> None:
    least, most = depth.steepest_steps(1 / count)
    assert (least, most) == (count - 1, count)
    ends = depth.depth_amplification(np.array([least, most]), 1 / count)
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)
