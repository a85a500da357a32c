"""Evaluation logs read record by record, of any size: counts of each problem, answers, scores."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ds3opt.errors import Location, Problem, UsageError
from ds3opt.io import sample_formats as formats
from ds3opt.io import sample_readers as readers
from ds3opt.io.log_file import Layout, LogFile
from ds3opt.laws._types import FloatArray

_SHOWN = 5
"""Places that a message names."""
_LONG = 200
"""Characters of an answer that are kept; longer ones are known by their hash."""
Progress = Callable[[str, float], None]


@dataclass
class SampleLog:
    """What a log holds, by problem in the order of their first sample."""

    name: str
    sha256: str = ""
    problems: list[str] = field(default_factory=list)
    samples: FloatArray = field(default_factory=lambda: np.empty(0))
    correct: FloatArray = field(default_factory=lambda: np.empty(0))
    answers: list[dict[str, list[int]]] = field(default_factory=list)
    """By problem: how often each answer was given, and how often it was right."""
    scores: FloatArray = field(default_factory=lambda: np.empty(0))
    """Of every scored sample."""
    scored_right: FloatArray = field(default_factory=lambda: np.empty(0))
    """Whether it was right."""
    scored_problem: FloatArray = field(default_factory=lambda: np.empty(0))
    """Its problem, by position."""
    unread: int = 0
    """Samples whose answer could not be read."""
    answered: int = 0
    """Samples of which the log has an answer, read or not."""
    partial: int = 0
    """Samples with part of the credit, which count as wrong."""
    hidden: int = 0
    """Samples beside which the log has responses without a verdict."""
    copies: int = 0
    """Samples whose response is that of another sample of the problem, of unnamed filters."""
    skipped: int = 0
    """Records that were left out as they are no samples."""
    tokens: float | None = None
    """Mean output tokens of a sample, where the log has them."""
    model: str | None = None

    @property
    def total(self) -> int:
        """Samples."""
        return int(self.samples.sum())


class _Tally:
    """Samples counted as they come."""

    def __init__(self, *, answers: bool, scores: bool, model: str | None) -> None:
        self.index: dict[str, int] = {}
        self.tried, self.right = array("q"), array("q")
        self.answers: list[dict[str, list[int]]] = []
        self.scores, self.score_right, self.score_problem = array("d"), array("b"), array("q")
        self.epochs, self.responses = array("Q"), array("Q")
        self.keep_answers, self.keep_scores, self.model = answers, scores, model
        self.models: dict[str, None] = {}
        self.unread = self.answered = self.partial = self.hidden = 0
        self.tokens, self.with_tokens = 0.0, 0

    def add(self, one: formats.Sample) -> None:
        if one.model is not None:
            self.models.setdefault(one.model)
            if self.model is not None and one.model != self.model:
                return
        at = self.index.setdefault(one.problem, len(self.index))
        if at == len(self.tried):
            self.tried.append(0)
            self.right.append(0)
            self.answers.append({})
        right = one.credit >= 1.0
        self.tried[at] += 1
        self.right[at] += right
        self.partial += 0.0 < one.credit < 1.0
        if one.epoch is not None:
            self.epochs.append(_key(at, one.epoch))
        if one.response is not None:
            self.responses.append(_key(at, one.response))
        self.hidden += one.hidden > 0
        if one.answer is not None:
            self.answered += 1
            self.unread += one.answer == ""
            if self.keep_answers:
                held = self.answers[at].setdefault(_short(one.answer), [0, 0])
                held[0] += 1
                held[1] += right
        if self.keep_scores and one.score is not None:
            self.scores.append(one.score)
            self.score_right.append(right)
            self.score_problem.append(at)
        if one.tokens is not None:
            self.tokens += one.tokens
            self.with_tokens += 1

    def result(self, log: SampleLog) -> None:
        log.problems = list(self.index)
        log.samples = np.array(self.tried, dtype=np.float64)
        log.correct = np.array(self.right, dtype=np.float64)
        log.answers = self.answers
        log.scores = np.array(self.scores, dtype=np.float64)
        log.scored_right = np.array(self.score_right, dtype=np.float64)
        log.scored_problem = np.array(self.score_problem, dtype=np.float64)
        log.hidden, log.copies = self.hidden, _copies(self.responses)
        log.unread, log.answered, log.partial = self.unread, self.answered, self.partial
        log.tokens = self.tokens / self.with_tokens if self.with_tokens else None
        log.model = self.model or next(iter(self.models), None)

    @property
    def repeated(self) -> int:
        """Samples that stand twice, where the log numbers them."""
        return _copies(self.epochs)


def _key(problem: int, text: str) -> int:
    """64 bits of a problem and a text."""
    return int.from_bytes(
        hashlib.blake2b(f"{problem}:{text}".encode("utf-8", "replace"), digest_size=8).digest()
    )


def _copies(keys: array[int]) -> int:
    return len(keys) - len(np.unique(np.array(keys, dtype=np.uint64)))


def _short(answer: str) -> str:
    if len(answer) <= _LONG:
        return answer
    return hashlib.sha256(answer.encode("utf-8", "replace")).hexdigest()


@dataclass
class _Bad:
    """Records that are no samples."""

    name: str
    count: int = 0
    records: int = 0
    places: list[tuple[int, str]] = field(default_factory=list)

    def note(self, line: int, why: str) -> None:
        self.count += 1
        if len(self.places) < _SHOWN:
            self.places.append((line, why))

    def refuse(self) -> UsageError:
        problems = [
            Problem(why, location=Location(self.name, line, 1)) for line, why in self.places
        ]
        more = self.count - len(problems)
        word = "record is no sample" if self.count == 1 else "records are no samples"
        message = f"{self.count} of {self.records} {word}"
        told = f"; {more} more are like these" if more else ""
        hint = "--skip-corrupt leaves them out"
        if self.count == self.records:
            hint = "--form says what the file is, --column problem=NAME what a column is called"
        last = Problem(message + told, hint=hint, location=Location(self.name))
        return UsageError(*problems, last)


def read_log(
    file: LogFile,
    choices: formats.Choices,
    *,
    model: str | None = None,
    skip_corrupt: bool = False,
    answers: bool = False,
    scores: bool = False,
    layout: Layout | None = None,
    progress: Progress | None = None,
) -> SampleLog:
    """Count the samples of a log.

    Parameters
    ----------
    file : read to its end.
    choices : names of columns, the metric and the filter, where the user told them.
    model : only its samples, where records name one.
    skip_corrupt : leave out records that are no samples, and say how many.
    answers, scores : keep those of every sample too.
    layout : left out: told from the first bytes.

    Raises
    ------
    UsageError : records that are no samples, up to five with their places; several models, metrics
        or filters of which none was chosen; the same sample twice; no sample at all.
    """
    tally = _Tally(answers=answers, scores=scores, model=model)
    bad = _Bad(file.name)
    layout = layout or file.layout()
    if choices.filter is not None and layout not in {"lines", "list"}:
        message = "--filter is for lm-evaluation-harness"
        raise UsageError(Problem(message, location=Location(file.name)))
    read = {
        "table": readers.table,
        "lines": readers.lines,
        "list": readers.listed,
        "evalplus": readers.evalplus,
        "inspect": readers.inspect,
        "inspect archive": readers.archive,
    }[layout]
    filters: dict[str, None] = {}
    for count, (line, found) in enumerate(read(file, choices, filters)):
        bad.records += 1
        if progress is not None and count % 256 == 0 and file.size:
            progress("reading samples", file.taken / file.size)
        try:
            samples = list(found())
        except formats.BadRecordError as error:
            bad.note(line, str(error))
        except formats.ChoiceError as error:
            raise _which(file.name, line, error) from None
        else:
            for one in samples:
                tally.add(one)
    if bad.count and (not skip_corrupt or bad.count == bad.records):
        raise bad.refuse()
    _check(file.name, tally, filters, choices, model)
    log = SampleLog(file.name, file.sha256(), skipped=bad.count)
    tally.result(log)
    return log


def _which(name: str, line: int, error: formats.ChoiceError) -> UsageError:
    listed = ", ".join(error.names[:10])
    hint = f"choose with {error.option}: {listed}" if listed else ""
    return UsageError(Problem(error.what, hint=hint, location=Location(name, line, 1)))


def _check(
    name: str,
    tally: _Tally,
    filters: dict[str, None],
    choices: formats.Choices,
    model: str | None,
) -> None:
    """Refuse what is mixed, repeated or empty."""
    place = Location(name)
    if choices.filter is None and len(filters) > 1:
        hint = f"choose with --filter: {', '.join(filters)}"
        message = f"samples of {len(filters)} filters are mixed"
        raise UsageError(Problem(message, hint=hint, location=place))
    if model is None and len(tally.models) > 1:
        listed = ", ".join(list(tally.models)[:_SHOWN])
        message = f"samples of {len(tally.models)} models are mixed: {listed}"
        hint = f'choose one: --model "{next(iter(tally.models))}"'
        raise UsageError(Problem(message, hint=hint, location=place))
    if model is not None and not tally.models:
        raise UsageError(Problem(f"--model {model}: no record names a model", location=place))
    if not tally.index:
        chosen = [f"model {model}"] if model is not None else []
        chosen += [f"filter {choices.filter}"] if choices.filter is not None else []
        of = f" of {' and '.join(chosen)}" if chosen else ""
        known = [*tally.models] if model is not None else [*filters]
        hint = f"there are {', '.join(known[:10])}" if known else ""
        raise UsageError(Problem(f"there is no sample{of}", hint=hint, location=place))
    if tally.repeated:
        message = f"{tally.repeated} samples stand twice: the same problem and epoch"
        hint = "was a log written into another one?"
        raise UsageError(Problem(message, hint=hint, location=place))
