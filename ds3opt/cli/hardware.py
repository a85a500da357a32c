"""``ds3opt hardware``: the catalogue of accelerators, and what is suspicious in descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.arguments import HardwarePath, hardware_folders
from ds3opt.cli.help import Command, examples
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import Ds3optError, ExitCode, Problem, UsageError

if TYPE_CHECKING:
    import datetime

    from ds3opt.io.accelerators import LoadedSheet
    from ds3opt.io.hardware_figures import Finding
    from ds3opt.report.document import Column, Document
    from ds3opt.report.values import Value
    from ds3opt.schema.accelerator import Figure

hardware = typer.Typer(
    help="Accelerators: list them, show one, or look for errors in their figures.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

_UNITS = {
    "flop_rate": "FLOP/s",
    "bytes": "B",
    "bandwidth": "B/s",
    "power": "W",
    "price_per_hour": "USD/h",
    "money": "USD",
    "carbon": "kg",
    "count": "",
}
"""The unit of a machine-readable value by its dimension."""


@hardware.command("list", cls=Command, epilog=examples("hardware list"))
@with_view(*ALL_FORMATS, without=("verbose",))
def list_hardware(view: View, hardware_path: HardwarePath = None) -> int:
    """Every accelerator of the catalogue with its main figures.

    Figures are of one accelerator. Rates are dense; the link is to the others of its server, in one
    direction; the price is the typical one. A dash stands for what nobody publishes.
    """
    from ds3opt.io.accelerators import accelerator_files, load_sheet
    from ds3opt.report.document import Column, Document, table_of

    files = accelerator_files(hardware_folders(hardware_path))
    loaded = [load_sheet(path) for path in files.values()]
    shown = (
        ("memory_bytes", "memory", "bytes"),
        ("bandwidth_bytes_per_s", "bandwidth", "bandwidth"),
        ("dense_flop_per_s.bf16", "dense bf16", "flop_rate"),
        ("dense_flop_per_s.fp8", "dense fp8", "flop_rate"),
        ("link_bytes_per_s", "link one way", "bandwidth"),
        ("board_power_watts", "power", "power"),
        ("price_per_hour.typical", "price", "price_per_hour"),
    )
    table = table_of(
        "",
        loaded,
        (Column("name", "name"), lambda one: one.name),
        (Column("vendor", "vendor"), lambda one: one.sheet.vendor),
        *(
            (Column(field, words, dimension), lambda one, field=field: _value(one, field))
            for field, words, dimension in shown
        ),
    )
    data = {"schema_version": 1, "accelerators": [_summary(one) for one in loaded]}
    view.emit(Document("", (table,), data, table))
    return ExitCode.DONE


def _value(loaded: LoadedSheet, field: str) -> float | None:
    figure = loaded.sheet.figures().get(field)
    return None if figure is None else float(figure.value)


def _summary(loaded: LoadedSheet) -> dict[str, Any]:
    """Plain numbers under the names that a scenario uses; what is unknown is left out."""
    return loaded.sheet.plain(loaded.name, loaded.source.source)


@hardware.command("show", cls=Command, epilog=examples("hardware show h100-sxm"))
@with_view(*ALL_FORMATS, without=("verbose",))
def show_hardware(
    view: View,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As listed.")],
    hardware_path: HardwarePath = None,
) -> int:
    """Every figure of an accelerator with its unit, date, source and note."""
    from ds3opt.io.accelerators import load_named_sheet

    loaded = load_named_sheet(name, hardware_folders(hardware_path))
    view.emit(_sheet_document(loaded))
    return ExitCode.DONE


def _sheet_document(loaded: LoadedSheet) -> Document:
    from dataclasses import replace

    from ds3opt.io.hardware_figures import DIMENSIONS
    from ds3opt.report.document import Column, Document, table_of
    from ds3opt.report.values import Measure

    sheet, figures = loaded.sheet, loaded.sheet.figures()

    def measure(item: tuple[str, Figure[Any]]) -> Value:
        return Measure(float(item[1].value), DIMENSIONS[item[0]])

    rows = list(figures.items())
    sources = list(dict.fromkeys(figure.source for figure in figures.values()))
    table = table_of(
        "",
        rows,
        (Column("figure", "figure"), lambda item: item[0]),
        (Column("value", "value"), measure),
        (Column("as_of", "as of"), lambda item: item[1].as_of.isoformat()),
        (Column("source", "source", "whole"), lambda item: sources.index(item[1].source) + 1),
        (Column("note", "note"), lambda item: _note(item[1])),
    )
    documents = table_of(
        "Sources",
        list(enumerate(sources, 1)),
        (Column("number", "", "whole"), lambda item: item[0]),
        (Column("source", ""), lambda item: item[1]),
    )
    parts = ("figure", "value", "unit", "as_of", "verified", "source", "note", "unusual")
    columns: tuple[Column, ...] = tuple(Column(part, part) for part in parts)
    data = {field: _figure_data(field, figure) for field, figure in rows}
    records = replace(
        table,
        columns=columns,
        rows=tuple((field, *(one.get(p) for p in parts[1:])) for field, one in data.items()),
    )
    about = {
        "schema_version": 1,
        "name": loaded.name,
        "title": sheet.name,
        "vendor": sheet.vendor,
        "note": sheet.note,
        "calibration": sheet.calibration,
        "file": loaded.source.source,
        "figures": data,
    }
    title = f"{loaded.name}: {sheet.vendor} {sheet.name}"
    note = f"{sheet.note} " if sheet.note else ""
    table = replace(table, footer=f"{note}Calibration: {sheet.calibration}.")
    return Document(title, (table, replace(documents, header=False)), about, records)


def _note(figure: Figure[Any]) -> str | None:
    remarks = (None if figure.verified else "not verified", figure.note, figure.unusual)
    return "; ".join(remark for remark in remarks if remark) or None


def _figure_data(field: str, figure: Figure[Any]) -> dict[str, Any]:
    from ds3opt.io.hardware_figures import DIMENSIONS

    return {
        "value": figure.value,
        "unit": _UNITS[DIMENSIONS[field]],
        "as_of": figure.as_of.isoformat(),
        "verified": figure.verified,
        "source": figure.source,
        "note": figure.note,
        "unusual": figure.unusual,
    }


@hardware.command("lint", cls=Command, epilog=examples("hardware lint mine.yaml"))
@with_view("table", "json", "csv", "yaml", "markdown", "github", without=("verbose", "precision"))
def lint_hardware(
    view: View,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE...]",
            help="Files, folders or names; left out: the whole catalogue.",
        ),
    ] = None,
    hardware_path: HardwarePath = None,
    today: Annotated[
        str | None,
        typer.Option("--today", metavar="DATE", help="Judge the age of prices as of this day."),
    ] = None,
) -> int:
    """Look for figures that are probably wrong; exit 1 if there are any.

    Rates with sparsity, superchips counted as one accelerator, links in both directions together,
    figures that do not go together or differ from the catalogue, old prices, missing sources.
    A figure that is right although it looks wrong says why under `unusual`.
    """
    from ds3opt.io.hardware_lint import lint_sheet

    day = _day(today)
    paths = _sheets(files, hardware_folders(hardware_path))
    found: list[Finding] = []
    unreadable: list[Problem] = []
    for path in paths:
        try:
            found += lint_sheet(path, today=day)
        except Ds3optError as error:
            unreadable += error.problems
    if found or not unreadable:
        _emit_findings(view, found, len(paths))
    if unreadable:
        raise UsageError(*unreadable)
    return ExitCode.DRIFT if found else ExitCode.DONE


def _day(written: str | None) -> datetime.date:
    import datetime

    if written is None:
        return datetime.date.today()
    try:
        return datetime.date.fromisoformat(written)
    except ValueError:
        hint = "write it as 2026-05-01"
        raise UsageError(Problem(f"--today: {written!r} is not a date", hint=hint)) from None


def _sheets(given: list[str] | None, folders: list[Path]) -> list[Path]:
    """The files to look at: as named, all of a folder, or by name from the catalogue."""
    from ds3opt.io.accelerators import accelerator_files, load_named_sheet

    if not given:
        return list(accelerator_files(folders).values())
    paths: list[Path] = []
    for name in given:
        path = Path(name)
        if path.is_dir():
            inside = sorted(path.glob("*.yaml"))
            if not inside:
                raise UsageError(f"there are no .yaml files in {name}")
            paths += inside
        elif path.exists() or path.suffix in {".yaml", ".yml"} or "/" in name:
            paths.append(path)
        else:
            paths.append(load_named_sheet(name, folders).path)
    return paths


def _emit_findings(view: View, found: list[Finding], files: int) -> None:
    from ds3opt.io.problem_text import render_problems_github
    from ds3opt.report.document import Column, Document, table_of

    count = f"{files} file{'' if files == 1 else 's'} read, "
    title = count + (f"{len(found)} suspicious" if found else "nothing suspicious")
    if view.format == "github":
        lines = render_problems_github(one.problem for one in found)
        view.emit_text((lines or title) + "\n")
        return
    if view.format == "table":
        view.emit_text("\n".join([*map(_line, found), title]) + "\n")
        return
    data = [_finding_data(one) for one in found]
    parts = ("file", "line", "column", "field", "check", "message", "hint")
    table = table_of(
        "",
        data,
        *((Column(part, part), lambda one, part=part: one[part]) for part in parts),
    )
    whole = {"schema_version": 1, "files": files, "findings": data}
    view.emit(Document(title, (table,), whole, table))


def _line(finding: Finding) -> str:
    problem = finding.problem
    parts = (str(problem.location), problem.path, problem.message)
    hint = f"; {problem.hint}" if problem.hint else ""
    return ": ".join(part for part in parts if part) + hint


def _finding_data(finding: Finding) -> dict[str, Any]:
    problem = finding.problem
    place = problem.location
    return {
        "file": place.source if place else "",
        "line": place.line if place else 0,
        "column": place.column if place else 0,
        "field": problem.path,
        "check": finding.check,
        "message": problem.message,
        "hint": problem.hint,
    }
