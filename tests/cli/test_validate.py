"""``ds3opt validate``: exit codes, errors at their cell, every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from ds3opt.io.catalogue import catalogue_folder

SERVING = "model,gpu,num_gpus,prec,prompt_tokens,avg_batch,avg_out,med_itl_ms,tok_s,J_per_tok\n"
GOOD = "meta-llama/Llama-3.1-8B-Instruct,H100,1,bfloat16,200,8,389,7.32,1069,0.455\n"
"""As measured by ML.ENERGY."""
TRAINING = "gpu,precision,params,seq_len,MFU\n"


def write(folder: Path, text: str) -> str:
    (folder / "mine.csv").write_text(text, encoding="utf-8")
    return "mine.csv"


def groups(done) -> dict[tuple[str, str, str], dict]:
    found = json.loads(done.stdout)["groups"]
    return {(one["by"], one["name"], one["quantity"]): one for one in found}


def test_published_points_are_kept(run) -> None:
    done = run("validate")
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    assert first == ("Predictions beside the shipped table of published points: all bands are kept")
    assert "By accelerator" in done.stdout
    assert "By model" in done.stdout


def test_every_published_point_has_a_source_and_is_used(run) -> None:
    text = (catalogue_folder("hardware") / "published_points.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all(row["source"] and row["within"] for row in rows)
    used = groups(run("validate", "-f", "json"))
    counted = sum(one["rows"] for (by, *_), one in used.items() if by == "model")
    measured = ("med_itl_ms", "tok_s", "J_per_tok", "MFU")
    assert counted == sum(bool(row[name]) for row in rows for name in measured)


def test_good_rows_are_kept(run, tmp_path) -> None:
    done = run("validate", "--measured", write(tmp_path, SERVING + GOOD), "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = groups(done)
    one = found["accelerator", "h100-sxm", "step_seconds"]
    assert (one["rows"], one["inside"], one["kept"]) == (1, 1, True)
    assert one["median_error"] < 0.15
    assert found["model", "llama-3.1-8b", "joules_per_token"]["rows"] == 1
    assert json.loads(done.stdout)["kept"] is True


def test_ratios_are_measured_over_predicted(run, tmp_path) -> None:
    """Twice the measured time: twice the ratio, and the error of the prediction halves."""
    once = groups(run("validate", "--measured", write(tmp_path, SERVING + GOOD), "-f", "json"))
    doubled = GOOD.replace("7.32", "14.64")
    twice = groups(run("validate", "--measured", write(tmp_path, SERVING + doubled), "-f", "json"))
    key = ("accelerator", "h100-sxm", "step_seconds")
    assert twice[key]["p50"] == pytest.approx(2 * once[key]["p50"], rel=1e-12)
    assert twice[key]["median_error"] == pytest.approx(1 - 1 / twice[key]["p50"], rel=1e-12)


def test_drift_is_1(run, tmp_path) -> None:
    """Three rows at three times the predicted time; by chance 1 in 125 tables."""
    bad = GOOD.replace("7.32", "22")
    done = run("validate", "--measured", write(tmp_path, SERVING + 3 * bad))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[0].endswith("missed: step time on h100-sxm")


@pytest.mark.slow
def test_within_judges_each_row(run, tmp_path) -> None:
    header = SERVING.strip() + ",within\n"
    narrow = write(tmp_path, header + GOOD.strip() + ",1.001\n")
    assert run("validate", "--measured", narrow).returncode == 1
    mixed = write(tmp_path, header + GOOD.strip() + ",1.001\n" + GOOD.strip() + ",5\n")
    assert run("validate", "--measured", mixed).returncode == 1
    fast = write(tmp_path, header + GOOD.replace("7.32", "2.4").strip() + ",2\n")
    assert run("validate", "--measured", fast).returncode == 1
    wide = write(tmp_path, header + GOOD.replace("7.32", "22").strip() + ",5\n")
    assert run("validate", "--measured", wide).returncode == 0


def test_training_rows(run, tmp_path) -> None:
    text = TRAINING + "h100_80gb,amp_bf16,6.65e9,2048,41\na100_40gb,bf16,6.65e9,2048,51\n"
    done = run("validate", "--measured", write(tmp_path, text), "-f", "json")
    assert done.returncode == 0
    found = groups(done)
    assert found["accelerator", "h100-sxm", "training_utilisation"]["rows"] == 1
    assert found["accelerator", "a100-40gb-sxm", "training_utilisation"]["median_error"] < 0.15
    assert found["accelerator", "all", "training_utilisation"]["rows"] == 2


def test_training_in_an_unknown_precision(run, tmp_path) -> None:
    fp8 = "a100_80gb,fp8,6.65e9,2048,30\n"
    done = run("validate", "--measured", write(tmp_path, TRAINING + fp8))
    assert done.returncode == 2
    assert "nothing is known of training in the precision" in done.stderr
    text = TRAINING + fp8 + "h100,bf16,6.65e9,2048,41\n"
    mixed = run("validate", "--measured", write(tmp_path, text))
    assert mixed.returncode == 0
    assert "1 training runs in a precision that was never measured" in mixed.stderr


def test_an_empty_batch_is_as_many_as_fit(run, tmp_path) -> None:
    """8 GB of weights leave 0.9 x 80 GB - 3.76 GB - 16.06 GB for 128 KiB x 394.5 a sequence."""
    many = GOOD.replace(",8,389,7.32,1069,0.455", ",,389,,9000,")
    room = int((72e9 - 3.5 * 2**30 - 2 * 8030261248) / (131072 * 394.5))
    filled = many.replace(",,389,", f",{room},389,")
    tables = [SERVING + row for row in (many, filled)]
    first, second = (
        groups(run("validate", "--measured", write(tmp_path, text), "-f", "json"))
        for text in tables
    )
    assert first == second
    huge = GOOD.replace("Llama-3.1-8B", "Llama-3.1-405B").replace(",8,389", ",,389")
    done = run("validate", "--measured", write(tmp_path, SERVING + huge))
    assert done.returncode == 2
    assert "mine.csv:2:" in done.stderr
    assert "does not fit" in done.stderr


def test_standard_input_and_formats(run, tmp_path) -> None:
    table = run("validate", "--measured", "-", stdin=SERVING + GOOD)
    assert table.returncode == 0
    rows = run("validate", "--measured", "-", "-f", "csv", stdin=SERVING + GOOD).stdout
    assert [row["quantity"] for row in csv.DictReader(io.StringIO(rows))][:3] == [
        "step_seconds",
        "tokens_per_s",
        "joules_per_token",
    ]
    text = run("validate", "--measured", "-", "-f", "yaml", stdin=SERVING + GOOD).stdout
    assert yaml.safe_load(text)["kept"] is True
    marked = run("validate", "--measured", "-", "-f", "markdown", stdin=SERVING + GOOD).stdout
    assert marked.startswith("## Predictions beside -")


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (GOOD.replace("Llama-3.1-8B-Instruct", "Llama-3.1-9B"), "model", "did you mean"),
        (GOOD.replace("H100", "H1000"), "gpu", "did you mean"),
        (GOOD.replace("bfloat16", "fp7"), "prec", "unknown number format 'fp7'"),
        (GOOD.replace("7.32", "quick"), "med_itl_ms", "quick"),
        (GOOD.replace(",1,", ",0.5,"), "num_gpus", "must be above"),
        (GOOD.replace(",200,", ",,"), "prompt_tokens", "the prompts' length is needed"),
        (GOOD.replace("H100,1", "TPU-v5p,1"), "gpu", "has no board_power_watts"),
    ],
)
def test_a_bad_cell_is_2_with_its_place(run, tmp_path, row, column, words) -> None:
    done = run("validate", "--measured", write(tmp_path, SERVING + GOOD + row))
    assert (done.returncode, done.stdout) == (2, "")
    place = 1 + sum(len(cell) + 1 for cell in row.split(",")[: SERVING.split(",").index(column)])
    assert f"mine.csv:3:{place}" in done.stderr
    assert column in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", "not a table of measurements"),
        (SERVING, "there is a header but no row"),
        ("\x89PNG\0", "is not text"),
    ],
)
def test_a_file_that_is_no_table_is_2(run, tmp_path, text, words) -> None:
    done = run("validate", "--measured", write(tmp_path, text))
    assert done.returncode == 2
    assert words in done.stderr
    assert run("validate", "--measured", "absent.csv").returncode == 2


def test_several_bad_cells_are_told_at_once(run, tmp_path) -> None:
    text = SERVING + GOOD.replace("H100", "X1") + GOOD.replace("bfloat16", "fp7")
    done = run("validate", "--measured", write(tmp_path, text))
    assert "mine.csv:2:" in done.stderr
    assert "mine.csv:3:" in done.stderr


def test_own_calibration(run, tmp_path) -> None:
    """Half the bandwidth reached: longer predicted steps, smaller ratios."""
    folder = tmp_path / "mine" / "calibration"
    folder.mkdir(parents=True)
    shipped = (catalogue_folder("hardware") / "calibration" / "h100.yaml").read_text()
    serving = next(line for line in shipped.splitlines() if line.startswith("  memory: "))
    (folder / "h100.yaml").write_text(shipped.replace(serving, "  memory: 0.4", 1))
    table = write(tmp_path, SERVING + GOOD)
    usual = groups(run("validate", "--measured", table, "-f", "json"))
    own = groups(run("validate", "--measured", table, "-f", "json", "--hardware-path", "mine"))
    key = ("accelerator", "h100-sxm", "step_seconds")
    assert own[key]["p50"] < 0.7 * usual[key]["p50"]


def test_measured_tables_are_kept(run, shared) -> None:
    """The tables that the calibrations were made from lie within their own bands."""
    for name, rows in (("serving_measured", 429), ("training_mfu_measured", 144)):
        done = run("validate", "--measured", str(shared(f"data/{name}.csv")), "-f", "json")
        assert (done.returncode, done.stderr) == (0, "")
        found = groups(done)
        quantity = "step_seconds" if rows == 429 else "training_utilisation"
        assert found["accelerator", "all", quantity]["rows"] == rows
