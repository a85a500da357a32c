"""What `ds3opt fit voting` answers: the spectrum of wrong answers, votes, the law file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Source
    from ds3opt.cli.fit.voting_data import Problems
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.voting import AnswerCounts, VotingFit
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.sample_law_file import VotingFile

SYMBOLS = {"decay": "lambda", "top_share": "c1", "plateau": "P"}
_RANKS = 5
_OFF = 0.02
"""Root mean square error of votes from which on it is told of: two points."""


@dataclass(frozen=True)
class Answer:
    """A spectrum and what it was fitted to."""

    source: Source
    problems: Problems
    fit: VotingFit
    answers: AnswerCounts | None
    measured: Mapping[int, float]
    doubts: tuple[Doubt, ...]

    @property
    def rms_error(self) -> float | None:
        """Root mean square of fitted minus measured accuracy, of what was fitted."""
        used = set(self.fit.fitted_to.tolist())
        off = [
            (float(self.fit.fitted[0, i]) - self.measured[int(k)]) ** 2
            for i, k in enumerate(self.fit.samples)
            if float(k) in used and int(k) in self.measured
        ]
        return (sum(off) / len(off)) ** 0.5 if off else None


def law_file(answer: Answer, name: str, seed: int) -> VotingFile:
    """The law file of an answer."""
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.cli.outcome import version
    from ds3opt.fit.voting import CONSTANTS, agreement, leads
    from ds3opt.schema.fitted import FittedSpan
    from ds3opt.schema.sample_law_file import VotingFile

    fit, counts = answer.fit, answer.answers
    diagnostics: dict[str, Any] = {
        "vote_rms_error": answer.rms_error,
        "resamples": len(fit.draws),
        "seed": seed,
    }
    if counts is not None:
        diagnostics = {
            "problems": len(counts),
            "right_answer_leads": float(leads(counts).mean()),
            "two_wrong_answers_agree": agreement(counts),
            "unread_answers": float(counts.unread.sum() / counts.samples.sum()),
            **diagnostics,
        }
    span = (float(fit.fitted_to.min()), float(fit.fitted_to.max())) if fit.fitted_to.size else None
    known = spreads(CONSTANTS, fit.draws)
    fixed = ("plateau",) if fit.measured is None else ()
    return VotingFile(
        kind="voting",
        name=name,
        data=answer.source.data(),
        ds3opt_version=version(),
        wrong_answers=fit.wrong_answers,
        population=answer.problems.words,
        fitted_range=FittedSpan(samples=span),
        diagnostics={key: one for key, one in diagnostics.items() if one is not None},
        **estimate(fit.values, known, fixed, fit.draws),
    )


def doubts(answer: Answer) -> list[Doubt]:
    """What a user should know of the fit."""
    import numpy as np

    from ds3opt.fit.coverage_doubts import FEW_PROBLEMS
    from ds3opt.fit.doubts import Doubt

    found = list(answer.doubts)
    fit, counts = answer.fit, answer.answers
    if counts is not None and len(counts) < FEW_PROBLEMS:
        message = f"{len(counts)} problems are few: intervals from so few are themselves unsure"
        found.append(Doubt("few_problems", message))
    if fit.at_edge == "even":
        message = f"even an even split over {fit.wrong_answers} wrong answers votes no better"
        hint = "wrong answers split more widely: try more --wrong-answers"
        found.append(Doubt("not_identified", message, hint=hint))
    elif fit.at_edge == "one":
        message = "even if all wrong answers were the same, votes would do better than measured"
        hint = "are right answers counted apart, or is it another set of problems?"
        found.append(Doubt("not_identified", message, hint=hint))
    rms = answer.rms_error
    if rms is not None and rms > _OFF:
        message = f"votes are off by {100 * rms:.2g} points (rms): one spectrum for all is rough"
        found.append(Doubt("poor_fit", message))
    if not len(fit.draws):
        message = "no interval: the problems were given without draws, or no resamples were asked"
        found.append(Doubt("no_interval", message))
    far = fit.samples[fit.samples > answer.problems.most]
    if far.size:
        message = f"predictions for more than {answer.problems.most:g} votes take the share of "
        message += "right samples for the chance of one"
        found.append(Doubt("beyond_samples", message))
    if counts is not None and float(np.median(counts.samples)) < 10.0:
        message = f"{np.median(counts.samples):g} samples of a problem say little of many votes"
        found.append(Doubt("few_samples", message))
    return found


def document(answer: Answer, found: VotingFile) -> Document:
    """An answer as a report."""
    from ds3opt.cli.fit.report import constants_records, constants_table, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.fit.voting import CONSTANTS
    from ds3opt.report.document import Document

    fit = answer.fit
    known = spreads(CONSTANTS, fit.draws)
    told = doubts(answer)
    rows = _votes(answer)
    data = {
        "schema_version": 1,
        **found.model_dump(exclude={"draws"}),
        "warnings": warnings_data(answer.source, told),
        "shares": [float(one) for one in fit.shares],
        "votes": [
            dict(zip(("votes", "fitted", "low", "high", "measured"), row, strict=True))
            for row in rows
        ],
    }
    tables = [
        constants_table("Constants", fit.values, known, found.fixed, SYMBOLS),
        _properties(answer),
        _spectrum(answer),
        _votes_table(rows),
        warnings_table(answer.source, told),
    ]
    title = f"{found.name}: {fit.wrong_answers} wrong answers, each lambda times as frequent as "
    title += f"the one before, on {answer.problems.words}"
    records = constants_records(fit.values, known, found.fixed)
    return Document(title, tuple(tables), data, records)


def _votes(answer: Answer) -> list[tuple[float | None, ...]]:
    from ds3opt.fit.bootstrap import spread

    fit = answer.fit
    rows: list[tuple[float | None, ...]] = []
    for i, k in enumerate(fit.samples.tolist()):
        ends = spread(fit.fitted[1:, i])
        low, high = (None, None) if ends is None else (ends.low, ends.high)
        rows.append((k, float(fit.fitted[0, i]), low, high, answer.measured.get(int(k))))
    return rows


def _votes_table(rows: Sequence[tuple[float | None, ...]]) -> Table:
    from ds3opt.report.document import Column, Table

    columns = (
        Column("votes", "votes k", "number"),
        Column("fitted", "fitted", "percent"),
        Column("low", "95 % from", "percent"),
        Column("high", "to", "percent"),
        Column("measured", "measured", "percent"),
    )
    return Table("Accuracy of a majority vote", columns, tuple(rows)).without_empty()


def _properties(answer: Answer) -> Table:
    from ds3opt.fit.voting import agreement, leads
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Measure

    fit, counts = answer.fit, answer.answers
    rows: list[tuple[Value, Value]] = [("problems", answer.problems.words)]
    rms = answer.rms_error
    if rms is not None:
        listed = ", ".join(f"{k:g}" for k in fit.fitted_to)
        good = f"least squares on {listed} votes, rms error {100 * rms:.2g} points"
        rows.append(("goodness of fit", good))
    if counts is not None:
        same = agreement(counts)
        rows += [
            ("samples in all", Measure(float(counts.samples.sum()), "whole")),
            (
                "right answer leads among all samples",
                Measure(float(leads(counts).mean()), "percent"),
            ),
            ("two wrong answers agree", "-" if same is None else Measure(same, "percent")),
            (
                "answers not read, which do not vote",
                Measure(float(counts.unread.sum() / counts.samples.sum()), "percent"),
            ),
        ]
    agrees = float((fit.shares**2).sum())
    rows.append(("two wrong answers agree, by the fit", Measure(agrees, "percent")))
    rows.append(("resamples", Measure(len(fit.draws), "whole")))
    return Table("Fit", (Column("property", ""), Column("value", "")), tuple(rows), header=False)


def _spectrum(answer: Answer) -> Table:
    from ds3opt.fit.voting import spectrum
    from ds3opt.report.document import Column, Table

    fit = answer.fit
    ranks = min(_RANKS, fit.wrong_answers)
    seen = None if answer.answers is None else spectrum(answer.answers, ranks)
    columns = (
        Column("rank", "wrong answer", "number"),
        Column("fitted", "share, fitted", "percent"),
        Column("measured", "measured", "percent"),
    )
    rows = [
        (float(i + 1), float(fit.shares[i]), None if seen is None else float(seen[i]))
        for i in range(ranks)
    ]
    return Table("Wrong answers by frequency", columns, tuple(rows)).without_empty()
