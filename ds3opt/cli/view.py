"""How a result is shown: the options that all commands share, and the one place that emits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Literal, ParamSpec

import typer

from ds3opt.cli import streams
from ds3opt.errors import Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.report.document import Document

P = ParamSpec("P")
ALL_FORMATS = ("table", "json", "csv", "markdown", "yaml")

_OUTPUT = "Write to a file, whole or not at all."
_PRECISION = "Digits shown to people."
_DIGITS: dict[str, Any] = {"min": 1, "max": 15, "metavar": "N"}


@dataclass(frozen=True)
class View:
    """What the user asked of the output."""

    format: str = "table"
    output: str | None = None
    force: bool = False
    precision: int = 3
    quiet: bool = False
    verbose: bool = False
    color: str = "auto"

    @property
    def to_file(self) -> bool:
        """Whether the result goes to a file."""
        return self.output not in {None, "-"}

    @property
    def for_people(self) -> bool:
        """Whether the result is text on standard output that somebody reads."""
        return not self.to_file and self.format in {"table", "markdown"}

    def check_output(self) -> None:
        """Refuse an output file that could not be written, before any work is done."""
        if not self.to_file:
            return
        path = Path(str(self.output))
        try:
            folder, exists, parent = path.is_dir(), path.is_file(), path.parent.is_dir()
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None
        if folder:
            raise UsageError(f"{path} is a folder, the name of a file is expected")
        if exists and not self.force:
            message = f"{path} exists and is left as it is"
            raise UsageError(Problem(message, hint="use --force to overwrite it"))
        if not parent:
            raise UsageError(f"cannot write {path}: there is no folder {path.parent}")

    def emit(self, document: Document) -> None:
        """Show a document in the format asked for."""
        from ds3opt.report.formats import render

        color = streams.wants_color(self.color) and (not self.to_file or self.color == "always")
        self.emit_text(render(document, self.format, precision=self.precision, color=color))

    def emit_text(self, text: str) -> None:
        """Put text where the result goes."""
        if self.to_file:
            from ds3opt.io.files import write_atomic

            write_atomic(str(self.output), text, force=self.force)
        else:
            streams.write_output(text)

    def say(self, text: str) -> None:
        """Tell the user something that is not the result."""
        if not self.quiet:
            streams.write_error(text + "\n")


def _options(formats: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    """Annotation and default of each shared option, by the name of its field in `View`."""
    form: Any = Literal[formats]
    choice = f"{', '.join(formats[:-1])} or {formats[-1]}."
    color = Literal["auto", "always", "never"]
    options: tuple[tuple[str, Any, Any, tuple[str, ...], str, dict[str, Any]], ...] = (
        ("format", form, formats[0], ("-f", "--format"), choice, {"metavar": "FORMAT"}),
        ("output", str | None, None, ("-o", "--output"), _OUTPUT, {"metavar": "FILE"}),
        ("force", bool, False, ("--force",), "Overwrite the file.", {}),
        ("precision", int, 3, ("--precision",), _PRECISION, _DIGITS),
        ("quiet", bool, False, ("-q", "--quiet"), "No progress, no messages.", {}),
        ("verbose", bool, False, ("-v", "--verbose"), "Every row, nothing summed up.", {}),
        ("debug", bool, False, ("--debug",), "Show where an internal error happened.", {}),
        ("color", color, "auto", ("--color",), "auto, always or never.", {"metavar": "WHEN"}),
    )
    return {
        name: (Annotated[kind, typer.Option(*flags, help=words, **more)], default)
        for name, kind, default, flags, words, more in options
    }


def with_view(
    *formats: str, without: tuple[str, ...] = ()
) -> Callable[[Callable[Concatenate[View, P], int]], Callable[..., int]]:
    """Give a command the shared options and hand them to it as its first argument, a `View`.

    Parameters
    ----------
    formats : accepted by ``--format``, the default first; without any, the option is left out.
    without : names of shared options that make no sense for the command.
    """
    shared = _options(formats or ALL_FORMATS)
    dropped = {*without, *(() if formats else ("format", "precision", "color", "verbose"))}
    shared = {name: option for name, option in shared.items() if name not in dropped}

    def decorate(command: Callable[Concatenate[View, P], int]) -> Callable[..., int]:
        signature = inspect.signature(command, eval_str=True)
        own = list(signature.parameters.values())[1:]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for name, (kind, default) in shared.items()
        ]

        def run(**arguments: Any) -> int:
            chosen = {name: arguments.pop(name) for name in shared}
            chosen.pop("debug", None)
            view = View(**chosen)
            view.check_output()
            return command(view, **arguments)  # type: ignore[call-arg]

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
        run.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate
