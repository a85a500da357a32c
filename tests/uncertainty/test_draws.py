"""Drawing scenarios: the same draws for the same seed, jointly where data say so."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from ds3opt.errors import ScenarioError, UsageError
from ds3opt.io.loader import load_scenario
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario
from ds3opt.schema.fitted import parsed_draws
from ds3opt.uncertainty.draws import _dealt as dealt
from ds3opt.uncertainty.draws import _uniform as uniform
from ds3opt.uncertainty.draws import constants, drawn, numeric_keys, replaced, sample

FITTING = Path(__file__).resolve().parents[2] / "docs" / "fitting"
SETTINGS = (
    "model.capability.slope={value: 5, interval: [4, 6.5]}",
    "workload.mix[0].difficulty={value: 2.75, standard_error: 0.05}",
    "workload.mix[1].skills={value: 6, interval: [4, 9]}",
    "workload.mix[1].fatigue={interval: [5%, 20%], level: 0.8}",
    "reasoning.tokens_per_step={distribution: triangular, from: 20, to: 40, value: 25}",
    "limits.total_flop={distribution: uniform, from: 4e21, to: 6 ZFLOP}",
)


def loaded(*settings: str, path: str = "quickstart", folder: Path | None = None) -> Scenario:
    folders = () if folder is None else (folder,)
    return load_scenario(path, settings, folders=folders).scenario


def test_the_point_stands_in_the_scenario() -> None:
    found = loaded(*SETTINGS)
    assert found.model.capability.slope == 5.0
    assert found.workload.mix is not None
    assert found.workload.mix[1].fatigue == pytest.approx(
        0.5 / (0.5 + (4 * 19) ** 0.5 / 2), rel=1e-9
    )
    assert found.limits.total_flop == 5e21
    assert loaded().uncertain == ()
    point = replaced(found, {})
    assert point.uncertain == ()
    assert constants(point) == ()


def test_constants_say_what_they_are() -> None:
    found = {one.path: one for one in constants(loaded(*SETTINGS))}
    assert len(found) == len(SETTINGS)
    skills = found["workload.mix[1].skills"]
    assert (skills.label, skills.value, skills.group) == ("bug fix: skills", 6.0, skills.path)
    assert found["model.capability.slope"].source == "95 % interval, lognormal"
    assert found["reasoning.tokens_per_step"].dimension == "tokens"
    assert found["limits.total_flop"].label == "limit on total FLOP"


QUANTILES = np.array([0.025, 0.1, 0.5, 0.9, 0.975])


def test_drawn_quantiles_are_the_given_ones() -> None:
    draws = 20_000
    found = sample(loaded(*SETTINGS), draws, seed=3)
    column = {one.path: found.values[:, i] for i, one in enumerate(found.constants)}
    given: dict[str, list[tuple[float, float]]] = {
        "model.capability.slope": [(4.0, 0.025), (5.0, 0.5), (6.5, 0.975)],
        "workload.mix[0].difficulty": [(2.75 + 0.05 * z, float(ndtr(z))) for z in (-1, 0, 1, 2)],
        "workload.mix[1].fatigue": [(0.05, 0.1), (0.2, 0.9)],
        "reasoning.tokens_per_step": [(25.0, 0.25), (30.0, 1 - 1 / 3)],
        "limits.total_flop": [(4.5e21, 0.25)],
    }
    for path, known in given.items():
        for value, probability in known:
            share = np.mean(column[path] < value)
            # five standard deviations of a share among so many
            error = 5 * np.sqrt(probability * (1 - probability) / draws)
            assert abs(share - probability) < error, (path, value)
    assert set(np.unique(column["workload.mix[1].skills"])) <= set(range(2, 19))


@given(st.integers(0, 300), st.integers(0, 300), st.integers(-5, 2**70))
def test_more_draws_keep_the_first_ones(few, more, seed) -> None:
    scenario = _SMALL
    short, long = sorted((few, more))
    kept = sample(scenario, long, seed).values[:short]
    assert sample(scenario, short, seed).values.tobytes() == kept.tobytes()


def test_a_constant_draws_the_same_whatever_else_is_uncertain() -> None:
    alone = sample(loaded(SETTINGS[0]), 50, 1)
    among = sample(loaded(*SETTINGS), 50, 1)
    at = [one.path for one in among.constants].index(alone.constants[0].path)
    assert among.values[:, at].tobytes() == alone.values[:, 0].tobytes()


def test_the_random_words_are_those_of_every_machine() -> None:
    words = uniform(1000, 7, "model.capability.slope").tobytes()
    rows = dealt(37, 1000, 7, "table").astype(np.int64).tobytes()
    assert hashlib.sha256(words).hexdigest() == WORDS
    assert hashlib.sha256(rows).hexdigest() == ROWS


WORDS = "d6aa74246c8a2bc23b31aed3503beb95bb4aa795ed151e7b5a30e5240c3b5a69"
ROWS = "8c845183969b7b846260387ec74bc5cb9fbbca65f86126ac2e5cd5d0c26a31c7"


def test_listed_draws_are_dealt_like_cards() -> None:
    rows = dealt(10, 35, 0, "x")
    for first in (0, 10, 20):
        assert sorted(rows[first : first + 10]) == list(range(10))
    assert len(set(rows[30:].tolist())) == 5
    assert rows[:10].tolist() != rows[10:20].tolist()


def test_draws_of_one_name_belong_together() -> None:
    found = loaded(
        "model.capability.slope={draws: [4, 5, 6], joint: fit}",
        "workload.mix[0].difficulty={draws: [2.7, 2.8, 2.9], joint: fit}",
        "workload.mix[1].difficulty={draws: [2.4, 2.5, 2.6]}",
    )
    values = sample(found, 300, 0).values
    by = {one.path: values[:, i] for i, one in enumerate(constants(found))}
    slope = by["model.capability.slope"]
    np.testing.assert_allclose(by["workload.mix[0].difficulty"], 2.7 + 0.1 * (slope - 4))
    other = by["workload.mix[1].difficulty"]
    # 100 hands of three cards: independent hands agree by chance only
    assert abs(np.corrcoef(slope, other)[0, 1]) < 5 / np.sqrt(100)


def test_columns_of_one_file_belong_together(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("slope,difficulty\n4,2.7\n5,2.8\n6,2.9\n", encoding="utf-8")
    found = loaded(
        "model.capability.slope={draws: d.csv#slope}",
        "workload.mix[0].difficulty={draws: d.csv#difficulty, value: 2.75}",
        folder=tmp_path,
    )
    assert {one.group for one in constants(found)} == {"draws of d.csv"}
    assert [one.value for one in constants(found)] == [2.75, 5.0]
    values = sample(found, 10, 0).values
    np.testing.assert_allclose(values[:, 0], 2.7 + 0.1 * (values[:, 1] - 4))


def law(**more: Any) -> Scenario:
    return loaded(f"model.loss_law={FITTING / 'ours.yaml'}", **more)


def test_constants_of_a_fitted_law_are_drawn_jointly() -> None:
    found = law()
    table = yaml.safe_load((FITTING / "ours.yaml").read_text(encoding="utf-8"))["draws"]
    names, rows = parsed_draws(table)
    told = constants(found)
    assert [one.path for one in told] == [f"model.loss_law.{name}" for name in names]
    assert len({one.group for one in told}) == 1
    drawn_rows = sample(found, len(rows), 0).values
    order = np.lexsort(rows.T), np.lexsort(drawn_rows.T)
    np.testing.assert_array_equal(rows[order[0]], drawn_rows[order[1]])
    # with as many draws as rows, all moments are the table's, correlations too
    one = drawn(found, sample(found, 5, 0), 4)
    assert not isinstance(one.model.loss_law, str)
    assert one.model.loss_law.irreducible == sample(found, 5, 0).values[4, 0]
    assert one.model.loss_law.draws == ""


def test_constants_of_parts_of_a_law_are_drawn_with_it() -> None:
    names = "irreducible parameter_coefficient data_coefficient parameter_exponent data_exponent"
    rows = "1.7 400 2000 0.34 0.36 15 5\\n1.8 400 2000 0.34 0.37 16 6"
    table = f"{names} data_decay parameter_decay\\n{rows}"
    found = loaded(
        "model.loss_law={irreducible: 1.75, parameter_coefficient: 400, data_coefficient: 2000, "
        "parameter_exponent: 0.34, data_exponent: 0.36, repetition: {data_decay: 15, "
        f'parameter_decay: 5}}, draws: "{table}"}}'
    )
    told = [one.path.removeprefix("model.loss_law.") for one in constants(found)]
    decays = ["repetition.data_decay", "repetition.parameter_decay"]
    assert told == ["irreducible", "data_exponent", *decays]  # the others never vary
    for index, row in enumerate(sample(found, 2, 0).values.tolist()):
        assert row in ([1.7, 0.36, 15.0, 5.0], [1.8, 0.37, 16.0, 6.0])
        law = drawn(found, sample(found, 2, 0), index).model.loss_law
        assert not isinstance(law, str)
        assert law.repetition is not None
        assert [law.irreducible, law.repetition.data_decay] == [row[0], row[2]]


def test_classes_of_one_fitted_map_belong_together() -> None:
    found = loaded(
        f"model.capability={FITTING / 'maps.yaml'}#algebra",
        f"workload.mix[0].difficulty={FITTING / 'maps.yaml'}#algebra",
        f"workload.mix[1].difficulty={FITTING / 'maps.yaml'}#reading",
    )
    told = {one.path: one for one in constants(found)}
    code = told["workload.mix[0].difficulty"]
    assert code.group == told["model.capability.slope"].group
    assert told["workload.mix[1].difficulty"].group != code.group
    assert code.value == found.workload.mix[0].difficulty.values[0]  # type: ignore[index,union-attr]
    over = loaded(f"workload.mix[0].difficulty={FITTING / 'maps.yaml'}#algebra")
    assert [one.path for one in constants(over)] == ["workload.mix[0].difficulty"]


def test_shares_are_taken_over_their_sum() -> None:
    found = loaded("workload.mix[0].share={value: 0.55, interval: [0.3, 0.8]}")
    drawing = sample(found, 20, 0)
    for index in range(20):
        mix = drawn(found, drawing, index).workload.mix
        assert mix is not None
        shares = np.array([task.share for task in mix])
        raw = drawing.values[index, 0]
        np.testing.assert_allclose(shares, np.array([raw, 0.25, 0.15, 0.05]) / (raw + 0.45))


def test_what_is_drawn_is_what_the_text_would_say() -> None:
    found = loaded(*SETTINGS)
    drawing = sample(found, 3, 0)
    for index in range(3):
        values = {
            one.path: drawing.values[index, i].item() for i, one in enumerate(drawing.constants)
        }
        values["workload.mix[1].skills"] = int(values["workload.mix[1].skills"])
        text = [f"{path}={value!r}" for path, value in values.items()]
        written = loaded(*text)
        one = drawn(found, drawing, index)
        assert one == written
        assert pickle.loads(pickle.dumps(one)) == one
        assert one.model_fields_set == written.model_fields_set


def test_a_range_and_a_price_are_drawn_as_one_number() -> None:
    found = loaded("model.parameters={value: 7 B, interval: [6 B, 8 B]}")
    (one,) = constants(found)
    assert (one.path, one.value, one.dimension) == ("model.parameters", 7e9, "parameters")
    sizes = drawn(found, sample(found, 1, 0), 0).model.parameters
    assert sizes.min == sizes.max != 7e9
    rent = loaded(
        "hardware.training.accelerator={name: h100_sxm, price_per_hour: {interval: [2, 3 USD/h]}}",
        path="cost_capped_startup",
    )
    (price,) = constants(rent)
    chosen = drawn(rent, sample(rent, 1, 0), 0).hardware
    assert chosen is not None
    assert chosen.training is not None
    prices = chosen.training.accelerator.price_per_hour
    assert prices is not None
    assert prices.low == prices.typical == prices.high != price.value


def test_a_draw_at_an_open_end_names_its_constant() -> None:
    found = loaded("model.capability.slope={value: 1, standard_error: 1, distribution: normal}")
    with pytest.raises(ScenarioError, match="must be above 0") as caught:
        sample(found, 100, 0)
    (problem,) = caught.value.problems
    assert problem.path == "model.capability.slope"
    assert "lognormal" in problem.hint


def test_draws_that_contradict_each_other_name_theirs() -> None:
    found = loaded(
        "model.capability.scale={value: 0.5, interval: [0.3, 0.7]}",
        "model.capability.offset={value: 0.2, interval: [0.1, 0.9]}",
    )
    drawing = sample(found, 50, 0)
    worst = int(np.argmax(drawing.values.sum(axis=1)))
    words = rf"draw {worst + 1} contradict each other: scale \+ offset"
    with pytest.raises(ScenarioError, match=words) as caught:
        drawn(found, drawing, worst)
    assert "model.capability.scale" in caught.value.problems[0].hint


@given(st.floats(0.1, 50), st.floats(1.0, 5.0), st.integers(1, 40))
def test_a_number_without_spread_is_the_number(slope, difficulty, skills) -> None:
    plain = loaded(
        f"model.capability.slope={slope!r}",
        f"workload.mix[0].difficulty={difficulty!r}",
        f"workload.mix[0].skills={skills}",
    )
    mapped = loaded(
        f"model.capability.slope={{value: {slope!r}, interval: [{slope!r}, {slope!r}]}}",
        f"workload.mix[0].difficulty={{value: {difficulty!r}, standard_error: 0}}",
        f"workload.mix[0].skills={{draws: [{skills}, {skills}]}}",
    )
    assert mapped == plain
    assert mapped.model_fields_set == plain.model_fields_set


def test_every_numeric_key_can_be_replaced() -> None:
    found = loaded()
    keys = numeric_keys(found)
    assert {"workload.mix[0].difficulty", "model.loss_law.irreducible"} <= {k.path for k in keys}
    same = replaced(found, {key.path: key.value for key in keys})
    ours, theirs = compile_problem(same), compile_problem(found)
    assert ours.tasks is not None
    assert theirs.tasks is not None
    np.testing.assert_array_equal(ours.tasks.difficulty, theirs.tasks.difficulty)
    assert ours.space.law.irreducible == theirs.space.law.irreducible  # type: ignore[union-attr]
    for key in keys:
        new = key.value * (1.0 + 1e-6) if not key.domain.whole else key.value + 1
        new = min(new, key.domain.high)
        one = replaced(found, {key.path: new})
        node: Any = one
        for step in key.places[0]:
            node = node[step] if isinstance(step, int) else getattr(node, step)
        summed = key.path.endswith(".share")
        assert node == pytest.approx(new, rel=1e-5 if summed else 0, abs=0)


@pytest.mark.parametrize("name", ["o1_aime", "everything_binds", "deploy_existing_models"])
def test_keys_of_other_scenarios_can_be_replaced(name) -> None:
    found = loaded(path=name)
    keys = numeric_keys(found)
    assert len({key.label for key in keys}) == len(keys)
    if found.model.skill_graph is not None:
        assert not any(key.path.startswith("model.loss_law") for key in keys)
    for key in keys:
        replaced(found, {key.path: key.value})


def test_what_cannot_be_replaced_is_refused() -> None:
    found = loaded()
    with pytest.raises(UsageError, match="no number there") as caught:
        replaced(found, {"model.capability.slop": 4.0})
    assert caught.value.problems[0].hint == "did you mean model.capability.slope?"
    with pytest.raises(ScenarioError, match="must be above 0"):
        replaced(found, {"model.capability.slope": -1.0})


_SMALL = loaded(SETTINGS[0], "workload.mix[0].difficulty={draws: [2.7, 2.8, 2.9, 3.0, 3.1]}")
