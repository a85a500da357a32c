"""What existing models offer, against arithmetic by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from ds3opt.errors import ScenarioError
from ds3opt.fleet import Fleet, compile_fleet
from ds3opt.fleet.candidates import Offered, joined
from ds3opt.fleet.models import stacked, stored
from ds3opt.fleet.resources import ACCELERATOR_SECONDS, DOLLARS, FLOP, JOULES
from ds3opt.fleet.serving import Requests, deployment, used
from ds3opt.io.loader import validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema.model_shape import ModelShapeSpec

SCENARIO = """\
workload:
  tasks: 1e6
  mix:
    - {name: a, share: 0.6, difficulty: [2.3, 2.5], skills: 3, prompt_tokens: 100,
       verifier: {kind: outcome, parameters: 1e8, flop_per_check: 1e7},
       wrong_answers: {count: 3}}
    - {name: b, share: 0.4, difficulty: 2.4, skills: 2, prompt_tokens: 40}
model: {train: false, candidates: []}
reasoning:
  policies: [chain_of_thought, best_of_n: {samples: 4}, majority_vote: {samples: 3},
             tree_of_thought: {branches: 2}]
hardware: {inference: {accelerator: h100-sxm, accelerators_per_replica: [1, 2]}}
limits: {cost: 1 MUSD}
"""
SHAPE = {
    "parameters": 3e9, "active_parameters": 8e8, "experts": 16, "active_experts": 2, "layers": 20,
    "width": 1536, "heads": 12, "kv_heads": 4,
}  # fmt: skip
ACTIVE = 8e8
PRICES = {"input_price": "2 USD/M tokens", "output_price": "10 USD/M tokens"}


def fleet(*candidates: dict[str, Any], **more: Any) -> Fleet:
    data = yaml.safe_load(SCENARIO)
    data["model"]["candidates"] = list(candidates)
    for path, value in more.items():
        at = data
        *parents, last = path.split("__")
        for key in parents:
            at = at[int(key)] if key.isdigit() else at[key]
        at[last] = value
    return compile_fleet(validate(load_yaml(yaml.safe_dump(data), "s.yaml")))


def local(**measured: Any) -> dict[str, Any]:
    return {"name": "ours", "shape": SHAPE, "measured": measured}


def offers(*candidates: dict[str, Any], **more: Any) -> Offered:
    found = fleet(*candidates, **more).offered
    assert found is not None
    return found


def of_class(found: Offered, group: int, words: str) -> Offered:
    """The offers of one way of answering to one class."""
    tasks = np.array([0, 0, 1])
    ways = np.array([way.words == words for way in found.ways])
    return found.take((tasks[found.task] == group) & ways[found.way])


RATE = {"accuracy": 0.3, "output_tokens": 200}
SPREAD = {"population": {"alpha": 1, "beta": 1}, "output_tokens": 200}


def test_flop_of_a_trace() -> None:
    """Two for every active parameter and token, the prompt's included."""
    found = offers(local(a=RATE, b=RATE))
    one = of_class(found, 0, "chain of thought")
    assert len(one) == 2
    assert one.success == pytest.approx([0.3, 0.3])
    assert one.uses[:, FLOP] == pytest.approx([2 * ACTIVE * 300] * 2)
    assert one.tokens == pytest.approx([200.0, 200.0])
    unread = offers(local(a=RATE, b=RATE), reasoning__prefill=False)
    assert of_class(unread, 1, "chain of thought").uses[:, FLOP] == pytest.approx(
        [2 * ACTIVE * 200]
    )


def test_ways_that_a_measurement_speaks_of() -> None:
    """One rate knows single traces; populations also several; nobody knows single steps."""
    rate, spread = offers(local(a=RATE, b=RATE)), offers(local(a=SPREAD, b=SPREAD))
    assert {way.words for way in rate.ways} == {"chain of thought"}
    by_class = [
        {spread.ways[way].words for way, t in zip(spread.way, spread.task, strict=True) if t in of}
        for of in ((0, 1), (2,))
    ]
    assert by_class == [
        {"chain of thought", "best of 4", "majority vote of 3"},
        {"chain of thought"},
    ]
    assert of_class(spread, 0, "best of 4").success == pytest.approx([0.8, 0.8])


