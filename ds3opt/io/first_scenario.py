"""A scenario to start from, its classes given by what was measured."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ds3opt.errors import Problem, ScenarioError, UsageError
from ds3opt.io.loader import validate
from ds3opt.io.observed_csv import ObservedClass, read_observed_classes
from ds3opt.io.yaml_source import load_yaml
from ds3opt.policies import Policy, VerifierKind
from ds3opt.schema.observed import ObservedAccuracy
from ds3opt.schema.workload import TaskClass

_WIDTH = 100
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FLOP_PER_PARAMETER = 6.0
_WHOLE = """\
# A scenario for ds3opt, from the accuracies in {table}.
#
#   ds3opt solve scenario.yaml                             the best allocation
#   ds3opt solve scenario.yaml --set limits.total_flop=1e22
#   ds3opt evaluate scenario.yaml --parameters 7B --training-tokens 2T
#
# What is marked with ! was not in the table: put your own numbers in. A quantity is a number in
# base units, or text with a unit: 5.5e21, 15 T tokens, 7 B. `ds3opt new` explains every other key.

name: {name}

workload:
  tasks: 1e9                        # ! served over the horizon
  horizon: 365 days
  # Difficulty, skills, directionality and fatigue of a class are fitted to its rows when the
  # scenario is read. One that you know may stand beside observed, and is held fixed.
{shares}  mix:
{mix}

model:
  loss_law: besiroglu2024           # ! `ds3opt fit loss` makes one of your own runs
{losses}  capability: {{slope: 5}}            # ! of a step's sigmoid, per nat/token
  parameters: [10 M, 2 T]           # sizes that may be trained
  training_tokens: {{max: 60 T}}

reasoning:
  tokens_per_step: 25               # ! of one reasoning step
  policies:
{policies}

limits:
{limit}

