import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ds3opt.laws import voting

SPLITS = [
    [Fraction(1)],
    [Fraction(1, 2), Fraction(1, 2)],
    [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)],
    [Fraction(2, 5), Fraction(1, 5)],  # two fifths abstain
]
shares = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6).map(
    lambda raw: [share / sum(raw) for share in raw]
)
unit = st.floats(0.0, 1.0)


def test_reference_values(shared, oracle):
    error = oracle("exact").relative_error
    for case in json.loads(shared("reference/policies.json").read_text())["cases"]:
        given = case["inputs"]
        if case["fn"] not in ("psi_mv", "psi_mv_beta"):
            continue
        split = voting.truncated_geometric_shares(given["lam"], given["J"])
        if case["fn"] == "psi_mv":
            with np.errstate(all="raise"):
                value = voting.majority_vote_success(given["psi"], given["k"], split)
            assert error(value, case["expected"]) < 1e-13, case["id"]
        else:  # DS3 eq. (61): binomial weights averaged over a Beta population
            k, a, b = given["k"], given["alpha"], given["beta"]
            votes = np.arange(k + 1)
            weights = special.binom(k, votes) * np.exp(
                special.betaln(a + votes, b + k - votes) - special.betaln(a, b)
            )
            value = given["A"] * weights @ voting.majority_vote_weights(k, split)
            assert error(value, case["expected"]) < 1e-12, case["id"]


@pytest.mark.parametrize("split", SPLITS, ids=str)
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 7, 10])
def test_every_outcome_counted(oracle, split, samples):
    exact = oracle("enumeration").majority_vote
    for psi in (Fraction(1, 10), Fraction(1, 3), Fraction(9, 10)):
        got = voting.majority_vote_success(float(psi), samples, [float(c) for c in split])
        assert got == pytest.approx(float(exact(psi, samples, split)), rel=1e-14)


@pytest.mark.parametrize("split", SPLITS, ids=str)
@pytest.mark.parametrize("ratio", [Fraction(1, 2), Fraction(3, 2), Fraction(13, 10), Fraction(4)])
@pytest.mark.parametrize("samples", [1, 2, 5, 9])
def test_every_outcome_of_a_weighted_vote_counted(oracle, split, ratio, samples):
    exact = oracle("enumeration").majority_vote
    floats = [float(c) for c in split]
    for psi in (Fraction(1, 10), Fraction(1, 3), Fraction(9, 10)):
        got = voting.weighted_vote_success(float(psi), samples, floats, float(ratio))
        assert got == pytest.approx(float(exact(psi, samples, split, ratio)), rel=1e-13)


@given(psi=unit, samples=st.integers(1, 40), split=shares, ratio=st.floats(0.1, 20.0))
def test_weighted_votes(psi, samples, split, ratio):
    with np.errstate(all="raise"):
        value = voting.weighted_vote_success(psi, samples, split, ratio)
        weights = voting.weighted_vote_weights(samples, split, ratio)
    assert np.all(np.diff(weights) >= -1e-13)
    assert 0.0 <= value <= 1.0
    heavier = voting.weighted_vote_success(psi, samples, split, ratio * 1.3)
    assert heavier >= value - 1e-13
    # votes of equal weight are a majority vote, to the last digit
    equal = voting.weighted_vote_success(psi, samples, split, 1.0)
    assert equal == voting.majority_vote_success(psi, samples, split)
    # one right vote that outweighs all others is coverage
    for most in (samples + 0.5, np.inf):
        covered = voting.weighted_vote_success(psi, samples, split, most)
        assert covered == pytest.approx(-np.expm1(samples * np.log1p(-min(psi, 1 - 1e-16))), 1e-9)


def test_products_that_round_still_tie():
    """1.1 times 10 votes is 11.000000000000002: level with 11 wrong ones."""
    weights = voting.weighted_vote_weights(21, [1.0], 1.1)
    assert weights[10] == pytest.approx(0.5)


@settings(max_examples=15)
@given(split=shares, ratio=st.sampled_from([0.7, 1.0, 1.5]), most=st.integers(1, 40))
def test_votes_of_every_number_at_once(split, ratio, most):
    together = voting.vote_weights_up_to(most, split, ratio)
    assert [w.size for w in together] == list(range(2, most + 2))
    for weights in together:
        alone = voting.weighted_vote_weights(weights.size - 1, split, ratio)
        assert weights == pytest.approx(alone, rel=1e-12, abs=1e-300)


def test_abstaining_votes_of_every_number_at_once():
    together = voting.vote_weights_up_to(30, [0.4, 0.2])
    assert together[28] == pytest.approx(voting.majority_vote_weights(29, [0.4, 0.2]), rel=1e-12)
    with pytest.raises(ValueError, match="600"):
        voting.vote_weights_up_to(601, [1.0])


