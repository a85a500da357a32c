"""Rewrite the outputs shown in README.md and docs/*.md with what the commands print now."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import blocks


def rewritten(page: Path) -> str:
    """The text of a page with every output renewed."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for command in reversed(blocks.commands(page)):
        first = command.line - 1 + len(command.written)
        printed = blocks.output(command.text)
        new = blocks.renewed(command.shown, printed)
        trailing = [""] if command.shown and not command.shown[-1].strip() else []
        lines[first : first + len(command.shown)] = [*new, *trailing]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Renew the pages named, or all of them."""
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or blocks.pages()
    for page in chosen:
        before, after = page.read_text(encoding="utf-8"), rewritten(page)
        if before != after:
            page.write_text(after, encoding="utf-8")
        state = "renewed" if before != after else "as it was"
        print(f"{page.relative_to(blocks.ROOT)}: {state}")


if __name__ == "__main__":
    main()