objective: accuracy                 # share of all tasks solved
"""
_SAMPLES, _VOTES, _BRANCHES = (2, 4, 8, 16), (3, 5, 9), (2, 4, 8)


def first_scenario(path: str | Path) -> str:
    """The text of a scenario whose classes are those of a table of measured accuracies.

    Raises
    ------
    UsageError : with the place in the table of every row that cannot be used, and of every class
        that cannot be fitted.
    """
    classes = read_observed_classes(path)
    source = classes[0].records[0].source
    text = _text(classes, source, ())
    try:
        scenario = validate(load_yaml(text, source))
    except ScenarioError as error:
        raise UsageError(*dict.fromkeys(_placed(one, classes) for one in error.problems)) from None
    return _text(classes, source, scenario.workload.mix or ())


def _placed(problem: Problem, classes: Sequence[ObservedClass]) -> Problem:
    """A problem of the scenario at the row of the table that it is about."""
    found = re.match(r"workload\.mix\[(\d+)\](?:\.observed\[(\d+)\])?", problem.path)
    if found is None:
        return replace(problem, location=None)
    one = classes[int(found[1])]
    about = f"class {one.name}: " if len(classes) > 1 else ""
    hint = problem.hint
    if "cannot tell" in problem.message:
        hint = (
            "one accuracy tells one constant: add rows of the class at other budgets of tokens, "
            "short ones among them, by other policies or of other models"
        )
    place = one.records[int(found[2] or 0)]
    column = "class" if "class" in place.order else place.order[0]
    return place.problem(column, about + problem.message, hint)


def _text(classes: Sequence[ObservedClass], source: str, fitted: Sequence[TaskClass]) -> str:
    answered = [[row.answering() for row in one.measured] for one in classes]
    blocks = [
        _class_text(one, policies, fitted[index] if fitted else None, len(classes))
        for index, (one, policies) in enumerate(zip(classes, answered, strict=True))
    ]
    name = "standard input" if source.startswith("<") else Path(source).name
    return _WHOLE.format(
        table=_line(name),
        name=_scalar("From the accuracies of " + name),
        shares=_about_shares(classes),
        mix="\n\n".join(blocks),
        losses=_about_losses(classes),
        policies="\n".join(_policies(answered)),
        limit=_limit(classes),
    )


def _class_text(
    one: ObservedClass,
    answered: Sequence[tuple[Policy, bool]],
    fitted: TaskClass | None,
    count: int,
) -> str:
    share = round(1.0 / count, 9) if one.share is None else round(one.share, 9)
    lines = [f"    - name: {_name(one.name)}", f"      share: {share:.9g}"]
    if fitted is not None and fitted.fitted is not None:
        assert fitted.difficulty is not None
        values = (
            f"difficulty {_first(fitted.difficulty.values):.3g}, "
            f"skills {_first(fitted.skills.values):.0f}, "
            f"directionality {fitted.directionality:.3g}, fatigue {fitted.fatigue:.3g}"
        )
        lines += _comment(f"The rows below give {values}.")
        for doubt in fitted.fitted.doubts:
            lines += _comment(f"But: {_line(doubt)}")
    judged = [policy for policy, unjudged in answered if not unjudged]
    needs = max((policy.needs for policy in judged), default=VerifierKind.NONE)
    if needs != VerifierKind.NONE:
        kind = needs.name.lower()
        lines += _comment("! Judged by something that never errs, until its rates are given.")
        lines.append(f"      verifier: {{kind: {kind}}}")
    elif any(unjudged for _, unjudged in answered):
        lines += _comment(
            "Coverage (pass@k) was measured. To serve it something must choose one of k answers; "
            "say what judges them:"
        )
        lines.append("      # verifier: {kind: outcome, true_positive_rate: 0.95}")
    if any(policy.needs_wrong_answers for policy in judged):
        lines += _comment("! How wrong answers split decides what a vote can do.")
        lines.append("      wrong_answers: {count: 9}")
    lines.append("      observed:")
    for row in one.rows:
        keys = (key for key in ObservedAccuracy.model_fields if key in row)
        cells = ", ".join(
            f"{key}: {_name(row[key]) if key == 'model' else _scalar(row[key])}" for key in keys
        )
        lines += textwrap.wrap(
            f"{{{cells}}}",
            _WIDTH,
            initial_indent="        - ",
            subsequent_indent="           ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _about_shares(classes: Sequence[ObservedClass]) -> str:
    if classes[0].share is not None:
        return "  # Shares are as the table has them.\n"
    if len(classes) > 1:
        return "  # ! The table has no column share: all classes have the same.\n"
    return ""


def _about_losses(classes: Sequence[ObservedClass]) -> str:
    if all(row.loss is None for one in classes for row in one.measured):
        return ""
    return "  # ! The losses of the rows must be of the same corpus as the law's.\n"


def _policies(answered: Iterable[Sequence[tuple[Policy, bool]]]) -> list[str]:
    """Those that some class can use, the measured ones among them."""
    every = [policy for rows in answered for policy, unjudged in rows if not unjudged]
    needs = max((policy.needs for policy in every), default=VerifierKind.NONE)
    votes = {policy.samples for policy in every if policy.needs_wrong_answers}
    best = {policy.samples for policy in every if policy.name == "best_of_n"}
    trees = {policy.branches for policy in every if policy.branches > 1}
    lines = ["    - chain_of_thought"]
    for mark, name, key, usual, own in (
        (needs < VerifierKind.PROCESS, "tree_of_thought", "branches", _BRANCHES, trees),
        (needs < VerifierKind.OUTCOME, "best_of_n", "samples", _SAMPLES, best),
        (not votes, "majority_vote", "samples", _VOTES, votes),
    ):
        counts = ", ".join(str(one) for one in sorted({*usual, *own}))
        sign = "# - " if mark else "- "
        why = {
            "tree_of_thought": "   # needs a class with verifier: {kind: process}",
            "best_of_n": "   # needs a class with a verifier",
            "majority_vote": "   # needs a class with wrong_answers",
        }[name]
        lines.append(f"    {sign}{name}: {{{key}: [{counts}]}}" + (why if mark else ""))
    return lines


def _limit(classes: Sequence[ObservedClass]) -> str:
    trained = [
        _FLOP_PER_PARAMETER * row.parameters * row.training_tokens
        for one in classes
        for row in one.measured
        if row.parameters is not None and row.training_tokens is not None
    ]
    if not trained:
        return "  total_flop: 1e22                  # ! training and inference together"
    flop = f"{2.0 * max(trained):.1e}".replace(".0e", "e").replace("e+", "e")
    return (
        f"  total_flop: {flop:<21} # ! training and inference together; here twice what the\n"
        "                                    # largest measured model took to train"
    )


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="      # ", subsequent_indent="      #   ")


def _line(text: str) -> str:
    """Text that stays within one line of comment."""
    return " ".join(re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]", " ", text).split())


def _name(text: str) -> str:
    """A name as YAML, also one that looks like a number."""
    return f"'{text}'" if _NUMBER.fullmatch(text) else _scalar(text)


def _scalar(value: Any) -> str:
    """A cell as YAML, within braces or without."""
    text = str(value)
    if _NUMBER.fullmatch(text):
        return text
    dumped = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=math.inf)
    return dumped.strip()[1:-1]


def _first(values: tuple[float, ...] | None) -> float:
    assert values is not None
    return float(values[0])
