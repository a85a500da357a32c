"""``ds3opt sensitivity``: which number of a scenario matters, and which to measure next."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ds3opt.cli.arguments import HardwarePath, ScenarioArgument, Settings, hardware_folders
from ds3opt.cli.draws import MOST_DRAWS, Seed, Workers, kept_draws
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.plot.canvas import PictureFormat


@with_view(*ALL_FORMATS)
def sensitivity(
    view: View,
    scenario: ScenarioArgument,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="PATH",
            help="Elasticity of this number or part, such as workload.mix[0]; may be repeated.",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="N",
            min=2,
            max=MOST_DRAWS,
            help="Draws for what to measure next; left out: 500, or 100 with a fleet.",
        ),
    ] = None,
    seed: Seed = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the draws, and what to measure next.")
    ] = False,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE", help="The tornado as a picture, .svg or .png."),
    ] = None,
    workers: Workers = None,
    settings: Settings = None,
    hardware_path: HardwarePath = None,
) -> int:
    """Which number matters: elasticities, both ends of what is uncertain, what to measure next.

    Elasticities are of every number, uncertain or not; with a fleet or a least resource only of
    demand, limits, target, prices and what is uncertain, and of all with -v. Exit codes as of
    solve.
    """
    from ds3opt.cli.outcome import exit_code, version
    from ds3opt.cli.progress import progress_bar
    from ds3opt.io.loader import load_scenario

    if quick and draws is not None:
        raise UsageError(Problem("--quick draws nothing", hint="leave out --quick or --draws"))
    form = None if plot is None else _picture_format(view, plot)
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    from ds3opt.report.sensitivity_document import sensitivity_document
    from ds3opt.uncertainty.draws import constants
    from ds3opt.uncertainty.sensitivity.study import default_draws
    from ds3opt.uncertainty.sensitivity.study import sensitivity as studied

    if plot is not None and not constants(loaded.scenario):
        hint = "give a number an interval, such as difficulty: {value: 2.4, interval: [2.3, 2.6]}"
        raise UsageError(Problem("nothing in the scenario is uncertain to plot", hint=hint))
    count = draws or default_draws(loaded.scenario)
    kept = kept_draws(view, loaded.scenario, count, seed)
    with contextlib.nullcontext() if quick else kept as journal:
        with progress_bar(view.quiet) as progress:
            found = studied(
                loaded.scenario,
                draws=None if quick else count,
                seed=seed,
                keys=keys or (),
                every=view.verbose,
                known=None if journal is None else journal.known(),
                keep=None if journal is None else journal.keep,
                workers=workers,
                progress=progress,
            )
        document = sensitivity_document(
            found, version=version(), sha256=loaded.sha256, every_row=view.verbose
        )
        if plot is not None and form is not None and found.bars:
            from ds3opt.io.files import write_atomic
            from ds3opt.plot.kinds import tornado_picture

            content = tornado_picture(found.point, found.bars, form)
            write_atomic(plot, content, force=view.force)
        view.emit(document)
    return exit_code(found.point)


def _picture_format(view: View, path: str) -> PictureFormat:
    """The format of the picture; refused now what could not be written after the work."""
    from ds3opt.plot.canvas import picture_format_of, require_matplotlib

    form = picture_format_of(path)
    require_matplotlib()
    replace(view, output=path).check_output()
    return form
