"""``ds3opt hardware`` as users run it: formats, folders, exit codes and words."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from ds3opt.io.accelerators import accelerator_names, load_named_sheet

OWN = """\
name: Own chip
vendor: Maker
dense_flop_per_s:
  bf16: {value: 400 TFLOP/s, source: datasheet, as_of: 2026-05-01}
memory_bytes: {value: 80 GB, source: datasheet, as_of: 2026-05-01}
bandwidth_bytes_per_s: {value: 2 TB/s, source: datasheet, as_of: 2026-05-01}
"""
DAY = ("--today", "2026-11-01")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    path = folder / "own-chip.yaml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture
def sparse(own: Path) -> Path:
    path = own.with_name("l40s-copy.yaml")
    text = OWN.replace("Own chip", "L40S").replace("400 TFLOP/s", "733 TFLOP/s")
    path.write_text(text.replace("80 GB", "48 GB").replace("2 TB/s", "864 GB/s"), encoding="utf-8")
    return path


# ------------------------------------------------------------------ list and show


def test_list_shows_every_accelerator_with_aligned_figures(run) -> None:
    done = run("hardware", "list")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert [row.split()[0] for row in rows] == accelerator_names()
    for words in ("memory", "bandwidth", "dense bf16", "dense fp8", "power", "price"):
        assert words in header
    (h100,) = [row for row in rows if row.split()[0] == "h100-sxm"]
    assert "989 TFLOP/s" in h100
    assert "2.95 USD/h" in h100
    assert max(map(len, rows)) <= 120
    (unknown,) = [row for row in rows if row.split()[0] == "tpu-v7x"]
    assert unknown.split()[-2:] == ["-", "-"]


def test_list_gives_machines_plain_numbers(run) -> None:
    data = json.loads(run("hardware", "list", "-f", "json").stdout)
    assert data["schema_version"] == 1
    by_name = {one["name"]: one for one in data["accelerators"]}
    assert list(by_name) == accelerator_names()
    assert by_name["h100-sxm"]["dense_flop_per_s"]["bf16"] == 989e12
    assert by_name["h100-sxm"]["price_per_hour"]["typical"] == 2.95
    assert "board_power_watts" not in by_name["tpu-v5e"]
    rows = list(csv.DictReader(io.StringIO(run("hardware", "list", "-f", "csv").stdout)))
    assert [row["name"] for row in rows] == accelerator_names()
    assert float(rows[accelerator_names().index("h100-sxm")]["memory_bytes"]) == 80e9
    assert yaml.safe_load(run("hardware", "list", "-f", "yaml").stdout)["accelerators"]
    assert run("hardware", "list", "-f", "markdown").stdout.startswith("| name |")


def test_show_has_every_figure_with_its_source(run) -> None:
    done = run("hardware", "show", "gb200")
    assert (done.returncode, done.stderr) == (0, "")
    figures = load_named_sheet("gb200").sheet.figures()
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines if line.split()[0] in figures] == list(figures)
    for source in {figure.source for figure in figures.values()}:
        assert source.split(",")[0] in done.stdout
    assert "not verified" in done.stdout
    assert "never the superchip with two. Calibration: b200.\n" in done.stdout


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_show_gives_machines_values_units_sources_and_dates(run, form: str) -> None:
    text = run("hardware", "show", "h100-sxm", "-f", form).stdout
    data = json.loads(text) if form == "json" else yaml.safe_load(text)
    sheet = load_named_sheet("h100-sxm").sheet
    assert (data["name"], data["vendor"]) == ("h100-sxm", "NVIDIA")
    assert list(data["figures"]) == list(sheet.figures())
    for field, figure in sheet.figures().items():
        shown = data["figures"][field]
        assert shown["value"] == figure.value
        assert (shown["source"], shown["as_of"]) == (figure.source, figure.as_of.isoformat())
    assert data["figures"]["link_bytes_per_s"]["unit"] == "B/s"


def test_show_has_one_record_for_each_figure(run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("hardware", "show", "l40s", "-f", "csv").stdout)))
    assert [row["figure"] for row in rows] == list(load_named_sheet("l40s").sheet.figures())
    assert rows[0]["unit"] == "FLOP/s"
    assert float(rows[0]["value"]) == 362e12


@pytest.mark.parametrize(
    ("name", "hint"),
    [("h100", "did you mean h100-pcie or h100-sxm?"), ("qqq", "`ds3opt hardware list`")],
)
def test_an_unknown_name_is_2_with_the_nearest(run, name: str, hint: str) -> None:
    done = run("hardware", "show", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no accelerator is named '{name}'" in done.stderr
    assert hint in done.stderr


# ------------------------------------------------------------------ folders


def test_own_folders_come_first_from_the_option_and_the_environment(run, own: Path) -> None:
    listed = run("hardware", "list", "--hardware-path", "own").stdout
    assert "own-chip" in listed
    assert "h100-sxm" in listed
    env = {"DS3OPT_HARDWARE_PATH": f"{own.parent}"}
    assert run("hardware", "list", env=env).stdout == listed
    assert "own-chip" not in run("hardware", "list").stdout
    shown = json.loads(run("hardware", "show", "own-chip", "-f", "json", env=env).stdout)
    assert shown["figures"]["memory_bytes"]["value"] == 80e9
    own.with_name("h100-sxm.yaml").write_text(OWN, encoding="utf-8")
    shown = run("hardware", "show", "h100-sxm", "--hardware-path", "own")
    assert "Own chip" in shown.stdout


def test_a_folder_that_is_not_there_is_2(run) -> None:
    done = run("hardware", "list", "--hardware-path", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no folder nowhere" in done.stderr
    done = run("hardware", "list", env={"DS3OPT_HARDWARE_PATH": "nowhere"})
    assert done.returncode == 2
    assert "DS3OPT_HARDWARE_PATH" in done.stderr


def test_a_broken_sheet_is_2_with_its_place(run, own: Path) -> None:
    own.write_text(OWN.replace("source: datasheet, ", "", 1), encoding="utf-8")
    done = run("hardware", "list", "--hardware-path", "own")
    assert (done.returncode, done.stdout) == (2, "")
    assert "own/own-chip.yaml:4:3: dense_flop_per_s.bf16.source" in done.stderr
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------ lint


def test_the_shipped_catalogue_is_0(run) -> None:
    done = run("hardware", "lint", *DAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(accelerator_names())} files read, nothing suspicious\n"


def test_findings_are_1_with_their_places(run, own: Path, sparse: Path) -> None:
    done = run("hardware", "lint", "own", *DAY)
    assert (done.returncode, done.stderr) == (1, "")
    first, last = done.stdout.splitlines()
    assert first == (
        "own/l40s-copy.yaml:4:17: dense_flop_per_s.bf16: 733 TFLOP/s is twice the "
        "362 TFLOP/s of l40s in the catalogue: with sparsity?"
    )
    assert last == "2 files read, 1 suspicious"
    assert run("hardware", "lint", "own/own-chip.yaml", *DAY).returncode == 0
    assert run("hardware", "lint", "own-chip", "--hardware-path", "own", *DAY).returncode == 0


def test_findings_in_other_formats(run, sparse: Path) -> None:
    arguments = ("hardware", "lint", "own/l40s-copy.yaml", *DAY)
    data = json.loads(run(*arguments, "-f", "json").stdout)
    (found,) = data["findings"]
    assert (found["file"], found["line"], found["column"]) == ("own/l40s-copy.yaml", 4, 17)
    assert (found["field"], found["check"]) == ("dense_flop_per_s.bf16", "catalogue")
    (row,) = csv.DictReader(io.StringIO(run(*arguments, "-f", "csv").stdout))
    assert {key: row[key] for key in ("file", "line", "field")} == {
        "file": "own/l40s-copy.yaml",
        "line": "4",
        "field": "dense_flop_per_s.bf16",
    }
    noted = run(*arguments, "-f", "github")
    assert noted.returncode == 1
    assert noted.stdout.startswith("::error file=own/l40s-copy.yaml,line=4,col=17::")


def test_old_prices_are_found_on_the_day_that_is_asked_for(run) -> None:
    done = run("hardware", "lint", "h100-sxm", "--today", "2029-01-01")
    assert done.returncode == 1
    assert "more than a year before 2029-01-01" in done.stdout
    early = run("hardware", "lint", "h100-sxm", "--today", "2020-01-01")
    assert "has not come yet" in early.stdout
    wrong = run("hardware", "lint", "h100-sxm", "--today", "soon")
    assert wrong.returncode == 2
    assert "--today" in wrong.stderr


def test_what_cannot_be_read_is_2_beside_what_is_found(run, own: Path, sparse: Path) -> None:
    own.write_text("a: [", encoding="utf-8")
    done = run("hardware", "lint", "own", "missing.yaml", *DAY)
    assert done.returncode == 2
    assert "l40s-copy.yaml:4:17" in done.stdout
    assert "own-chip.yaml:1:" in done.stderr
    assert "there is no file missing.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_folder_and_an_unknown_name_are_2(run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no .yaml files in empty" in run("hardware", "lint", "empty").stderr
    done = run("hardware", "lint", "h100")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean" in done.stderr


def test_findings_go_to_a_file(run, sparse: Path, tmp_path: Path) -> None:
    done = run("hardware", "lint", "own/l40s-copy.yaml", *DAY, "-f", "json", "-o", "found.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(json.loads((tmp_path / "found.json").read_text())["findings"]) == 1
