"""What a model of a skill graph has learned, and what to know before trusting it."""

from __future__ import annotations

from ds3opt.laws.skill_graph import DEFAULT_REQUIRED_LINKS
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.optimise.solution import LearnedGraph, Note, TaskAllocation
from ds3opt.problem import Problem

_ARTEFACT = 7
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
    if law.graph.required_links is None:
        links = DEFAULT_REQUIRED_LINKS[law.skill_mode]
        notes.append(
            Note(
                "not_from_the_paper",
                "model.skill_graph.required_links",
                f"{links:g} learned concepts for a skill are our fit to published accuracies of "
                "Claude 3.7 Sonnet: the paper states no number; set required_links to your own",
            )
        )
    low = [row for row in rows if row.reasoning_level is not None and row.attempted]
    if any(min(row.reasoning_level or 0, row.level or 0) <= _ARTEFACT for row in low):
        notes.append(
            Note(
                "low_levels",
                "workload.mix",
                f"levels up to {_ARTEFACT} are used, of which a skill needs fewer than one skill "
                "of the level below: going down takes fewer skills there, an artefact of DS3 (42)",
            )
        )
    return notes
