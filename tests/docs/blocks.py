"""Console blocks of the documentation: find them, run what they show, write them anew.

A block is a fenced ``console`` block whose lines that start with ``$ `` are commands and whose
other lines are what the command before them printed, standard output and error together. A line
``...`` stands for any number of lines. Blocks are run from the root of the repository with the
ds3opt of the running interpreter.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
ANYTHING = "..."


@dataclass(frozen=True)
class Command:
    """One command of a document and what stands below it."""

    page: Path
    line: int
    text: str
    """As written after the prompt, continued lines joined."""
    written: tuple[str, ...]
    """The lines from the prompt on that make up the command."""
    shown: tuple[str, ...]
    """The output that the document shows."""

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """The documents whose commands are run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fences(text: str, *languages: str) -> list[tuple[int, str]]:
    """Line number and content of the fenced blocks in some languages."""
    return [
        (text.count("\n", 0, found.start()) + 2, found.group(2))
        for found in FENCE.finditer(text)
        if found.group(1) in languages
    ]


def commands(page: Path) -> list[Command]:
    """The commands of a page's console blocks, in order."""
    found = []
    for start, body in fences(page.read_text(encoding="utf-8"), "console"):
        found += _of_block(page, start, body.splitlines())
    return found


def _of_block(page: Path, start: int, lines: list[str]) -> list[Command]:
    prompts = [i for i, line in enumerate(lines) if line.startswith(PROMPT)]
    found = []
    for at, end in zip(prompts, [*prompts[1:], len(lines)], strict=True):
        last = at
        while lines[last].endswith("\\"):
            last += 1
        written = lines[at : last + 1]
        text = " ".join(line.rstrip("\\").strip() for line in written)[len(PROMPT) :]
        found.append(Command(page, start + at, text, tuple(written), tuple(lines[last + 1 : end])))
    return found


def output(command: str) -> list[str]:
    """What a ``ds3opt`` command prints, its exit code last if it is ``echo $?``."""
    argv, asks_code = _argv(command)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    # what an interrupted run left behind is no part of the documentation
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-m", "ds3opt", *argv],
            cwd=ROOT,
            env={**environment, "XDG_CACHE_HOME": cache},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    lines = done.stdout.splitlines()
    if asks_code:
        lines.append(str(done.returncode))
    elif done.returncode:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}")
    return [line.rstrip() for line in lines]


def _argv(command: str) -> tuple[list[str], bool]:
    """Arguments of a command, and whether ``; echo $?`` follows it."""
    plain = command.removesuffix("; echo $?")
    words = shlex.split(plain)
    if words[0] != "ds3opt":
        raise AssertionError(f"only ds3opt is run from the documentation, not {words[0]}")
    return words[1:], plain != command


def matches(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the lines shown are the lines printed, ``...`` standing for any number of them."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == ANYTHING else re.escape(line.rstrip()) + r"\n"
        for line in _trimmed(list(shown))
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _trimmed(printed))) is not None


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def renewed(shown: tuple[str, ...], printed: list[str]) -> list[str]:
    """The output as the document should show it: what ``...`` leaves out stays left out.

    A block without ``...`` becomes all that was printed. With it, each run of lines between two
    ``...`` is found again by its first line up to the first number. A run that ends with an empty
    line goes on to the next empty line; any other keeps its length.
    """
    printed = _trimmed(printed)
    lines = _trimmed(list(shown))
    if ANYTHING not in [line.strip() for line in lines]:
        return printed
    result: list[str] = []
    position = 0
    for part in _parts(lines):
        if part == [ANYTHING]:
            result.append(ANYTHING)
            continue
        start = _find(part[0], printed, position)
        part_end = start + len(part)
        if not part[-1].strip():
            # as long as the paragraph is now
            part_end = next(i for i in range(start, len(printed)) if not printed[i].strip()) + 1
        result += printed[start:part_end]
        position = part_end
    return result


def _parts(lines: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == ANYTHING:
            parts += [[ANYTHING], []]
        else:
            parts[-1].append(line)
    return [part for part in parts if part]


def _find(line: str, printed: list[str], position: int) -> int:
    key = re.split(r"\d", line, maxsplit=1)[0].split()
    for index in range(position, len(printed)):
        if printed[index].split()[: len(key)] == key and printed[index].strip():
            return index
    raise AssertionError(f"no line like {line!r} is printed any more")
