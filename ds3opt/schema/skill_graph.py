"""A skill graph in place of a loss law: how parameters and texts become concepts and skills."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from ds3opt.laws.skill_graph import SkillGraph
from ds3opt.schema.quantities import Fraction, NonNegative, Parameters, Positive, Section, Tokens


class SkillGraphSpec(Section):
    """Texts teach concepts, concepts make skills, skills compose level by level, DS3 (42)-(52)."""

    text_degree: Annotated[Positive, Field(ge=3, le=100)] = 6.0
    """Unknown concepts that a text mentions beside the one it teaches, on average."""
    parameters_per_concept: Annotated[Parameters, Field(ge=1)] = 2500.0
    """Parameters that hold one concept."""
    tokens_per_text: Annotated[Tokens, Field(ge=1)] = 10_000.0
    """Tokens of one text of the training data."""
    levels: Annotated[StrictInt, Field(ge=1, le=1000)] = 100
    """Levels of skills."""
    skills_per_level: Annotated[Positive, Field(ge=1, le=1e15)] = 10_000.0
    """Skills of every level."""
    link_decay: Annotated[NonNegative, Field(le=1000)] = 10.0
    """b: a skill of level l is linked to a concept with probability exp(-b l / levels) / skills."""
    required_links: Annotated[Positive, Field(le=1e9)] | None = None
    """Linked concepts that must be learned for a skill. The paper states none; left out: 52 for
    exact skills and 15 for chernoff, which meet published accuracies of Claude 3.7 Sonnet."""
    skills: Literal["exact", "chernoff"] = "exact"
    """How likely a skill is learned: exact, the binomial tail; chernoff, the paper's bound, which
    jumps from level to level and is therefore only optimised where every concept is learned."""
    degree_failure: Annotated[Fraction, Field(gt=0, lt=1)] = 0.01
    """Chance that some skill has fewer links than the bound of chernoff says; not in the paper."""
    concepts: Literal["density_evolution", "paper"] = "density_evolution"
    """What a model learns below the learning threshold; paper keeps DS3 (44) there, which rewards
    having fewer texts."""

    def graph(self, tokens_per_parameter: float = 20.0) -> SkillGraph:
        """The law."""
        return SkillGraph(
            tokens_per_parameter=tokens_per_parameter,
            text_degree=self.text_degree,
            parameters_per_concept=self.parameters_per_concept,
            tokens_per_text=self.tokens_per_text,
            levels=self.levels,
            skills_per_level=self.skills_per_level,
            link_decay=self.link_decay,
            required_links=self.required_links,
            degree_failure=self.degree_failure,
        )
