"""``python -m ds3opt``, the same as the console script."""

from __future__ import annotations

import sys

from ds3opt.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
