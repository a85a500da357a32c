"""The console script: runs a command and turns whatever happens into an exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from ds3opt.cli import streams
from ds3opt.errors import Ds3optError, ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of a command; nothing that a command raises gets past it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    streams.tolerate_any_character()
    asked: list[int] = []
    try:
        with _noting_interrupts(asked):
            code = _run(arguments)
            streams.flush()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception as error:
        # extension modules that are interrupted while they load raise errors of their own
        code = ExitCode.INTERRUPTED if asked else _told(error, "--debug" in arguments)
    if code == ExitCode.INTERRUPTED:
        streams.write_error("ds3opt: interrupted\n")
    streams.silence_if_closed()
    return int(code)


@contextlib.contextmanager
def _noting_interrupts(asked: list[int]) -> Iterator[None]:
    """Keep in mind that an interrupt was asked for, whatever becomes of it on its way up."""

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread()
    if not mine or before is not signal.default_int_handler:
        yield  # ignored, or the concern of a program that runs this one
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run(arguments: list[str]) -> int:
    import typer

    from ds3opt.cli.app import app

    try:
        code = app(arguments, prog_name="ds3opt", standalone_mode=False)
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show is not None:
            show(file=sys.stderr)
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except SystemExit:  # typer leaves this way when the reader of its help has gone
        return ExitCode.DONE
    return code if isinstance(code, int) else ExitCode.DONE


def _told(error: Exception, debug: bool) -> int:
    """Exit code of an error, after saying what it is."""
    if not isinstance(error, Ds3optError):
        return _bug(error, debug)
    from ds3opt.io.problem_text import render_problems

    streams.write_error(render_problems(error.problems) + "\n")
    return error.exit_code


def _bug(error: Exception, debug: bool) -> int:
    if debug:
        import traceback

        streams.write_error("".join(traceback.format_exception(error)))
    words = " ".join(str(error).split())[:300]
    hint = "" if debug else "; --debug shows where"
    streams.write_error(
        f"ds3opt: internal error: {type(error).__name__}: {words}\n"
        f"  this is a bug of ds3opt, please report it with the scenario{hint}\n"
    )
    return ExitCode.BUG
