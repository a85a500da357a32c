"""``ds3opt new --from observed.csv``: a first scenario from what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml

from ds3opt.cli.main import main
from ds3opt.io.loader import load_scenario
from ds3opt.schema.fitted import parsed_draws
from ds3opt.schema.workload import TaskClass

HEADER = "class,model,parameters,training_tokens,token_budget,policy,accuracy,problems"
ROWS = """\
algebra,small,1B,200B,1000,,24.8 %,500
algebra,large,8B,4T,300,,11.6 %,500
algebra,large,8B,4T,600,,66.8 %,500
algebra,large,8B,4T,2000,,77 %,500
code,small,1B,200B,2000,,14 %,164
code,large,8B,4T,500,,21 %,164
code,large,8B,4T,4000,best_of_n:4,81 %,164
code,large,8B,4T,4000,maj@5,66 %,164
"""
TABLE = f"{HEADER}\n{ROWS}"


@pytest.fixture
def said(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and errors of a command in this process."""

    def go(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        code = main(arguments)
        return code, *capsys.readouterr()

    return go


def with_column(name: str, cells: dict[str, str]) -> str:
    """The table with one more column, its cells by class."""
    lines = [f"{line},{cells[line.split(',')[0]]}" for line in ROWS.splitlines()]
    return "\n".join([f"{HEADER},{name}", *lines]) + "\n"


def classes(path: str) -> dict[str, TaskClass]:
    return {task.name: task for task in load_scenario(path).scenario.workload.mix or ()}


def test_the_scenario_solves_at_once(said, tmp_path) -> None:
    (tmp_path / "o.csv").write_text(TABLE)
    code, out, err = said("new", "--from", "o.csv", "-o", "s.yaml")
    assert (code, out) == (0, "")
    text = (tmp_path / "s.yaml").read_text()
    assert max(map(len, text.splitlines())) <= 100
    code, out, err = said("solve", "s.yaml", "--set", "solver.gap=0.01", "-f", "json")
    assert (code, err) == (0, "")
    assert {task["name"] for task in json.loads(out)["allocation"]["tasks"]} == {"algebra", "code"}
    code, _, err = said("new", "--from", "o.csv", "-o", "s.yaml")
    assert code == 2
    assert "exists and is left as it is" in err


def test_classes_are_those_that_the_table_itself_gives(said, tmp_path) -> None:
    (tmp_path / "o.csv").write_text(TABLE)
    assert said("new", "--from", "o.csv", "-o", "s.yaml")[0] == 0
    written = classes("s.yaml")
    text = yaml.safe_load((tmp_path / "s.yaml").read_text())
    text["workload"]["mix"] = [
        {key: "o.csv" if key == "observed" else value for key, value in one.items()}
        for one in text["workload"]["mix"]
    ]
    (tmp_path / "by_name.yaml").write_text(yaml.safe_dump(text))
    by_name = classes("by_name.yaml")
    for name, task in written.items():
        assert task.difficulty == by_name[name].difficulty
        assert task.draws == by_name[name].draws
        names, draws = parsed_draws(task.draws)
        assert names == ("difficulty", "skills", "directionality", "fatigue")
        assert (draws[:, 1] == draws[:, 1].round()).all()
        assert (draws[:, 1] >= 1).all()


def test_what_was_assumed_is_said(said, tmp_path) -> None:
    (tmp_path / "o.csv").write_text(TABLE)
    text = said("new", "--from", "o.csv")[1]
    assert "# ! The table has no column share: all classes have the same." in text
    assert [task["share"] for task in yaml.safe_load(text)["workload"]["mix"]] == [0.5, 0.5]
    algebra, code = yaml.safe_load(text)["workload"]["mix"]
    assert "verifier" not in algebra
    assert code["verifier"] == {"kind": "outcome"}
    assert code["wrong_answers"] == {"count": 9}
    assert "! Judged by something that never errs" in text
    assert "# But: " in text, "what eight rows do not tell"
    # twice 6 N D of the largest model
    assert yaml.safe_load(text)["limits"] == {"total_flop": "3.8e23"}


def test_shares_of_a_column(said, tmp_path) -> None:
    (tmp_path / "o.csv").write_text(with_column("share", {"algebra": "70 %", "code": "0.3"}))
    text = said("new", "--from", "o.csv")[1]
    assert "# Shares are as the table has them." in text
    assert [task["share"] for task in yaml.safe_load(text)["workload"]["mix"]] == [0.7, 0.3]


def test_any_name_of_a_class_is_written_as_it_is(said, tmp_path) -> None:
    names = ["no", "a: b # {c}", "1e3", "- x", '"quoted", it is', "naïve, α"]
    lines = ["class,model,loss,accuracy,problems,token_budget"]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        lines += [f"{quoted},{quoted},2,.4,90,500", f"{quoted},{quoted},2,.5,90,900"]
    (tmp_path / "o.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert said("new", "--from", "o.csv", "-o", "s.yaml")[0] == 0
    written = classes("s.yaml")
    assert list(written) == names
    assert [(task.observed or ())[0].model for task in written.values()] == names


def test_one_class_from_losses_without_sizes(said, tmp_path) -> None:
    (tmp_path / "o.csv").write_text(
        "loss,max_tokens,accuracy,problems\n2.0,500,0.5,400\n2.0,2000,0.7,400\n2.3,2000,0.4,400\n"
    )
    text = said("new", "--from", "o.csv")[1]
    assert yaml.safe_load(text)["workload"]["mix"][0]["share"] == 1
    assert "shares" not in text.lower()
    assert "The losses of the rows must be of the same corpus as the law's." in text
    assert yaml.safe_load(text)["limits"] == {"total_flop": "1e22"}


def small(*rows: str) -> str:
    return "\n".join(["class,loss,accuracy,problems,token_budget,share", *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "o.csv: the file is empty"),
        ("task,score\na,0.4\n", "o.csv:1:1: there is no column problems"),
        ("loss;accuracy;problems\n2;1;9\n", "columns are split by commas here, not by semicolons"),
        ("loss;accuracy\n2,1;0,5\n", "columns are split by commas here, not by semicolons"),
        ("accuracy,problems,budget\n1,1,9\n", "or give a column loss, nats/token"),
        (
            small("a,2,.5,90,500,.5", "b,2,.4,90,500,.5", "b,2,.5,90,900,.5"),
            "o.csv:2:1: class: class a: 1 measured accuracy cannot tell difficulty",
        ),
        (small("a,2,.5,90,500,1"), "add rows of the class at other budgets of tokens"),
        (small("a,2,0,90,500,1", "a,2,0,90,900,1"), "nothing was solved"),
        (small("a,2,45,90,500,1"), "o.csv:2:5: accuracy: must be at most 1, not"),
        (small("a,2,45,90,500,1"), "write 45 % or 0.45"),
        (small("a,2,.4,,500,1"), "problems: "),
        (small("a,2,.4,90,500,60"), "write 60 % or 0.6"),
        (small("a,2,.4,90,500,.6", "a,2,.4,90,900,.5"), "a share of 0.5 here and of 0.6 in line 2"),
        (small("a,2,.4,90,500,", "a,2,.4,90,900,"), "is empty in every row of class a"),
        (
            small("a,2,.4,90,500,.6", "a,2,.5,90,900,", "b,2,.4,90,500,.2", "b,2,.5,90,900,"),
            "o.csv:1:1: share: the shares of the classes sum to 0.8, not to 1",
        ),
        (small(",2,.4,90,500,1"), "o.csv:2:1: class: is empty"),
        (small("a,2,,90,500,1"), "o.csv has no row of class a with an accuracy"),
        (small("a,2,.4,90,5,1", "a,2,.5,90,900,1"), "is less than one step of 25"),
        (small(f"{'x' * 81},2,.4,90,500,1", f"{'x' * 81},2,.5,90,900,1"), "o.csv:2:1: class: "),
        (
            "model,loss,accuracy,problems,budget\nm,2,.4,90,500\nm,2.1,.3,90,900\n",
            "o.csv:3:1: model: m has a loss of 2.1 here and of 2 before: are two models mixed?",
        ),
    ],
)
def test_bad_tables_are_refused_in_words(said, tmp_path, text, words) -> None:
    (tmp_path / "o.csv").write_text(text)
    code, out, err = said("new", "--from", "o.csv", "-o", "s.yaml")
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "s.yaml").exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("none.csv", "there is no file none.csv"),
        ("book.xlsx", "save the sheet as CSV"),
        ("mine.yaml", "--from takes a shipped scenario or a CSV file"),
        ("quickstrt", "did you mean quickstart?"),
    ],
)
def test_what_is_no_table(said, source, words) -> None:
    code, out, err = said("new", "--from", source)
    assert (code, out) == (2, "")
    assert words in err