def test_judging_is_charged_for_every_trace() -> None:
    """The verifier model reads the prompt and the trace, and each check costs besides."""
    found = of_class(offers(local(a=SPREAD, b=SPREAD)), 0, "best of 4")
    check = 4 * (2 * 1e8 * 300 + 1e7)
    assert found.uses[:, FLOP] == pytest.approx([4 * 2 * ACTIVE * 300 + check] * 2)
    assert found.tokens == pytest.approx([800.0, 800.0])


def test_outcomes_measured_in_tokens_and_in_flop() -> None:
    outcomes = [
        {"policy": "vote", "samples": 4, "accuracy": 0.5, "output_tokens": 800},
        {"policy": "search", "samples": 2, "accuracy": 0.6, "flop": 1.6e12, "judged": True},
    ]
    found = offers(local(a={"outcomes": outcomes}, b=RATE))
    vote, search = of_class(found, 0, "vote, 4 traces"), of_class(found, 0, "search, 2 traces")
    assert vote.uses[:, FLOP] == pytest.approx([2 * ACTIVE * (800 + 4 * 100)] * 2)
    # 1.6e12 FLOP are 1000 tokens of the model, in two traces; prompts are part of what was measured
    assert search.tokens == pytest.approx([1000.0, 1000.0])
    assert search.longest_tokens == pytest.approx([1000.0, 1000.0])
    check = 2 * (2 * 1e8 * (100 + 500) + 1e7)
    assert search.uses[:, FLOP] == pytest.approx([1.6e12 + check] * 2)


@pytest.mark.parametrize("weights", [None, "fp8"])
def test_a_local_model_takes_what_its_server_takes(weights: str | None) -> None:
    candidate = local(a=SPREAD, b={**SPREAD, "longest_output_tokens": 900})
    if weights:
        candidate["weights"] = weights
    whole = fleet(candidate)
    assert whole.server is not None
    assert whole.offered is not None
    found = of_class(whole.offered, 1, "chain of thought")
    one = np.ones(1)
    requests = Requests(
        40 * one, one, one, 25 * one, 900 * one, 0 * one, np.array([np.inf])
    )  # fmt: skip
    shape = stacked([stored(ModelShapeSpec.model_validate(SHAPE), weights or "bf16", "bf16")])
    placed = deployment(whole.server, shape, requests)
    taken = used(
        whole.server, shape, requests, 200 * one, placed.accelerators, placed.sequences
    )  # fmt: skip
    assert found.accelerators == placed.accelerators
    assert found.sequences == placed.sequences
    assert found.uses[:, ACCELERATOR_SECONDS] == pytest.approx(taken.accelerator_seconds)
    assert found.uses[:, JOULES] == pytest.approx(taken.joules)
    assert found.uses[:, DOLLARS] == [0.0]
    assert not found.hosted.any()
    # the longest trace decides latency and memory, the average what is used
    assert found.longest_tokens == [900.0]
    assert found.tokens == [200.0]


def test_fewer_bits_take_less_time() -> None:
    wide, narrow = (
        offers(local(a=RATE, b=RATE)),
        offers({**local(a=RATE, b=RATE), "weights": "fp8"}),
    )
    assert np.all(narrow.uses[:, ACCELERATOR_SECONDS] < wide.uses[:, ACCELERATOR_SECONDS])
    assert np.all(narrow.uses[:, FLOP] == wide.uses[:, FLOP])


