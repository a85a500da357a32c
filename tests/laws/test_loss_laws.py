"""Loss laws side by side: each row is its own law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ds3opt.laws.loss import LOSS_LAWS, LossLaw
from ds3opt.laws.loss_laws import LossLaws

LAWS = [LOSS_LAWS["besiroglu2024"], LOSS_LAWS["hoffmann2022_rounded"], LOSS_LAWS["sardana2024"]]
SIZES, TOKENS = np.geomspace(1e7, 1e12, 5), np.geomspace(1e9, 1e13, 5)


def _plain(laws: list[LossLaw]) -> list[LossLaw]:
    return [replace(law, repetition=None) for law in laws]


@pytest.mark.parametrize("unique", [np.inf, 1e11])
def test_every_row_follows_its_own_law(unique):
    laws = [replace(law, repetition=LOSS_LAWS["muennighoff2023"].repetition) for law in LAWS]
    together = LossLaws.of(laws)
    sizes, tokens = np.tile(SIZES, (3, 1)), np.tile(TOKENS, (3, 1))
    loss = together.loss(sizes, tokens, unique)
    alone = np.array([law.loss(SIZES, TOKENS, unique) for law in laws])
    # the same operations in the same order
    assert np.array_equal(loss, alone)
    needed = together.training_tokens_for(loss, sizes, unique)
    assert np.array_equal(
        needed,
        [law.training_tokens_for(row, SIZES, unique) for law, row in zip(laws, alone, strict=True)],
    )
    assert np.array_equal(
        together.optimal_tokens(sizes), [law.optimal_tokens(SIZES) for law in laws]
    )


def test_one_number_for_each_law():
    together = LossLaws.of(_plain(LAWS))
    sizes, tokens = np.array([1e9, 2e9, 3e9]), np.array([1e11, 2e11, 3e11])
    assert together.loss(sizes, tokens).tolist() == [
        float(law.loss(n, d)) for law, n, d in zip(_plain(LAWS), sizes, tokens, strict=True)
    ]


def test_taken_laws_keep_their_order():
    together = LossLaws.of(_plain(LAWS))
    taken = together.take(np.array([2, 0, 2]))
    assert len(taken) == 3
    assert taken.irreducible.tolist() == [LAWS[i].irreducible for i in (2, 0, 2)]


def test_repetition_is_known_of_all_or_none():
    with pytest.raises(ValueError, match="repetition"):
        LossLaws.of([LAWS[0], LOSS_LAWS["muennighoff2023"]])
