"""What is known of draws so far, kept in the user's cache until all of them are solved."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ds3opt.uncertainty.outcome import Outcome, outcome_from


class DrawJournal:
    """A file with one line for each draw that was solved.

    Where it cannot be written, such as on a full disk or in a home that is read only, draws are
    simply not kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken: str | None = None
        """Why nothing is kept, where that is so."""
        self._file: IO[str] | None = None

    def known(self) -> dict[int, Outcome]:
        """Outcomes of an earlier run by the index of their draw; a line cut short is left out."""
        found: dict[int, Outcome] = {}
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return found
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                one = outcome_from(json.loads(line))
                found[one.index] = one
        return found

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Add some draws."""
        if self.broken is not None:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115
                if self._file.tell():
                    self._file.write("\n")  # the last line may have been cut short
            self._file.writelines(json.dumps(one.as_data()) + "\n" for one in outcomes)
            self._file.flush()
        except OSError as error:
            self.broken = error.strerror or type(error).__name__

    def close(self) -> None:
        """Leave the file as it is."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def forget(self) -> None:
        """Every draw is solved: the file has done its work."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


def journal_for(*what: str, folder: Path | None = None) -> DrawJournal:
    """The journal of one scenario, seed and version.

    Parameters
    ----------
    what : texts that the outcomes depend on.
    folder : that of the journals; by default in the user's cache.
    """
    key = hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
    return DrawJournal((folder or _cache()) / f"{key}.jsonl")


def _cache(get: Callable[[str], str | None] = os.environ.get) -> Path:
    base = get("XDG_CACHE_HOME")
    if base and os.path.isabs(base):  # others are to be ignored, says the standard
        return Path(base) / "ds3opt" / "draws"
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        home = Path(os.devnull)
    return home / ".cache" / "ds3opt" / "draws"
