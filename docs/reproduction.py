"""Write docs/reproduction.md: what the papers say, what ds3opt gets, and the verdicts.

`python docs/reproduction.py` writes it, a minute or two; `--check` only says whether it is up to
date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ds3opt.reproduce.page import page
from ds3opt.reproduce.registry import ITEMS

PAGE = Path(__file__).resolve().parent / "reproduction.md"

INTRODUCTION = """
<!-- written by docs/reproduction.py; edit ds3opt/reproduce instead -->

The figures and tables of three papers, from the laws of ds3opt: "DS3" is the theory of directed
stochastic skill search, "Levi" the simple model of inference scaling laws (arXiv 2410.16377), "Wu
et al." the inference scaling laws of arXiv 2408.00724. Numbers and verdicts below are computed, not
typed; `ds3opt reproduce` draws the pictures and writes what is plotted:

```sh
ds3opt reproduce all -o figures           # everything, a minute or two
ds3opt reproduce ds3_fig8 wu_table4 -o figures --picture png
ds3opt reproduce --list
```

Pictures need matplotlib: `pip install 'ds3opt[plot]'`. Symbols: m skills of a task, r the chance
that a step finds and executes the next one, b branches, k samples, Omega tokens, omega tokens per
step, N parameters, D training tokens, I tasks served.
"""


def text() -> str:
    """The whole page."""
    return page({item: item.run() for item in ITEMS}, INTRODUCTION)


def main() -> int:
    """Write the page, or say that it is out of date."""
    written = text()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == written:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"{PAGE.name} is out of date: run python docs/reproduction.py\n")
        return 1
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
