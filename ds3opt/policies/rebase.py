"""REBASE: a tree search that spends its tokens where a reward model scores high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ds3opt.policies.guided_search import GuidedSearch


@dataclass(frozen=True)
class Rebase(GuidedSearch):
    """`samples` finished traces with tilted odds, and a rule to choose among them, Wu et al."""

    name: ClassVar[str] = "rebase"
    title: ClassVar[str] = "REBASE"
