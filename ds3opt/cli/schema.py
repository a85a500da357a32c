"""``ds3opt schema``: the JSON Schema of a scenario, for editors."""

from __future__ import annotations

import json

from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode


@with_view()
def schema(view: View) -> int:
    """The JSON Schema of a scenario, for editors and checkers."""
    from ds3opt.schema import Scenario

    found = Scenario.model_json_schema(by_alias=True)
    titled = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "ds3opt scenario",
    }
    view.emit_text(json.dumps(titled, indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE
