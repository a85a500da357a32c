"""Reading files or standard input, and writing files that are never half-written."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

from ds3opt.errors import Location, Problem, UsageError

MAX_BYTES = 4 * 2**20
"""Largest text that is read."""
STDIN_NAME = "<stdin>"

_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_text(path: str | Path, stdin: IO[bytes] | IO[str] | None = None) -> tuple[str, str]:
    """Content and display name of a file, or of standard input for ``-``.

    Raises
    ------
    UsageError
        for a file that is missing, a folder, unreadable, too large or not UTF-8 text.
    """
    if str(path) == "-":
        stream = getattr(sys.stdin, "buffer", sys.stdin) if stdin is None else stdin
        if stream is None:
            raise UsageError(Problem("standard input is closed", location=Location(STDIN_NAME)))
        return _read_stream(stream), STDIN_NAME
    name = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(read_problem(name, error)) from None
    return decode_text(data, name), name


def _read_stream(stream: IO[bytes] | IO[str]) -> str:
    try:
        data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(read_problem(STDIN_NAME, error)) from None
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return decode_text(raw, STDIN_NAME)


def decode_text(data: bytes, source: str) -> str:
    """UTF-8 bytes as text, without a byte order mark; UsageError says what else they are."""
    if len(data) > MAX_BYTES:
        message = f"{source} is larger than {MAX_BYTES // 2**20} MB"
        raise UsageError(Problem(message, location=Location(source)))
    hint = "save the file as UTF-8"
    encoding = _BYTE_ORDER_MARKS.get(data[:2])
    if encoding:
        raise UsageError(Problem(f"{source} is {encoding}", hint=hint, location=Location(source)))
    nul = data.find(b"\0")
    if nul >= 0:
        message = f"{source} is not text: NUL byte at offset {nul}"
        raise UsageError(Problem(message, hint="is it a binary file?", location=Location(source)))
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte, line = data[error.start], data.count(b"\n", 0, error.start) + 1
        message = f"{source} is not UTF-8 text: byte 0x{byte:02X} at offset {error.start}"
        location = Location(source, line, 1)
        raise UsageError(
            Problem(f"{message} (line {line})", hint=hint, location=location)
        ) from None


def read_problem(name: str, error: Exception) -> Problem:
    """Why a file could not be read, in words."""
    if isinstance(error, FileNotFoundError):
        return Problem(f"there is no file {name}", hint=_nearest_file(Path(name)))
    if isinstance(error, IsADirectoryError):
        return Problem(f"{name} is a folder, a file is expected")
    if isinstance(error, PermissionError):
        return Problem(f"no permission to read {name}")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Problem(f"cannot read {name!r}: {reason or type(error).__name__}")


def _nearest_file(path: Path) -> str:
    try:
        names = [entry.name for entry in os.scandir(path.parent) if entry.is_file()]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return (
        "did you mean " + " or ".join(str(path.with_name(name)) for name in near) + "?"
        if near
        else ""
    )


def write_atomic(path: str | Path, content: str | bytes, *, force: bool = False) -> None:
    """Write a whole file or nothing; an existing file is kept unless `force`. Text is UTF-8.

    A link is followed and its target replaced. The mode of a replaced file is kept. Whatever
    interrupts the writing, the temporary file beside the target is removed.

    Raises
    ------
    UsageError
        when the file exists, or cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        target = Path(os.path.realpath(path))
        if os.path.lexists(target):
            _check_replaceable(path, target, force=force)
        if target.exists() and not target.is_file():
            with open(target, "wb") as device:
                device.write(data)
            return
        _replace(target, data, force=force)
    except FileExistsError:
        raise UsageError(_exists(path)) from None
    except (OSError, ValueError) as error:
        raise UsageError(_write_problem(path, error)) from None


def _check_replaceable(path: str | Path, target: Path, *, force: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{path} is a folder, the name of a file is expected")
    if target.is_file() and not force:
        raise UsageError(_exists(path))


def _exists(path: str | Path) -> Problem:
    return Problem(f"{path} exists and is left as it is", hint="use --force to overwrite it")


def _replace(target: Path, data: bytes, *, force: bool) -> None:
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".tmp"
    )
    temporary: str | None = name
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.chmod(name, _mode(target))
            os.fsync(file.fileno())
        if force:
            os.replace(name, target)
            temporary = None
        else:
            _put_if_absent(name, target)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _put_if_absent(temporary: str, target: Path) -> None:
    """Give the file its name unless another process took it first, in one step where possible."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError from None
        os.replace(temporary, target)


def _mode(target: Path) -> int:
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def _write_problem(path: str | Path, error: OSError | ValueError) -> Problem:
    folder = Path(path).parent
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Problem(f"cannot write {path}: the disk is full", hint="nothing was written")
    if isinstance(error, FileNotFoundError):
        return Problem(f"cannot write {path}: there is no folder {folder}")
    if isinstance(error, PermissionError):
        return Problem(f"no permission to write {path}")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Problem(f"cannot write {str(path)!r}: {reason or type(error).__name__}")