@pytest.mark.parametrize("ratio", [0.0, -1.0, np.nan])
def test_weights_that_are_none_are_refused(ratio):
    with pytest.raises(ValueError, match="weight_ratio"):
        voting.weighted_vote_success(0.5, 3, [1.0], ratio)


def test_top_shares_meet_the_reference(shared):
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        x, wanted = case["inputs"], case["expected"]
        if case["fn"] == "c1_of_lambda":
            value = voting.truncated_geometric_shares(x["lam"], x["n_wrong"])[0]
        elif case["fn"] == "lambda_of_c1":
            value = voting.decay_of_top_share(x["c1"], x["n_wrong"])
        elif case["fn"] == "c1_from_pinf":
            value = voting.top_share_from_plateau(x["P"], x["alpha"], x["beta"], x["A"])
        elif case["fn"] == "mv_binary":
            value = voting.majority_vote_success(x["psi"], x["k"], [1.0])
        elif case["fn"] == "bon_binary_verifier":
            value = voting.verified_choice_success(x["psi"], x["k"], x["tpr"], x["fpr"])
        else:
            continue
        assert value == pytest.approx(wanted, rel=max(case["rtol"], 1e-13)), case


def test_simulated_votes(oracle):
    split = [0.5, 0.3, 0.2]
    won = oracle("simulation").votes(0.3, 15, split)
    value = voting.majority_vote_success(0.3, 15, split)
    assert abs(won.mean() - value) < 4.5 * won.std() / np.sqrt(won.size)


@given(psi=unit, samples=st.integers(1, 30), split=shares)
def test_identities(psi, samples, split):
    with np.errstate(all="raise"):
        value = voting.majority_vote_success(psi, samples, split)
        weights = voting.majority_vote_weights(samples, split)
    assert 0.0 <= value <= 1.0
    assert np.all(np.diff(weights) >= -1e-13)
    assert voting.majority_vote_success(psi, 1, split) == pytest.approx(psi, rel=1e-13)
    assert voting.majority_vote_success(psi, 2, split) == pytest.approx(psi, rel=1e-13)
    binary = voting.majority_vote_success(psi, 2 * samples, [1.0])
    assert binary == pytest.approx(
        float(voting.majority_vote_success(psi, 2 * samples - 1, [1.0])), rel=1e-12
    )
    wrong = len(split)
    fair = voting.majority_vote_success(1 / (wrong + 1), samples, [1 / wrong] * wrong)
    assert fair == pytest.approx(1 / (wrong + 1), rel=1e-12)
    assert voting.majority_vote_success(min(1.0, psi + 0.05), samples, split) >= value - 1e-13
    # Votes that abstain instead of gathering on a wrong answer cannot hurt.
    halved = [share / 2 for share in split]
    assert voting.majority_vote_success(psi, samples, halved) >= value - 1e-13


def test_odd_binary_vote_is_a_binomial_tail():
    for samples in (101, 1001):
        psi = np.array([0.2, 0.5, 0.55, 0.9])
        tail = special.betainc((samples + 1) / 2, (samples + 1) / 2, psi)
        got = voting.majority_vote_success(psi, samples, [1.0])
        assert got == pytest.approx(tail, rel=2e-12)


def test_many_votes():
    split = voting.truncated_geometric_shares(0.752, 9)
    top = split[0] / (1 + split[0])  # psi = (1 - psi) c_1
    value = voting.majority_vote_success([0.0, top - 0.1, top + 0.1, 1.0], 300, split)
    assert value[0] == 0.0
    assert value[1] < 1e-3
    assert value[2] > 0.999
    assert value[3] == 1.0
    # The two ways to sum the same terms.
    psi = np.linspace(0.0, 1.0, 41)
    weights = voting.majority_vote_weights(300, split)
    assert voting.majority_vote_success(psi, 300, split) == pytest.approx(
        voting._by_masses(psi, weights), rel=1e-12
    )


def test_weights_are_kept_and_protected():
    weights = voting.majority_vote_weights(9, [0.5, 0.5])
    assert voting.majority_vote_weights(9, (0.5, 0.5)) is weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0] = 1.0


def test_vote_broadcasting():
    grid = voting.majority_vote_success(np.linspace(0, 1, 6).reshape(2, 3), 5, [0.6, 0.4])
    assert grid.shape == (2, 3)
    assert grid[0, 1] == voting.majority_vote_success(0.2, 5, [0.6, 0.4])
    assert np.ndim(voting.majority_vote_success(0.2, 5, [0.6, 0.4])) == 0


