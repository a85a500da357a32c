"""Which accelerator of the catalogue a name means, however it is spelt."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[a-z0-9]+")
_MEMORY = re.compile(r"(\d+)\s*(?:gb|gib)\b")
_ALIASES = {
    "trillium": "tpuv6e",
    "ironwood": "tpuv7x",
    "tpu7x": "tpuv7x",
    "trn2": "trainium2",
    "trn3": "trainium3",
    "4090": "rtx4090",
}
_VARIANTS = {"sxm": "sxm", "hgx": "sxm", "pcie": "pcie", "nvl": "nvl"}
_LONGEST = 3
"""Words that one model's name may be split into, as in "tpu v5 e"."""


def models_in(name: str) -> set[str]:
    """Every model that a name could mean, as one word each.

    >>> "h100" in models_in("NVIDIA H100 SXM5 80GB"), "h20" in models_in("H200")
    (True, False)
    >>> sorted(models_in("Gaudi 3"))
    ['3', 'gaudi', 'gaudi3']
    """
    words = _TOKEN.findall(name.lower())
    joined = {
        "".join(words[start : start + length])
        for start in range(len(words))
        for length in range(1, _LONGEST + 1)
    }
    return joined | {_ALIASES[word] for word in joined if word in _ALIASES}


def model_of(stem: str) -> str:
    """The model that a file of the catalogue is about.

    >>> model_of("a100-80gb-sxm"), model_of("tpu-v5e")
    ('a100', 'tpuv5e')
    """
    words = [w for w in stem.split("-") if not _MEMORY.fullmatch(w) and w not in _VARIANTS]
    return "".join(words)


def variant_of(name: str) -> str:
    """The board that a name speaks of: sxm, pcie, nvl, or nothing.

    >>> variant_of("H100-SXM5"), variant_of("H100 80 GB PCIe"), variant_of("GB200 NVL72")
    ('sxm', 'pcie', '')
    """
    for word in _TOKEN.findall(name.lower()):
        found = _VARIANTS.get(re.sub(r"(?<=sxm)\d$", "", word))
        if found:
            return found
    return ""


def memory_in(name: str) -> set[float]:
    """Sizes of memory that a name speaks of, bytes.

    >>> memory_in("A100-SXM4-80GB")
    {80000000000.0}
    """
    spaced = re.sub(r"[-_]", " ", name.lower())
    return {float(digits) * 1e9 for digits in _MEMORY.findall(spaced)}


def same_model(names: Iterable[str], stem: str) -> bool:
    """Whether any of the names means the model of a file of the catalogue, on the same board."""
    names = list(names)
    if not any(model_of(stem) in models_in(name) for name in names):
        return False
    boards = {board for board in map(variant_of, names) if board}
    own = variant_of(stem)
    return not boards or not own or own in boards
