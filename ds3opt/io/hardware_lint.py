"""What is probably wrong in descriptions of accelerators: sparse, doubled, stale or unlikely."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from ds3opt.errors import Ds3optError
from ds3opt.io.accelerators import (
    accelerator_files,
    load_sheet,
    normal_name,
    read_sheet,
    sheet_problems,
)
from ds3opt.io.calibration import load_calibration
from ds3opt.io.hardware_figures import PRICES, RATES, Figure, Figures, Finding, read_figures, shown
from ds3opt.io.hardware_names import memory_in, same_model
from ds3opt.io.hardware_ratios import BOTH_WAYS, CPU_MEMORY, SPARSE, SUPERCHIP, ratio_findings
from ds3opt.io.yaml_source import YamlSource
from ds3opt.schema.accelerator import AcceleratorSheet

OLDEST_PRICE = datetime.timedelta(days=365)
CLOSE = 0.10
"""Relative difference from the catalogue that passes: B200 memory is 180 or 192 GB."""
BEYOND = 1.25
"""Times the largest of the catalogue that passes."""
COMPARED = (
    *RATES,
    *("memory_bytes", "bandwidth_bytes_per_s", "link_bytes_per_s", "board_power_watts"),
)
"""Figures that are the same for every buyer."""

Catalogue = Mapping[str, tuple[Path, AcceleratorSheet]]


def lint_sheet(path: str | Path, *, today: datetime.date) -> list[Finding]:
    """Everything suspicious in one description, in the order of its text.

    A figure that is wrong by its own words or by the catalogue is reported once, without the ratios
    and ranges that it breaks.

    Parameters
    ----------
    path : a file; it need not satisfy the schema, as long as it is YAML.
    today : against which the ages of prices are judged.

    Raises
    ------
    UsageError, ScenarioError : a file that cannot be read.
    """
    source = read_sheet(path)
    figures = read_figures(source)
    known = shipped_sheets()
    certain = [
        *_said_sparse(figures),
        *_said_bidirectional(figures),
        *_against_catalogue(source, figures, known),
    ]
    wrong = {finding.problem.path for finding in certain}
    ratios = [f for f, pair in ratio_findings(figures) if not wrong & {p.field for p in pair}]
    ranges = [f for f in _range(figures, known) if f.problem.path not in wrong]
    rest = [
        *_schema(source),
        *_calibration(source),
        *_dates(figures, today),
        *_price_order(figures),
    ]
    return sorted([*certain, *ratios, *ranges, *rest], key=_order)


def shipped_sheets() -> Catalogue:
    """The shipped descriptions, by name."""
    return {stem: (path, load_sheet(path).sheet) for stem, path in accelerator_files().items()}


def _order(finding: Finding) -> tuple[int, int, str]:
    place = finding.problem.location
    return (place.line, place.column, finding.check) if place else (0, 0, finding.check)


def _schema(source: YamlSource) -> Iterator[Finding]:
    try:
        AcceleratorSheet.model_validate(source.data)
    except ValidationError as error:
        yield from (Finding("schema", problem) for problem in sheet_problems(error, source))


def _calibration(source: YamlSource) -> Iterator[Finding]:
    """A set of measured efficiencies that is not there."""
    name = source.data.get("calibration")
    if isinstance(name, str):
        try:
            load_calibration(name, [Path(source.source).parent])
        except Ds3optError as error:
            place = source.location(("calibration",))
            for problem in error.problems:
                missing = replace(problem, path="calibration", location=problem.location or place)
                yield Finding("calibration", missing)


def _dates(figures: Figures, today: datetime.date) -> Iterator[Finding]:
    for figure in figures.values():
        if figure.as_of is None:
            continue
        if figure.as_of > today:
            yield figure.finding("date", f"its date, {figure.as_of}, has not come yet")
        elif figure.field in PRICES and today - figure.as_of > OLDEST_PRICE:
            message = f"the price is of {figure.as_of}, more than a year before {today}"
            yield figure.finding("date", message)


def _price_order(figures: Figures) -> Iterator[Finding]:
    known = [figures[price] for price in PRICES if price in figures]
    for lower, upper in pairwise(known):
        if lower.value > upper.value:
            name = upper.field.rpartition(".")[2]
            message = f"{lower.shown} is above the {name} price, {upper.shown}"
            yield lower.finding("price", message)


_NUMBER = r"(\d[\d,]*(?:\.\d+)?)"
_WITH_SPARSITY = re.compile(
    _NUMBER + r"\s*(?:[TP](?:FL)?OPS?(?:/s)?)?\s*\(?(?:with\s+)?spars", re.I
)
_SPARSE_ALONE = re.compile(r"\b(?:with|includes|including)\s+sparsity|\bsparse\b", re.I)
_RELATIVE = re.compile(r"\d|\b(?:twice|double|half|without|no|not)\b", re.I)
"""What makes a mention of sparsity speak of another number than the one given."""
_BOTH_DIRECTIONS = re.compile(
    _NUMBER
    + r"\s*([GT])B/s\s*\(?(?:bidirectional|in\s+both|both|total|aggregate)"
    + r"|(?:bidirectional|both\s+directions\s+together\s+have)\W*"
    + _NUMBER
    + r"\s*([GT])B/s",
    re.I,
)


def _said_sparse(figures: Figures) -> Iterator[Finding]:
    """Dense rates that their own source or note calls sparse."""
    for figure in (figures[field] for field in RATES if field in figures):
        printed = [_float(number) for number in _WITH_SPARSITY.findall(figure.words)]
        same = any(_near(figure.value, n * unit) for n in printed for unit in (1e12, 1e15))
        alone = _SPARSE_ALONE.search(figure.words) and not _RELATIVE.search(figure.words)
        if (same or alone) and not figure.unusual:
            message = f"{figure.shown} is the figure with sparsity, by its own words"
            yield figure.finding("sparsity", message, "the dense figure is half of it")


def _said_bidirectional(figures: Figures) -> Iterator[Finding]:
    """A link's rate that its own source or note calls that of both directions."""
    figure = figures.get("link_bytes_per_s")
    if figure is None or figure.unusual:
        return
    for before, prefix, after, other_prefix in _BOTH_DIRECTIONS.findall(figure.words):
        unit = 1e12 if (prefix or other_prefix).upper() == "T" else 1e9
        if _near(figure.value, _float(before or after) * unit):
            message = f"{figure.shown} is the rate of both directions together, by its own words"
            yield figure.finding("direction", message, "one direction has half of it")
            return


