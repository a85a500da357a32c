"""The list of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from ds3opt.cli import streams
from ds3opt.cli.check import check
from ds3opt.cli.coverage import coverage
from ds3opt.cli.diff import diff
from ds3opt.cli.evaluate import evaluate
from ds3opt.cli.explain import explain
from ds3opt.cli.fit import fit
from ds3opt.cli.hardware import hardware
from ds3opt.cli.help import Command, Commands, examples
from ds3opt.cli.laws import laws
from ds3opt.cli.new import new
from ds3opt.cli.pareto import pareto
from ds3opt.cli.plot import plot
from ds3opt.cli.reproduce import reproduce
from ds3opt.cli.scenarios import scenarios
from ds3opt.cli.schema import schema
from ds3opt.cli.sensitivity import sensitivity
from ds3opt.cli.simulate import simulate
from ds3opt.cli.solve import solve
from ds3opt.cli.validate import validate

app = typer.Typer(
    name="ds3opt",
    cls=Commands,
    help="Certified compute allocation for large language models: model size, training tokens, "
    "inference tokens and inference policy, chosen together.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from ds3opt.cli.outcome import version

        streams.write_output(f"ds3opt {version()}\n")
        raise typer.Exit


@app.callback()
def _ds3opt(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


_COMMANDS = (
    (solve, "The best allocation of a scenario.", "solve quickstart --set limits.total_flop=1e22"),
    (
        pareto,
        "The optimum over a range of a limit or any key.",
        "pareto quickstart --vary limits.total_flop=1e20:1e24:9",
    ),
    (
        evaluate,
        "What a given model reaches.",
        "evaluate quickstart --parameters 1B --training-tokens 100B",
    ),
    (explain, "Why this plan, and what would change it.", "explain quickstart --quick"),
    (
        sensitivity,
        "Which number matters, and which to measure next.",
        "sensitivity mine.yaml --draws 500 --plot tornado.svg",
    ),
    (plot, "An answer as a picture.", "plot quickstart --kind classes -o classes.svg"),
    (
        coverage,
        "Samples and cost for a target accuracy; where votes saturate.",
        "coverage --alpha 0.32 --beta 0.98 --target 0.5,0.8 --wrong-answers count=9,decay=0.75",
    ),
    (
        simulate,
        "The answer's policies, simulated beside their laws.",
        "simulate quickstart --traces 100k",
    ),
    (check, "Compare with results kept as expected.", "check mine.yaml --format github"),
    (diff, "Two scenarios or results, side by side.", "diff last_year.json quickstart"),
    (validate, "The hardware model beside measurements.", "validate --measured mine.csv"),
    (reproduce, "The papers' figures, computed again.", "reproduce ds3_fig8 -o figures"),
    (schema, "JSON Schema of a scenario, for editors.", "schema -o scenario.schema.json"),
    (new, "A scenario to start from.", "new --from observed.csv -o mine.yaml"),
)
for _command, _words, _example in _COMMANDS:
    app.command(cls=Command, short_help=_words, epilog=examples(_example))(_command)
app.add_typer(scenarios, name="scenarios")
app.add_typer(laws, name="laws")
app.add_typer(fit, name="fit")
app.add_typer(hardware, name="hardware")
