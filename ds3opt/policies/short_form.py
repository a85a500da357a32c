"""Policies in one word, as a command or a table writes them: ``best_of_n:8``."""

from __future__ import annotations

import difflib
import re

from ds3opt.errors import Problem, UsageError
from ds3opt.policies.base import Policy
from ds3opt.policies.best_of_n import BestOfN
from ds3opt.policies.chain_of_thought import ChainOfThought
from ds3opt.policies.majority_vote import MajorityVote
from ds3opt.policies.tree_of_thought import TreeOfThought

SHORT_FORMS = {
    "chain_of_thought": "chain_of_thought",
    "tree_of_thought": "tree_of_thought:4",
    "best_of_n": "best_of_n:8 (or best_of_n:8x4 over trees of 4 branches)",
    "majority_vote": "majority_vote:9",
}
"""Policies that whole numbers define, and how each is written."""


_EVALUATIONS = {"pass": "best_of_n", "maj": "majority_vote"}
"""What evaluations call policies: pass@8, maj@8."""


def parse_policy(text: str) -> Policy:
    """A policy from its short form, such as ``best_of_n:8``.

    Raises
    ------
    UsageError : for a name that is none, or integers that do not fit it.

    >>> parse_policy("best_of_n:8x4").words()
    'best of 8 over tree of thought, 4 branches'
    """
    name, _, numbers = text.partition(":")
    if name not in SHORT_FORMS:
        from ds3opt.policies import POLICIES

        near = difflib.get_close_matches(name, POLICIES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(POLICIES)}"
        raise UsageError(Problem(f"no policy is named {name!r}", hint=hint))
    found = re.fullmatch(r"([1-9]\d{0,5})(?:x([1-9]\d{0,3}))?", numbers)
    first = int(found[1]) if found else 0
    second = int(found[2]) if found and found[2] else 0
    if name == "chain_of_thought" and not numbers:
        return ChainOfThought()
    if name == "tree_of_thought" and first >= 2 and not second:
        return TreeOfThought(branches=first)
    if name == "majority_vote" and 2 <= first <= 1000 and not second:
        return MajorityVote(samples=first)
    if name == "best_of_n" and first >= 2:
        return BestOfN(samples=first, branches=max(second, 1))
    raise UsageError(Problem(f"{text!r} is not a policy", hint=f"write {SHORT_FORMS[name]}"))


def measured_policy(
    text: str, samples: int | None, branches: int | None = None
) -> tuple[Policy, bool]:
    """A policy as tables write it, and whether it is coverage (pass@k).

    Parameters
    ----------
    text : ``best_of_n:8``, ``best_of_n`` beside samples, ``pass@8``, ``maj@8``; empty: a chain of
        thought.
    samples, branches : of their own columns; None where those are empty.

    Raises
    ------
    UsageError : for what is no policy, or contradicts the columns.

    >>> measured_policy("maj@8", None)[0].words(), measured_policy("best_of_n", 4)[0].words()
    ('majority vote of 8', 'best of 4')
    """
    word = text.strip() or "chain_of_thought"
    found = re.fullmatch(r"(pass|maj)@(?:k|(\d{1,7}))", word)
    unjudged = found is not None and found[1] == "pass"
    if found is not None:
        word = _EVALUATIONS[found[1]] + (f":{int(found[2])}" if found[2] else "")
    name, colon, _ = word.partition(":")
    if not colon:
        width = branches if name == "tree_of_thought" else samples
        if name in ("best_of_n", "majority_vote", "tree_of_thought"):
            if width is None:
                column = "branches" if name == "tree_of_thought" else "samples"
                hint = f"write {name}:8, or add a column {column}"
                raise UsageError(Problem(f"{text.strip()} of how many?", hint=hint))
            word = f"{name}:{width}"
            if name == "best_of_n" and branches is not None and branches > 1:
                word += f"x{branches}"
    single = word.endswith(":1") and name in ("best_of_n", "majority_vote")
    policy = parse_policy("chain_of_thought" if single else word)
    for column, told, own in (
        ("samples", samples, policy.samples),
        ("branches", branches, policy.branches),
    ):
        if told is not None and told != own:
            message = f"{text.strip() or 'a chain of thought'} is of {own} {column}, not {told}"
            hint = "say what is done with them: pass@k, best_of_n, majority_vote"
            raise UsageError(Problem(message, hint=hint if not text.strip() else ""))
    return policy, unjudged
