"""A function from a user's Python file, and the errors of that file at their lines."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import linecache
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ds3opt.errors import Ds3optError, Location, Problem, UsageError
from ds3opt.io.files import read_text

DEFAULT_NAME = "build"
_MODULE = "ds3opt_user_code"


@dataclass(frozen=True)
class UserFunction:
    """A function of a user's file."""

    path: str
    name: str
    function: Callable[..., Any]

    @property
    def location(self) -> Location:
        """Where it is defined."""
        code = getattr(self.function, "__code__", None)
        return _place(self.path, 1 if code is None else code.co_firstlineno, 1)

    def parameters(self) -> tuple[int, int]:
        """How many arguments it needs, and takes."""
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        listed = inspect.signature(self.function).parameters.values()
        mine = [one for one in listed if one.kind in kinds]
        most = 99 if any(one.kind is one.VAR_POSITIONAL for one in listed) else len(mine)
        return sum(one.default is one.empty for one in mine), most


def load_function(text: str) -> UserFunction:
    """The function that ``FILE.py:NAME`` names; without a name, `build`.

    The file is run as a module of its own, with its folder first among those of imports. What it
    prints goes to standard error.

    Raises
    ------
    UsageError : for a missing file or name, and for whatever the file itself raises.
    """
    path, colon, name = text.rpartition(":")
    if not colon or os.sep in name or name.endswith(".py"):
        path, name = text, DEFAULT_NAME
    source, _ = read_text(path)
    module = types.ModuleType(_MODULE)
    module.__file__ = path
    sys.modules[_MODULE] = module  # where dataclasses look for the names of their fields
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        place = _place(path, error.lineno or 1, error.offset or 1)
        raise UsageError(Problem(f"this is no Python: {error.msg}", location=place)) from None
    except ValueError as error:
        raise UsageError(f"{path} is no Python: {error}") from None
    with guarded(path):
        exec(code, module.__dict__)
    found = module.__dict__.get(name)
    if not callable(found):
        listed = [n for n, v in vars(module).items() if inspect.isfunction(v) and n[0] != "_"]
        near = difflib.get_close_matches(name, listed, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(listed) or 'none'}"
        raise UsageError(Problem(f"{path} has no function {name!r}", hint=hint))
    return UserFunction(path, name, found)


@contextlib.contextmanager
def guarded(path: str) -> Iterator[None]:
    """Run what calls a user's file; what it raises becomes a problem at its line.

    Raises
    ------
    UsageError : at the innermost line of the file that was running. Errors in which the file has
        no part are not caught.
    """
    folder = os.path.dirname(os.path.abspath(path))
    written = sys.dont_write_bytecode
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except Ds3optError as error:
        place = _line_of(error, path)
        problems = (_at(problem, place) for problem in error.problems)
        raise type(error)(*problems) from None
    except SystemExit as error:
        place = _line_of(error, path)
        raise UsageError(Problem("the file ends the program", location=place)) from None
    except Exception as error:
        place = _line_of(error, path)
        if place is None:
            raise
        words = " ".join(str(error).split())[:300]
        message = f"{type(error).__name__}: {words}" if words else type(error).__name__
        raise UsageError(Problem(message, location=place)) from None
    finally:
        sys.dont_write_bytecode = written
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _at(problem: Problem, place: Location | None) -> Problem:
    """The problem with a place, and with the line of source that stands there."""
    if problem.location is None:
        return replace(problem, location=place)
    here = problem.location
    if here.text or not Path(here.source).is_file():
        return problem
    return replace(problem, location=_place(here.source, here.line, here.column))


def _line_of(error: BaseException, path: str) -> Location | None:
    """The innermost line of a file in a traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    if not frames:
        return None
    last = frames[-1]
    return _place(path, last.lineno or 1, (last.colno or 0) + 1)


def _place(path: str, line: int, column: int) -> Location:
    return Location(path, line, column, linecache.getline(path, line).rstrip("\n"))
