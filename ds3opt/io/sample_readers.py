"""Records of evaluation logs one after another, whatever the file is: lines, tables, documents."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from ds3opt.errors import Location, Problem, UsageError
from ds3opt.io import sample_formats as formats
from ds3opt.io.json_stream import JsonStream
from ds3opt.io.log_file import MOST_LINE, LogFile

_BUFFER = 1 << 20
Found = tuple[int, Callable[[], Iterable[formats.Sample]]]
Filters = dict[str, None]


def _broken(why: str) -> Callable[[], Iterator[formats.Sample]]:
    def found() -> Iterator[formats.Sample]:
        raise formats.BadRecordError(why)

    return found


def lines(file: LogFile, choices: formats.Choices, filters: Filters) -> Iterator[Found]:
    """JSON lines: plain, or of lm-evaluation-harness."""
    number = 0
    while data := file.readline():
        number += 1
        if len(data) >= MOST_LINE and not data.endswith(b"\n"):
            message = f"a line is larger than {MOST_LINE >> 20} MB"
            hint = "one sample to a line is expected"
            raise UsageError(Problem(message, hint=hint, location=Location(file.name, number, 1)))
        if not data.strip():
            continue
        try:
            record = json.loads(data)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None) or type(error).__name__
            yield number, _broken(f"not JSON: {why}")
            continue
        yield number, _record(record, choices, filters)


def listed(file: LogFile, choices: formats.Choices, filters: Filters) -> Iterator[Found]:
    """The same records as one JSON list."""
    stream = JsonStream(file, file.name)  # type: ignore[arg-type]
    for _ in stream.items():
        line, record = stream.line, stream.value()
        yield line, _record(record, choices, filters)


def _record(
    record: object, choices: formats.Choices, filters: Filters
) -> Callable[[], Iterable[formats.Sample]]:
    """Samples of a record, plain or of lm-evaluation-harness."""
    if not isinstance(record, dict):
        return _broken("no JSON object")
    if not formats.is_harness(record):
        return partial(formats.plain, record, choices)
    if record.get("filter") is not None:
        filters.setdefault(str(record["filter"]))
    return partial(formats.harness, record, choices)


class _TextOf(io.RawIOBase):
    """A log file as what a text reader takes."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def table(file: LogFile, choices: formats.Choices, _: Filters) -> Iterator[Found]:
    """A CSV with a row for each sample."""
    text = io.TextIOWrapper(io.BufferedReader(_TextOf(file), _BUFFER), "utf-8-sig", newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                yield reader.line_num, _broken("not as many cells as the header has")
                continue
            yield reader.line_num, partial(formats.plain, row, choices)
    except csv.Error as error:
        place = Location(file.name, reader.line_num, 1)
        raise UsageError(Problem(f"not CSV: {error}", location=place)) from None
    except UnicodeDecodeError:
        raise UsageError(Problem("not UTF-8 text", location=Location(file.name))) from None


def evalplus(file: LogFile, choices: formats.Choices, _: Filters) -> Iterator[Found]:
    """Results of EvalPlus."""
    stream = JsonStream(file, file.name)  # type: ignore[arg-type]
    for key in stream.members():
        if key == "eval" and stream.opens("{"):
            for problem in stream.members():
                line, record = stream.line, stream.value()
                yield line, partial(formats.evalplus, problem, record, choices)
        else:
            stream.value()


def inspect(file: LogFile, choices: formats.Choices, _: Filters) -> Iterator[Found]:
    """An Inspect log in JSON."""
    stream = JsonStream(file, file.name)  # type: ignore[arg-type]
    model = None
    for key in stream.members():
        if key == "samples" and stream.opens("["):
            for _index in stream.items():
                line, record = stream.line, stream.value()
                yield line, partial(formats.inspect, record, choices, model)
        else:
            value = stream.value()
            if key == "eval" and isinstance(value, dict):
                model = value.get("model")


def archive(file: LogFile, choices: formats.Choices, _: Filters) -> Iterator[Found]:
    """An Inspect log as an archive of one JSON file for each sample."""
    if file.path is None:
        message = "an Inspect archive cannot be read through a pipe"
        raise UsageError(Problem(message, hint="name the file, or convert the log to JSON"))
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = archive.namelist()
            model = None
            for header in ("header.json", "_journal/start.json", "start.json"):
                if header in names:
                    model = _model(json.loads(archive.read(header)))
                    break
            listed = [n for n in names if n.startswith("samples/") and n.endswith(".json")]
            for index, name in enumerate(listed):
                file.taken = int(file.size * index / len(listed))
                try:
                    record = json.loads(archive.read(name))
                except ValueError:
                    yield 0, _broken(f"{name} is not JSON")
                    continue
                yield 0, partial(formats.inspect, record, choices, model)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        problem = Problem(f"the archive cannot be read: {error}", location=Location(file.name))
        raise UsageError(problem) from None


def _model(header: object) -> str | None:
    """Which model an archive says was run."""
    run = header.get("eval") if isinstance(header, dict) else None
    model = run.get("model") if isinstance(run, dict) else None
    return None if model is None else str(model)
