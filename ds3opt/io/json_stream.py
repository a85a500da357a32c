"""A large JSON document read piece by piece, in the memory of its largest piece."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from ds3opt.errors import Location, Problem, UsageError

_CHUNK = 1 << 20
MOST_CHARACTERS = 256 << 20
"""Of one piece that is held at once."""
_SPACE = re.compile(r"[ \t\r\n]*")


class JsonStream:
    """The next piece of a JSON text: enter an object or a list, or take a whole value.

    >>> import io
    >>> stream = JsonStream(io.BytesIO(b'{"a": [1, {"b": 2}], "c": 3}'), "x.json")
    >>> for key in stream.members():
    ...     print(key, [stream.value() for _ in stream.items()] if key == "a" else stream.value())
    a [1, {'b': 2}]
    c 3
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name = stream, name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._parse = json.JSONDecoder().raw_decode
        self._text, self._at, self._line, self._ended = "", 0, 1, False

    @property
    def line(self) -> int:
        """Where the stream stands, counted from 1."""
        return self._line + self._text.count("\n", 0, self._at)

    def members(self) -> Iterator[str]:
        """Keys of an object; the value of each must be taken before the next is asked for."""
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._problem("the name of a member is expected")
            self._expect(":")
            yield key
            if self._after("}"):
                return

    def items(self) -> Iterator[int]:
        """Positions in a list; the value of each must be taken before the next is asked for."""
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        index = 0
        while True:
            yield index
            index += 1
            if self._after("]"):
                return

    def value(self) -> Any:
        """A whole value."""
        self._peek()
        while True:
            try:
                found, end = self._parse(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._problem(f"not JSON: {error.msg}") from None
                continue
            # a number may go on in what has not been read
            if end < len(self._text) or not self._more():
                self._at = end
                return found

    def opens(self, character: str) -> bool:
        """Whether the next value begins with a bracket."""
        return self._peek() == character

    def _after(self, closing: str) -> bool:
        mark = self._peek()
        if mark not in {",", closing}:
            raise self._problem(f"not JSON: , or {closing} is expected")
        self._at += 1
        return mark == closing

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._problem(f"not JSON: {character} is expected")
        self._at += 1

    def _peek(self) -> str:
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on; False at the end."""
        if self._ended:
            return False
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :], 0
        if len(self._text) > MOST_CHARACTERS:
            raise self._problem(f"one value is larger than {MOST_CHARACTERS >> 20} MB")
        data = self._stream.read(max(_CHUNK, len(self._text)))
        self._ended = not data
        try:
            self._text += self._decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise self._problem("not UTF-8 text") from None
        return True

    def _problem(self, message: str) -> UsageError:
        return UsageError(Problem(message, location=Location(self._name, self.line, 1)))
