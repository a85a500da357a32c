"""Classes of a scenario from what was measured: rows in place, a CSV file, a fitted file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ds3opt.cli.main import main
from ds3opt.errors import Ds3optError
from ds3opt.io.loader import load_scenario
from ds3opt.optimise.evaluate import evaluate
from ds3opt.schema import Scenario

SIZES = {"a": (1e9, 2e11), "b": (7e9, 2e12)}
TRUTH = {"difficulty": 2.3, "skills": 12, "directionality": 0.8, "fatigue": 0.02}


def measured() -> list[dict[str, Any]]:
    """Accuracies of a known class, by ``evaluate``."""
    task = {"name": "a", "share": 1, "verifier": {"kind": "outcome"}, **TRUTH}
    rows = []
    for short, choice in (("", "chain_of_thought"), ("best_of_n:4", {"best_of_n": {"samples": 4}})):
        scenario = Scenario.model_validate(
            {
                "workload": {"tasks": 1e6, "mix": [task]},
                "reasoning": {"policies": [choice]},
                "limits": {"total_flop": 1e40},
            }
        )
        for model, (n, d) in SIZES.items():
            for budget in (1300, 2000, 6000):
                policies = {"a": short or "chain_of_thought"}
                told = evaluate(scenario, n, d, policies=policies, token_budgets={"a": budget})
                row = {"model": model, "parameters": n, "training_tokens": d, "problems": 10**6}
                row |= {"token_budget": budget, "accuracy": told.accuracy}
                rows.append(row | ({"policy": short} if short else {}))
    return rows


ROWS = measured()


def load(folder: Path, task: dict[str, Any], **more: Any) -> Scenario:
    data = {
        "workload": {"tasks": 1e9, "mix": [{"name": "a", "share": 1, **task}]},
        "limits": {"total_flop": 1e22},
        **more,
    }
    (folder / "s.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return load_scenario(str(folder / "s.yaml")).scenario


def csv_of(rows: list[dict[str, Any]]) -> str:
    header = ["model", "parameters", "training_tokens", "token_budget", "policy", "accuracy"]
    header.append("problems")
    lines = [",".join(str(row.get(name, "")) for name in header) for row in rows]
    return "\n".join([",".join(header), *lines]) + "\n"


def constants(scenario: Scenario) -> dict[str, float]:
    (task,) = scenario.workload.mix or ()
    assert task.difficulty is not None
    assert task.difficulty.values is not None
    assert task.skills.values is not None
    assert isinstance(task.directionality, float)
    assert task.fatigue is not None
    return {
        "difficulty": task.difficulty.values[0],
        "skills": task.skills.values[0],
        "directionality": task.directionality,
        "fatigue": task.fatigue,
    }


def test_rows_in_place_give_the_class_that_made_them(tmp_path) -> None:
    scenario = load(tmp_path, {"observed": ROWS})
    assert constants(scenario) == pytest.approx(TRUTH, rel=3e-3)
    (task,) = scenario.workload.mix or ()
    assert task.fitted is not None
    assert task.fitted.fitted_loss is not None
    assert task.fitted.doubts == ()
    told = evaluate(scenario, 3e9, 1e12, token_budgets={"a": 3000}).accuracy
    known = load(tmp_path, TRUTH)
    assert told == pytest.approx(
        evaluate(known, 3e9, 1e12, token_budgets={"a": 3000}).accuracy, abs=1e-3
    )


def test_what_the_class_gives_is_held(tmp_path) -> None:
    scenario = load(tmp_path, {"observed": ROWS, "skills": 13, "fatigue": 0.021})
    found = constants(scenario)
    assert (found["skills"], found["fatigue"]) == (13.0, pytest.approx(0.021, rel=1e-9))


def test_a_table_and_a_fitted_file_give_the_same_class(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.csv").write_text(csv_of(ROWS))
    in_place = constants(load(tmp_path, {"observed": ROWS}))
    assert constants(load(tmp_path, {"observed": "o.csv"})) == in_place
    assert main(("fit", "tasks", "o.csv", "-o", "t.yaml", "--draws", "20", "-q")) == 0
    of_file = load(tmp_path, {"observed": "t.yaml"})
    assert constants(of_file) == pytest.approx(in_place, rel=1e-9)
    (task,) = of_file.workload.mix or ()
    assert task.draws.startswith("difficulty skills")


def test_a_class_is_chosen_of_a_table_of_several(tmp_path) -> None:
    lines = csv_of(ROWS).splitlines()
    harder = csv_of([{**row, "accuracy": 0.8 * row["accuracy"]} for row in ROWS]).splitlines()
    text = [f"{lines[0]},class", *(f"{x},a" for x in harder[1:]), *(f"{x},b" for x in lines[1:])]
    (tmp_path / "o.csv").write_text("\n".join(text) + "\n")
    a, b = (constants(load(tmp_path, {"observed": name})) for name in ("o.csv", "o.csv#b"))
    assert b == pytest.approx(TRUTH, rel=3e-3)
    assert a != b


def test_answers_say_what_the_data_do_not_tell(tmp_path) -> None:
    from ds3opt.optimise.solve import solve

    one_model = [{**row, "problems": 500} for row in ROWS if row["model"] == "a"]
    scenario = load(tmp_path, {"observed": one_model}, solver={"gap": 0.02})
    notes = [(note.code, note.message) for note in solve(scenario).warnings]
    assert any(code == "observed" and "every row is of one model" in text for code, text in notes)
    assert any(code == "extrapolation" and "a was observed on" in text for code, text in notes)


GOOD = {"loss": 2.0, "token_budget": 900, "accuracy": 0.5, "problems": 90}
OTHER = {**GOOD, "token_budget": 400, "accuracy": 0.3}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"observed": []}, "observed: needs at least 1 item"),
        ({"observed": [GOOD]}, "1 measured accuracy cannot tell difficulty, skills"),
        ({"observed": [{**GOOD, "accuracy": 1.5}, OTHER]}, "observed[0].accuracy: must be at most"),
        ({"observed": [{**GOOD, "problems": 1.5}, OTHER]}, "a whole number is expected, not 1.5"),
        ({"observed": [{**GOOD, "loss": None}, OTHER]}, "give the model's loss, or parameters"),
        ({"observed": [{**GOOD, "token_budget": None}, OTHER]}, "give token_budget, of all traces"),
        ({"observed": [{**GOOD, "policy": "pas@4"}, OTHER]}, "no policy is named 'pas@4'"),
        ({"observed": [OTHER, {**GOOD, "policy": "maj@4"}]}, "how wrong answers split"),
        ({"observed": [OTHER, {**GOOD, "token_budget": 9}]}, "less than one step of 25"),
        ({"observed": [{**GOOD, "accuracy": 0}, {**OTHER, "accuracy": 0}]}, "nothing was solved"),
        ({"observed": [GOOD, OTHER], **TRUTH}, "nothing is left to fit"),
        ({"observed": [GOOD, OTHER], "difficulty": [2.0, 2.5]}, "which is held fixed"),
        ({"observed": "none.csv"}, "none.csv"),
        ({"observed": "bad.csv"}, "bad.csv:3:7: accuracy: must be at most 1, not"),
        ({"observed": "classes.csv"}, "classes.csv has no row of class 'a'"),
        ({"observed": "s.yaml"}, "not a law file"),
        ({"observed": "t.yaml#x"}, "t.yaml has no class 'x'"),
        ({"observed": "t.yaml", "skills": 3}, "skills is given, and the file that observed names"),
        ({"observed": "t.yaml", "tokens_per_step": 30}, "tokens_per_step is given, and the file"),
        ({**TRUTH, "draws": "slope\n4\n"}, "draws has slope, which is none of difficulty"),
        ({**TRUTH, "draws": "difficulty skills\n2\n"}, "draw 1 has 1 numbers for 2 constants"),
        (
            {"observed": [{**GOOD, "model": "m"}, {**OTHER, "model": "m", "loss": 2.1}]},
            "m has a loss of 2.1 here and of 2 before",
        ),
        (
            {"observed": [GOOD, OTHER], "measured": {"accuracy": 0.5, "output_tokens": 100}},
            "observed has no meaning for a class that was measured",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused_at_its_place(tmp_path, task, words) -> None:
    task = {key: value for key, value in task.items() if value is not None}
    (tmp_path / "bad.csv").write_text(
        "loss,max_tokens,accuracy,problems\n2,900,0.5,9\n2,400,12,9\n"
    )
    (tmp_path / "classes.csv").write_text("class,loss,max_tokens,accuracy,problems\nb,2,90,0.5,9\n")
    law = {
        "kind": "tasks",
        "name": "t",
        "data": {"file": "t.csv", "sha256": "0" * 64, "rows": 2},
        "classes": {"b": {"values": TRUTH}},
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(law))
    with pytest.raises(Ds3optError) as refused:
        load(tmp_path, task)
    told = [f"{p.location}: {p.path}: {p.message}; {p.hint}" for p in refused.value.problems]
    assert any(words in one for one in told), told


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"capability": {"slope": 4}}, "t.yaml was fitted with a slope of 5, the scenario has 4"),
        ({"capability": {"scale": 0.9}}, "the scenario has scale 0.9 and offset 0"),
        ({"loss_law": "hoffmann2022"}, "t.yaml was fitted to losses of besiroglu2024"),
    ],
)
def test_a_file_that_was_fitted_otherwise_is_refused(tmp_path, monkeypatch, model, words) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.csv").write_text(csv_of(ROWS))
    assert main(("fit", "tasks", "o.csv", "-o", "t.yaml", "--draws", "0", "-q")) == 0
    with pytest.raises(Ds3optError) as refused:
        load(tmp_path, {"observed": "t.yaml"}, model=model)
    (problem,) = refused.value.problems
    assert words in problem.message
    assert problem.location is not None
