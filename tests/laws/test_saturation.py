"""Plateaus of votes against votes themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ds3opt.laws.coverage import beta_binomial_masses, beta_majority_vote
from ds3opt.laws.saturation import vote_limit, vote_plateau, vote_threshold, votes_to_plateau
from ds3opt.laws.voting import truncated_geometric_shares, weighted_vote_success


def test_reference_values(shared) -> None:
    found = 0
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        x = case["inputs"]
        if case["fn"] == "p_inf":
            top, ratio = truncated_geometric_shares(x["lam"], x["n_wrong"])[0], 1.0
        elif case["fn"] == "p_inf_weighted":
            top, ratio = x["c1"], x["gamma"] * x["rho"]
        else:
            continue
        found += 1
        value = vote_plateau(x["alpha"], x["beta"], x["A"], top, ratio)
        assert value == pytest.approx(case["expected"], rel=case["rtol"])
    assert found == 2


@pytest.mark.parametrize("ratio", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("split", [[1.0], [0.5, 0.3, 0.2], [0.4, 0.1]])
def test_many_votes_go_where_the_limit_says(split: list[float], ratio: float) -> None:
    top = float(vote_threshold(split[0], ratio))
    psi = np.array([0.0, 0.5 * top, min(1.0, top + 0.2), 1.0])
    # 2001 votes: the margin is many standard deviations
    many = weighted_vote_success(psi, 501, split, ratio)
    assert many == pytest.approx(vote_limit(psi, split, ratio), abs=0.01)


def test_level_answers_are_drawn() -> None:
    assert vote_limit(0.25, [1 / 3, 1 / 3, 1 / 3]) == pytest.approx(0.25)
    assert weighted_vote_success(0.25, 300, [1 / 3, 1 / 3, 1 / 3]) == pytest.approx(0.25)
    assert vote_limit(0.0, [1.0]) == 0.0
    assert vote_limit(0.0, []) == 0.0


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.05, 1), st.floats(0.2, 4))
def test_plateau_is_the_mean_of_the_limit(alpha, beta, part, ratio) -> None:
    """By the distribution function on a fine grid, not by the closed form."""
    edges = np.linspace(0.0, 1.0, 20001)
    mass = np.diff(special.betainc(alpha, beta, edges))
    won = vote_limit(0.5 * (edges[1:] + edges[:-1]), [0.5, 0.5], ratio)
    crossing = np.max(mass[1:-1]) + 1e-12  # the threshold lies inside one cell
    if 0.001 < vote_threshold(0.5, ratio) < 0.999:
        assert vote_plateau(alpha, beta, part, 0.5, ratio) == pytest.approx(
            part * float(mass @ won), abs=float(crossing)
        )


def test_votes_to_a_plateau_are_found_by_looking_at_all() -> None:
    split = truncated_geometric_shares(0.752, 9)
    plateau = float(vote_plateau(0.3205, 0.981, 1.0, split[0]))
    votes, curve = votes_to_plateau(
        lambda k: beta_binomial_masses(0.3205, 0.981, k), plateau, split
    )
    assert votes is not None
    direct = [
        float(beta_majority_vote(0.3205, 0.981, 1.0, k, split))
        for k in (*range(1, 40), votes - 1, votes)
    ]
    assert [*curve[:39], curve[votes - 2], curve[votes - 1]] == pytest.approx(direct, rel=1e-10)
    assert abs(direct[-1] - plateau) <= 0.01 * plateau
    assert abs(direct[-2] - plateau) > 0.01 * plateau


def test_a_vote_may_fall_to_its_plateau() -> None:
    """Problems solved in 0.3 of traces against one wrong answer: more votes, fewer wins."""
    masses = lambda k: beta_binomial_masses(30.0, 70.0, k)  # noqa: E731
    plateau = float(vote_plateau(30.0, 70.0, 1.0, 1.0))
    votes, curve = votes_to_plateau(masses, plateau, [1.0])
    assert plateau < 1e-4
    assert votes is None
    assert curve.size == 512
    assert np.all(np.diff(curve[::2]) < 0.0)


@pytest.mark.parametrize(("name", "values"), [("top_share", (1.2, 1)), ("weight_ratio", (0.5, 0))])
def test_what_is_no_vote_is_refused(name: str, values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=name):
        vote_threshold(*values)