def _float(digits: str) -> float:
    return float(digits.replace(",", ""))


def _near(value: float, other: float, within: float = 0.01) -> bool:
    return abs(value - other) <= within * other


def _against_catalogue(source: YamlSource, figures: Figures, known: Catalogue) -> Iterator[Finding]:
    """Figures that differ from those of the same accelerator in the catalogue."""
    file = Path(source.source)
    if any(file.resolve() == path.resolve() for path, _ in known.values()):
        return
    names = [file.stem, str(source.data.get("name", ""))]
    alike = [stem for stem in known if same_model(names, stem)]
    if not alike:
        return
    exact = normal_name(file.stem)
    alike = [exact] if exact in alike else alike
    stem = min(alike, key=lambda stem: _distance(figures, known[stem][1]))
    version = _another_version(figures, known[stem][1], names)
    skipped = {"memory_bytes", "bandwidth_bytes_per_s"} if version else set()
    for field, expected in known[stem][1].figures().items():
        figure = figures.get(field)
        if figure is None or figure.unusual or field not in COMPARED or field in skipped:
            continue
        ratio = figure.value / expected.value
        if abs(ratio - 1) > CLOSE:
            times = "twice" if _near(ratio, 2, 0.02) else f"{ratio:.3g} times"
            there = f"the {shown(expected.value, field)} of {stem} in the catalogue"
            suspicion = f": {_suspicion(field, ratio)}" if _suspicion(field, ratio) else ""
            yield figure.finding("catalogue", f"{figure.shown} is {times} {there}{suspicion}")


def _another_version(figures: Figures, sheet: AcceleratorSheet, names: list[str]) -> bool:
    """Whether the name itself says that there is another memory than the catalogue knows."""
    memory = figures.get("memory_bytes")
    if memory is None or _near(memory.value, sheet.memory_bytes.value, CLOSE):
        return False
    return any(_near(memory.value, size, CLOSE) for name in names for size in memory_in(name))


def _distance(figures: Figures, sheet: AcceleratorSheet) -> float:
    """How far two descriptions are apart, in natural logarithms, over the figures of both."""
    pairs = [(figures[f].value, e.value) for f, e in sheet.figures().items() if f in figures]
    return sum(abs(math.log(value / other)) for value, other in pairs if value > 0 < other)


def _suspicion(field: str, ratio: float) -> str:
    """What may have happened to a figure that is so many times too large."""
    if ratio < 1.6:
        return ""
    if field in RATES:
        return SPARSE
    if field == "link_bytes_per_s":
        return BOTH_WAYS
    return CPU_MEMORY if field == "memory_bytes" and ratio > 2.2 else SUPERCHIP


def _range(figures: Figures, known: Catalogue) -> Iterator[Finding]:
    """Figures far beyond those of every accelerator of the catalogue."""
    for field in COMPARED:
        figure: Figure | None = figures.get(field)
        if figure is None or figure.unusual:
            continue
        there = [
            (sheet.figures()[field].value, stem)
            for stem, (_, sheet) in known.items()
            if field in sheet.figures()
        ]
        largest, stem = max(there)
        if figure.value > BEYOND * largest:
            message = f"{figure.shown} is beyond the largest of the catalogue, "
            message += f"{shown(largest, field)} of {stem}: {_suspicion(field, 2.0)}"
            yield figure.finding("range", message)
