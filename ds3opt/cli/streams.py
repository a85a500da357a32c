"""Standard output and error: closed pipes end quietly, a full disk is a plain error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from ds3opt.errors import Problem, UsageError


def tolerate_any_character() -> None:
    """Print what the terminal's encoding lacks as an escape rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_output(text: str) -> None:
    """Put a result on standard output; a reader that has gone is not an error.

    Raises
    ------
    UsageError : when the output cannot be written, such as on a full disk.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    with _pipe(sys.stdout):
        sys.stdout.write(text)
        sys.stdout.flush()


def flush() -> None:
    """Write what is still in the buffer of standard output."""
    if sys.stdout is not None:
        with _pipe(sys.stdout):
            sys.stdout.flush()


@contextlib.contextmanager
def _pipe(stream: TextIO) -> Iterator[None]:
    """Swallow a broken pipe, and say other failures in words."""
    try:
        yield
    except BrokenPipeError:
        _to_nowhere(stream)
    except OSError as error:
        _to_nowhere(stream)
        reason = error.strerror or type(error).__name__
        raise UsageError(Problem(f"cannot write to standard output: {reason}")) from None


def write_error(text: str) -> None:
    """Put a message on standard error, if anybody listens."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def silence_if_closed() -> None:
    """Keep the interpreter from complaining at its end about a pipe that was closed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads the stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def wants_color(choice: str) -> bool:
    """Whether standard output is coloured: as asked, else on terminals unless NO_COLOR is set."""
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and is_terminal(sys.stdout)
