"""Help in the words of the commands: the same metavars everywhere, and examples."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

ORDER = (
    "solve",
    "pareto",
    "evaluate",
    "explain",
    "sensitivity",
    "plot",
    "simulate",
    "coverage",
    "check",
    "diff",
    "scenarios",
    "laws",
    "fit",
    "hardware",
    "validate",
    "reproduce",
    "schema",
    "new",
)
"""Commands as a planner meets them."""


class Command(TyperCommand):
    """A command whose help names an argument by its metavar, without types and braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line after the name of the command."""
        arguments = (one for one in self.get_params(ctx) if isinstance(one, TyperArgument))
        return [self.options_metavar or "", *(str(one.metavar) for one in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options."""
        parameters = self.get_params(ctx)
        arguments = [
            (str(one.metavar).strip("[]"), one.help or "")
            for one in parameters
            if isinstance(one, TyperArgument)
        ]
        options = [
            record
            for one in parameters
            if not isinstance(one, TyperArgument)
            and (record := one.get_help_record(ctx)) is not None
        ]
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """The commands in the order of `ORDER`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, others last."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def examples(*commands: str) -> str:
    """The lines below a command's help, each as it is typed."""
    return "\n".join(["\b", "Example:", *(f"  ds3opt {command}" for command in commands)])
