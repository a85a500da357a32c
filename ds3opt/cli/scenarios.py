"""``ds3opt scenarios``: the shipped scenarios."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from ds3opt.cli.help import Command, examples
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

scenarios = typer.Typer(
    help="The shipped scenarios: list them, or show one.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@scenarios.command("list", cls=Command, epilog=examples("scenarios list"))
@with_view(*ALL_FORMATS, without=("verbose",))
def list_scenarios(view: View) -> int:
    """Name and title of every shipped scenario.

    The json, yaml and csv forms have the descriptions too.
    """
    from ds3opt.io.loader import catalogue, load_scenario
    from ds3opt.report.document import Column, Document, table_of

    loaded = {name: load_scenario(str(path)).scenario for name, path in catalogue().items()}
    table = table_of(
        "",
        list(loaded.items()),
        (Column("name", "name"), lambda item: item[0]),
        (Column("title", "title"), lambda item: item[1].name),
    )
    described = Column("description", "description")
    records = replace(
        table,
        columns=(*table.columns, described),
        rows=tuple(
            (*row, " ".join(one.description.split()) or None)
            for row, one in zip(table.rows, loaded.values(), strict=True)
        ),
    )
    data = [
        {"name": name, "title": one.name, "description": one.description}
        for name, one in loaded.items()
    ]
    view.emit(Document("", (table,), {"schema_version": 1, "scenarios": data}, records))
    return ExitCode.DONE


@scenarios.command("show", cls=Command, epilog=examples("scenarios show quickstart"))
@with_view()
def show_scenario(
    view: View, name: Annotated[str, typer.Argument(metavar="NAME", help="As listed.")]
) -> int:
    """The text of a shipped scenario."""
    view.emit_text(shipped_text(name))
    return ExitCode.DONE


def shipped_text(name: str) -> str:
    """The text of a shipped scenario; UsageError, naming the nearest, where there is none."""
    import difflib

    from ds3opt.io.files import read_text
    from ds3opt.io.loader import catalogue

    shipped = catalogue()
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}?" if near else "`ds3opt scenarios list` names them"
        raise UsageError(Problem(f"no shipped scenario is named {name!r}", hint=hint))
    return read_text(shipped[name])[0]
