"""Accelerators by name: where they are looked for, what is checked, and what a scenario may say."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.errors import Ds3optError, ScenarioError, UsageError
from ds3opt.io import accelerators
from ds3opt.io.accelerators import (
    accelerator_names,
    find_accelerator,
    load_accelerator,
    load_named_sheet,
    resolve_accelerator,
)
from ds3opt.schema.accelerator import Accelerator

SHEET = """\
name: Chip
vendor: Maker
dense_flop_per_s:
  bf16: {value: 100 TFLOP/s, source: s, as_of: 2026-05-01}
memory_bytes: {value: 80 GB, source: s, as_of: 2026-05-01}
bandwidth_bytes_per_s: {value: 2 TB/s, source: s, as_of: 2026-05-01}
price_per_hour:
  low: {value: 1 USD/h, source: s, as_of: 2026-05-01}
  typical: {value: 2 USD/h, source: s, as_of: 2026-05-01}
"""


def problem(call: Callable[[], object]) -> Any:
    with pytest.raises(Ds3optError) as caught:
        call()
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chip.yaml").write_text(SHEET, encoding="utf-8")
    return tmp_path


# ------------------------------------------------------------------ the catalogue

IN_TABLE = {
    "A100-80GB-SXM": "a100-80gb-sxm",
    "H100-SXM": "h100-sxm",
    "H200-SXM": "h200-sxm",
    "B200-SXM(HGX)": "b200-sxm",
    "GB200(per GPU)": "gb200",
    "L40S": "l40s",
    "MI300X": "mi300x",
    "MI325X": "mi325x",
    "TPU-v5e": "tpu-v5e",
    "TPU-v5p": "tpu-v5p",
    "TPU-v6e(Trillium)": "tpu-v6e",
    "Trainium2": "trainium2",
    "Gaudi3": "gaudi3",
    "RTX-4090": "rtx-4090",
}
COLUMNS = {
    "bf16_dense_tflops": ("dense_flop_per_s.bf16", 1e12),
    "fp8_dense_tflops": ("dense_flop_per_s.fp8", 1e12),
    "int8_dense_tops": ("dense_flop_per_s.int8", 1e12),
    "fp4_dense_tflops": ("dense_flop_per_s.fp4", 1e12),
    "hbm_gb": ("memory_bytes", 1e9),
    "hbm_tb_s": ("bandwidth_bytes_per_s", 1e12),
    "scaleup_gb_s_per_dir": ("link_bytes_per_s", 1e9),
    "tdp_w": ("board_power_watts", 1.0),
    "usd_per_h_typ": ("price_per_hour.typical", 1.0),
}


def test_the_catalogue_agrees_with_an_independent_table(shared: Callable[[str], Path]) -> None:
    text = shared("data/accelerators.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["name"] for row in rows} == set(IN_TABLE)
    for row in rows:
        chip = load_accelerator(IN_TABLE[row["name"]])
        for column, (field, unit) in COLUMNS.items():
            if row[column]:
                # the table has three digits and GB for Trainium's GiB, 7.4 % apart
                within = 0.075 if field == "memory_bytes" else 2e-3
                expected = pytest.approx(float(row[column]) * unit, rel=within)
                assert chip.get(field) == expected, (chip.name, field)


def test_every_shipped_sheet_is_sound() -> None:
    names = accelerator_names()
    assert len(names) >= 20
    for name in names:
        sheet = load_named_sheet(name).sheet
        chip = load_accelerator(name)
        assert chip.name == name
        for needed in ("dense_flop_per_s.bf16", "memory_bytes", "bandwidth_bytes_per_s"):
            assert chip.require(needed) > 0
        for field, figure in sheet.figures().items():
            assert "http" in figure.source, (name, field)
            assert chip.get(field) == figure.value


def test_no_two_shipped_sheets_are_the_same_accelerator() -> None:
    titles = [load_named_sheet(name).sheet.name for name in accelerator_names()]
    assert len(set(titles)) == len(titles)


# ------------------------------------------------------------------ finding and reading


def test_earlier_folders_win_and_the_shipped_come_last(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "chip.yaml").write_text(SHEET.replace("80 GB", "90 GB"), encoding="utf-8")
    (other / "h100-sxm.yaml").write_text(SHEET, encoding="utf-8")
    assert load_accelerator("chip", [folder, other]).memory_bytes == 80e9
    assert load_accelerator("chip", [other, folder]).memory_bytes == 90e9
    assert load_accelerator("h100-sxm", [other]).get("dense_flop_per_s.bf16") == 100e12
    assert load_accelerator("h100-sxm").get("dense_flop_per_s.bf16") == 989e12
    assert set(accelerator_names([folder])) - set(accelerator_names()) == {"chip"}


@pytest.mark.parametrize("spelling", ["h100-sxm", "H100-SXM", "H100 SXM", "h100_sxm", " h100-sxm "])
def test_capitals_spaces_and_underscores_make_no_difference(spelling: str) -> None:
    assert load_accelerator(spelling).name == "h100-sxm"


def test_a_scenario_of_the_same_name_is_no_accelerator(tmp_path: Path) -> None:
    scenario = "name: mine\nhardware: {accelerator: {dense_flop_per_s: {bf16: 1 TFLOP/s}}}\n"
    (tmp_path / "h100-sxm.yaml").write_text(scenario, encoding="utf-8")
    assert load_accelerator("h100-sxm", [tmp_path]).memory_bytes == 80e9
    assert accelerator_names([tmp_path]) == accelerator_names()


def test_one_accelerator_is_read_without_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.yaml").write_text("dense_flop_per_s: [", encoding="utf-8")
    read: list[str] = []
    original = accelerators.read_text

    def watched(path: Any, *more: Any) -> Any:
        read.append(Path(path).name)
        return original(path, *more)

    monkeypatch.setattr(accelerators, "read_text", watched)
    load_accelerator("chip", [folder])
    assert read == ["chip.yaml"]
    load_accelerator("chip", [folder])
    assert read == ["chip.yaml"]


def test_a_changed_file_is_read_again(folder: Path) -> None:
    path = folder / "chip.yaml"
    assert load_accelerator("chip", [folder]).memory_bytes == 80e9
    path.write_text(SHEET.replace("80 GB", "90 GB"), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert load_accelerator("chip", [folder]).memory_bytes == 90e9


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("h100", "did you mean h100-pcie or h100-sxm?"),
        ("h200", "did you mean h200-sxm?"),
        ("h100-smx", "h100-sxm"),
        ("trillium", "did you mean tpu-v6e?"),
        ("nothing like it", "`ds3opt hardware list`"),
        ("../h100-sxm", "without folder and suffix"),
        ("h100-sxm.yaml", "without folder and suffix"),
        ("", "`ds3opt hardware list`"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    found = problem(lambda: load_accelerator(name))
    assert found.message == f"no accelerator is named {name!r}"
    assert hint in found.hint


def test_a_sheet_without_its_essential_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nmemory_bytes: 1 GB\n", encoding="utf-8")
    found = problem(lambda: load_accelerator("mine", [tmp_path]))
    assert "mine.yaml has no dense_flop_per_s" in found.hint


def test_every_mistake_is_placed(folder: Path) -> None:
    broken = SHEET.replace("memory_bytes: {value: 80 GB, source: s,", "memory_byte: {value: 80 GB,")
    broken = broken.replace("2 TB/s", "2 TFLOP/s")
    (folder / "chip.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_accelerator("chip", [folder])
    problems = {one.path: one for one in caught.value.problems}
    assert set(problems) == {"memory_byte", "bandwidth_bytes_per_s.value"}
    typo, unit = problems["memory_byte"], problems["bandwidth_bytes_per_s.value"]
    assert 'did you mean "memory_bytes"?' in typo.hint
    assert (typo.location.line, typo.location.column) == (5, 1)
    assert (unit.location.line, unit.location.column) == (6, 32)
    assert unit.location.source == str(folder / "chip.yaml")


@pytest.mark.parametrize("content", [b"dense_flop_per_s:\n\0", b"dense_flop_per_s:\n\xff\xfe"])
def test_what_is_not_text_is_refused_in_words(folder: Path, content: bytes) -> None:
    (folder / "chip.yaml").write_bytes(content)
    with pytest.raises(UsageError, match=r"not (UTF-8 )?text"):
        load_accelerator("chip", [folder])


@given(st.text(max_size=200))
def test_any_name_is_found_or_refused(name: str) -> None:
    with contextlib.suppress(Ds3optError):
        assert find_accelerator(load_accelerator(name).name) is not None


# ------------------------------------------------------------------ what a scenario says


def test_a_name_becomes_the_whole_description() -> None:
    assert Accelerator.model_validate(resolve_accelerator("h100-sxm")) == load_accelerator(
        "h100-sxm"
    )


def test_single_figures_are_replaced() -> None:
    written = {
        "name": "H100 SXM",
        "dense_flop_per_s": {"bf16": "800 TFLOP/s"},
        "price_per_hour": "2.10 USD/h",
        "board_power_watts": None,
    }
    before = copy.deepcopy(written)
    chip = Accelerator.model_validate(resolve_accelerator(written))
    known = load_accelerator("h100-sxm")
    assert written == before
    assert chip.name == "h100-sxm"
    assert chip.get("dense_flop_per_s.bf16") == 800e12
    assert chip.get("dense_flop_per_s.fp8") == known.get("dense_flop_per_s.fp8")
    assert chip.get("price_per_hour.high") == 2.1
    assert chip.get("board_power_watts") is None
    assert chip.memory_bytes == known.memory_bytes
    assert load_accelerator("h100-sxm") == known


def test_a_range_of_prices_replaces_the_whole_range() -> None:
    written = {"name": "h100-sxm", "price_per_hour": {"typical": "1 USD/h"}}
    chip = Accelerator.model_validate(resolve_accelerator(written))
    assert chip.get("price_per_hour.typical") == 1.0
    assert chip.get("price_per_hour.low") is None


def test_an_own_description_needs_no_catalogue() -> None:
    own = {
        "dense_flop_per_s": {"bf16": "100 TFLOP/s"},
        "memory_bytes": "80 GB",
        "bandwidth_bytes_per_s": "2 TB/s",
    }
    for written in (own, {**own, "name": "my chip"}):
        resolved = resolve_accelerator(written)
        assert resolved == written
        assert resolved is not written
        assert Accelerator.model_validate(resolved).memory_bytes == 80e9


def test_a_misspelt_name_with_few_figures_is_refused() -> None:
    found = problem(lambda: resolve_accelerator({"name": "h100-smx", "price_per_hour": 2}))
    assert "did you mean h100-sxm?" in found.hint
    assert "or describe it whole with bandwidth_bytes_per_s" in found.hint


@pytest.mark.parametrize("value", [None, 5, 1.5, True, ["h100-sxm"]])
def test_what_is_neither_a_name_nor_a_mapping_is_refused(value: object) -> None:
    found = problem(lambda: resolve_accelerator(value))
    assert found.message == "an accelerator is a name, or a mapping of its figures"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "dense_flop_per_s", "bf16", "price_per_hour", "value"])
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(PLAIN, st.sampled_from([None, "h100-sxm", "nothing"]))
def test_anything_is_resolved_or_refused_in_words(value: Any, name: str | None) -> None:
    if isinstance(value, dict) and name is not None:
        value = {**value, "name": name}
    with contextlib.suppress(Ds3optError):
        assert isinstance(resolve_accelerator(value), dict)
