"""Estimate the constants of hardware/calibration from tables of measurements.

    python tools/calibrate.py SERVING.csv TRAINING.csv [FOLDER]

SERVING.csv has the rows of the ML.ENERGY leaderboard v3, TRAINING.csv those of the MosaicML
llm-foundry benchmarks, both in the columns that `ds3opt validate --help` names. The tables
themselves are not part of this repository. Prints every error; writes FOLDER/<name>.yaml.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ds3opt.cli.measurements import load_measured
from ds3opt.fit.errors import Errors, errors
from ds3opt.fit.serving import (
    COMPUTE,
    COMPUTE_NARROW,
    EIGHT_BIT_EXPERTS,
    Prediction,
    ServingFit,
    ServingRuns,
    fit_serving,
    held_out,
    predict,
    slower_than_older,
)
from ds3opt.fit.training import TrainingRuns, fit_training, held_out_training
from ds3opt.laws.training_run import model_flop_utilisation
from ds3opt.schema.calibration import Calibration, ServingConstants

FAMILIES = {"h100-sxm": "h100", "b200-sxm": "b200"}
"""Accelerators that were measured, and the calibration that each gives its name to."""
NAMES = {
    "h100": "NVIDIA H100 and the other Hopper boards",
    "b200": "NVIDIA B200 and the other Blackwell boards",
    "a100": "NVIDIA A100",
    "default": "Any accelerator that nobody measured",
}
NOTES = {
    "h100": "Measured on H100 SXM only.",
    "b200": (
        "Measured on HGX B200 only, where the host held up some of the runs. Training was not "
        "measured: utilisations are those of Hopper, as shares of Blackwell's peak."
    ),
    "a100": "Training was measured; for serving these are the constants of the default set.",
    "default": (
        "The geometric mean of the measured families' constants. The errors held out are those of "
        "an accelerator predicted by constants of the other family."
    ),
}
TRAINING_OF = {"b200": "h100"}
"""Calibrations without measured training, and whose utilisation they take."""
SOURCE = (
    "ML.ENERGY leaderboard v3, github.com/ml-energy/leaderboard, public/data (vLLM); prompts "
    "assumed: 200 tokens in chat, 300 in GPQA, 1500 in code completion"
)
AS_OF = "2026-02-16"
TRAINING_SOURCE = (
    "MosaicML llm-foundry, scripts/train/benchmarking/README.md (MPT models of 125M to 70B, "
    "8 to 512 accelerators)"
)
TRAINING_AS_OF = "2026, the day was not kept"
CAPACITY: dict[str, Any] = {
    "source": (
        "vLLM gpu_memory_utilization defaults to 0.9; 3.5 GiB for each GPU in NVIDIA aiconfigurator"
    ),
    "usable_memory": 0.9,
    "reserve_bytes": "3.5 GiB",
}
GOODPUT: dict[str, Any] = {
    "goodput": 0.85,
    "goodput_source": (
        "Llama-3.1-405B: 6 x 405e9 x 15.6e12 FLOP in 30.84 M H100 hours (model card) are 34.5 % of "
        "the peak; 38 to 43 % while it ran (arXiv 2407.21783, table 4), so 0.345 / 0.405"
    ),
}
QUANTITIES = [field.name for field in fields(Prediction)]
Bands = dict[str, Errors | None]


def main(serving_csv: str, training_csv: str, folder: str = "hardware/calibration") -> None:
    """Fit, print the errors, write the files."""
    serving = load_measured(serving_csv).serving
    training = load_measured(training_csv).training
    assert serving is not None
    assert training is not None
    runs = serving.runs
    slow = slower_than_older(runs, "h100-sxm", "b200-sxm")
    fitted = ~(slow | serving.data_parallel)
    families = np.array([FAMILIES[str(name)] for name in runs.accelerator])
    shapes = np.array(
        [f"{n:.0f} {k}" for n, k in zip(runs.shape.parameters, runs.shape.layers, strict=True)]
    )
    left_out = (
        f"slower on B200 than on H100 at the same work ({int(slow.sum())} rows), or attention "
        f"replicated on every accelerator ({int(serving.data_parallel.sum())})"
    )
    each = fit_serving(runs.take(fitted), families[fitted])
    told = predict(runs, each.efficiency(families.tolist(), runs))
    unseen = held_out(runs, families, shapes, fitted)
    one = np.full(len(runs), "default")
    pooled = ServingFit({"default": _mean(list(each.constants.values()))})
    pooled_told = predict(runs, pooled.efficiency(one.tolist(), runs))
    pooled_unseen = held_out(runs, one, families, fitted)

    everything = np.ones(len(runs), dtype=bool)
    _print("all, own set", _bands(runs, told, everything), _bands(runs, unseen, everything))
    _print(
        "all, one set",
        _bands(runs, pooled_told, everything),
        _bands(runs, pooled_unseen, everything),
    )
    learnt = _training(training.runs)
    for name in NAMES:
        own = name in FAMILIES.values()
        chosen = families == name if own else everything
        seen, new = (told, unseen) if own else (pooled_told, pooled_unseen)
        measured, held = _bands(runs, seen, chosen), _bands(runs, new, chosen)
        _print(name, measured, held)
        constants = (each if own else pooled).constants[name if own else "default"]
        data = {
            "name": NAMES[name],
            "note": NOTES[name],
            "serving": {
                "source": SOURCE,
                "as_of": AS_OF,
                "rows": int((fitted & chosen).sum()),
                "left_out": int((~fitted & chosen).sum()),
                "left_out_because": left_out,
                **_serving(constants),
            },
            "power": {
                part: _digits(constants[f"{part}_power"]) for part in ("base", "memory", "compute")
            },
            "capacity": CAPACITY,
            "training": learnt.get(TRAINING_OF.get(name, name), learnt["default"]),
            "measured": _plain(measured),
            "held_out": _plain(held),
        }
        data["serving"] = {k: v for k, v in data["serving"].items() if v is not None}
        if not data["serving"]["left_out"]:
            del data["serving"]["left_out_because"]
        Calibration.model_validate(data)
        text = "# Written by tools/calibrate.py.\n" + yaml.safe_dump(
            data, sort_keys=False, width=96, allow_unicode=True
        )
        Path(folder, f"{name}.yaml").write_text(text, encoding="utf-8")
    _print_models(runs, told, unseen)


def _mean(families: list[dict[str, float]]) -> dict[str, float]:
    """Geometric mean of every constant."""
    return {
        name: float(np.exp(np.mean([np.log(constants[name]) for constants in families])))
        for name in families[0]
    }


def _serving(constants: dict[str, float]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        k: _digits(v) for k, v in constants.items() if not k.endswith("_power")
    }
    eight_bit = plain.pop(EIGHT_BIT_EXPERTS)
    sixteen_bit = plain.pop("expert_layer_seconds")
    plain |= {
        "compute": {"sixteen_bit": COMPUTE, "narrow": COMPUTE_NARROW},
        "expert_layer_seconds": {"sixteen_bit": sixteen_bit, "eight_bit": eight_bit},
    }
    return {name: plain[name] for name in ServingConstants.model_fields if name in plain}


def _training(runs: TrainingRuns) -> dict[str, dict[str, Any]]:
    """Utilisations by calibration; the default has all accelerators in bf16."""
    families = {
        "a100": np.char.startswith(runs.accelerator, "a100"),
        "h100": np.char.startswith(runs.accelerator, "h100"),
    }
    families["default"] = families["a100"] | families["h100"]
    found: dict[str, dict[str, Any]] = {}
    for name, chosen in families.items():
        parts: dict[str, Any] = {"source": TRAINING_SOURCE, "as_of": TRAINING_AS_OF}
        for precision in ("bf16", "fp8"):
            part = runs.take(chosen & (runs.precision == precision))
            if not len(part):
                continue
            matrix, attention = fit_training(part)
            told = model_flop_utilisation(matrix, attention, part.attention_share)
            groups = [errors(part.utilisation, t) for t in (told, held_out_training(part))]
            print(f"training {name} {precision}", *(_words(g) for g in groups))
            parts[precision] = {
                "matrix": _digits(matrix),
                "attention": _digits(attention),
                "rows": len(part),
                "measured": _band(groups[0]),
                "held_out": _band(groups[1]),
            }
        found[name] = {**parts, **GOODPUT}
    return found


def _bands(runs: ServingRuns, told: Prediction, chosen: np.ndarray[Any, Any]) -> Bands:
    return {
        name: errors(getattr(runs, name)[chosen], getattr(told, name)[chosen])
        for name in QUANTITIES
    }


def _plain(bands: Bands) -> dict[str, Any]:
    return {name: _band(found) for name, found in bands.items()}


def _band(found: Errors | None) -> dict[str, float | int] | None:
    if found is None:
        return None
    return {k: v if k == "rows" else _digits(v) for k, v in asdict(found).items()}


def _digits(value: float) -> float:
    return float(f"{value:.3g}")


def _words(found: Errors | None) -> str:
    if found is None:
        return "-"
    return f"{100 * found.median_error:.1f} % (p90 {100 * found.p90_error:.0f} %)"


def _print(name: str, measured: Bands, held: Bands) -> None:
    for quantity in QUANTITIES:
        words = f"{_words(measured[quantity])}, held out {_words(held[quantity])}"
        print(f"{name:14}{quantity:18}median error {words}")


def _print_models(runs: ServingRuns, told: Prediction, unseen: Prediction) -> None:
    for model in sorted(set(runs.model.tolist())):
        for accelerator in sorted(set(runs.accelerator.tolist())):
            chosen = (runs.model == model) & (runs.accelerator == accelerator)
            if chosen.any():
                _print(
                    f"{model} {accelerator} ",
                    _bands(runs, told, chosen),
                    _bands(runs, unseen, chosen),
                )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