def test_a_hosted_model_is_paid_by_the_token() -> None:
    hosted = {**PRICES, "output_tokens_per_s": 50, "first_token": "0.5 s"}
    found = offers({"name": "bought", "hosted": hosted, "measured": {
        "a": {**SPREAD, "longest_output_tokens": 600}, "b": RATE}})  # fmt: skip
    single, four = of_class(found, 0, "chain of thought"), of_class(found, 0, "best of 4")
    assert single.uses[:, DOLLARS] == pytest.approx([100 * 2e-6 + 200 * 1e-5] * 2)
    assert four.uses[:, DOLLARS] == pytest.approx([4 * (100 * 2e-6 + 200 * 1e-5)] * 2)
    for one in (single, four):
        assert one.hosted.all()
        assert not one.uses[:, [ACCELERATOR_SECONDS, JOULES]].any()
        # traces run side by side
        assert one.latency == pytest.approx([0.5 + 600 / 50] * 2)
    # judging is done here, whoever writes
    assert four.uses[:, FLOP] == pytest.approx([4 * (2 * 1e8 * 300 + 1e7)] * 2)
    assert not single.uses[:, FLOP].any()


@pytest.mark.parametrize(("limit", "kept"), [("12.6 s", True), ("12.4 s", False)])
def test_what_answers_too_late_is_no_option(limit: str, kept: bool) -> None:
    hosted = {**PRICES, "output_tokens_per_s": 50, "first_token": "0.5 s"}
    bought = {"name": "bought", "hosted": hosted, "measured": {
        "a": {**RATE, "longest_output_tokens": 600}, "b": RATE}}  # fmt: skip
    found = offers(bought, workload__mix__0__max_latency=limit)
    late = of_class(found, 0, "chain of thought")
    assert np.isfinite(late.uses).all() == kept
    assert np.isfinite(late.uses).any() == kept
    # how long the class would have to wait is still known
    assert late.latency == pytest.approx([12.5, 12.5])
    assert np.isfinite(of_class(found, 1, "chain of thought").uses).all()


def test_options_within_their_latency_only() -> None:
    for limit in (0.05, 0.5, 5.0, 50.0):
        found = offers(local(a=SPREAD, b=RATE), workload__mix__0__max_latency=limit)
        able = np.isfinite(found.uses).all(axis=1)
        hurried = found.task < 2
        assert np.all(able[~hurried])
        assert np.all(found.latency[able & hurried] <= limit * (1 + 1e-12))
        assert np.all(found.latency[~able] > limit)
        assert np.all(found.accelerators[able] > 0)


def test_models_of_known_loss() -> None:
    known = {"name": "known", "shape": SHAPE, "loss": 2.2, "measured": {"b": RATE}}
    whole = fleet(local(a=RATE), known)
    (one,) = whole.known
    assert (one.name, one.loss) == ("known", 2.2)
    # its law speaks for the class that was not measured
    assert one.classes.tolist() == [True, False]
    assert whole.offered is not None
    assert {way.model for way in whole.offered.ways} == {"ours", "known"}


def test_ways_keep_their_model_when_offers_are_joined() -> None:
    first, second = (
        offers(local(a=SPREAD, b=RATE)),
        offers({**local(a=RATE, b=RATE), "name": "other"}),
    )
    both = joined([first, second])
    assert len(both) == len(first) + len(second)
    names = [both.ways[way].model for way in both.way]
    assert names == ["ours"] * len(first) + ["other"] * len(second)
    words = [both.ways[way].words for way in both.way]
    assert words == [first.ways[w].words for w in first.way] + [
        second.ways[w].words for w in second.way
    ]


def test_a_class_that_nothing_serves_is_refused() -> None:
    with pytest.raises(
        ScenarioError, match="no candidate has measurements for class 'b'"
    ) as caught:
        fleet(local(a=RATE))
    (problem,) = caught.value.problems
    assert problem.path == "workload.mix[1].name"
    # a model of known loss, or one that is trained, serves it
    assert fleet(local(a=RATE), {"name": "known", "shape": SHAPE, "loss": 2.2}).known


def test_a_model_that_no_replica_holds_is_refused() -> None:
    big = {**local(a=RATE, b=RATE), "shape": {
        "parameters": 1e12, "layers": 100, "width": 16384, "heads": 128}}  # fmt: skip
    with pytest.raises(ScenarioError, match="its weights are 2000 GB") as caught:
        fleet(big)
    assert caught.value.problems[0].path == "model.candidates[0].shape"
    with pytest.raises(ScenarioError, match="and a replica of 1 accelerator has"):
        fleet(big, hardware__inference__accelerators_per_replica=1)
