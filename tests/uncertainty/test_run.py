"""Draws solved on processors: the same whatever their number, and whatever is known already."""

from __future__ import annotations

import pytest

from ds3opt.io.draw_journal import DrawJournal, journal_for
from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solve import solve
from ds3opt.uncertainty.draws import sample
from ds3opt.uncertainty.outcome import outcomes_of
from ds3opt.uncertainty.run import block_size, solve_draws
from ds3opt.uncertainty.study import study

SETTINGS = [
    "workload.mix=[{name: only, share: 1, difficulty: {value: 2.5, interval: [2.4, 2.6]}, "
    "skills: 3, verifier: {kind: outcome}}]",
    "reasoning.policies=[chain_of_thought, best_of_n: {samples: [2, 4]}]",
    "limits.total_flop=1e20",
]


@pytest.fixture(scope="module")
def case():
    scenario = load_scenario("quickstart", SETTINGS).scenario
    return scenario, sample(scenario, 36, 7), solve(scenario, frontier=False, details=False)


@pytest.fixture(scope="module")
def outcomes(case):
    return solve_draws(*case, workers=1)


def test_every_draw_once_and_in_order(case, outcomes):
    assert [one.index for one in outcomes] == list(range(36))
    assert all(one.status == "optimal" for one in outcomes)


def test_the_same_whatever_the_number_of_processes(case, outcomes):
    assert solve_draws(*case, workers=2) == outcomes


def test_what_is_known_is_not_solved_again(case, outcomes):
    size = block_size(case[0])
    known = {one.index: one for one in outcomes[:size]}
    solved: list[int] = []
    again = solve_draws(
        *case,
        workers=1,
        known=known,
        keep=lambda block: solved.extend(one.index for one in block),
    )
    assert again == outcomes
    assert solved == list(range(size, 36))


def test_side_by_side_is_as_one_by_one(case, outcomes):
    from ds3opt.uncertainty.draws import drawn

    scenario, drawn_sample, point = case
    for index in (0, 33):
        (alone,) = outcomes_of([(index, drawn(scenario, drawn_sample, index))], point)
        together = outcomes[index]
        assert alone.amounts == pytest.approx(together.amounts, rel=1e-6)
        assert alone.kept == pytest.approx(together.kept, abs=1e-9)


def test_keeping_the_point_model_never_beats_the_optimum(outcomes):
    for one in outcomes:
        assert one.kept is not None
        assert one.kept <= one.amounts["objective"]


def test_the_journal_gives_back_what_it_keeps(tmp_path, outcomes):
    journal = journal_for("a", "b", folder=tmp_path)
    journal.keep(outcomes[:3])
    journal.close()
    assert DrawJournal(journal.path).known() == {one.index: one for one in outcomes[:3]}
    assert journal_for("a", "c", folder=tmp_path).known() == {}


def test_a_journal_cut_short_keeps_its_whole_lines(tmp_path, outcomes):
    journal = journal_for("a", folder=tmp_path)
    journal.keep(outcomes[:2])
    journal.close()
    text = journal.path.read_text()
    journal.path.write_text(text[:-40])
    again = journal_for("a", folder=tmp_path)
    assert set(again.known()) == {0}
    again.keep(outcomes[1:3])
    again.close()
    assert set(again.known()) == {0, 1, 2}
    again.forget()
    assert not again.path.exists()


def test_a_journal_that_cannot_be_written_is_done_without(tmp_path, outcomes):
    blocked = tmp_path / "file"
    blocked.write_text("")
    journal = journal_for("a", folder=blocked / "folder")
    journal.keep(outcomes[:1])
    assert journal.broken
    assert journal.known() == {}
    journal.forget()


def test_policies_whose_numbers_are_drawn_keep_their_names():
    policies = "[chain_of_thought, weighted_vote: {samples: [3, 5], weight_ratio: %s}]"
    mix = (
        "[{name: a, share: 1, difficulty: 2.6, skills: 4, fatigue: 10%, "
        "verifier: {kind: outcome}, wrong_answers: {count: 5}}]"
    )
    settings = [
        f"workload.mix={mix}",
        "reasoning.policies=" + policies % "{value: 1.5, interval: [1.2, 2]}",
        "limits.total_flop=1e21",
    ]
    found = study(load_scenario("quickstart", settings).scenario, 4, 0, frontier=False, workers=1)
    (only,) = found.spreads.classes
    assert {one.policy for one in only.policies} == {
        "chain of thought",
        "weighted vote of 3, weight ratio 1.5",
        "weighted vote of 5, weight ratio 1.5",
    }
    assert sum(one.best for one in only.policies) == pytest.approx(1.0)
    # one plan cannot be carried over, and the report says so instead of ending
    assert found.plan is None
    assert "numbers of policies" in found.left_out[0]
