"""Uncertain numbers as people write them: what is refused is told at its place."""

from __future__ import annotations

import json

import pytest

BAD = """\
workload:
  tasks: {value: 1e9, interval: [2e9, 5e8]}
  mix:
    - name: {value: 1, interval: [0, 2]}
      share: 1
      difficulty: {value: 2.9, interval: [2.3, 2.6]}
      skills: {value: 4, intervall: [3, 6]}
      fatigue: {value: 0.1, interval: [0.05, 1.2]}
      min_accuracy: {value: .nan, standard_error: 0.1}
      value: {value: 1, standard_error: two}
      prompt_tokens: {draws: d.csv#words}
      max_output_tokens: {draws: d.csv#tokens}
model:
  capability:
    slope: {value: 5, interval: [4, 6], distribution: lognrmal}
    scale: {value: 0.9, interval: [0.8, 0.95], level: 1}
    offset: {draws: [0.1, 0.2, 0.3], joint: fit}
  parameters: {value: 7 B, interval: [6 B, 8 s]}
  training_tokens: {distribution: uniform, from: 1 T}
reasoning:
  tokens_per_step: {draws: [20, 30], joint: fit}
limits:
  total_flop: {interval: [0, 5e21]}
solver: {gap: {value: 1e-4, interval: [1e-5, 1e-3]}}
"""
TOLD = [
    ("bad.yaml:2:23", "workload.tasks.interval", "upside down"),
    ("bad.yaml:4:7", "workload.mix[0].name", "no number, so it cannot be uncertain"),
    ("bad.yaml:6:27", "workload.mix[0].difficulty.value", "2.9 lies outside of 2.3 to 2.6"),
    ("bad.yaml:7:26", "workload.mix[0].skills.intervall", 'unknown key "intervall"'),
    ("bad.yaml:8:46", "workload.mix[0].fatigue.interval[1]", "must be at most 1, not 1.2"),
    ("bad.yaml:9:29", "workload.mix[0].min_accuracy.value", "not NaN"),
    ("bad.yaml:10:41", "workload.mix[0].value.standard_error", '"two" is not a plain number'),
    ("bad.yaml:11:30", "workload.mix[0].prompt_tokens.draws", "d.csv has no column 'words'"),
    ("d.csv:3:1", "tokens", '"many" is not a token count'),
    ("bad.yaml:15:55", "model.capability.slope.distribution", '"lognrmal" is none of'),
    ("bad.yaml:16:55", "model.capability.scale.level", "must be below 1"),
    ("bad.yaml:18:44", "model.parameters.interval[1]", "8 s is a time"),
    ("bad.yaml:19:35", "model.training_tokens.distribution", "to missing"),
    ("bad.yaml:21:21", "reasoning.tokens_per_step.draws", "2 draws, but 3 at model.capability."),
    ("bad.yaml:23:27", "limits.total_flop.interval[0]", "must be above 0, not 0"),
    ("bad.yaml:24:10", "solver.gap", "cannot be uncertain"),
]
HINTS = ('did you mean "interval"?', 'did you mean "lognormal"?', "write d.csv#COLUMN: tokens, n")


def test_every_mistake_is_told_at_its_place(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "d.csv").write_text("tokens,n\n400,1\nmany,2\n", encoding="utf-8")
    result = run("solve", "bad.yaml")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    told = [line for line in result.stderr.splitlines() if not line.startswith(" ")]
    for place, path, words in TOLD:
        assert [line for line in told if line.startswith(f"{place}: {path}: ") and words in line], (
            place,
            result.stderr,
        )
    assert len(told) == len(TOLD)
    for hint in HINTS:
        assert hint in result.stderr


MORE = [
    {
        "model.capability.slope={draws: none.csv}": "there is no file none.csv",
        "model.capability.scale={draws: []}": "at least 2 draws are needed, not 0",
        "workload.mix[0].skills={uniform: [{interval: [3, 5]}, 8]}": "list them as values",
    },
    {
        "model.capability.slop={value: 5, interval: [4, 6]}": 'did you mean "slope"?',
        "model.shape={value: 5, interval: [4, 6]}": 'unknown key "interval"',
    },
]


@pytest.mark.parametrize("told", MORE, ids=["of numbers", "of keys"])
def test_mistakes_of_settings_are_told(run, scenario, told):
    settings = [word for setting in told for word in ("--set", setting)]
    result = run("solve", scenario.name, *settings)
    assert result.returncode == 2
    for words in told.values():
        assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_commands_that_do_not_draw_take_the_value(run, scenario, result):
    given = ("--set", "workload.mix[0].difficulty={value: 2.5, interval: [2, 3]}")
    solved = run("solve", scenario.name, "-f", "json", *given)
    assert solved.returncode == 0
    ours, theirs = json.loads(solved.stdout), json.loads(result)
    assert ours.pop("provenance") != theirs.pop("provenance")  # the hash of what was set
    assert ours == theirs
