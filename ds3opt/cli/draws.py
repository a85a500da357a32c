"""``ds3opt solve --draws``: a scenario over draws of what is uncertain in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ds3opt.errors import Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.view import View
    from ds3opt.io.draw_journal import DrawJournal
    from ds3opt.io.loader import LoadedScenario
    from ds3opt.schema import Scenario

MOST_DRAWS = 100_000
Draws = Annotated[
    int | None,
    typer.Option(
        "--draws",
        metavar="N",
        min=2,
        max=MOST_DRAWS,
        help="Solve for N draws of what is uncertain: intervals, odds, regret, a robust plan.",
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="Of the draws; the same one, the same bytes."),
]
RobustChoice = Annotated[
    Literal["mean", "worst", "none"],
    typer.Option(
        "--robust",
        metavar="KIND",
        help="Plan for all draws: best mean, or mean of the worst 10 %; or none.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, max=1024, help="Processes; left out: all."),
]


def solve_over_draws(
    view: View,
    loaded: LoadedScenario,
    draws: int,
    seed: int,
    *,
    frontier: bool,
    robust: str,
    workers: int | None,
) -> int:
    """Solve, keep what is known of the draws where that is interrupted, and show."""
    from ds3opt.cli.outcome import exit_code, version
    from ds3opt.cli.progress import progress_bar
    from ds3opt.report.uncertainty_document import uncertainty_document
    from ds3opt.uncertainty.study import TAIL, study

    with kept_draws(view, loaded.scenario, draws, seed) as journal:
        with progress_bar(view.quiet) as progress:
            found = study(
                loaded.scenario,
                draws,
                seed,
                frontier=frontier,
                tail={"mean": 1.0, "worst": TAIL}.get(robust),
                known=journal.known(),
                keep=journal.keep,
                workers=workers,
                progress=progress,
            )
        document = uncertainty_document(
            found, version=version(), sha256=loaded.sha256, every_row=view.verbose
        )
        view.emit(document)
    return exit_code(found.point)


@contextlib.contextmanager
def kept_draws(view: View, scenario: Scenario, draws: int, seed: int) -> Iterator[DrawJournal]:
    """The journal of a run over draws: told of if it is resumed or interrupted, gone at its end."""
    from ds3opt.cli.outcome import version
    from ds3opt.io.draw_journal import journal_for

    written = (scenario.model_dump_json(), repr(scenario.uncertain))
    journal = journal_for(version(), *written, str(seed), str(draws))
    known = len(journal.known())
    if known:
        view.say(f"ds3opt: {known} of {draws} draws are known from an interrupted run")
    try:
        yield journal
    except KeyboardInterrupt:
        kept = len(journal.known())
        if kept:
            words = f"{kept} of {draws} draws are kept; the same command goes on from there"
            view.say(f"ds3opt: {words}")
        elif journal.broken is not None:
            view.say(f"ds3opt: no draws could be kept: {journal.broken}")
        raise
    else:
        journal.forget()
    finally:
        journal.close()


def needs_draws(draws: int | None, **given: bool) -> None:
    """Refuse options that mean nothing without draws.

    Raises
    ------
    UsageError : naming the option.
    """
    for name, said in given.items():
        if said and draws is None:
            raise UsageError(Problem(f"--{name} needs --draws", hint="add --draws 500"))
