"""``ds3opt fit``: laws from a team's own data. One file for each command; this one lists them."""

from __future__ import annotations

import typer

from ds3opt.cli.fit.accuracy import accuracy
from ds3opt.cli.fit.coverage import coverage
from ds3opt.cli.fit.directionality import directionality
from ds3opt.cli.fit.loss import loss
from ds3opt.cli.fit.tasks import tasks
from ds3opt.cli.fit.verifier import verifier
from ds3opt.cli.fit.voting import voting
from ds3opt.cli.help import Command, examples

fit = typer.Typer(
    help="Laws from your own data, with their uncertainty: files that a scenario names.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
_COMMANDS = (
    (loss, "A loss law from training runs.", "fit loss runs.csv -o mine.yaml"),
    (accuracy, "Maps from loss to the scores of tasks.", "fit accuracy scores.csv -o maps.yaml"),
    (coverage, "What repeated samples cover.", "fit coverage counts.csv -o coverage.yaml"),
    (voting, "How wrong answers split.", "fit voting samples.jsonl -o voting.yaml"),
    (verifier, "How well a verifier judges.", "fit verifier scored.jsonl -o judge.yaml"),
    (directionality, "How well models find a step.", "fit directionality models.csv"),
    (tasks, "Classes of tasks from measured accuracies.", "fit tasks observed.csv -o tasks.yaml"),
)
for _command, _words, _example in _COMMANDS:
    fit.command(cls=Command, short_help=_words, epilog=examples(_example))(_command)
