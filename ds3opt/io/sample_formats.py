"""Samples of evaluation logs, out of records of each format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PROBLEM = ("problem_id", "problem", "task_id", "doc_id", "question_id", "sample_id", "id")
CORRECT = ("correct", "is_correct", "passed", "is_corrects", "success")
ANSWER = ("answer", "extracted_answer", "prediction", "parsed_answer")
SCORE = ("score", "reward", "verifier_score", "rm_score")
TOKENS = ("output_tokens", "completion_tokens", "tokens_out", "tokens")
MODEL = ("model", "model_name")
NAMES = {
    "problem": PROBLEM,
    "correct": CORRECT,
    "answer": ANSWER,
    "score": SCORE,
    "output_tokens": TOKENS,
    "model": MODEL,
}
"""Usual names of each column of a plain log, those that are looked for first in front."""
_YES = frozenset({"1", "true", "yes", "c", "pass", "passed", "correct"})
_NO = frozenset({"0", "false", "no", "i", "n", "fail", "failed", "incorrect", "wrong", "timeout"})
UNREADABLE = frozenset({"", "none", "null", "nan", "[invalid]", "n/a"})
"""Answers that stand for none."""


class BadRecordError(Exception):
    """A record that is no sample, and why."""


class ChoiceError(Exception):
    """Several things of which the user must choose one."""

    def __init__(self, what: str, option: str, names: Sequence[str]) -> None:
        super().__init__(what)
        self.what, self.option, self.names = what, option, tuple(names)


@dataclass(frozen=True)
class Choices:
    """What a user chose of a log."""

    called: Mapping[str, str] = field(default_factory=dict)
    """Name in a plain log of a column."""
    metric: str | None = None
    """Which verdict, where there are several."""
    filter: str | None = None
    """Which filter of lm-evaluation-harness."""


@dataclass(frozen=True)
class Sample:
    """One sample of a problem."""

    problem: str
    credit: float
    """1 where it is right, 0 where it is wrong, between them where it is neither."""
    answer: str | None = None
    """None where the log has none; an empty text where none could be read."""
    score: float | None = None
    tokens: float | None = None
    model: str | None = None
    epoch: str | None = None
    """Which sample of the problem, where the log says."""
    hidden: int = 0
    """Responses beside this one that the log has no verdict of."""
    response: str | None = None
    """The response itself, where two records may be of the same one."""


def credit(value: object) -> float:
    """How right a verdict says a sample is.

    >>> credit(True), credit("C"), credit("0"), credit(0.5)
    (1.0, 1.0, 0.0, 0.5)
    """
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES or word in _NO:
            return float(word in _YES)
        if word == "p":
            return 0.5
        shown = value[:40]
        try:
            value = float(word)
        except ValueError:
            raise BadRecordError(f"{shown!r} is neither right nor wrong") from None
    if not isinstance(value, (bool, int, float)) or not 0.0 <= value <= 1.0:
        raise BadRecordError(f"{str(value)[:40]} is neither right nor wrong")
    return float(value)


def answer_text(value: object) -> str:
    """An answer to compare with others; empty where none could be read."""
    text = str(value).strip() if value is not None else ""
    return "" if text.lower() in UNREADABLE else text


def _number(value: object) -> float | None:
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise BadRecordError(f"{str(value)[:40]!r} is no number")
    return found


def _found(record: Mapping[str, Any], name: str, choices: Choices) -> tuple[bool, Any]:
    told = choices.called.get(name)
    for key in (told,) if told is not None else NAMES[name]:
        if key in record:
            return True, record[key]
    return False, None


def plain(record: Mapping[str, Any], choices: Choices) -> Iterator[Sample]:
    """Samples of a plain record: a sample, or a problem with a list of verdicts."""
    if choices.metric is not None or choices.filter is not None:
        what = "--metric and --filter are for logs of evaluation harnesses"
        raise ChoiceError(what, "--column", ("correct=NAME",))
    there, problem = _found(record, "problem", choices)
    if not there or problem is None or problem == "":
        raise BadRecordError(f"there is no problem ({', '.join(PROBLEM)})")
    told, verdict = _found(record, "correct", choices)
    if not told or verdict is None or verdict == "":
        raise BadRecordError(f"there is no verdict ({', '.join(CORRECT)})")
    _, model = _found(record, "model", choices)
    has_answer, answers = _found(record, "answer", choices)
    _, scores = _found(record, "score", choices)
    _, tokens = _found(record, "output_tokens", choices)
    many = isinstance(verdict, list)
    verdicts = verdict if isinstance(verdict, list) else [verdict]
    for index, one in enumerate(verdicts):
        yield Sample(
            str(problem),
            credit(one),
            answer_text(_at(answers, index, many=many)) if has_answer else None,
            _number(_at(scores, index, many=many)),
            _number(_at(tokens, index, many=many)),
            None if model is None else str(model),
        )


def _at(values: Any, index: int, *, many: bool) -> Any:
    """The value of one of many samples, or of the only one."""
    if many and isinstance(values, list):
        return values[index] if index < len(values) else None
    return None if many else values


def is_harness(record: Mapping[str, Any]) -> bool:
    """Whether a record is of lm-evaluation-harness."""
    return "doc_id" in record and ("resps" in record or "filtered_resps" in record)


_HARNESS_KEYS = frozenset(
    {
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "filter",
        "metrics",
        "doc_hash",
        "prompt_hash",
        "target_hash",
    }
)


def harness(record: Mapping[str, Any], choices: Choices) -> Iterator[Sample]:
    """Samples of one line of a `samples_*.jsonl` of lm-evaluation-harness.

    A line is one document under one filter. Where the metric is pass@1 of several responses, it is
    the share of them that is right; any other metric is a verdict of what the filter made of them.
    Versions before 0.4.7 do not name the filter, so that lines of several look like samples.
    """
    if choices.filter is not None and record.get("filter") != choices.filter:
        return
    listed = record.get("metrics")
    names = [str(one) for one in listed] if isinstance(listed, list) else None
    if names is None:
        names = [
            key
            for key, value in record.items()
            if key not in _HARNESS_KEYS and isinstance(value, (bool, int, float))
        ]
    if choices.metric is not None:
        name = choices.metric
        if name not in record:
            raise BadRecordError(f"there is no metric {name}, but {', '.join(names)}")
    elif len(names) == 1:
        name = names[0]
    else:
        raise ChoiceError(f"{len(names)} metrics say what is right", "--metric", names)
    value = record.get(name)
    problem = str(record["doc_id"])
    filtered = record.get("filtered_resps")
    answers = _flat(filtered)
    if name.replace("_at_", "@") == "pass@1" and isinstance(value, (int, float)):
        count = len(answers) or len(_flat(record.get("resps"))) or 1
        right = value * count
        if not 0.0 <= value <= 1.0 or abs(right - round(right)) > 1e-6 * count:
            raise BadRecordError(f"{name} is {value}, no share of {count} responses")
        for index in range(count):
            yield Sample(problem, float(index < round(right)))
        return
    single = answers[0] if len(answers) == 1 and isinstance(answers[0], str) else None
    said = [one for one in _flat(record.get("resps")) if isinstance(one, str)]
    yield Sample(
        problem,
        credit(value),
        None if single is None else answer_text(single),
        hidden=max(len(said) - 1, 0),
        response="\0".join(said) if said and record.get("filter") is None else None,
    )


def _flat(values: object) -> list[object]:
    """Responses of a document, in one list."""
    if not isinstance(values, list):
        return []
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


_PLUS = ("plus", "plus_status")
_BASE = ("base", "base_status")


def evalplus(problem: str, record: object, choices: Choices) -> Iterator[Sample]:
    """Samples of one problem of EvalPlus results; right in base and extra tests unless told."""
    metric = choices.metric or "plus"
    if metric not in {"plus", "base"}:
        raise ChoiceError(f"EvalPlus has no metric {metric}", "--metric", ("plus", "base"))
    if isinstance(record, list):
        for one in record:
            if not isinstance(one, dict) or _BASE[1] not in one:
                raise BadRecordError("a sample has no base_status")
            yield Sample(problem, _passed(one[_BASE[1]], one.get(_PLUS[1]), metric))
        return
    if not isinstance(record, dict) or not isinstance(record.get(_BASE[0]), list):
        raise BadRecordError("neither a list of samples nor base and plus results")
    plus = record.get(_PLUS[0]) or [None] * len(record[_BASE[0]])
    if len(plus) != len(record[_BASE[0]]):
        raise BadRecordError("base and plus have results of different numbers of samples")
    for base, extra in zip(record[_BASE[0]], plus, strict=True):
        yield Sample(problem, _passed(_status(base), _status(extra), metric))


def _status(result: object) -> object:
    """The word of a result that may have details beside it."""
    return result[0] if isinstance(result, (list, tuple)) and result else result


def _passed(base: object, plus: object, metric: str) -> float:
    words = [base] if metric == "base" or plus is None else [base, plus]
    return float(all(str(word).lower() in {"pass", "success"} for word in words))


def inspect(record: object, choices: Choices, model: str | None) -> Iterator[Sample]:
    """The sample of one record of an Inspect log."""
    if not isinstance(record, dict) or "id" not in record:
        raise BadRecordError("a sample has no id")
    scores = record.get("scores")
    if not isinstance(scores, dict) or not scores:
        error = record.get("error")
        why = f": {str(error.get('message', ''))[:80]}" if isinstance(error, dict) else ""
        raise BadRecordError(f"the sample was not scored{why}")
    if choices.metric is not None:
        name = choices.metric
        if name not in scores:
            raise BadRecordError(f"there is no score {name}, but {', '.join(scores)}")
    elif len(scores) == 1:
        name = next(iter(scores))
    else:
        raise ChoiceError(f"{len(scores)} scorers say what is right", "--metric", list(scores))
    one = scores[name]
    if not isinstance(one, dict) or "value" not in one:
        raise BadRecordError(f"the score {name} has no value")
    output = record.get("output")
    usage = output.get("usage") if isinstance(output, dict) else None
    yield Sample(
        str(record["id"]),
        credit(one["value"]),
        answer_text(one["answer"]) if one.get("answer") is not None else None,
        None,
        _number(usage.get("output_tokens")) if isinstance(usage, dict) else None,
        model,
        str(record.get("epoch", 1)),
    )