@given(decay=unit, wrong=st.integers(1, 12))
def test_geometric_shares(decay, wrong):
    with np.errstate(all="raise"):
        split = voting.truncated_geometric_shares(decay, wrong)
    assert split.sum() == pytest.approx(1.0, rel=1e-14)
    assert np.all(split[1:] == pytest.approx(split[:-1] * decay, abs=1e-15))
    if decay < 0.9:
        assert split[0] == pytest.approx((1 - decay) / (1 - decay**wrong), rel=1e-13)


def test_geometric_shares_broadcast():
    assert voting.truncated_geometric_shares([[0.0, 1.0]], 4).tolist() == [
        [[1.0, 0.0, 0.0, 0.0], [0.25] * 4]
    ]


@given(
    decay=st.floats(0.0, 1.0),
    alpha=st.floats(0.2, 3.0),
    beta=st.floats(0.3, 3.0),
    solvable=st.floats(0.2, 1.0),
    wrong=st.integers(2, 9),
)
def test_decay_from_plateau_inverts(decay, alpha, beta, solvable, wrong):
    top = voting.truncated_geometric_shares(decay, wrong)[0]
    plateau = solvable * special.betaincc(alpha, beta, top / (1 + top))
    with np.errstate(all="raise"):
        back = voting.decay_from_plateau(plateau, alpha, beta, solvable, wrong)
    assert voting.truncated_geometric_shares(back, wrong)[0] == pytest.approx(top, rel=1e-9)


@given(
    psi=st.one_of(unit, st.floats(1e-300, 1e-6)),
    samples=st.integers(1, 2000),
    t=unit,
    f=unit,
)
def test_verified_choice_bounds(psi, samples, t, f):
    with np.errstate(all="raise"):
        value = voting.verified_choice_success(psi, samples, t, f)
        oracle_verifier = voting.verified_choice_success(psi, samples)
        blind = voting.verified_choice_success(psi, samples, t, t)
        more = voting.verified_choice_success(psi, samples + 1, t, f)
    assert 0.0 <= value <= 1.0
    assert oracle_verifier == pytest.approx(
        -np.expm1(samples * np.log1p(-min(psi, 1 - 1e-16))), rel=1e-13
    )
    assert blind == pytest.approx(psi, rel=1e-12)
    if t >= f:
        assert value >= psi * (1 - 1e-12)
        assert more >= value * (1 - 1e-12)
        assert value <= oracle_verifier * (1 + 1e-12)
    else:
        assert value <= psi * (1 + 1e-12)


def test_verified_choice_by_enumeration(oracle):
    exact = oracle("enumeration").verified_choice
    for psi in (Fraction(1, 10), Fraction(2, 3), Fraction(1)):
        for t, f in ((1, 0), (Fraction(9, 10), Fraction(1, 5)), (0, 1), (0, 0), (1, 1)):
            for samples in (1, 2, 5):
                got = voting.verified_choice_success(float(psi), samples, float(t), float(f))
                want = exact(psi, samples, Fraction(t), Fraction(f))
                assert got == pytest.approx(float(want), rel=1e-14, abs=1e-16)


def test_verified_choice_by_simulation(oracle):
    correct = oracle("simulation").verified_choices(0.2, 6, 0.8, 0.3)
    value = voting.verified_choice_success(0.2, 6, 0.8, 0.3)
    assert abs(correct.mean() - value) < 4.5 * correct.std() / np.sqrt(correct.size)


def test_verified_choice_saturates_and_broadcasts():
    psi = np.array([0.1, 0.5])[:, np.newaxis]
    value = voting.verified_choice_success(psi, [1, 10**9], 0.9, 0.2)
    assert value.shape == (2, 2)
    assert value[:, :1] == pytest.approx(psi, rel=1e-15)
    assert value[:, 1:] == pytest.approx(0.9 * psi / (0.9 * psi + 0.2 * (1 - psi)), rel=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: voting.majority_vote_success(1.5, 3, [1.0]), r"success must be in \[0, 1\]"),
        (lambda: voting.majority_vote_success(0.5, 0, [1.0]), "samples must be a whole number"),
        (lambda: voting.majority_vote_success(0.5, 2.5, [1.0]), r"whole number >= 1, got 2.5"),
        (lambda: voting.majority_vote_success(0.5, 3, [0.7, 0.7]), r"sum of .* got 1.4"),
        (lambda: voting.truncated_geometric_shares(0.5, 0), "wrong_answers must be a whole"),
        (lambda: voting.decay_from_plateau(0.9, 1, 1, 0.8, 9), r"plateau must be in \(0, solv"),
        (lambda: voting.decay_from_plateau(0.2, 1, 1, 1, 9), r"must be in \[1/9, 1\]"),
        (lambda: voting.decay_from_plateau(0.99, 1, 1, 1, 9), r"must be in \[1/9, 1\]"),
        (lambda: voting.verified_choice_success(0.5, 2, 1.1), "true_positive_rate must be in"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
