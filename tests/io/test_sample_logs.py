"""Evaluation logs: every format, mixed and broken ones, in the memory of one record."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.errors import UsageError
from ds3opt.io import sample_formats
from ds3opt.io.json_stream import JsonStream
from ds3opt.io.log_file import LogFile
from ds3opt.io.sample_formats import BadRecordError, Choices, credit
from ds3opt.io.sample_logs import SampleLog, read_log


def put(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def logged(path: Path, choices: Choices | None = None, **options: Any) -> SampleLog:
    with LogFile(str(path)) as file:
        return read_log(file, choices or Choices(), **options)


def counts(log: SampleLog) -> dict[str, tuple[float, float]]:
    rows = zip(log.problems, log.samples.tolist(), log.correct.tolist(), strict=True)
    return {problem: (tried, right) for problem, tried, right in rows}


def refused(path: Path, choices: Choices | None = None, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        logged(path, choices, **options)
    return "\n".join(f"{one.location}: {one.message} [{one.hint}]" for one in caught.value.problems)


def harness(doc: int, value: Any, **more: Any) -> dict[str, Any]:
    """A line of a samples file of lm-evaluation-harness."""
    return {
        "doc_id": doc,
        "doc": {"question": "?"},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": "?"}},
        "resps": [["so it is 4"]],
        "filtered_resps": ["4"],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": value,
        **more,
    }


def inspect_sample(problem: str, epoch: int, value: Any, answer: str = "4") -> dict[str, Any]:
    return {
        "id": problem,
        "epoch": epoch,
        "input": "?",
        "target": "4",
        "output": {"usage": {"input_tokens": 5, "output_tokens": 10 * epoch}},
        "scores": {"match": {"value": value, "answer": answer}},
    }


def inspect_log(*samples: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 2,
        "status": "success",
        "eval": {"task": "sums", "model": "openai/small"},
        "plan": {"steps": []},
        "samples": list(samples),
        "reductions": [],
    }


INSPECTED = [
    inspect_sample("a", 1, "C"),
    inspect_sample("a", 2, "I", "5"),
    inspect_sample("b", 1, "P"),
    inspect_sample("b", 2, "N", ""),
]


def test_plain_lines_with_verdicts_answers_and_scores(tmp_path):
    path = put(
        tmp_path / "x.jsonl",
        {"problem_id": "a", "correct": 1, "answer": "4", "score": 0.9, "output_tokens": 10},
        {"problem_id": "b", "correct": False, "answer": None, "score": 0.1, "output_tokens": 30},
        {"problem_id": "a", "correct": "no", "answer": " 5 ", "score": 0.2, "output_tokens": 20},
    )
    log = logged(path, answers=True, scores=True)
    assert counts(log) == {"a": (2, 1), "b": (1, 0)}
    assert log.answers == [{"4": [1, 1], "5": [1, 0]}, {"": [1, 0]}]
    assert (log.answered, log.unread, log.tokens) == (3, 1, 20)
    assert log.scores.tolist() == [0.9, 0.1, 0.2]
    assert log.scored_right.tolist() == [1, 0, 0]
    assert log.scored_problem.tolist() == [0, 1, 0]
    assert log.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_line_may_hold_many_samples_of_a_problem(tmp_path):
    path = put(tmp_path / "x.jsonl", {"id": 3, "is_corrects": [True, False, True, True]})
    assert counts(logged(path)) == {"3": (4, 3)}


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_samples(tmp_path, indent):
    path = tmp_path / "x.json"
    path.write_text(
        json.dumps([{"id": "a", "correct": 1}, {"id": "a", "correct": 0}], indent=indent)
    )
    assert counts(logged(path)) == {"a": (2, 1)}


def test_a_broken_first_line_does_not_hide_what_the_file_is(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('\x1b[0m warning\n{"id": "a", "correct": 1}\n')
    assert f"{path}:1:1: not JSON" in refused(path)
    assert counts(logged(path, skip_corrupt=True)) == {"a": (1, 1)}


def test_a_layout_may_be_forced(tmp_path):
    path = put(tmp_path / "x.jsonl", {"date": "d", "eval": {}, "id": "a", "correct": 1})
    assert "there is no sample" in refused(path)
    assert counts(logged(path, layout="lines")) == {"a": (1, 1)}


def test_a_table_of_samples(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("model,task_id,passed\nm,t1,1\nm,t1,0\nm,t2,true\n")
    assert counts(logged(path)) == {"t1": (2, 1), "t2": (1, 1)}


def test_columns_may_be_told(tmp_path):
    path = put(tmp_path / "x.jsonl", {"q": 1, "ok": 1, "answer": "gold", "said": "x"})
    called = {"problem": "q", "correct": "ok", "answer": "said"}
    log = logged(path, Choices(called), answers=True)
    assert log.answers == [{"x": [1, 1]}]


def test_lm_evaluation_harness(tmp_path):
    path = put(
        tmp_path / "samples_gsm8k.jsonl",
        harness(0, 1.0),
        harness(0, 0.0, filtered_resps=["[invalid]"]),
        harness(1, 1.0),
    )
    log = logged(path, answers=True)
    assert counts(log) == {"0": (2, 1), "1": (1, 1)}
    assert log.unread == 1


def test_harness_responses_scored_together(tmp_path):
    many = harness(0, 0.0, metrics=["pass@1"], filtered_resps=[["a", "b", "c", "d"]])
    path = put(tmp_path / "s.jsonl", {**many, "pass@1": 0.75})
    assert counts(logged(path)) == {"0": (4, 3)}


def test_harness_filters_and_metrics_are_not_mixed(tmp_path):
    path = put(
        tmp_path / "s.jsonl",
        harness(0, 1.0),
        harness(0, 0.0, filter="flexible-extract"),
    )
    assert "samples of 2 filters are mixed [choose with --filter" in refused(path)
    assert counts(logged(path, Choices(filter="strict-match"))) == {"0": (1, 1)}
    assert "there are strict-match" in refused(path, Choices(filter="strict"))
    two = put(tmp_path / "t.jsonl", harness(0, 1.0, metrics=["exact_match", "f1"], f1=0.0))
    assert "2 metrics say what is right [choose with --metric: exact_match, f1]" in refused(two)
    assert counts(logged(two, Choices(metric="f1"))) == {"0": (1, 0)}


def test_harness_responses_without_a_verdict_and_filters_without_a_name(tmp_path):
    """What the harness logs of repeats, and what it logged of filters before it named them."""
    many = harness(0, 1.0, resps=[["it is 4", "it is 5", "4"]])
    assert logged(put(tmp_path / "s.jsonl", many, harness(1, 0.0))).hidden == 1
    unnamed = [{k: v for k, v in harness(d, c).items() if k != "filter"} for d, c in DOUBLED]
    log = logged(put(tmp_path / "t.jsonl", *unnamed))
    assert (log.copies, log.total) == (2, 4)
    assert logged(put(tmp_path / "u.jsonl", *(harness(d, c) for d, c in DOUBLED))).copies == 0


DOUBLED = [(0, 1.0), (1, 0.0), (0, 1.0), (1, 1.0)]


@pytest.mark.parametrize("indent", [None, 4])
def test_evalplus_of_both_layouts(tmp_path, indent):
    samples = [
        {"task_id": "H/0", "solution": "x" * 50, "base_status": "pass", "plus_status": status}
        for status in ("pass", "fail", "pass")
    ]
    older = {"nfiles": 2, "base": [["pass", [1]], ["failed", [0]]], "plus": [["pass", []], None]}
    done = {"date": "d", "hash": "h", "eval": {"H/0": samples, "H/1": older}, "pass_at_k": {}}
    path = tmp_path / "m_eval_results.json"
    path.write_text(json.dumps(done, indent=indent))
    assert counts(logged(path)) == {"H/0": (3, 2), "H/1": (2, 1)}
    assert counts(logged(path, Choices(metric="base"))) == {"H/0": (3, 3), "H/1": (2, 1)}
    assert "choose with --metric: plus, base" in refused(path, Choices(metric="other"))


@pytest.mark.parametrize("indent", [None, 2])
def test_inspect_json(tmp_path, indent):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(inspect_log(*INSPECTED), indent=indent))
    log = logged(path, answers=True)
    assert counts(log) == {"a": (2, 1), "b": (2, 0)}
    assert (log.partial, log.unread, log.model, log.tokens) == (1, 1, "openai/small", 15)


def test_inspect_archive(tmp_path):
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": {"model": "openai/small"}}))
        for one in INSPECTED:
            name = f"samples/{one['id']}_epoch_{one['epoch']}.json"
            archive.writestr(name, json.dumps(one))
        archive.writestr("summaries.json", "[]")
    log = logged(path)
    assert counts(log) == {"a": (2, 1), "b": (2, 0)}
    assert log.model == "openai/small"
    assert log.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_inspect_samples_that_failed_stand_twice_or_have_two_scores(tmp_path):
    path = tmp_path / "log.json"
    failed = {"id": "c", "epoch": 1, "error": {"message": "out of quota"}}
    path.write_text(json.dumps(inspect_log(*INSPECTED, failed)))
    assert "the sample was not scored: out of quota" in refused(path)
    assert logged(path, skip_corrupt=True).skipped == 1
    path.write_text(json.dumps(inspect_log(*INSPECTED, INSPECTED[0])))
    assert "1 samples stand twice: the same problem and epoch" in refused(path)
    both = {**INSPECTED[0], "scores": {"match": {"value": "C"}, "judge": {"value": "I"}}}
    path.write_text(json.dumps(inspect_log(both)))
    assert "[choose with --metric: match, judge]" in refused(path)
    assert counts(logged(path, Choices(metric="judge"))) == {"a": (1, 0)}


def test_broken_lines_are_counted_located_and_skipped_on_request(tmp_path):
    path = tmp_path / "x.jsonl"
    good = json.dumps({"problem": "a", "correct": 1})
    path.write_text("\n".join([good, '{"problem": "a", "corr', "[1]", "", good, '{"correct": 1}']))
    told = refused(path)
    assert f"{path}:2:1: not JSON" in told
    assert f"{path}:3:1: no JSON object" in told
    assert f"{path}:6:1: there is no problem" in told
    assert "3 of 5 records are no samples [--skip-corrupt leaves them out]" in told
    log = logged(path, skip_corrupt=True)
    assert (counts(log), log.skipped) == ({"a": (2, 2)}, 3)


def test_models_are_not_mixed(tmp_path):
    path = put(
        tmp_path / "x.jsonl",
        {"problem": "a", "correct": 1, "model": "m"},
        {"problem": "a", "correct": 0, "model": "n"},
    )
    assert "samples of 2 models are mixed: m, n" in refused(path)
    assert counts(logged(path, model="n")) == {"a": (1, 0)}
    assert "there is no sample of model o [there are m, n]" in refused(path, model="o")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "there is no sample"),
        (b"PK\x03\x04 and then nothing", "the archive cannot be read"),
        (b'{"version": 2, "eval": {}, "samples": [{"id"', "not JSON"),
        (b'{"date": "d", "eval": {"a": 5}}', "neither a list of samples"),
        (b'problem,correct\na,"1\n', "not CSV"),
        (b"problem,correct\na,1,2\n", "not as many cells"),
        (b"problem,correct\na,\xff\n", "not UTF-8"),
        (b"problem,correct\na,0.5x\n", "is neither right nor wrong"),
    ],
)
def test_files_that_are_no_logs(tmp_path, content, told):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert told in refused(path)


def test_choices_that_a_log_does_not_have(tmp_path):
    plain = put(tmp_path / "x.jsonl", {"problem": "a", "correct": 1})
    assert "--metric and --filter are for logs of" in refused(plain, Choices(metric="x"))
    assert "--metric and --filter are for logs of" in refused(plain, Choices(filter="x"))
    assert "--model m: no record names a model" in refused(plain, model="m")
    table = tmp_path / "x.csv"
    table.write_text("problem,correct\na,1\n")
    assert "--filter is for lm-evaluation-harness" in refused(table, Choices(filter="x"))


def test_where_nothing_is_a_sample_skipping_does_not_help(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("problem,n,c\na,4,1\nb,4,2\n")
    for skip in (False, True):
        told = refused(path, skip_corrupt=skip)
        assert "2 of 2 records are no samples [--form says what the file is" in told


def test_a_compressed_file_is_told(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"problem": "a", "correct": 1}\n'))
    assert "the file is compressed [unpack it, or pipe it" in refused(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        LogFile(str(tmp_path / "absent.jsonl"))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "long.jsonl"
    line = json.dumps({"problem": "p0", "correct": 1, "text": "x" * 20_000}) + "\n"
    with open(path, "w") as file:
        file.writelines(line for _ in range(1000))
    tracemalloc.start()
    log = logged(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert log.total == 1000
    # the file has 20 MB; a buffer of 1 MB, its copy and a line are held
    assert peak < 6e6


def test_a_json_document_is_read_in_pieces(tmp_path):
    path = tmp_path / "log.json"
    samples = [{**inspect_sample(f"p{i}", 1, "C"), "text": "y" * 20_000} for i in range(1000)]
    path.write_text(json.dumps(inspect_log(*samples)))
    del samples
    tracemalloc.start()
    log = logged(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert log.total == 1000
    assert peak < 10e6


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


class Drops(io.BytesIO):
    """A stream that hands out a few bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3)


@given(value=JSON, indent=st.sampled_from([None, 1]))
def test_any_document_is_read_as_json_reads_it(value, indent):
    text = json.dumps({"a": value, "b": [value, 12345]}, indent=indent, ensure_ascii=False)
    stream = JsonStream(Drops(text.encode()), "x.json")
    found: dict[str, Any] = {}
    for key in stream.members():
        found[key] = (
            [stream.value() for _ in stream.items()]
            if stream.opens("[") and key == "b"
            else stream.value()
        )
    assert found == {"a": value, "b": [value, 12345]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, 1), (0, 0), (1.0, 1), ("C", 1), ("I", 0), ("P", 0.5), ("pass", 1), ("0.0", 0)],
)
def test_verdicts(value, expected):
    assert credit(value) == expected


@pytest.mark.parametrize("value", [2, -1, "maybe", None, [1], float("nan")])
def test_what_is_no_verdict(value):
    with pytest.raises(BadRecordError):
        credit(value)


def test_every_usual_name_is_found():
    for name in sample_formats.PROBLEM:
        found = list(sample_formats.plain({name: "a", "correct": 1}, Choices()))
        assert [one.problem for one in found] == ["a"]
