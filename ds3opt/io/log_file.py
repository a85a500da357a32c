"""A file or standard input that is read once: hashed on the way, known by its first bytes."""

from __future__ import annotations

import csv
import hashlib
import re
import sys
from pathlib import Path
from typing import Any, Literal

from ds3opt.errors import Location, Problem, UsageError
from ds3opt.io.columns import plain_name
from ds3opt.io.files import STDIN_NAME, read_problem

Layout = Literal["table", "lines", "list", "evalplus", "inspect", "inspect archive"]
_BUFFER = 1 << 20
_EVALPLUS = re.compile(rb'"eval"\s*:\s*\{')
MOST_LINE = 64 << 20
"""Bytes of one line."""


class LogFile:
    """A file or standard input that is read once, its bytes counted and hashed on the way."""

    def __init__(self, path: str) -> None:
        self.name = STDIN_NAME if path == "-" else path
        self.size = 0
        self.path = None if path == "-" else Path(path)
        self._hash = hashlib.sha256()
        self.taken = 0
        try:
            if self.path is None:
                self._raw: Any = sys.stdin.buffer
            else:
                self._raw = open(self.path, "rb", buffering=_BUFFER)  # noqa: SIM115
                self.size = self.path.stat().st_size
            self.head = self._raw.peek(_BUFFER)[:_BUFFER]
        except (OSError, ValueError) as error:
            raise UsageError(read_problem(self.name, error)) from None
        if self.head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")):
            self.__exit__()
            hint = "unpack it, or pipe it: gzip -dc FILE | ds3opt fit ... -"
            raise UsageError(
                Problem("the file is compressed", hint=hint, location=Location(self.name))
            )

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            self._raw.close()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._noted(self._raw.read(size))

    def readline(self) -> bytes:
        """The next line, whole or up to `MOST_LINE`."""
        return self._noted(self._raw.readline(MOST_LINE))

    def _noted(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.taken += len(data)
        return data

    def sha256(self) -> str:
        """Of the whole file; reads what has not been read."""
        while self.read(_BUFFER):
            pass
        return self._hash.hexdigest()

    def columns(self) -> set[str]:
        """Names of the columns of a table, as they are compared; empty where it is none."""
        if self.layout() != "table":
            return set()
        first = self.head.decode("utf-8-sig", "replace").partition("\n")[0]
        try:
            return {plain_name(name) for name in next(csv.reader([first.rstrip("\r")]), [])}
        except csv.Error:
            return set()

    def layout(self) -> Layout:
        """What the first bytes look like."""
        head = self.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"PK\x03\x04"):
            return "inspect archive"
        if re.match(rb"\[\s*\{", head):
            return "list"
        if not head.startswith(b"{"):
            # the first of many lines may be the broken one
            return "lines" if re.search(rb'^\{\s*"', head, re.MULTILINE) else "table"
        if re.match(rb'\{\s*"(version|status)"\s*:', head) and b'"eval"' in head:
            return "inspect"
        if re.match(rb'\{\s*"(date|hash|eval)"\s*:', head) and _EVALPLUS.search(head):
            return "evalplus"
        return "lines"
