"""The list of everything that can be reproduced, in the order of the papers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from ds3opt.errors import Problem, UsageError
from ds3opt.reproduce.findings import Reproduction

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Item:
    """One figure or table of a paper."""

    name: str
    """As typed, and the names of its files."""
    source: str
    """Paper and number."""
    title: str
    """What it shows, in a few words."""
    home: str
    """Module of ds3opt.reproduce and, after the colon, the function in it."""

    def run(self, progress: Progress | None = None) -> Reproduction:
        """Compute it again; `progress` is called with its name and the fraction done."""
        module, function = self.home.split(":")
        compute = getattr(import_module(f"ds3opt.reproduce.{module}"), function)
        result = compute(progress or _silent)
        assert isinstance(result, Reproduction)
        return result


def _silent(stage: str, fraction: float) -> None:
    """Nobody listens."""


ITEMS: tuple[Item, ...] = (
    Item("ds3_fig3", "DS3 Fig. 3", "tokens that a chain of thought uses", "ds3_length:fig3"),
    Item("ds3_fig4", "DS3 Fig. 4", "tokens of chain and tree at equal compute", "ds3_tree:fig4"),
    Item("ds3_fig5", "DS3 Fig. 5", "success of tree less chain", "ds3_tree:fig5"),
    Item("ds3_fig7", "DS3 Fig. 7", "accuracy over training and inference", "ds3_graph:fig7"),
    Item("ds3_fig8", "DS3 Fig. 8", "joint optimum against 20 per parameter", "ds3_budget:fig8"),
    Item("ds3_fig9", "DS3 Fig. 9", "exponents of size and tokens by task", "ds3_single_task:fig9"),
    Item("ds3_fig10", "DS3 Fig. 10", "oracle against majority vote", "ds3_selection:fig10"),
    Item("ds3_fig11", "DS3 Fig. 11", "shares of wrong answers", "ds3_selection:fig11"),
    Item("ds3_fig12", "DS3 Fig. 12", "directionality from pass@k", "ds3_directionality:fig12"),
    Item("ds3_fig13", "DS3 Fig. 13", "success of chain and trees", "ds3_tree:fig13"),
    Item("ds3_fig14", "DS3 Fig. 14", "competence by tokens per parameter", "ds3_graph:fig14"),
    Item("ds3_fig15", "DS3 Fig. 15", "joint optimum against fixed tokens", "ds3_budget:fig15"),
    Item("ds3_fig16", "DS3 Fig. 16", "size against tokens for one task", "ds3_single_task:fig16"),
    Item("ds3_table1", "DS3 Table I", "success and cost of four policies", "ds3_tables:table1"),
    Item("ds3_table2", "DS3 Table II", "losses and step budgets", "ds3_tables:table2"),
    Item("levi_pass_at_k", "Levi, results 1, 2", "pass@k and inference loss", "levi:pass_at_k"),
    Item("levi_compute", "Levi, cost of compute", "coverage over compute", "levi:compute"),
    Item("wu_fig1", "Wu et al. Fig. 1", "optimal size for a question", "wu_sizes:fig1"),
    Item("wu_table1", "Wu et al. Table 1", "sampling against REBASE", "wu_tables:table1"),
    Item("wu_table3", "Wu et al. Table 3", "pass rate on MBPP", "wu_tables:table3"),
    Item("wu_table4", "Wu et al. Table 4", "ways of choosing, four models", "wu_table4:table4"),
)


def named(names: Sequence[str]) -> list[Item]:
    """The items that names stand for, in the order of the papers; ``all`` is every one.

    Raises
    ------
    UsageError : for a name that is not in the list, with the nearest one that is.
    """
    known = {item.name: item for item in ITEMS}
    problems = []
    for name in names:
        if name != "all" and name not in known:
            near = difflib.get_close_matches(name, [*known, "all"], n=1)
            hint = f"did you mean {near[0]}?" if near else "`ds3opt reproduce --list` names them"
            problems.append(Problem(f"there is no figure {name!r}", hint=hint))
    if problems:
        raise UsageError(*problems)
    wanted = known if "all" in names else dict.fromkeys(names)
    return [item for item in ITEMS if item.name in wanted]
