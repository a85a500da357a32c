"""The list of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from ds3opt.cli import streams
from ds3opt.cli.solve import solve

app = typer.Typer(
    name="ds3opt",
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


app.command()(solve)
