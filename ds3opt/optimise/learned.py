"""What a model of a skill graph has learned, and what to know before trusting it."""

from __future__ import annotations

from collections.abc import Iterator

from ds3opt.laws.skill_graph import DEFAULT_REQUIRED_LINKS, SkillGraph
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.optimise.solution import LearnedGraph, Note, TaskAllocation
from ds3opt.problem import Problem

_FEW_BELOW = 7
"""Highest level of which a skill needs fewer than one skill of the level below."""


def learned_graph(
    problem: Problem, parameters: float, training_tokens: float
) -> LearnedGraph | None:
    """What a model has learned; None with a loss law."""
    if problem.levels is None:
        return None
    law = problem.levels.law
    graph, ratio = law.graph, training_tokens / parameters
    concepts = float(graph.concepts(parameters))
    chance = float(graph.concept_probability(concepts, ratio, law.concept_mode))
    learned = graph.composability(concepts, chance, law.skill_mode)
    return LearnedGraph(
        concepts=concepts,
        concept_probability=chance,
        learned_level=int(graph.learned_level(learned)),
        levels=graph.levels,
        learning_threshold=law.learning_threshold,
        required_links=graph.links_needed(law.skill_mode),
        skills=law.skill_mode,
    )


def about_graph(
    law: SkillGraphTraining, ratio: float, rows: tuple[TaskAllocation, ...]
) -> list[Note]:
    """Warnings about a model of a skill graph, and about levels that its tasks use."""
    notes = []
    if ratio < law.learning_threshold * (1.0 - 1e-9):
        notes.append(
            Note(
                "undertrained",
                "model.tokens_per_parameter",
                f"{ratio:.4g} training tokens per parameter are below the learning threshold of "
                f"{law.learning_threshold:.2f}, where the theory does not hold (DS3, footnote 13)",
            )
        )
    notes += _not_from_the_paper(law, rows)
    if any(row.attempted and _goes_through_few(row) for row in rows):
        notes.append(
            Note(
                "low_levels",
                "workload.mix",
                f"tasks go through levels up to {_FEW_BELOW}, of which a skill needs fewer than "
                "one skill of the level below: going down takes fewer skills there, an artefact of "
                "DS3 (42)",
            )
        )
    return notes


def _not_from_the_paper(
    law: SkillGraphTraining, rows: tuple[TaskAllocation, ...]
) -> Iterator[Note]:
    """What the paper leaves open and our fit to its figures fills in, whoever writes it down."""
    links = DEFAULT_REQUIRED_LINKS[law.skill_mode]
    if law.graph.links_needed(law.skill_mode) != links:
        return
    yield Note(
        "not_from_the_paper",
        "model.skill_graph.required_links",
        f"{links:g} learned concepts for a skill are our fit to published accuracies of "
        "Claude 3.7 Sonnet: the paper states no number; set required_links to your own",
    )
    if law.skill_mode == "chernoff" and law.graph.degree_failure == SkillGraph.degree_failure:
        yield Note(
            "not_from_the_paper",
            "model.skill_graph.degree_failure",
            f"{law.graph.degree_failure:g} as the chance that the bound on links fails is ours: "
            "the paper states none",
        )
    weight: dict[str, dict[int, float]] = {}
    for row in rows:
        levels = weight.setdefault(row.name, {})
        levels[row.level or 0] = levels.get(row.level or 0, 0.0) + row.share
    even = [
        name
        for name, levels in weight.items()
        if len(levels) > 1 and max(levels.values()) - min(levels.values()) < 1e-9
    ]
    if even:
        yield Note(
            "not_from_the_paper",
            "workload.mix",
            f"even weights of the levels of {', '.join(even)}: the paper does not say how often "
            "each level, and each number of skills, is asked for",
        )


def _goes_through_few(row: TaskAllocation) -> bool:
    """Whether skills are counted at a level where they come from less than one of the level below.

    Between levels l' < l they are multiplied by what levels l' + 1 to l need.
    """
    if row.reasoning_level is None or row.level is None:
        return False
    least = min(row.reasoning_level, row.level)
    return row.reasoning_level != row.level and least < _FEW_BELOW
