"""Errors in figures of accelerators: the published ones, and every kind made on purpose."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.errors import Ds3optError
from ds3opt.io.accelerators import accelerator_files, load_sheet
from ds3opt.io.hardware_figures import DIMENSIONS, Finding, read_figures
from ds3opt.io.hardware_lint import COMPARED, lint_sheet
from ds3opt.io.hardware_names import model_of, same_model
from ds3opt.io.hardware_ratios import RATIOS
from ds3opt.io.yaml_source import load_yaml

TODAY = datetime.date(2026, 11, 1)
"""A day on which the dates of the shipped catalogue are neither ahead nor stale."""

Lint = Callable[..., list[Finding]]
RATES = {"bf16", "fp8", "int8", "fp4"}
SHORT = {
    "memory": "memory_bytes",
    "bandwidth": "bandwidth_bytes_per_s",
    "link": "link_bytes_per_s",
    "power": "board_power_watts",
}


def sheet(name: str, figures: dict[str, str], extra: str = "", **about: str) -> str:
    """The text of a description; `about` holds what stands beside a value, by field."""

    def written(field: str, value: str) -> str:
        beside = about.get(field, "source: a datasheet, as_of: 2026-05-01")
        return f"{{value: {value}, {beside}}}"

    lines = [f"name: {name}", "vendor: Maker", "dense_flop_per_s:"]
    lines += [f"  {key}: {written(key, figures[key])}" for key in figures if key in RATES]
    lines += [
        f"{SHORT[key]}: {written(key, value)}" for key, value in figures.items() if key in SHORT
    ]
    prices = [
        f"  {key}: {written(key, value)}"
        for key, value in figures.items()
        if key in {"low", "typical", "high"}
    ]
    lines += ["price_per_hour:", *prices] if prices else []
    return "\n".join([*lines, extra, ""])


SOUND = {
    "bf16": "400 TFLOP/s",
    "fp8": "800 TFLOP/s",
    "memory": "80 GB",
    "bandwidth": "2 TB/s",
    "link": "300 GB/s",
    "power": "500 W",
    "low": "1 USD/h",
    "typical": "2 USD/h",
}
"""An accelerator that nobody has heard of."""


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    def run(name: str = "Own chip", extra: str = "", **changes: Any) -> list[Finding]:
        about = {key: changes.pop(f"{key}_about") for key in SOUND if f"{key}_about" in changes}
        only = changes.pop("only", None)
        figures = only if only is not None else {**SOUND, **changes}
        path = tmp_path / "mine.yaml"
        path.write_text(sheet(name, figures, extra, **about), encoding="utf-8")
        return lint_sheet(path, today=TODAY)

    return run


def fields(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.check, one.problem.path) for one in findings}


# ------------------------------------------------------------------ the shipped catalogue


@pytest.mark.parametrize("name", accelerator_files())
def test_the_shipped_catalogue_is_clean(name: str) -> None:
    assert lint_sheet(accelerator_files()[name], today=TODAY) == []


@pytest.mark.parametrize("name", accelerator_files())
def test_every_doubled_figure_of_the_catalogue_is_found(name: str, tmp_path: Path) -> None:
    shipped = load_sheet(accelerator_files()[name])
    text = accelerator_files()[name].read_text(encoding="utf-8")
    path = tmp_path / f"{name}.yaml"
    for field, figure in shipped.sheet.figures().items():
        if field in COMPARED and figure.unusual is None:
            at = shipped.source.location((*field.split("."), "value"))
            lines = text.splitlines()
            lines[at.line - 1] = lines[at.line - 1][: at.column - 1] + f"{2 * figure.value:.12g}"
            path.write_text("\n".join(lines), encoding="utf-8")
            found = lint_sheet(path, today=TODAY)
            assert ("catalogue", field) in fields(found) or ("direction", field) in fields(found)
            assert {one.problem.location.line for one in found} == {at.line}


# ------------------------------------------------------------------ published errors

L40S = {"bf16": "362 TFLOP/s", "fp8": "1466 TFLOP/s", "memory": "48 GB", "bandwidth": "864 GB/s"}
GH200 = {"bf16": "1979 TFLOP/s", "memory": "144 GB", "bandwidth": "4.9 TB/s"}
B100 = {"bf16": "3500 TFLOP/s", "memory": "192 GB", "bandwidth": "8 TB/s"}
GB200 = {"bf16": "4500 TFLOP/s", "memory": "192 GB", "bandwidth": "8 TB/s"}
GB200_BANDWIDTH = {"bf16": "2500 TFLOP/s", "memory": "186 GB", "bandwidth": "13.4 TB/s"}
MI300X = {"bf16": "2615 TFLOP/s", "memory": "192 GB", "bandwidth": "5.3 TB/s", "power": "750 W"}
V6E = {"bf16": "230 TFLOP/s", "int8": "1836 TFLOP/s", "memory": "32 GB", "bandwidth": "1.6 TB/s"}
PUBLISHED = [
    ("inference-sim, L40S", "L40S", L40S, "dense_flop_per_s.fp8", "with sparsity?"),
    ("GenZ, GH200", "GH200 144GB", GH200, "dense_flop_per_s.bf16", "with sparsity?"),
    ("GenZ, B100", "NVIDIA B100", B100, "dense_flop_per_s.bf16", "with sparsity?"),
    ("GenZ, GB200", "GB200", GB200, "dense_flop_per_s.bf16", "with sparsity?"),
    ("InferSim, GB200", "GB200", GB200_BANDWIDTH, "bandwidth_bytes_per_s", "superchip"),
    ("CodeSOTA, MI300X", "AMD MI300X", MI300X, "dense_flop_per_s.bf16", "with sparsity?"),
    ("a table of TPUs", "TPU v6e", V6E, "dense_flop_per_s.bf16", "of tpu-v6e in the catalogue"),
]


@pytest.mark.parametrize(
    ("name", "figures", "field", "words"),
    [case[1:] for case in PUBLISHED],
    ids=[c[0] for c in PUBLISHED],
)
def test_published_errors_are_found_by_name(
    lint: Lint, name: str, figures: dict[str, str], field: str, words: str
) -> None:
    (found,) = lint(name, only=figures)
    assert (found.check, found.problem.path) == ("catalogue", field)
    assert words in found.problem.message


BY_THEMSELVES = [
    ("L40S", L40S, ("ratio", "dense_flop_per_s.fp8")),
    ("B100", B100, ("range", "dense_flop_per_s.bf16")),
    ("GB200", GB200, ("range", "dense_flop_per_s.bf16")),
    ("GB200 bandwidth", GB200_BANDWIDTH, ("ratio", "memory_bytes")),
    ("GB200 bandwidth, too", GB200_BANDWIDTH, ("range", "bandwidth_bytes_per_s")),
    ("MI300X", MI300X, ("ratio", "dense_flop_per_s.bf16")),
    ("TPU v6e", V6E, ("ratio", "dense_flop_per_s.int8")),
    ("GH200 with its power", {**GH200, "power": "700 W"}, ("ratio", "dense_flop_per_s.bf16")),
]
"""All but the GH200 alone: two times 989 beside HBM3e is what a chip of tomorrow may have."""


@pytest.mark.parametrize(
    ("figures", "expected"), [case[1:] for case in BY_THEMSELVES], ids=[c[0] for c in BY_THEMSELVES]
)
def test_published_errors_are_found_without_a_known_name(
    lint: Lint, figures: dict[str, str], expected: tuple[str, str]
) -> None:
    assert expected in fields(lint("Own chip", only=figures))


# ------------------------------------------------------------------ one error at a time


def test_a_sound_description_is_clean(lint: Lint) -> None:
    assert lint() == []


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"fp8": "1600 TFLOP/s"}, ("ratio", "dense_flop_per_s.fp8"), "4 times the bf16 rate"),
        ({"fp8": "300 TFLOP/s"}, ("ratio", "dense_flop_per_s.fp8"), "bf16 with sparsity?"),
        ({"bandwidth": "6 TB/s"}, ("ratio", "memory_bytes"), "0.0133 seconds to read"),
        ({"memory": "280 GB"}, ("ratio", "memory_bytes"), "memory of the CPU"),
        ({"link": "600 GB/s"}, ("ratio", "link_bytes_per_s"), "both directions together?"),
        ({"power": "4 kW"}, ("ratio", "dense_flop_per_s.bf16"), "the power of a superchip"),
        ({"power": "2 kW"}, ("range", "board_power_watts"), "1.4 kW of"),
        ({"typical": "16 USD/h"}, ("ratio", "memory_bytes"), "the price of a server?"),
        ({"low": "0.05 USD/h"}, ("ratio", "dense_flop_per_s.bf16"), "price of a part"),
        ({"bf16": "400 GFLOP/s"}, ("ratio", "dense_flop_per_s.bf16"), "prefix of the unit"),
        ({"low": "3 USD/h"}, ("price", "price_per_hour.low"), "above the typical price, 2 USD/h"),
    ],
)
def test_what_does_not_go_together_is_found(
    lint: Lint, changes: dict[str, str], expected: tuple[str, str], words: str
) -> None:
    found = [(one.check, one.problem.path, one.problem.message) for one in lint(**changes)]
    assert any((check, path) == expected and words in said for check, path, said in found)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ("as_of: 2026-05-01", ("schema", "memory_bytes.source")),
        ("source: a datasheet", ("schema", "memory_bytes.as_of")),
        ("source: a datasheet, as_of: May", ("schema", "memory_bytes.as_of")),
        ("source: a datasheet, as_of: 2027-01-01", ("date", "memory_bytes")),
    ],
)
def test_sources_and_dates_are_asked_for(lint: Lint, about: str, expected: tuple[str, str]) -> None:
    assert fields(lint(memory_about=about)) == {expected}


@pytest.mark.parametrize(("day", "stale"), [("2025-11-01", False), ("2025-10-31", True)])
def test_prices_are_stale_after_a_year_and_other_figures_never(
    lint: Lint, day: str, stale: bool
) -> None:
    about = f"source: a page, as_of: {day}"
    found = lint(typical_about=about, memory_about=about.replace("2025", "2019"))
    assert fields(found) == ({("date", "price_per_hour.typical")} if stale else set())


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ("800 TFLOPS with sparsity", True),
        ("0.8 PFLOP/s (with sparsity)", True),
        ("datasheet, with sparsity", True),
        ("the sparse figure", True),
        ("1,600 with sparsity", False),
        ("without sparsity", False),
        ("half of the figure with sparsity", False),
        ("", False),
    ],
)
def test_a_rate_that_calls_itself_sparse_is_found(lint: Lint, note: str, found: bool) -> None:
    about = f"source: a datasheet, as_of: 2026-05-01, note: '{note}'"
    if not note:
        about = "source: a datasheet, as_of: 2026-05-01"
    expected = {("sparsity", "dense_flop_per_s.fp8")} if found else set()
    assert fields(lint(fp8_about=about)) == expected


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ("300 GB/s bidirectional", True),
        ("0.3 TB/s in both directions", True),
        ("300 GB/s total", True),
        ("bidirectional: 300 GB/s", True),
        ("600 GB/s bidirectional", False),
        ("both directions together have 600 GB/s", False),
        ("300 GB/s in one direction", False),
    ],
)
def test_a_link_that_calls_itself_bidirectional_is_found(
    lint: Lint, note: str, found: bool
) -> None:
    about = f"source: a datasheet, as_of: 2026-05-01, note: '{note}'"
    expected = {("direction", "link_bytes_per_s")} if found else set()
    assert fields(lint(link_about=about)) == expected


def test_a_figure_that_says_why_it_is_unusual_is_believed(lint: Lint) -> None:
    reason = "source: a datasheet, as_of: 2026-05-01, unusual: four times as many units"
    assert lint(fp8="1600 TFLOP/s", fp8_about=reason) == []
    assert lint("H100 SXM", **{k: v for k, v in SOUND.items() if k == "bf16"}, bf16_about=reason)


@pytest.mark.parametrize(
    ("name", "rate", "memory", "link", "words"),
    [
        ("H100", 989, 80, "900 GB/s", "twice the 450 GB/s of h100-sxm"),
        ("NVIDIA H200 SXM5 141GB", 989, 141, "900 GB/s", "twice the 450 GB/s of h200-sxm"),
        ("B200", 2250, 192, "1.8 TB/s", "twice the 900 GB/s of b200-sxm"),
        ("A100-SXM4-80GB", 312, 80, "600 GB/s", "twice the 300 GB/s of a100-80gb-sxm"),
    ],
)
def test_links_in_both_directions_are_found_by_name(
    lint: Lint, name: str, rate: float, memory: float, link: str, words: str
) -> None:
    figures = {"bf16": f"{rate} TFLOP/s", "memory": f"{memory} GB", "link": link}
    messages = [one.problem.message for one in lint(name, only=figures)]
    assert any(words in message and "both directions" in message for message in messages)


def test_a_calibration_that_is_not_there_is_found(lint: Lint, tmp_path: Path) -> None:
    (found,) = lint(extra="calibration: h10")
    assert (found.check, found.problem.path) == ("calibration", "calibration")
    assert "did you mean h100?" in found.problem.hint
    assert found.problem.location is not None
    assert lint(extra="calibration: h100") == []


def test_superchips_and_memory_of_the_cpu_are_found_by_name(lint: Lint) -> None:
    double = {"bf16": "5000 TFLOP/s", "memory": "372 GB", "bandwidth": "16 TB/s", "power": "2700 W"}
    found = lint("GB200 superchip", only=double)
    assert {check for check, _ in fields(found)} == {"catalogue"}
    assert {path for _, path in fields(found)} == {
        *("dense_flop_per_s.bf16", "memory_bytes", "bandwidth_bytes_per_s", "board_power_watts")
    }
    (alone,) = lint(
        "GH200", only={"bf16": "989 TFLOP/s", "memory": "576 GB", "bandwidth": "4 TB/s"}
    )
    assert "memory of the CPU" in alone.problem.message


def test_another_version_with_its_memory_in_its_name_passes(lint: Lint) -> None:
    version = {"bf16": "989 TFLOP/s", "memory": "144 GB", "bandwidth": "4.9 TB/s"}
    assert lint("GH200 144 GB", only=version) == []
    assert fields(lint("GH200", only=version)) == {
        ("catalogue", "memory_bytes"),
        ("catalogue", "bandwidth_bytes_per_s"),
    }


@pytest.mark.parametrize(
    ("name", "stem", "same"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm", True),
        ("H100 PCIe", "h100-sxm", False),
        ("H100 PCIe", "h100-pcie", True),
        ("H100 NVL", "h100-sxm", False),
        ("H200", "h20", False),
        ("GH200", "h200-sxm", False),
        ("GB200 NVL72", "gb200", True),
        ("B200", "gb200", False),
        ("HGX B200", "b200-sxm", True),
        ("Tpu V5 e", "tpu-v5e", True),
        ("TPU7x", "tpu-v7x", True),
        ("Cloud TPU Trillium", "tpu-v6e", True),
        ("GeForce RTX 4090", "rtx-4090", True),
        ("Gaudi 3", "gaudi3", True),
        ("L40", "l40s", False),
        ("L4", "l40s", False),
        ("", "l4", False),
    ],
)
def test_names_mean_one_model(name: str, stem: str, same: bool) -> None:
    assert same_model([name], stem) is same


def test_every_shipped_name_means_itself_and_nothing_else() -> None:
    for name, path in accelerator_files().items():
        title = load_sheet(path).sheet.name
        alike = {model_of(stem) for stem in accelerator_files() if same_model([name, title], stem)}
        assert alike == {model_of(name)}


def test_bounds_of_ratios_leave_room_around_the_catalogue() -> None:
    for rule in RATIOS:
        seen = []
        for path in accelerator_files().values():
            figures = load_sheet(path).sheet.figures()
            pair = figures.get(rule.field), figures.get(rule.over)
            if pair[0] and pair[1] and not pair[0].unusual and not pair[1].unusual:
                seen.append(pair[0].value / pair[1].value)
        assert len(seen) >= 3
        assert rule.least < min(seen)
        assert max(seen) < rule.most


# ------------------------------------------------------------------ what is broken


def test_the_readable_part_of_a_broken_description_is_judged_too(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: L40S\ndense_flop_per_s: {bf16: 362 TFLOP/s, fp8: 1466 TFLOP/s, fp16: 3}\n"
        "memory_bytes: many\nbandwidth_bytes_per_s: [1]\nprice_per_hour: 2 USD/h\n",
        encoding="utf-8",
    )
    found = lint_sheet(path, today=TODAY)
    assert ("catalogue", "dense_flop_per_s.fp8") in fields(found)
    assert {("schema", "memory_bytes"), ("schema", "dense_flop_per_s.fp16")} <= fields(found)
    places = [one.problem.location for one in found]
    assert all(place.source == str(path) and place.line for place in places)
    assert [place.line for place in places] == sorted(place.line for place in places)


@pytest.mark.parametrize("content", [b"", b"a: [", b"- 1", b"\xff\xfe", b"just words"])
def test_what_is_no_mapping_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(Ds3optError):
        lint_sheet(path, today=TODAY)


@pytest.mark.parametrize(
    "value", ["null", "[]", "{}", "-5", ".nan", ".inf", "1e308", "''", "0", "{value: {value: 1}}"]
)
@pytest.mark.parametrize("field", ["memory_bytes", "dense_flop_per_s", "price_per_hour", "name"])
def test_no_value_stops_the_search(tmp_path: Path, field: str, value: str) -> None:
    path = tmp_path / "x.yaml"
    rest = sheet("H100", {k: v for k, v in SOUND.items() if SHORT.get(k, "") != field})
    kept = [line for line in rest.splitlines() if not line.startswith(field + ":")]
    path.write_text("\n".join([*kept, f"{field}: {value}"]), encoding="utf-8")
    try:
        found = lint_sheet(path, today=TODAY)
    except Ds3optError:
        assert field in {"dense_flop_per_s", "price_per_hour"}  # their parts are left hanging
    else:
        assert found


def test_every_figure_of_a_description_is_read() -> None:
    text = "\n".join(
        ["dense_flop_per_s: {bf16: 1e12, fp8: 1e12, int8: 1e12, fp4: 1e12}"]
        + ["price_per_hour: {low: 1, typical: 1, high: 1}"]
        + [f"{field}: 8e9" for field in DIMENSIONS if "." not in field]
    )
    assert set(read_figures(load_yaml(text, "x"))) == set(DIMENSIONS)


SHIPPED = accelerator_files()["h100-sxm"].read_text(encoding="utf-8")


@given(
    st.integers(0, len(SHIPPED)),
    st.integers(0, 40),
    st.text(alphabet="abz019 .:,-{}[]\n&*#'\"\\%", max_size=12) | st.text(max_size=4),
)
def test_any_damage_is_judged_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, put: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    damaged = SHIPPED[:start] + put + SHIPPED[start + length :]
    path.write_text(damaged, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(Ds3optError):
        for found in lint_sheet(path, today=TODAY):
            assert found.problem.message
            assert found.problem.location is not None


def test_the_description_in_the_documentation_is_sound(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "hardware.md"
    (found,) = re.findall(r"```yaml\n(name: Own chip.*?)```", page.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "own.yaml"
    path.write_text(found, encoding="utf-8")
    assert lint_sheet(path, today=TODAY) == []
    assert load_sheet(path).sheet.memory_bytes.value == 96e9
