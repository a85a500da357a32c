"""``ds3opt check``: whether scenarios still give the results kept beside them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.arguments import HardwarePath, hardware_folders
from ds3opt.cli.draws import MOST_DRAWS, Seed, needs_draws
from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode, Location, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.progress import Callback
    from ds3opt.regression import Drift
    from ds3opt.report.document import Document

SUFFIX = ".expected.json"


@dataclass(frozen=True)
class Checked:
    """One scenario and how it differs from what was expected."""

    name: str
    path: Path
    drifts: tuple[Drift, ...]
    state: str
    """as expected, drifted, or what became of the expected file."""


@with_view("table", "json", "github", "markdown", without=("verbose",))
def check(
    view: View,
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO...]",
            help="Files or names; left out: every shipped one with results.",
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Keep the present results as expected.")
    ] = False,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="N",
            min=2,
            max=MOST_DRAWS,
            help="With --update: keep the spread over N draws, too.",
        ),
    ] = None,
    seed: Seed = 0,
    hardware_path: HardwarePath = None,
) -> int:
    """Solve scenarios and compare with the results kept beside them; exit 1 on any drift.

    Where results for draws are kept, the spread of the answer is compared as well as the answer.
    """
    from ds3opt.cli.progress import progress_bar

    needs_draws(draws, seed=seed != 0)
    if draws is not None and not update:
        hint = "without it, the draws are those of the results that are kept"
        raise UsageError(Problem("--draws needs --update", hint=hint))
    paths, folders = _paths(scenarios), hardware_folders(hardware_path)
    asked = None if draws is None else (draws, seed, 1.0)
    if not update:
        _refuse_without_results(paths)
    with progress_bar(view.quiet) as progress:
        checked = [
            _checked(name, path, folders, update, asked, _part(progress, index, len(paths)))
            for index, (name, path) in enumerate(paths.items())
        ]
    if view.format == "github":
        view.emit_text(_annotations(checked))
    else:
        view.emit(_document(checked, update))
    drifted = any(one.drifts for one in checked) and not update
    return ExitCode.DRIFT if drifted else ExitCode.DONE


def _paths(scenarios: list[str] | None) -> dict[str, Path]:
    from ds3opt.io.loader import catalogue, resolve

    if scenarios:
        if "-" in scenarios:
            raise UsageError("check needs files: results are kept beside them")
        paths = {name: Path(resolve(name)) for name in scenarios}
        folders = [name for name, path in paths.items() if path.is_dir()]
        if folders:
            raise UsageError(*(f"{name} is a folder, a file is expected" for name in folders))
        return paths
    kept = {name: path for name, path in catalogue().items() if expected_file(path).exists()}
    if not kept:
        hint = "name a scenario and give --update to keep its results"
        raise UsageError(Problem("no shipped scenario has expected results", hint=hint))
    return kept


def expected_file(path: Path) -> Path:
    """Where the expected results of a scenario are kept."""
    return path.parent / (path.stem + SUFFIX)


def _refuse_without_results(paths: dict[str, Path]) -> None:
    missing = [
        Problem(
            f"{name} has no expected results beside it ({expected_file(path).name})",
            hint=f"`ds3opt check {name} --update` keeps the present ones",
        )
        for name, path in paths.items()
        if path.exists() and not expected_file(path).exists()
    ]
    if missing:
        raise UsageError(*missing)


def _part(progress: Callback | None, index: int, count: int) -> Callback | None:
    """Progress of one scenario as a part of the whole."""
    if progress is None:
        return None
    return lambda stage, fraction: progress(stage, (index + fraction) / count)


def _checked(
    name: str,
    path: Path,
    folders: list[Path],
    update: bool,
    draws: tuple[int, int, float | None] | None,
    progress: Callback | None,
) -> Checked:
    from ds3opt.io.files import write_atomic
    from ds3opt.regression import compare, draws_of
    from ds3opt.report.document import Document
    from ds3opt.report.json_format import render_json

    kept = expected_file(path)
    expected = read_result(kept) if kept.exists() else None
    if draws is None and expected is not None:
        draws = draws_of(expected)
    actual = _result(path, folders, draws, progress)
    drifts = compare(expected, actual) if expected is not None else []
    state = "drifted" if drifts else "as expected"
    if update:
        state = "written" if expected is None else "rewritten"
        write_atomic(kept, render_json(Document("", (), actual)), force=True)
    return Checked(name, path, tuple(drifts), state)


def _result(
    path: Path,
    folders: list[Path],
    draws: tuple[int, int, float | None] | None,
    progress: Callback | None,
) -> dict[str, Any]:
    """What `solve --format json` says of a scenario, without what changes between releases."""
    from ds3opt.cli.outcome import version
    from ds3opt.io.loader import load_scenario
    from ds3opt.regression import stable
    from ds3opt.report.document import plain

    loaded = load_scenario(str(path), folders=folders)
    about = {"version": version(), "sha256": loaded.sha256}
    if draws is None:
        from ds3opt.optimise.solve import solve
        from ds3opt.report.solution_data import solution_data

        solution = solve(loaded.scenario, progress=progress)
        return stable(plain(solution_data(solution, **about)))
    from ds3opt.report.uncertainty_data import uncertainty_data
    from ds3opt.uncertainty.study import study

    count, seed, tail = draws
    found = study(loaded.scenario, count, seed, tail=tail, progress=progress)
    return stable(plain(uncertainty_data(found, **about)))


def read_result(path: Path | str, text: str | None = None) -> dict[str, Any]:
    """A result file; UsageError where it is not one."""
    from ds3opt.io.files import read_text

    if text is None:
        text = read_text(path)[0]
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(Problem(f"not JSON: {error}", location=Location(str(path)))) from None
    except RecursionError:
        raise UsageError(Problem("nested too deeply", location=Location(str(path)))) from None
    if not _is_result(data):
        message = "not a result of `ds3opt solve --format json`"
        raise UsageError(Problem(message, location=Location(str(path))))
    return dict(data)


_PARTS = (
    *("target", "certificate", "allocation", "outcome", "ranges", "infeasibility", "provenance"),
    "training_plan",
)
_LISTS = ("limits", "baselines", "frontier", "resources", "periods")
_DEEP = frozenset({"policy", "token_budget_range", "alternatives", "placement"})


def _is_result(data: Any) -> bool:
    """Whether data has the shape of a result, whatever its numbers are."""
    if not isinstance(data, dict) or not {"schema_version", "status"} <= set(data):
        return False
    parts = [data.get(part) for part in _PARTS]
    if not all(part is None or isinstance(part, dict) for part in parts):
        return False
    allocation = data.get("allocation") or {}
    lists = [*(data.get(name, []) for name in _LISTS)]
    lists += [allocation.get(name, []) for name in ("tasks", "classes")]
    if not all(isinstance(rows, list) for rows in lists):
        return False
    records = [row for rows in lists for row in rows]
    records += [data.get("certificate") or {}, data.get("outcome") or {}]
    words = [data.get("objective"), data.get("status"), data.get("scenario")]
    return all(word is None or isinstance(word, str) for word in words) and all(
        isinstance(record, dict) and _is_record(record) for record in records
    )


def _is_record(record: dict[str, Any]) -> bool:
    policy, others = record.get("policy"), record.get("alternatives", [])
    ends = record.get("token_budget_range")
    return (
        (policy is None or isinstance(policy, dict))
        and isinstance(others, list)
        and (ends is None or (isinstance(ends, list) and len(ends) == 2))
        and not any(isinstance(v, (dict, list)) for k, v in record.items() if k not in _DEEP)
        and all(_is_number(record.get(key, 0.0)) for key in ("share", "fraction"))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _document(checked: list[Checked], update: bool) -> Document:
    from ds3opt.cli.comparison import drift_data, drift_table
    from ds3opt.report.document import Column, Document, table_of
    from ds3opt.report.solution_data import SCHEMA_VERSION

    summary = table_of(
        "",
        checked,
        (Column("scenario", "scenario"), lambda one: one.name),
        (Column("result", "result"), lambda one: one.state),
        (Column("drifts", "drifts", "whole"), lambda one: len(one.drifts)),
    )
    drifts = [(one.name, drift) for one in checked for drift in one.drifts]
    return Document(
        title=_kept(checked) if update else _sentence(checked),
        tables=(summary, drift_table("Drifts", drifts)),
        data={
            "schema_version": SCHEMA_VERSION,
            "same": not drifts,
            "scenarios": [
                {"name": one.name, "result": one.state, "drifts": drift_data(one.drifts)}
                for one in checked
            ],
        },
    )


def _kept(checked: list[Checked]) -> str:
    drifted = sum(bool(one.drifts) for one in checked)
    return f"{len(checked)} expected results kept, {drifted} of them changed"


def _sentence(checked: list[Checked]) -> str:
    drifted = sum(bool(one.drifts) for one in checked)
    noun = "scenario" if len(checked) == 1 else "scenarios"
    verb = "differs" if drifted == 1 else "differ"
    found = f"{drifted} {verb} from what is expected" if drifted else "all as expected"
    return f"{len(checked)} {noun} checked, {found}"


def _annotations(checked: list[Checked]) -> str:
    from ds3opt.io.problem_text import render_problems_github

    problems = [
        Problem(
            f"expected {drift.old}, found {drift.new}: {drift.reason}",
            path=drift.path,
            location=Location(os.path.relpath(one.path), 1, 1),
        )
        for one in checked
        for drift in one.drifts
    ]
    return render_problems_github(problems) + "\n" if problems else _sentence(checked) + "\n"
