"""``ds3opt fit directionality``: a table of models, their populations, and what is wrong in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from ds3opt.io.law_files import load_law_file


@pytest.fixture
def models(said, tmp_path: Path) -> str:
    generator = np.random.default_rng(1)
    (tmp_path / "fits").mkdir()
    for name, beta in (("small", 4.0), ("large", 1.0)):
        right = generator.binomial(100, generator.beta(0.4, beta, 120))
        rows = "\n".join(f"100,{c}" for c in right)
        (tmp_path / "counts.csv").write_text(f"samples,correct\n{rows}\n")
        arguments = ("counts.csv", "--bootstrap", "20", "-o", f"fits/{name}.yaml")
        assert said("fit", "coverage", *arguments)[0] == 0
    text = "model,population,loss,steps\nSmall one,small.yaml,2.2,80\nLarge,large.yaml,2.0,80\n"
    (tmp_path / "fits" / "models.csv").write_text(text)
    return text


USUAL = ("fit", "directionality", "fits/models.csv", "--draws", "8", "--skills", "1")
ONE = (*USUAL, "--shares", "1")


def test_an_index_with_its_interval(said, models, tmp_path) -> None:
    code, out, err = said(*ONE)
    assert code == 0, err
    for words in ("Small one", "still close", "goodness of fit", "ratios mean something"):
        assert words in out
    found = json.loads(said(*ONE, "-f", "json")[1])
    assert found == yaml.safe_load(said(*ONE, "-f", "yaml")[1])
    assert found["values"]["Small_one"] == 1.0
    low, high = found["intervals"]["Large"]
    assert 1.0 < low < found["values"]["Large"] < high
    other = json.loads(said(*ONE, "--reference", "Large", "-f", "json")[1])
    assert other["values"]["Small_one"] == pytest.approx(1.0 / found["values"]["Large"])
    assert said(*ONE, "-o", "index.yaml")[0] == 0
    assert load_law_file(tmp_path / "index.yaml").kind == "directionality"
    assert "Small_one" in said("laws", "show", "index.yaml")[1]


def test_loss_by_a_law(said, models, tmp_path) -> None:
    text = "model,population,steps,parameters,tokens\n"
    text += "s,small.yaml,80,1 B,20 B\nl,large.yaml,80,8 B,200 B\n"
    (tmp_path / "fits" / "models.csv").write_text(text)
    assert "or parameters and tokens with --law" in said(*ONE)[2]
    assert said(*ONE, "--law", "besiroglu2024")[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("small.yaml", "smal.yaml", "models.csv:2:11: population: there is no file"),
        ("small.yaml", "models.csv", "is no population"),
        ("Large,", "Small one,", "model Small one stands 2 times"),
        ("Large,large.yaml,2.0,80\n", "", "one model is too few"),
        (",steps", ",stops", "there is no column steps"),
        ("2.2,80", "2.2,many", "models.csv:2"),
    ],
)
def test_bad_tables(said, models, tmp_path, old, new, told) -> None:
    (tmp_path / "fits" / "models.csv").write_text(models.replace(old, new))
    code, out, err = said(*ONE)
    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--shares", "0.5,0.5"), "--skills has 1 groups and --shares 2"),
        (("--shares", "0.5"), "--shares sum to 0.5"),
        (("--shares", "1", "--reference", "Larg"), "did you mean Large?"),
    ],
)
def test_bad_options(said, models, arguments, told) -> None:
    code, _, err = said(*USUAL, *arguments)
    assert code == 2
    assert told in err
