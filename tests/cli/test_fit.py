"""``ds3opt fit``: what a new user types, good tables and bad ones, in every format."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ds3opt.cli.main import main
from ds3opt.laws.loss import LossLaw
from ds3opt.schema.fitted import parsed_draws

LAW = LossLaw(1.8, 480.0, 2100.0, 0.35, 0.37)
SOLVED = """\
workload: {tasks: 1e9, mix: [{name: a, share: 1, difficulty: maps.yaml, skills: 1}]}
model: {loss_law: mine.yaml, capability: maps.yaml, parameters: 20 B}
limits: {total_flop: 1e23}
solver: {gap: 1e-2}
"""


def rows(count: int = 36) -> list[list[float]]:
    """Parameters, tokens and loss of runs of a known law."""
    generator = np.random.default_rng(12)
    n = np.round(10 ** generator.uniform(7.5, 9.5, count))
    d = np.round(n * 10 ** generator.uniform(0.5, 2.3, count))
    loss = LAW.loss(n, d) * np.exp(0.002 * generator.standard_normal(count))
    return np.stack([n, d, np.round(loss, 6)], axis=1).tolist()


@pytest.fixture
def said(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and errors of a command in this process: as in a shell, but quicker."""

    def go(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        code = main(arguments)
        return code, *capsys.readouterr()

    return go


def table(header: str, lines: list[list[object]]) -> str:
    return "\n".join([header, *(",".join(map(str, line)) for line in lines)]) + "\n"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text(table("parameters,tokens,loss", rows()))
    return path


def scores_text() -> str:
    lines = []
    for task, slope in (("code", 4.0), ("chat", 9.0)):
        for n, d, _ in rows(24):
            loss = float(LAW.loss(n, d))
            lines.append([task, n, d, loss, 0.2 + 0.7 / (1 + np.exp(slope * (loss - 2.9)))])
    return table("task,parameters,tokens,loss,score", lines)


def test_a_law_from_runs(run, runs) -> None:
    done = run("fit", "loss", "runs.csv", "--bootstrap", "50", "--at", "1e21")
    assert (done.returncode, done.stderr) == (0, "")
    assert "fitted to 36 runs of runs.csv" in " ".join(done.stdout.split())
    for words in ("data_exponent", "standard error", "Huber sum", "starts that agree", "1.00e21"):
        assert words in done.stdout
    assert "Warnings" not in done.stdout


def test_every_format_says_the_same(said, runs) -> None:
    usual = ("fit", "loss", "runs.csv", "--bootstrap", "20")
    found = json.loads(said(*usual, "-f", "json")[1])
    assert found == yaml.safe_load(said(*usual, "-f", "yaml")[1])
    values = {
        row["constant"]: float(row["value"])
        for row in csv.DictReader(io.StringIO(said(*usual, "-f", "csv")[1]))
    }
    assert values == found["values"]
    low, high = found["intervals"]["data_exponent"]
    assert low <= found["values"]["data_exponent"] <= high
    assert found["data"]["sha256"] == hashlib.sha256(runs.read_bytes()).hexdigest()
    assert found["compute_optimal"][0]["tokens_per_parameter"]["interval"][0] > 0
    assert "| data_exponent |" in said(*usual, "-f", "markdown")[1]


def test_same_seed_same_bytes(said, runs) -> None:
    usual = ("fit", "loss", "runs.csv", "--bootstrap", "20", "-o", "-")
    first, again = said(*usual)[1], said(*usual)[1]
    assert first == again
    assert first != said(*usual, "--seed", "1")[1]


def test_a_law_file_serves_a_scenario_and_can_be_shown(run, said, runs, tmp_path) -> None:
    done = run("fit", "loss", "runs.csv", "-o", "mine.yaml", "--bootstrap", "30")
    assert (done.returncode, done.stderr) == (0, "ds3opt: wrote mine.yaml\n")
    (tmp_path / "scores.csv").write_text(scores_text())
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    (tmp_path / "scores.csv").write_text("\n".join(lines[:25]) + "\n")
    assert said("fit", "accuracy", "scores.csv", "-o", "maps.yaml", "-q")[0] == 0
    (tmp_path / "s.yaml").write_text(SOLVED)
    done = run("solve", "s.yaml", "-f", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["provenance"]["loss_law"] == "mine"
    assert "runs.csv" in found["provenance"]["loss_law_source"]
    assert any("mine was fitted on" in one["message"] for one in found["warnings"])
    shown = said("laws", "show", "mine.yaml")[1]
    assert "data_exponent" in shown
    assert "tokens per parameter" in shown
    assert "Constants of code" in said("laws", "show", "maps.yaml")[1]
    assert json.loads(said("laws", "show", "mine.yaml", "-f", "json")[1])["kind"] == "loss_law"


def test_a_file_is_not_overwritten_by_surprise(said, runs, tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text("precious")
    usual = ("fit", "loss", "runs.csv", "--bootstrap", "0", "-o")
    code, out, err = said(*usual, "mine.yaml")
    assert (code, out) == (2, "")
    assert "--force" in err
    assert (tmp_path / "mine.yaml").read_text() == "precious"
    assert said(*usual, "mine.yaml", "--force")[0] == 0
    assert "kind: loss_law" in (tmp_path / "mine.yaml").read_text()
    assert said(*usual, "nowhere/mine.yaml")[0] == 2


def test_without_resamples_there_is_no_interval(said, runs) -> None:
    code, out, _ = said("fit", "loss", "runs.csv", "--bootstrap", "0")
    assert code == 0
    assert "interval" not in out
    found = json.loads(said("fit", "loss", "runs.csv", "--bootstrap", "0", "-f", "json")[1])
    assert found["intervals"] == {}


def test_usual_headers_units_and_standard_input(run) -> None:
    lines = [[f"{n / 1e6}M", 6 * n * d, loss] for n, d, loss in rows()]
    text = table("Model Size,Training FLOP,final loss", lines)
    done = run("fit", "loss", "-", "--bootstrap", "0", "-f", "json", stdin=text)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["file"] == "<stdin>"
    odd = table("size of it,tokens,loss", rows())
    named = ("--column", "parameters=size of it", "--bootstrap", "0")
    assert run("fit", "loss", "-", *named, stdin=odd).returncode == 0


def test_rows_may_be_left_out(said, runs, tmp_path) -> None:
    usual = ("fit", "loss", "runs.csv", "--bootstrap", "0", "-f", "json")
    found = json.loads(said(*usual, "--drop", "2-4,9", "--ratio", "5:")[1])
    few = sum(d / n < 5 for n, d, _ in [r for i, r in enumerate(rows()) if i not in {0, 1, 2, 7}])
    assert found["data"]["left_out"] == 4 + few
    held = json.loads(said(*usual, "--irreducible", "1.7")[1])
    assert (held["values"]["irreducible"], held["fixed"]) == (1.7, ["irreducible"])


def test_doubts_name_their_lines(said, tmp_path) -> None:
    lines = rows()
    lines.append(lines[4])
    lines[10] = [*lines[10][:2], lines[10][2] * 1.4]
    (tmp_path / "runs.csv").write_text(table("parameters,tokens,loss", lines))
    _, out, _ = said("fit", "loss", "runs.csv", "--bootstrap", "0")
    assert "(runs.csv:38)" in out
    assert "(runs.csv:12)" in out
    told = json.loads(said("fit", "loss", "runs.csv", "--bootstrap", "0", "-f", "json")[1])
    assert {one["code"]: one["lines"] for one in told["warnings"]} == {
        "duplicates": [38],
        "outliers": [12],
    }


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", (), "runs.csv: the file is empty"),
        ("parameters,tokens,loss\n", (), "runs.csv:1:1: there is a header but no row"),
        (table("size,tokens,loss", rows()), (), "runs.csv:1:1: there is no column parameters"),
        (table("parameters,loss", [r[::2] for r in rows()]), (), "there is no column tokens"),
        (table("parameters,tokens,loss", rows()[:5]), (), "5 runs are too few for 5 constants"),
        (table("parameters,tokens,loss", [*rows(), [1, 2]]), (), "runs.csv:38:1: 2 cells"),
        (table("parameters,tokens,loss", [*rows(), [1e9, "x", 2]]), (), "runs.csv:38:"),
        (table("parameters,tokens,loss", [*rows(), [1e9, 1e10, -2]]), (), "must be above 0"),
        (table("parameters,tokens,loss", [*rows(), [1e9, 1e10, "nan"]]), (), "not NaN"),
        (table("parameters,tokens,loss", [*rows(), [1e9, 1e10, ""]]), (), "is empty"),
        (table("parameters,tokens,loss", rows()), ("--irreducible", "2.5"), "runs.csv:"),
        (table("parameters,tokens,loss", rows()), ("--drop", "99"), "line 99 of runs.csv"),
        (table("parameters,tokens,loss", rows()), ("--drop", "a"), "--drop takes lines"),
        (table("parameters,tokens,loss", rows()), ("--ratio", "9"), "--ratio takes LOW:HIGH"),
        (table("parameters,tokens,loss", rows()), ("--ratio", "1e9:"), "no run is left"),
        (table("parameters,tokens,loss", rows()), ("--group", "a"), "no column group"),
        (table("parameters,tokens,loss", rows()), ("--column", "x"), "NAME=HEADER"),
        (table("parameters,tokens,loss", rows()), ("--at", "soon"), "--at: "),
        (table("parameters,tokens,loss", [[1e9, d, y] for _, d, y in rows()]), (), "1 model size"),
        (
            table(
                "parameters,tokens,loss,group", [[*r, "ab"[i % 2]] for i, r in enumerate(rows())]
            ),
            (),
            "runs.csv:3:",
        ),
    ],
)
def test_bad_tables_are_refused_in_words(said, tmp_path, text, options, words) -> None:
    (tmp_path / "runs.csv").write_text(text)
    code, out, err = said("fit", "loss", "runs.csv", "--bootstrap", "0", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_a_group_is_chosen(said, tmp_path) -> None:
    lines = [[*row, "ab"[i % 2]] for i, row in enumerate(rows(60))]
    (tmp_path / "runs.csv").write_text(table("parameters,tokens,loss,group", lines))
    _, out, _ = said("fit", "loss", "runs.csv", "--bootstrap", "0", "--group", "b", "-f", "json")
    assert json.loads(out)["data"]["rows"] == 30
    assert "there are a, b" in said("fit", "loss", "runs.csv", "--group", "c")[2]


def test_maps_from_scores(said, tmp_path) -> None:
    (tmp_path / "scores.csv").write_text(scores_text())
    usual = ("fit", "accuracy", "scores.csv", "--bootstrap", "20")
    code, out, err = said(*usual)
    assert (code, err) == (0, "")
    for words in ("Constants of code", "Constants of chat", "residual band", "two-step", "direct"):
        assert words in out
    found = json.loads(said(*usual, "-f", "json")[1])
    assert found["tasks"]["code"]["values"]["slope"] == pytest.approx(4.0, rel=1e-3)
    assert found["tasks"]["chat"]["values"]["difficulty"] == pytest.approx(2.9, rel=1e-3)
    routes = [one["route"] for one in found["tasks"]["code"]["forecasts"]]
    assert routes == ["map", "two-step", "direct"]
    listed = list(csv.DictReader(io.StringIO(said(*usual, "-f", "csv")[1])))
    assert {row["task"] for row in listed} == {"code", "chat"}


def test_losses_by_a_law_make_a_two_step_map(said, runs, tmp_path) -> None:
    assert said("fit", "loss", "runs.csv", "--bootstrap", "0", "-o", "l.yaml")[0] == 0
    lines = [[n, d, f"{90 * np.exp(-0.3 * float(LAW.loss(n, d)))} %"] for n, d, _ in rows(24)]
    (tmp_path / "scores.csv").write_text(table("params,training_tokens,accuracy", lines))
    usual = ("fit", "accuracy", "scores.csv", "--bootstrap", "0", "--map", "exponential")
    found = json.loads(said(*usual, "--law", "l.yaml", "-f", "json")[1])
    assert found["loss"] == "law l"
    routes = [one["route"] for one in found["tasks"]["score"]["forecasts"]]
    assert routes == ["two-step", "direct"]
    assert said(*usual, "--law", "besiroglu2024")[0] == 0
    assert "did you mean" in said(*usual, "--law", "besiroglu")[2]
    assert "no column loss" in said(*usual)[2]


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        ([[2 + i / 10, 45] for i in range(12)], (), "at most 1"),
        ([[2 + i / 10, 0] for i in range(12)], (), "none solved"),
        ([[2 + i / 10, 1] for i in range(12)], (), "all solved"),
        ([[2 + i / 10, i / 20] for i in range(12)], (), "scores rise with loss"),
        ([[2 + i / 10, 0.9 - i / 20] for i in range(4)], (), "4 models are too few"),
        ([[2.0, 0.9 - i / 20] for i in range(12)], (), "1 different losses"),
        (
            [[2 + i / 10, 0.9 - i / 20] for i in range(12)],
            ("--offset", "0.5", "--ceiling", "0.4"),
            "is not below",
        ),
        (
            [[2 + i / 10, 0.9 - i / 20] for i in range(12)],
            ("--map", "exponential", "--ceiling", "0.9"),
            "has no ceiling",
        ),
    ],
)
def test_bad_scores_are_refused_in_words(said, tmp_path, lines, options, words) -> None:
    (tmp_path / "scores.csv").write_text(table("loss,score", lines))
    code, out, err = said("fit", "accuracy", "scores.csv", "--bootstrap", "0", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), command=st.sampled_from(["loss", "accuracy"]))
