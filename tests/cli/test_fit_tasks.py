"""``ds3opt fit tasks``: measured accuracies, good and bad, as a new user writes them."""

from __future__ import annotations

import json

import pytest
import yaml

from ds3opt.laws.loss import DEFAULT_LOSS_LAW, LOSS_LAWS
from ds3opt.optimise.evaluate import evaluate
from ds3opt.schema import Scenario

HEADER = "model,parameters,training_tokens,token_budget,policy,samples,accuracy,problems"
MODELS = {"small": ("1B", "200B", 1e9, 2e11), "large": ("7B", "2T", 7e9, 2e12)}
TRUTH = {"difficulty": 2.3, "skills": 12, "directionality": 0.8, "fatigue": 0.02}


def scenario(policies: list[object]) -> Scenario:
    task = {"name": "a", "share": 1, "verifier": {"kind": "outcome"}, "wrong_answers": {"count": 9}}
    return Scenario.model_validate(
        {
            "workload": {"tasks": 1e6, "mix": [{**task, **TRUTH}]},
            "reasoning": {"policies": policies},
            "limits": {"total_flop": 1e40},
        }
    )


def accuracies() -> list[str]:
    """Rows of a known class, their accuracies by ``ds3opt evaluate``."""
    lines = []
    settings = (
        ("", "", "chain_of_thought", "chain_of_thought"),
        ("best_of_n", "4", {"best_of_n": {"samples": 4}}, "best_of_n:4"),
        ("pass@8", "", {"best_of_n": {"samples": 8}}, "best_of_n:8"),
        ("maj@5", "5", {"majority_vote": {"samples": 5}}, "majority_vote:5"),
    )
    for model, (size, trained, n, d) in MODELS.items():
        for budget in (500, 1200, 4000):
            for policy, samples, choice, short in settings:
                if budget < 1200 and policy:
                    continue
                told = evaluate(
                    scenario([choice]), n, d, policies={"a": short}, token_budgets={"a": budget}
                )
                line = f"{model},{size},{trained},{budget},{policy},{samples}"
                lines.append(f"{line},{told.accuracy:.12f},1000000")
    return lines


def test_what_evaluate_says_is_explained_by_the_class_that_made_it(said, tmp_path) -> None:
    asked = "large,7B,2T,2000,,,,"
    (tmp_path / "o.csv").write_text("\n".join([HEADER, *accuracies(), asked]) + "\n")
    code, out, err = said("fit", "tasks", "o.csv", "--wrong-answers", "9", "-f", "json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)["classes"].values()
    assert found["values"] == pytest.approx(TRUTH, rel=3e-3)
    assert found["diagnostics"]["deviance"] < 0.01
    # evaluate rounds its optimum to nothing: the same laws give the same accuracies
    for row in found["rows"][:-1]:
        assert row["explained"] == pytest.approx(row["accuracy"], abs=1e-4)
    (expected,) = (
        evaluate(
            scenario(["chain_of_thought"]),
            7e9,
            2e12,
            policies={"a": "chain_of_thought"},
            token_budgets={"a": 2000},
        ).accuracy,
    )
    predicted = found["rows"][-1]
    assert predicted["accuracy"] is None
    assert predicted["explained"] == pytest.approx(expected, abs=1e-4)
    assert predicted["interval"][0] - 1e-4 <= expected <= predicted["interval"][1] + 1e-4
    law = LOSS_LAWS[DEFAULT_LOSS_LAW]
    assert predicted["loss"] == pytest.approx(float(law.loss(7e9, 2e12)), rel=1e-12)


GOOD = """\
loss,max_output_tokens,policy,accuracy,problems
2.0,2000,,0.7,400
2.0,500,,0.5,400
2.3,2000,,0.4,400
2.3,500,,0.15,400
2.3,2000,pass@4,0.75,400
"""


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "yaml"])
def test_every_format(said, tmp_path, form) -> None:
    (tmp_path / "o.csv").write_text(GOOD)
    code, out, err = said("fit", "tasks", "o.csv", "--draws", "100", "-f", form)
    assert (code, err) == (0, "")
    assert "difficulty" in out
    again = said("fit", "tasks", "o.csv", "--draws", "100", "-f", form)[1]
    assert again == out


def test_the_law_file_is_written_shown_and_not_overwritten(said, tmp_path) -> None:
    (tmp_path / "o.csv").write_text(GOOD)
    code, _, err = said("fit", "tasks", "o.csv", "--draws", "50", "-o", "mine.yaml")
    assert code == 0
    assert "wrote mine.yaml" in err
    written = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert written["kind"] == "tasks"
    assert list(written["classes"]) == ["tasks"]
    assert set(written["classes"]["tasks"]["values"]) == set(TRUTH)
    assert len(written["classes"]["tasks"]["draws"].splitlines()) == 51
    code, out, _ = said("laws", "show", "mine.yaml")
    assert code == 0
    assert "directionality" in out
    code, _, err = said("fit", "tasks", "o.csv", "-o", "mine.yaml")
    assert code == 2
    assert "exists and is left as it is" in err


