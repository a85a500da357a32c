"""``ds3opt simulate``: the policies of an answer, or a process of one's own, run at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ds3opt.cli.arguments import (
    HardwarePath,
    Policies,
    Settings,
    TokenBudgets,
    by_class,
    hardware_folders,
    quantity,
)
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Location, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.progress import Callback
    from ds3opt.io.loader import LoadedScenario
    from ds3opt.io.user_code import UserFunction
    from ds3opt.optimise.solution import Solution
    from ds3opt.simulate.answer import AnswerRow
    from ds3opt.simulate.comparison import Builder, Comparison
    from ds3opt.simulate.process import Process

MOST_RUNS = 10_000_000


@with_view(*ALL_FORMATS)
def simulate(
    view: View,
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENARIO]",
            help="A file, - for standard input, or a shipped scenario.",
        ),
    ] = None,
    traces: Annotated[
        str,
        typer.Option("--traces", metavar="RUNS", help="Requests simulated for each row."),
    ] = "100k",
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="The same gives the same.")
    ] = 0,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", metavar="SHARE", help="Of intervals and verdict, 0.5 to 0.999999."
        ),
    ] = 0.99,
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="N", help="Model size; none: of the optimum."),
    ] = None,
    training_tokens: Annotated[
        str | None,
        typer.Option("--training-tokens", metavar="D", help="Training tokens, with N."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only this class; may be repeated."),
    ] = None,
    policy: Policies = None,
    token_budget: TokenBudgets = None,
    every_step: Annotated[
        bool,
        typer.Option("--every-step", help="Each step and branch, without the shortcut."),
    ] = False,
    kernel: Annotated[
        str | None,
        typer.Option("--kernel", metavar="FILE.py:NAME", help="A process of one's own."),
    ] = None,
    settings: Settings = None,
    hardware_path: HardwarePath = None,
) -> int:
    """Simulate the policies of an answer, request by request, beside their closed forms.

    The scenario is solved first, or evaluated for the model of --parameters. With --kernel the
    function NAME returns the process; beside a scenario it is given each task.

    Exit code 1 where a closed form lies outside what the simulation allows, tested at the
    confidence over all comparisons together.
    """
    runs = _runs(traces)
    if not 0.5 <= confidence <= 0.999999:
        place = Location("--confidence", 1, 1, f"{confidence:g}")
        raise UsageError(Problem("must be from 0.5 to 0.999999", location=place))
    if scenario is None:
        if kernel is None:
            hint = "ds3opt simulate quickstart, or --kernel FILE.py:NAME"
            raise UsageError(Problem("there is nothing to simulate", hint=hint))
        given = (parameters, training_tokens, classes, policy, token_budget, settings)
        if any(one is not None for one in given) or every_step:
            hint = "ds3opt simulate SCENARIO --kernel FILE.py:NAME"
            raise UsageError(Problem("these options need a scenario", hint=hint))
        return _own_process(view, kernel, runs, seed, confidence)
    from ds3opt.io.loader import load_scenario

    function = _function(kernel) if kernel is not None else None
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    if loaded.scenario.workload.mix is None:
        hint = "its objective is pretraining loss; give workload.mix"
        raise UsageError(Problem("the scenario has no tasks to simulate", hint=hint))
    solution = _answer(view, loaded, parameters, training_tokens, policy, token_budget)
    if not solution.tasks:
        from ds3opt.cli.outcome import show_solution

        return show_solution(view, solution, loaded)
    from ds3opt.cli.outcome import version
    from ds3opt.cli.progress import progress_bar
    from ds3opt.cli.simulation import answer_document
    from ds3opt.simulate.answer import rows_of

    rows = rows_of(loaded.scenario, solution)
    chosen = _of_classes(rows, classes)
    if all(row.task is None for row in chosen):
        raise UsageError(*_nothing_to_simulate(chosen))
    with progress_bar(view.quiet) as progress:
        found = _compared(chosen, runs, seed, confidence, every_step, function, progress)
    view.emit(
        answer_document(
            solution,
            chosen,
            found,
            whole=len(chosen) == len(rows),
            charges_budget=loaded.scenario.reasoning.charge == "budget",
            precision=view.precision,
            own=function.name if function is not None else None,
            version=version(),
            sha256=loaded.sha256,
            every_row=view.verbose,
        )
    )
    return _verdict(view, found)


def _runs(text: str) -> int:
    place = Location("--traces", 1, 1, text)
    value = quantity(text, "count", "--traces")
    if value != int(value):
        raise UsageError(Problem("must be whole", location=place))
    if value > MOST_RUNS:
        hint = "a million already gives three digits"
        message = f"must be at most {MOST_RUNS:,}, for memory"
        raise UsageError(Problem(message, hint=hint, location=place))
    return int(value)


def _answer(
    view: View,
    loaded: LoadedScenario,
    parameters: str | None,
    training_tokens: str | None,
    policy: list[str] | None,
    token_budget: list[str] | None,
) -> Solution:
    """The optimum, or what a given model reaches."""
    from ds3opt.cli.progress import progress_bar
    from ds3opt.optimise.evaluate import evaluate
    from ds3opt.optimise.solve import solve

    if parameters is None:
        for option, given in (
            ("--training-tokens", training_tokens),
            ("--policy", policy),
            ("--token-budget", token_budget),
        ):
            if given is not None:
                raise UsageError(Problem(f"{option} needs --parameters"))
        with progress_bar(view.quiet) as progress:
            return solve(loaded.scenario, frontier=False, details=False, progress=progress)
    tokens = None
    if training_tokens is not None:
        tokens = quantity(training_tokens, "tokens", "--training-tokens")
    return evaluate(
        loaded.scenario,
        quantity(parameters, "parameters", "--parameters"),
        tokens,
        policies=by_class(policy, "--policy") or None,
        token_budgets={
            name: quantity(text, "tokens", "--token-budget")
            for name, text in by_class(token_budget, "--token-budget").items()
        }
        or None,
    )


def _of_classes(rows: tuple[AnswerRow, ...], names: list[str] | None) -> tuple[AnswerRow, ...]:
    import difflib

    known = list(dict.fromkeys(row.allocation.name for row in rows))
    for name in names or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
            raise UsageError(Problem(f"no class is named {name!r}", hint=hint))
    return tuple(row for row in rows if not names or row.allocation.name in names)


def _nothing_to_simulate(rows: tuple[AnswerRow, ...]) -> list[Problem]:
    """What stands in the way of every class."""
    reasons = {(row.allocation.name, row.allocation.words, row.why_not) for row in rows}
    return [
        Problem(
            f"class {name!r} has no process to simulate: {words}"
            + ("" if words == why else f", {why}"),
            hint="--kernel simulates a process of your own",
        )
        for name, words, why in sorted(reasons)
    ]


def _compared(
    rows: tuple[AnswerRow, ...],
    runs: int,
    seed: int,
    confidence: float,
    every_step: bool,
    function: UserFunction | None,
    progress: Callback | None,
) -> Comparison:
    from ds3opt.io.user_code import guarded
    from ds3opt.simulate.comparison import compare_rows

    if function is None:
        return compare_rows(rows, runs, seed, confidence, every_step=every_step, progress=progress)
    with guarded(function.path):
        return compare_rows(
            rows, runs, seed, confidence, build=_builder(function), progress=progress
        )


def _function(kernel: str) -> UserFunction:
    from ds3opt.io.user_code import load_function

    return load_function(kernel)


def _builder(function: UserFunction) -> Builder:
    needed, most = function.parameters()
    if needed > 1 or most < 1:
        raise UsageError(
            Problem(
                f"{function.name} takes {most} arguments; beside a scenario it is given the task",
                hint=f"def {function.name}(task): ...",
                location=function.location,
            )
        )
    return lambda task: _process(function, function.function(task))


def _process(function: UserFunction, made: object) -> Process:
    from ds3opt.simulate.process import Process

    if isinstance(made, Process):
        return made
    message = f"{function.name} returns {type(made).__name__}, a Process is expected"
    raise UsageError(Problem(message, location=function.location))


def _own_process(view: View, kernel: str, runs: int, seed: int, confidence: float) -> int:
    from ds3opt.cli.outcome import version
    from ds3opt.cli.progress import progress_bar
    from ds3opt.cli.simulation import process_document
    from ds3opt.io.user_code import guarded
    from ds3opt.simulate.comparison import compare_process

    function = _function(kernel)
    if function.parameters()[0] > 0:
        message = f"{function.name} needs arguments"
        hint = f"name a scenario, ds3opt simulate SCENARIO --kernel {kernel}"
        raise UsageError(Problem(message, hint=hint, location=function.location))
    with guarded(function.path), progress_bar(view.quiet) as progress:
        process = _process(function, function.function())
        found = compare_process(process, runs, seed, confidence, progress)
    view.emit(
        process_document(function.name, process, found, precision=view.precision, version=version())
    )
    return _verdict(view, found)


def _verdict(view: View, found: Comparison) -> ExitCode:
    if found.agrees:
        return ExitCode.DONE
    if not view.for_people:
        view.say("ds3opt: a closed form lies outside what the simulation allows")
    return ExitCode.DRIFT