def test_no_table_of_numbers_is_a_bug(tmp_path, capsys, seed, command) -> None:
    """Sizes, tokens and losses of any unit and shape: fitted, or refused in words."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(4, 20))
    spans = generator.choice([0.05, 1.0, 3.0, 6.0], 3)
    units = 10 ** generator.uniform((-9, -6, -3), (12, 14, 4))
    n, d, loss = (
        u * 10 ** generator.uniform(0, s, count) for u, s in zip(units, spans, strict=True)
    )
    lines = np.stack([n, d, loss, generator.random(count)], axis=1).tolist()
    (tmp_path / "t.csv").write_text(table("parameters,tokens,loss,score", lines))
    path, law = str(tmp_path / "t.csv"), str(tmp_path / "law.yaml")
    code = main(["fit", command, path, "--bootstrap", "5", "-o", law, "--force", "--debug"])
    assert code in {0, 2}, capsys.readouterr().err
    if code == 0:
        assert main(["laws", "show", law]) == 0
    capsys.readouterr()


def test_an_interrupted_fit_leaves_nothing(said, runs, tmp_path, monkeypatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ds3opt.fit.loss.resampling_weights", interrupted)
    found = said("fit", "loss", "runs.csv", "-o", "mine.yaml")
    assert found == (130, "", "ds3opt: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_the_law_files_of_the_guide_are_those_of_its_tables(tmp_path, said) -> None:
    """docs/fitting/*.yaml hold what the commands of docs/fitting.md find; draws to five digits."""
    folder = Path(__file__).resolve().parents[2] / "docs" / "fitting"
    usual = ("--bootstrap", "300", "-o", "-")
    loss = ("fit", "loss", str(folder / "runs.csv"), "--drop", "19,38", "--name", "ours", *usual)
    maps = ("fit", "accuracy", str(folder / "scores.csv"), "--name", "maps", *usual)
    few = ("--bootstrap", "200", "-o", "-")
    counts, samples = str(folder / "counts.csv"), str(folder / "samples.csv")
    commands = {
        "ours": loss,
        "maps": maps,
        "small": ("fit", "coverage", counts, "--model", "small", "--name", "small", *few),
        "large": ("fit", "coverage", counts, "--model", "large", "--name", "large", *few),
        "voting": ("fit", "voting", samples, "--name", "voting", *few),
        "judge": ("fit", "verifier", samples, "--parameters", "7B", "--name", "judge", *few),
    }
    for stem, command in commands.items():
        name = f"{stem}.yaml"
        kept = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        found = yaml.safe_load(said(*command)[1])
        pairs = [(kept, found)]
        if "tasks" in kept:
            pairs = [(kept["tasks"][task], found["tasks"][task]) for task in found["tasks"]]
        assert kept["data"] == found["data"]
        for old, new in pairs:
            assert old["values"] == pytest.approx(new["values"], rel=1e-6)
            assert parsed_draws(old["draws"])[1] == pytest.approx(
                parsed_draws(new["draws"])[1], rel=1e-5
            )