def test_a_held_number_of_skills_at_the_end_of_what_is_allowed(said, tmp_path) -> None:
    """More skills than the longest trace has steps: nothing moves, and nothing is divided by 0."""
    (tmp_path / "o.csv").write_text(GOOD)
    code, out, err = said("fit", "tasks", "o.csv", "--skills", "1000", "--draws", "0", "-f", "json")
    assert (code, err) == (0, "")
    assert "NaN" not in out


def test_copies_and_what_the_rows_tell_are_said_with_intervals(said, tmp_path) -> None:
    rows = ["2.0,400,,0.385,200", "2.0,4000,,0.71,200", "2.2,1000,,0.41,200"]
    (tmp_path / "o.csv").write_text("\n".join([GOOD.splitlines()[0], *rows, *rows]) + "\n")
    code, out, _ = said("fit", "tasks", "o.csv", "--draws", "0")
    text = " ".join(out.split())
    assert code == 0
    assert "3 rows are a copy of another: they count twice" in text
    assert "(0.0" in text.partition("the rows tell difficulty")[2]


def test_classes_are_fitted_apart_and_constants_held(said, tmp_path) -> None:
    lines = GOOD.splitlines()
    both = [f"{lines[0]},class", *(f"{line},{name}" for name in "ab" for line in lines[1:])]
    (tmp_path / "o.csv").write_text("\n".join(both) + "\n")
    options = ("--directionality", "1", "--fatigue", "0.01", "--draws", "0", "-f", "json")
    code, out, _ = said("fit", "tasks", "o.csv", *options)
    found = json.loads(out)["classes"]
    assert code == 0
    assert list(found) == ["a", "b"]
    assert found["a"]["values"] == found["b"]["values"]
    assert found["a"]["values"]["fatigue"] == pytest.approx(0.01, rel=1e-9)
    assert found["a"]["fixed"] == ["directionality", "fatigue"]


def table(*rows: str) -> str:
    return "\n".join([GOOD.splitlines()[0], *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (table("2,500,,0.5,9"), (), "o.csv:2:1: 1 measured accuracy cannot tell difficulty"),
        (table("2,500,,0,90", "2,900,,0,90"), (), "nothing was solved"),
        (table("2,500,,1,90", "2,900,,100 %,90"), (), "everything was solved"),
        (table("2,500,,1.5,9"), (), "o.csv:2:8: accuracy: is above 1: 1.5"),
        (table("2,500,,-0.1,9"), (), "o.csv:2:8: accuracy: "),
        (table("2,500,,0.5,"), (), "o.csv:2:12: problems: is empty: how many were tried?"),
        (table("2,500,,0.5,9.5"), (), "problems: is a whole number, not 9.5"),
        (table("2,,,0.5,9"), (), "max_output_tokens: is empty"),
        (table(",500,,0.5,9"), (), "o.csv:2:1: loss: is empty"),
        (table("2,10,,0.5,9"), (), "a budget of 10 tokens is less than one step of 25"),
        (table("2,500,bestofn,0.5,9"), (), "no policy is named 'bestofn'"),
        (table("2,500,best_of_n,0.5,9"), (), "best_of_n of how many?"),
        (table("2,500,maj@4,0.5,9"), (), "give --wrong-answers 9"),
        (table("2,500,rebase:4,0.5,9"), (), "no policy is named 'rebase'"),
        ("loss,accuracy,problems\n2,0.5,9\n", (), "there is no column token_budget"),
        ("max_tokens,accuracy,problems\n20,0.5,9\n", (), "there is no column parameters"),
        ("loss,max_tokens,accuracy\n2,20,0.5\n", (), "there is no column problems"),
        (
            "model,loss,max_tokens,accuracy,problems\na,2,50,0.5,9\na,2.1,50,0.4,9\n",
            (),
            "o.csv:3:1: model: a has a loss of 2.1 here and of 2 in line 2",
        ),
        (
            "loss,max_tokens,samples,accuracy,problems\n2,50,8,0.5,9\n",
            (),
            "say what is done with them: pass@k, best_of_n, majority_vote",
        ),
        (GOOD, ("--wrong-answers", "x"), "--wrong-answers takes COUNT or COUNT:DECAY"),
        (GOOD, ("--verifier", "0.2:0.9"), "--verifier takes RIGHT:WRONG"),
        (GOOD, ("--tokens-per-step", "soon"), "--tokens-per-step: "),
        (GOOD, ("--drop", "2-6"), "no row is left"),
    ],
)
def test_bad_tables_are_refused_in_words(said, tmp_path, text, options, words) -> None:
    (tmp_path / "o.csv").write_text(text)
    code, out, err = said("fit", "tasks", "o.csv", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
